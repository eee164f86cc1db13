"""pymemcache: the text protocol, and meta commands as they are written."""

import os
import sys

from pymemcache.client.base import Client, PooledClient
from pymemcache.exceptions import MemcacheClientError

server = ("127.0.0.1", int(sys.argv[1]))
client = Client(server, timeout=10, no_delay=True, default_noreply=False)

assert client.set("a", b"1", expire=100, flags=7)
assert client.get("a") == b"1"
assert client.get("none") is None and client.get("none", default=3) == 3
assert client.add("a", b"2") is False and client.add("b", b"2") is True
assert client.replace("b", b"3") is True and client.replace("none", b"3") is False
assert client.append("b", b"+") and client.prepend("b", b"-") and client.get("b") == b"-3+"
value, cas = client.gets("a")
assert client.cas("a", b"5", cas) is True and client.cas("a", b"6", cas) is False
assert client.cas("none", b"6", cas) is None
assert client.incr("a", 10) == 15 and client.decr("a", 100) == 0 and client.incr("none", 1) is None
assert client.touch("a", 1000) is True and client.touch("none", 1) is False
assert client.delete("a") is True and client.delete("a") is False

many = {f"many:{nth}": str(nth).encode() * nth for nth in range(1, 200)}
assert client.set_many(many) == []
assert client.get_many([*many, "none"]) == many
assert set(client.gets_many(list(many))) == set(many)
assert client.delete_many(list(many)) and client.get_many(list(many)) == {}

# Without replies: what is asked behind them is answered rightly.
for nth in range(300):
    client.set(f"quiet:{nth}", b"x" * nth, noreply=True)
    if nth % 3 == 0:
        client.delete(f"quiet:{nth}", noreply=True)
found = client.get_many([f"quiet:{nth}" for nth in range(300)])
assert found == {f"quiet:{nth}": b"x" * nth for nth in range(300) if nth % 3}

large = os.urandom(900_000)
assert client.set("large", large) and client.get("large") == large
try:
    client.set("too large", b"")
    raise AssertionError("a key with a blank")
except MemcacheClientError:
    pass
assert client.version().startswith(b"1.")

# Meta commands, with opaque tokens, a base64 key and a quiet batch.
assert client.raw_command(b"ms meta 5 T100 F7\r\nhello") == b"HD"
assert client.raw_command(b"mg meta s v f t k O9", b"\r\nhello\r\n").split()[:3] == [b"VA", b"5", b"s5"]
assert client.raw_command(b"ms a2V5IHdpdGggYmxhbms= 2 b\r\nhi") == b"HD"
blank = client.raw_command(b"mg a2V5IHdpdGggYmxhbms= b k v", b"\r\nhi\r\n").split()
assert blank[:2] == [b"VA", b"2"] and set(blank[2:4]) == {b"b", b"ka2V5IHdpdGggYmxhbms="}, blank
assert client.raw_command(b"ma count N0 J10 v", b"\r\n10\r\n").startswith(b"VA 2")
assert client.raw_command(b"mg none v") == b"EN"
assert client.raw_command(b"mg none q v\r\nmg meta q v\r\nmn", b"MN\r\n") == b"VA 5\r\nhello\r\n"
assert client.raw_command(b"md meta") == b"HD" and client.raw_command(b"md meta") == b"NF"

if not os.environ["CLIENT_IS_DIRECT"]:
    try:
        client.flush_all()
        raise AssertionError("flush_all is not for a client")
    except MemcacheClientError:
        pass
    assert client.get("large") == large, "the connection is as good as before"

pool = PooledClient(server, max_pool_size=4, timeout=10)
assert pool.set("p", b"q") and pool.get("p") == b"q"
client.quit()
