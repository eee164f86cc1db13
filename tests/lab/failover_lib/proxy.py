"""The proxies of the two hosts: their file, their start, the scripts that change them, for each program."""

import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.lib.coremux_binary import REPOSITORY
from bench.lib.errors import CannotRun
from lab.failover_lib.host import Host
from lab.failover_lib.variant import COREMUX
from lab.failover_lib.variant import GROUPS
from lab.failover_lib.variant import HOSTS
from lab.failover_lib.variant import NUTCRACKER
from lab.failover_lib.variant import PROXY_HOSTS
from lab.failover_lib.variant import PROXY_PORT
from lab.failover_lib.variant import REDIS_PORT
from lab.failover_lib.variant import SENTINEL_PORT
from lab.failover_lib.variant import VARIANTS
from lab.failover_lib.variant import Variant
from lab.failover_lib.wait import wait_for

_TIMEOUT_S = 10
NUTCRACKER_FILE = "/etc/nutcracker/nutcracker.yml"
COREMUX_FILE = "/etc/coremux/coremux.yml"
SCRIPT = "/etc/redis/client-reconfig.sh"
SCRIPTS = "/usr/local/lib/coremux"
# Less than what a client waits, so that it is told and does not give up; more than a failover takes.
_HOLD_MS = 4_500

_NUTCRACKER = f"nutcracker -c {NUTCRACKER_FILE} -a 127.0.0.1 -o /run/log/nutcracker.log"

# The recipe's way: sed, kill, start. The mistakes that let it never work at all are mended, those that
# let it work badly are kept.
_RECIPE_SCRIPT = f"""\
#!/bin/sh
# <master-name> <role> <state> <from-ip> <from-port> <to-ip> <to-port>
file=/etc/nutcracker/$(echo "$1" | awk -F_ '{{print $1}}').yml
sed -i "s/$4:$5/$6:$7/g" "$file"
killall nutcracker
{_NUTCRACKER} -d
"""

# Not before the old one is gone: its port is taken until then, and a daemon says so to nobody.
_RESTART = f"""\
killall nutcracker
while killall -0 nutcracker 2>/dev/null && ps -C nutcracker -o stat= | grep -qv Z; do sleep 0.01; done
{_NUTCRACKER} -d
"""

# The same, done with care: once, by one at a time, for the address alone.
_HARDENED_SCRIPT = f"""\
#!/bin/sh
if [ "${{LOCKED-}}" != yes ]; then exec env LOCKED=yes flock --close /run/client-reconfig.lock "$0" "$@"; fi
from=$(printf %s "$4:$5" | sed 's/[.]/[.]/g')
grep -q "^ *- $from:" {NUTCRACKER_FILE} || exit 0
sed -i "s/^\\( *- \\)$from:/\\1$6:$7:/" {NUTCRACKER_FILE}
{_RESTART}"""

# What systemd does for the unit in conf/systemd: Restart=always, RestartSec=100ms, ExecStopPost; and after an
# upgrade it goes by the process that has taken over.
_SUPERVISOR = """\
#!/bin/sh
mkdir -p /run/coremux
while :; do
    "$@" &
    wait $!
    while kill -0 "$(cat /run/coremux/coremux.pid)" 2>/dev/null; do sleep 0.02; done
    echo 1 >/run/coremux/health
    sleep 0.1
done
"""


@dataclass(frozen=True)
class Coremux:
    """The Coremux of a run: its binary, and which of the flags and keys that the lab would use it has."""

    binary: Path
    flags: frozenset[str]
    sentinels: bool

    @property
    def lacks(self) -> list[str]:
        """What the figures have to do without."""
        flags = [f"--{flag}" for flag in sorted(_FLAGS.keys() - self.flags)]
        return flags + ([] if self.sentinels else ["sentinels:"])


# What is wanted of a Coremux beyond twemproxy's flags, with the values they get.
_FLAGS = {
    "ctl": "/run/coremux/ctl.sock",
    "health-file": "/run/coremux/health",
    "admin": "127.0.0.1:22223",
}


def find_out(binary: Path) -> Coremux:
    """Raises CannotRun when the binary does not even take a file without Sentinels."""
    shown = subprocess.run([str(binary), "-h"], capture_output=True, text=True, check=False)
    words = (shown.stdout + shown.stderr).replace(",", " ").split()
    variant = VARIANTS[COREMUX]
    if (problem := _problem(binary, coremux_yml(variant, follow=False))) is not None:
        raise CannotRun(f"{binary} does not take the file of variant {variant.name}: {problem}")
    sentinels = _problem(binary, coremux_yml(variant, follow=True)) is None
    return Coremux(binary, frozenset(flag for flag in _FLAGS if f"--{flag}" in words), sentinels)


def _problem(binary: Path, text: str) -> str | None:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(text)
        file.flush()
        tested = subprocess.run([str(binary), "-t", "-c", file.name], capture_output=True, text=True, check=False)
    return tested.stderr.strip() if tested.returncode != 0 else None


