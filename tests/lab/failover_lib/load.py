"""The keys of a run, the clients that work on them, and what is read of them at the end.

Which server has a key is found out by asking the servers after the proxy has written it: whatever a proxy does
later is held against what it did at first, not against somebody's idea of a hash.
"""

import json
import signal
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lib.coremux_binary import REPOSITORY
from bench.lib.errors import Failed
from bench.lib.resp import Client
from lab.failover_lib.client import Operation
from lab.failover_lib.client import old_value
from lab.failover_lib.client import read_record
from lab.failover_lib.host import Host
from lab.failover_lib.host import Running

KEYS = 24_000
CONNECTIONS = 12
# Six connections a server at 25 operations a second: the 150 a second and server of the targets.
INTERVAL_S = 0.040
# More than any failover that goes well: a client that gave up earlier would not see how it ends.
CLIENT_TIMEOUT_S = 5.0
_BATCH = 400
_COLD_SHARE = 4


@dataclass(frozen=True)
class Keys:
    """By server (1, 2): keys that are never written again, and keys that are written once."""

    cold: Mapping[int, Sequence[str]]
    fresh: Mapping[int, Sequence[str]]


def fill(proxy: Client) -> list[str]:
    """Writes every key's old value through the proxy."""
    keys = [f"key:{number}" for number in range(KEYS)]
    for batch in _batches(keys):
        replies = proxy.pipeline([("SET", key, old_value(key)) for key in batch])
        bad = [reply for reply in replies if reply != b"OK"]
        if bad:
            raise Failed(f"the proxy does not take the keys: {bad[0]}")
    return keys


def place(keys: Sequence[str], masters: Mapping[int, Client]) -> Keys:
    """Where the keys are. Raises Failed unless each is on one server, and each server has its part."""
    held = {server: _present(client, keys) for server, client in masters.items()}
    seen = sorted(key for each in held.values() for key in each)
    if seen != sorted(keys) or any(len(each) < len(keys) // 5 for each in held.values()):
        raise Failed(f"keys are not where they should be: {[len(each) for each in held.values()]} of {len(keys)}")
    cold = {server: each[:: _COLD_SHARE] for server, each in held.items()}
    fresh = {server: [key for index, key in enumerate(each) if index % _COLD_SHARE] for server, each in held.items()}
    return Keys(cold, fresh)


def values(client: Client, keys: Sequence[str]) -> dict[str, str]:
    """What this server or proxy says the keys hold; a key that is absent, or answered by an error, is left out."""
    found = {}
    for batch in _batches(keys):
        for key, reply in zip(batch, client.pipeline([("GET", key) for key in batch]), strict=True):
            if isinstance(reply, bytes):
                found[key] = reply.decode(errors="replace")
    return found


class Load:
    """The clients of one client host: half of the connections ask for keys of server 1, half of server 2."""

    def __init__(self, host: Host, number: int, address: tuple[str, int], keys: Keys, hosts: int) -> None:
        self._record = host.folder / "record.jsonl"
        spec = host.folder / "spec.json"
        half = CONNECTIONS // 2
        connections = []
        for index in range(CONNECTIONS):
            server = 1 + index // half
            place = number * half + index % half
            connections.append(
                {
                    "server": server,
                    "cold": keys.cold[server][place :: half * hosts],
                    "fresh": keys.fresh[server][place :: half * hosts],
                }
            )
        common = {"address": address, "interval_s": INTERVAL_S, "timeout_s": CLIENT_TIMEOUT_S}
        content = {**common, "first_number": number * CONNECTIONS, "connections": connections}
        spec.write_text(json.dumps(content), encoding="utf-8")
        argv = ["env", f"PYTHONPATH={REPOSITORY}/tests", sys.executable, "-m", "lab.failover_lib.client"]
        self._running: Running = host.start("client", [*argv, str(spec), str(self._record)])

    def stop(self) -> list[Operation]:
        """Lets the clients end what they are at; returns all they did."""
        self._running.end(signal.SIGTERM, CLIENT_TIMEOUT_S + 10)
        if not self._record.exists():
            raise Failed(f"the clients failed: {Path(self._running.log).read_text(encoding='utf-8')[-600:]}")
        return read_record(self._record)


def _present(client: Client, keys: Sequence[str]) -> list[str]:
    found = values(client, keys)
    return [key for key in keys if key in found]


def _batches(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[first : first + _BATCH] for first in range(0, len(keys), _BATCH)]
