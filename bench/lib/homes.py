"""Which keys live on which server: asked of the servers, after the proxy has written the keys.

So the answer is right for any proxy, and does not rest on what the proxy says of itself.
"""

from collections.abc import Mapping
from collections.abc import Sequence

from bench.lib.contender import Contender
from bench.lib.errors import Failed
from bench.lib.resp import Client
from bench.lib.servers import Server

_BATCH = 500


def server_name(index: int) -> str:
    """The name that the configuration file gives a server."""
    return f"s{index}"


def keys_by_server(proxy: Contender, servers: Sequence[Server], count: int) -> dict[str, list[str]]:
    """`count` keys by the names of the servers they live on, and no trace of them left there."""
    prefix = "home:"
    # Far apart: twemproxy's default hash puts keys that differ in the last digit close together.
    keys = [f"{prefix}{index * 2_654_435_761 % (1 << 32):08x}" for index in range(count)]
    with Client(proxy.ports[len(servers)]) as client:
        for first in range(0, count, _BATCH):
            client.call("MSET", *(word for key in keys[first : first + _BATCH] for word in (key, "x")))
    homes = {server_name(index): _taken_from(server, prefix) for index, server in enumerate(servers)}
    found = sorted(key for each in homes.values() for key in each)
    if found != sorted(keys):
        raise Failed(f"{proxy.name} has written {len(found)} of {count} keys")
    return homes


def route_table(homes: Mapping[str, Sequence[str]]) -> str:
    """The table that `coremux route` prints, which the load generator reads."""
    lines = ["# pool key hash server address"]
    lines += [f"alpha {key} - {server} -" for server, keys in homes.items() for key in keys]
    return "\n".join(lines) + "\n"


def _taken_from(server: Server, prefix: str) -> list[str]:
    with Client(server.port) as client:
        keys = client.call("KEYS", f"{prefix}*")
        if not isinstance(keys, list):
            raise Failed(f"KEYS was answered by {keys!r}")
        found = [key.decode() for key in keys if isinstance(key, bytes)]
        for first in range(0, len(found), _BATCH):
            client.call("DEL", *found[first : first + _BATCH])
    return found
