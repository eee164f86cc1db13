"""CPU time of other processes, to the nanosecond, and waiting until they have nothing left to do.

Never: counts the time of a process that was not named, or reads the 10 ms ticks of /proc/PID/stat.
"""

import os
import time
from collections.abc import Iterable

QUIET_LOOK_S = 0.010
# Redis's own timers take about 1% of a core; a process that still works on requests takes far more than this.
QUIET_CPU_SHARE = 0.05
QUIET_DEADLINE_S = 1.0


def process_cpu_ns(pid: int) -> int:
    """User plus system time of all threads the process has or ever had, in nanoseconds.

    Any process's CPU clock may be read; its id is `(~pid << 3) | CPUCLOCK_SCHED` (clock_getcpuclockid(3)). It
    is the sum of /proc/PID/task/*/schedstat, plus the threads that have ended, plus what runs at this moment.
    Raises ProcessLookupError when the process is gone.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError as cause:
        raise ProcessLookupError(f"process {pid} is gone") from cause


def total_cpu_ns(pids: Iterable[int]) -> int:
    """The sum of `process_cpu_ns` over `pids`."""
    return sum(process_cpu_ns(pid) for pid in pids)


def wakeups(pids: Iterable[int]) -> int:
    """How often threads of `pids` have slept until something came: voluntary switches of those that live."""
    count = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8", errors="replace") as status:
                count += sum(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches:"))
    return count


def family(pid: int) -> tuple[int, ...]:
    """The process and everything it has started, so that a proxy of several processes is counted whole."""
    members = [pid]
    for parent in members:
        for task in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as children:
                members.extend(int(child) for child in children.read().split())
    return tuple(members)


def wait_until_quiet(pids: Iterable[int], deadline_s: float = QUIET_DEADLINE_S) -> bool:
    """Waits until no thread of `pids` is runnable and they use next to no CPU; False when they never stop.

    Work that a load left behind (closing its connections, freeing its buffers) is thereby paid inside its own
    window and not in the next one. A starved process counts as busy: it is runnable.
    """
    pids = tuple(pids)
    give_up_at = time.monotonic() + deadline_s
    looked_at, used_ns = time.monotonic(), total_cpu_ns(pids)
    asleep = False
    while time.monotonic() < give_up_at:
        time.sleep(QUIET_LOOK_S)
        was_asleep, asleep = asleep, not any(_is_runnable(pid) for pid in pids)
        now, now_used_ns = time.monotonic(), total_cpu_ns(pids)
        share = (now_used_ns - used_ns) / 1e9 / (now - looked_at)
        looked_at, used_ns = now, now_used_ns
        if was_asleep and asleep and share < QUIET_CPU_SHARE:
            return True
    return False


def _is_runnable(pid: int) -> bool:
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as stat:
                state = stat.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:  # a thread that has just ended
            continue
        if state in "RD":
            return True
    return False
