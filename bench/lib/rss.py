"""Resident memory of other processes: now, and at its highest.

Never: counts what the kernel holds for a process (socket buffers, io_uring's own structures).
"""

import time
from collections.abc import Iterable

# Memory that is given back goes in steps of milliseconds; looking costs the process nothing.
LOOK_S = 0.05


def rss_bytes(pids: Iterable[int]) -> int:
    """Resident memory of all `pids` together. Exact: /proc/PID/status may lag by some pages a thread (proc(5))."""
    return sum(_kib_field(f"/proc/{pid}/smaps_rollup", "Rss:") for pid in pids) * 1024


def peak_bytes(pids: Iterable[int]) -> int:
    """The highest resident memory since `forget_peak`, each process's own peak added up."""
    return sum(_kib_field(f"/proc/{pid}/status", "VmHWM:") for pid in pids) * 1024


def forget_peak(pids: Iterable[int]) -> None:
    """Starts `peak_bytes` anew (proc(5): 5 written to clear_refs)."""
    for pid in pids:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")


def seconds_until_below(pids: Iterable[int], limit_bytes: int, deadline_s: float) -> tuple[float | None, int]:
    """How long memory took to come down to the limit (None: longer than the deadline), and what it then was."""
    pids = tuple(pids)
    started_at = time.monotonic()
    while True:
        resident, took_s = rss_bytes(pids), time.monotonic() - started_at
        if resident <= limit_bytes:
            return took_s, resident
        if took_s >= deadline_s:
            return None, resident
        time.sleep(LOOK_S)


def kib_of(text: str, title: str) -> int:
    """The figure of a line like `Rss:     1234 kB`."""
    for line in text.splitlines():
        if line.startswith(title):
            return int(line.split()[1])
    raise ValueError(f"no line {title}")


def _kib_field(path: str, title: str) -> int:
    try:
        with open(path, encoding="utf-8") as stream:
            return kib_of(stream.read(), title)
    except (FileNotFoundError, ValueError) as cause:  # a process that has ended has no memory and no such line
        raise ProcessLookupError(f"{path}: the process is gone") from cause
