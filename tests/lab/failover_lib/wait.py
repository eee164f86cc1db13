"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

from bench.lib.errors import Failed

Found = TypeVar("Found")


def wait_for(what: str, condition: Callable[[], Found], timeout_s: float, pause_s: float = 0.02) -> Found:
    """Polls until the condition is truthy and returns it; raises Failed when it is not in time.

    An OSError of the condition counts as "not yet": most conditions ask a process that has just been started.
    """
    give_up_at = time.monotonic() + timeout_s
    cause: OSError | Failed | None = None
    while time.monotonic() < give_up_at:
        try:
            if found := condition():
                return found
        except (OSError, Failed) as error:
            cause = error
        time.sleep(pause_s)
    raise Failed(f"not within {timeout_s:g} s: {what}" + (f" ({cause})" if cause else ""))
