"""Run them all: `python3 -m unittest discover -s bench/tests -t .` at the top of the repository.

None of them can hang: what takes longer than BOUND_S fails, with the place where it was.
"""

import faulthandler
import signal
import unittest
from collections.abc import Iterator
from contextlib import contextmanager

# The longest takes a minute, on a machine that does nothing else.
BOUND_S = 900
# Cleaning up may hang as well.
AGAIN_S = 60


class Hangs(BaseException):
    """Raised where a test is when its time is over; no `except Exception` on the way takes it for its own."""


@contextmanager
def bounded(seconds: float, again_s: float) -> Iterator[None]:
    """Raises Hangs in the block when the time is over, and again while it is left; at last ends the process."""

    def over(_number: int, _frame: object) -> None:
        raise Hangs(f"not within {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    # For threads, and for what waits in a way that no signal ends.
    faulthandler.dump_traceback_later(seconds + 5 * again_s, exit=True)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, again_s if left else 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


_run = unittest.TestCase.run


def _run_bounded(self: unittest.TestCase, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
    with bounded(BOUND_S, AGAIN_S):
        return _run(self, result)


# Here, so that no class can forget it: this package is imported before any of its tests.
unittest.TestCase.run = _run_bounded  # type: ignore[method-assign]
