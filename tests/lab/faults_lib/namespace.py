"""A network of the run's own, in which packets can be dropped without anybody else noticing.

The program starts itself anew in fresh network and mount namespaces (unshare(1)), so that its ports, its packet filter
and its small disks are nobody else's, and go with it. As root, or where users may have namespaces, without.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.lib.errors import CannotRun

_INSIDE = "COREMUX_BENCH_NAMESPACE"
# What is called below, and the Debian package that has it.
_PROGRAMS = {"unshare": "util-linux", "ip": "iproute2", "ss": "iproute2", "nft": "nftables", "mount": "mount"}


def enter() -> None:
    """Returns inside of namespaces of the process's own: at once, or by starting the program anew in them."""
    missing = {package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        raise CannotRun(f"missing programs: apt-get install {' '.join(sorted(missing))}")
    if os.environ.get(_INSIDE) == str(os.getpid()):
        call("ip", "link", "set", "lo", "up")
        return
    words = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise CannotRun(f"no network namespace to be had; run it as root: {tried.stderr.strip()}")
    # unshare replaces itself: the process id stays.
    os.environ[_INSIDE] = str(os.getpid())
    os.execvp(words[0], [*words, sys.executable, *sys.argv])


def call(*argv: str) -> str:
    """Runs a program that has to succeed; what it prints."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def reserve_ports(ports: Sequence[int]) -> None:
    """No connection's own port becomes one of these while the server that listens there is away."""
    path = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
    path.write_text(",".join(str(port) for port in ports), encoding="ascii")


def drop_packets(port: int, percent: int) -> None:
    """So many of a hundred packets to and from this port are lost, at random."""
    chance = [] if percent == 100 else ["numgen", "random", "mod", "100", "<", str(percent)]
    call("nft", "add", "table", "ip", "faults")
    call("nft", "add", "chain", "ip", "faults", "in", "{ type filter hook input priority 0 ; }")
    for end in ("dport", "sport"):
        call("nft", "add", "rule", "ip", "faults", "in", "tcp", end, str(port), *chance, "drop")


def pass_packets() -> None:
    """Nothing is dropped any more."""
    call("nft", "delete", "table", "ip", "faults")


def reset_connections(port: int) -> None:
    """Ends all connections of the server at this port by a reset (ss -K, which is the kernel's SOCK_DESTROY)."""
    call("ss", "-K", "-t", "state", "established", "sport", "=", f":{port}")


def small_disk(folder: Path, size_bytes: int) -> None:
    """A file system of its own, of so many bytes, at `folder`; it goes with the namespace."""
    folder.mkdir(parents=True, exist_ok=True)
    call("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))
