"""One bridge, a network namespace for each host, and the cables between them.

Owns: namespaces called `cmx-<pid of the lab>-<number>-<name>`. Never: touches the machine's own network, nor a
namespace of another name. Nothing in here has a route out of the lab.
"""

import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.lib.errors import CannotRun
from bench.lib.errors import Failed

PREFIX = "cmx"
INTERFACE = "eth0"
SUBNET_BITS = 24
_SWITCH = "switch"
_WHOLE, _ASIDE = "whole", "aside"
_OURS = re.compile(rf"^{PREFIX}-(\d+)-\d+-\w+$")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A `with` block whose namespaces do not outlive it. They must be empty of processes at its end.

    The switch is a namespace of its own with two bridges: `whole`, to which every cable leads, and `aside`, to which
    `split` moves some of them.
    """

    def __init__(self, number: int) -> None:
        self._tag = f"{PREFIX}-{os.getpid()}-{number}"
        self._namespaces: list[str] = []

    def __enter__(self) -> "Network":
        try:
            self._switch = self._new_namespace(_SWITCH)
            _ip(
                f"-n {self._switch} link add {_WHOLE} type bridge",
                f"-n {self._switch} link add {_ASIDE} type bridge",
                f"-n {self._switch} link set dev {_WHOLE} up",
                f"-n {self._switch} link set dev {_ASIDE} up",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        self._namespaces.clear()

    def add(self, name: str, address: str) -> str:
        """A namespace with one interface of this address, connected to the switch; returns its name."""
        namespace = self._new_namespace(name)
        _ip(
            f"link add name {name} netns {self._switch} type veth peer name {INTERFACE} netns {namespace}",
            f"-n {self._switch} link set dev {name} master {_WHOLE}",
            f"-n {self._switch} link set dev {name} up",
            f"-n {namespace} link set lo up",
            f"-n {namespace} address add {address}/{SUBNET_BITS} dev {INTERFACE}",
            f"-n {namespace} link set {INTERFACE} up",
        )
        return namespace

    def pull(self, name: str) -> None:
        """Pulls the cable: the host sees its link go down."""
        _ip(f"-n {self._switch} link set dev {name} down")

    def plug(self, name: str) -> None:
        """Plugs the cable in again."""
        _ip(f"-n {self._switch} link set dev {name} up")

    def split(self, names: Iterable[str]) -> None:
        """Parts the network silently: these hosts reach each other and nobody else; all links stay up."""
        for name in names:
            _ip(f"-n {self._switch} link set dev {name} master {_ASIDE}")

    def heal(self, names: Iterable[str]) -> None:
        """Ends a split."""
        for name in names:
            _ip(f"-n {self._switch} link set dev {name} master {_WHOLE}")

    def _new_namespace(self, name: str) -> str:
        namespace = f"{self._tag}-{name}"
        # Noted first: an interruption may come at any moment.
        self._namespaces.append(namespace)
        _ip(f"netns add {namespace}")
        return namespace


def check_allowed() -> None:
    """Raises CannotRun unless namespaces can be made here."""
    if os.geteuid() != 0:
        raise CannotRun("namespaces need root")
    name = f"{PREFIX}-{os.getpid()}-0-probe"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        raise CannotRun(f"a network namespace cannot be made here: {made.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", name], check=False)


def clean() -> list[str]:
    """Removes what a lab that was killed outright has left behind; returns the namespaces removed.

    A lab's processes die with it, so there is normally none left to end. Labs that still run are left alone.
    """
    removed = []
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        match = _OURS.match(name)
        if match is None or _is_a_lab(int(match[1])):
            continue
        pids = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True).stdout
        for pid in pids.split():
            os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        removed.append(name)
    return removed


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread makes its sockets in this namespace; they stay there when it has left."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        away = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_namespace(away)
        finally:
            os.close(away)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(home)


def _set_namespace(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _is_a_lab(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    # The pid may be another program's by now.
    return b"python" in command


def _ip(*commands: str) -> None:
    for command in commands:
        done = subprocess.run(["ip", *command.split()], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"ip {command}: {done.stderr.strip()}")
