"""What the run was measured on, and how much of the machine others took meanwhile."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.errors import CannotRun

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Pins:
    """The cores that client, proxy and servers are kept to; None leaves it to the scheduler."""

    client: int | None = None
    proxy: int | None = None
    servers: int | None = None


def pins(cores: Sequence[int]) -> Pins:
    """Of two cores the client has one, and proxy and servers the other; of three the proxy has its own."""
    if len(cores) < 2:
        raise CannotRun("--pin needs two cores")
    return Pins(client=cores[0], servers=cores[1], proxy=cores[min(2, len(cores) - 1)])


@dataclass(frozen=True)
class MachineReading:
    """A moment of the whole machine: what all processes together, and the hypervisor, have taken so far."""

    at_ns: int
    busy_ns: int

    @classmethod
    def now(cls) -> "MachineReading":
        with open("/proc/stat", encoding="ascii") as stat:
            return cls(time.monotonic_ns(), busy_ticks(stat.readline()) * _TICK_NS)


def busy_ticks(cpu_line: str) -> int:
    """All that is not idle in the first line of /proc/stat (proc(5)), stolen time included, in ticks.

    Guest time is left out because the kernel has already counted it as user time.
    """
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(text) for text in cpu_line.split()[1:9])
    return user + nice + system + irq + softirq + steal


def share_of_others(before: MachineReading, after: MachineReading, own_ns: int) -> float:
    """The part of the machine, 0 to 1, that neither sat idle nor was used by the benchmark's own `own_ns`."""
    capacity_ns = (after.at_ns - before.at_ns) * (os.cpu_count() or 1)
    others_ns = after.busy_ns - before.busy_ns - own_ns
    return min(1.0, max(0.0, others_ns / capacity_ns))


def describe() -> dict[str, object]:
    """Kernel, processor, cores and load: what a reader needs to place the figures."""
    return {
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


def available_bytes() -> int:
    """Memory that can be had without swapping (MemAvailable of proc(5))."""
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no MemAvailable")


def tcp_bytes() -> int:
    """What the buffers of all TCP sockets of the machine take of the kernel's memory."""
    with open("/proc/net/sockstat", encoding="ascii") as sockstat:
        return tcp_pages(sockstat.read()) * os.sysconf("SC_PAGE_SIZE")


def tcp_pages(sockstat: str) -> int:
    """The last figure of `TCP: inuse 2 orphan 0 tw 20 alloc 3 mem 188`, in pages."""
    for line in sockstat.splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1])
    raise OSError("/proc/net/sockstat has no TCP line")


def version_of(argv: list[str]) -> str:
    """The first line that a program prints about its version; most print it to one of the two streams."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def _cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