def prepare(hosts: Mapping[str, Host], variant: Variant, coremux: Coremux | None, follow: bool) -> dict[str, str]:
    """Writes files; returns the client-reconfig-script of each host that has one.

    `follow`: Coremux follows the Sentinels by itself, if it can.
    """
    for name in PROXY_HOSTS:
        host = hosts[name]
        if variant.program == NUTCRACKER:
            host.write(NUTCRACKER_FILE, _nutcracker_yml(variant))
            # Where Debian's package has its pid file; a daemon that cannot write it ends.
            host.path("/run/nutcracker").mkdir()
            host.write(SCRIPT, _HARDENED_SCRIPT if variant.hardened else _RECIPE_SCRIPT, 0o755)
        else:
            assert coremux is not None
            host.install(coremux.binary, "/usr/local/bin/coremux")
            host.install(REPOSITORY / "scripts/client-reconfig.sh", f"{SCRIPTS}/client-reconfig.sh")
            host.write(COREMUX_FILE, coremux_yml(variant, follow and coremux.sentinels))
            host.write("/usr/local/bin/supervise", _SUPERVISOR, 0o755)
    return dict.fromkeys(PROXY_HOSTS, SCRIPT) if variant.program == NUTCRACKER else {}


def start(host: Host, variant: Variant, coremux: Coremux | None) -> None:
    """Starts the proxy and returns when it answers."""
    if variant.program == NUTCRACKER:
        host.start("proxy", _NUTCRACKER.split())
    else:
        assert coremux is not None
        argv = f"supervise coremux -c {COREMUX_FILE} -p /run/coremux/coremux.pid -o /run/log/coremux.log".split()
        argv += ["-a", "127.0.0.1", "--cores", "1"]
        for flag in sorted(coremux.flags):
            argv += [f"--{flag}", _FLAGS[flag]]
        host.start("proxy", argv)
    wait_until_serving(host)


def wait_until_serving(host: Host) -> None:
    wait_for(f"the proxy of {host.name} answers", lambda: host.ask(PROXY_PORT, "PING") == b"PONG", _TIMEOUT_S)


def kill(host: Host, variant: Variant) -> None:
    """As a crash would end it. By name, among the processes of this host alone."""
    host.must_run(["pkill", "-KILL", "-x", variant.program])


def restart(host: Host, variant: Variant) -> None:
    """Replaces the proxy's process as its program wants it to be replaced, and returns when the new one answers."""
    if variant.program == NUTCRACKER:
        host.must_run(["sh", "-c", _RESTART])
    elif "--upgrade" in host.run(["coremux", "-h"]).stderr:
        before = _pid(host)
        host.must_run(["coremux", "--upgrade"])
        wait_for("the old proxy has ended", lambda: _pid(host) not in (0, before), _TIMEOUT_S)
    else:
        before = _pid(host)
        host.must_run(["pkill", f"-{signal.SIGTERM.value}", "-x", "coremux"])
        wait_for("the proxy has been replaced", lambda: _pid(host) not in (0, before), _TIMEOUT_S)
    wait_until_serving(host)


def _pid(host: Host) -> int:
    done = host.run(["pgrep", "-x", "coremux"])
    return int(done.stdout.split()[0]) if done.stdout.strip() else 0


def change_address(host: Host, variant: Variant, old: str, new: str) -> None:
    """Gives a server of the proxy's file another address, as an operator would, and lets the proxy know."""
    if variant.program == NUTCRACKER:
        port = str(REDIS_PORT)
        # By the name that the recipe's script has a file for; it goes by the address.
        host.must_run([SCRIPT, variant.group_names[1], "leader", "start", old, port, new, port])
        wait_until_serving(host)
        return
    port = str(REDIS_PORT)
    name = variant.group_names[2]
    host.must_run([f"{SCRIPTS}/client-reconfig.sh", name, "leader", "start", old, port, new, port])


def _nutcracker_yml(variant: Variant) -> str:
    lines = [
        "alpha:",
        f"  listen: 0.0.0.0:{PROXY_PORT}",
        "  hash: fnv1a_64",
        "  distribution: ketama",
        "  redis: true",
        f"  auto_eject_hosts: {'false' if variant.hardened else 'true'}",
        "  server_failure_limit: 1",
        "  server_retry_timeout: 30000",
    ]
    if variant.timeout_ms:
        lines.append(f"  timeout: {variant.timeout_ms}")
    return "\n".join([*lines, "  servers:", *_servers(variant)]) + "\n"


def coremux_yml(variant: Variant, follow: bool) -> str:
    """The pool of Coremux; with `follow` it follows the Sentinels by itself."""
    lines = [
        "alpha:",
        f"  listen: 0.0.0.0:{PROXY_PORT}",
        "  hash: fnv1a_64",
        "  distribution: ketama",
        "  redis: true",
        f"  timeout: {variant.timeout_ms}",
        # Who follows Sentinels holds as long as these need.
        *([] if follow else ["  on_server_failure: hold", f"  hold_ms: {_HOLD_MS}"]),
        "  servers:",
        *_servers(variant),
    ]
    if follow:
        sentinels = [f"   - {HOSTS[name]}:{SENTINEL_PORT}" for name in variant.sentinels]
        lines += ["  require_sentinel_quorum: true", "  sentinels:", *sentinels]
    return "\n".join(lines) + "\n"


def _servers(variant: Variant) -> list[str]:
    return [
        f"   - {HOSTS[members[0]]}:{REDIS_PORT}:1" + (f" {variant.group_names[group]}" if variant.named else "")
        for group, members in GROUPS.items()
    ]
