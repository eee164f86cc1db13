"""The two ways a benchmark goes wrong.

`CannotRun` ends the run: nothing sensible can be measured (exit code 2). `Failed` spoils one sample: it is
written into the table in place of figures, and the run goes on.
"""


class CannotRun(Exception):
    """Something the run needs is missing; the text says what to do about it."""


class Failed(Exception):
    """One measurement gave no figures; the text says why."""
