"""python-memcached: its own pickles and flags, many keys at once."""

import sys

import memcache

client = memcache.Client([f"127.0.0.1:{sys.argv[1]}"], cache_cas=True, socket_timeout=10)
assert client.set("list", [1, {"a": "ü"}, None]) and client.get("list") == [1, {"a": "ü"}, None]
assert client.set("zipped", "x" * 100_000, min_compress_len=100) and client.get("zipped") == "x" * 100_000
many = {f"m{nth}": nth for nth in range(200)}
assert client.set_multi(many, time=100) == []
assert client.get_multi(list(many) + ["none"]) == many
assert client.delete_multi(list(many)) and client.get_multi(list(many)) == {}
assert client.add("n", 5) and not client.add("n", 6) and client.incr("n", 3) == 8 and client.decr("n") == 7
assert client.gets("n") == 7 and client.cas("n", 10) and client.get("n") == 10
assert client.touch("n", 100) and client.delete("n") and client.get("n") is None
client.disconnect_all()
