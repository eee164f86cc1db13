"""Which keys live on which server: asked of the servers, after the proxy has written the keys.

So the answer is right for any proxy, and does not rest on what the proxy says of itself.
"""

from collections.abc import Mapping
from collections.abc import Sequence

from bench.lib import keyspace
from bench.lib.contender import Contender
from bench.lib.errors import Failed
from bench.lib.servers import Server

_BATCH = 500


def server_name(index: int) -> str:
    """The name that the configuration file gives a server."""
    return f"s{index}"


def keys_by_server(proxy: Contender, servers: Sequence[Server], count: int) -> dict[str, list[str]]:
    """`count` keys by the names of the servers they live on, and no trace of them left there."""
    keys = [f"home:{keyspace.spread(index)}" for index in range(count)]
    with servers[0].database.connect(proxy.ports[len(servers)]) as client:
        for first in range(0, count, _BATCH):
            client.set_many([(key, b"x") for key in keys[first : first + _BATCH]])
    homes = {server_name(index): _taken_from(server, keys) for index, server in enumerate(servers)}
    found = sorted(key for each in homes.values() for key in each)
    if found != sorted(keys):
        raise Failed(f"{proxy.name} has written {len(found)} of {count} keys")
    return homes


def route_table(homes: Mapping[str, Sequence[str]]) -> str:
    """The table that `coremux route` prints, which the load generator reads."""
    lines = ["# pool key hash server address"]
    lines += [f"alpha {key} - {server} -" for server, keys in homes.items() for key in keys]
    return "\n".join(lines) + "\n"


def _taken_from(server: Server, keys: Sequence[str]) -> list[str]:
    found: list[str] = []
    with server.connect() as client:
        for first in range(0, len(keys), _BATCH):
            batch = keys[first : first + _BATCH]
            here = [key for key, value in zip(batch, client.get_many(batch), strict=True) if value is not None]
            if here:
                client.delete_many(here)
            found += here
    return found
