"""pylibmc, which is libmemcached: sets and gets of many keys, cas, sockets that do not block, and an instance per thread."""

import sys
import threading

import pylibmc

address = [f"127.0.0.1:{sys.argv[1]}"]
client = pylibmc.Client(address, behaviors={"tcp_nodelay": True, "cas": True, "receive_timeout": 10_000_000})
assert client.set("a", {"x": [1, 2]}) and client.get("a") == {"x": [1, 2]}
assert client.add("a", 1) is False and client.replace("a", 5) and client.incr("a", 2) == 7
many = {f"k{nth}": "v" * nth for nth in range(300)}
assert client.set_multi(many) == [] and client.get_multi([*many, "none"]) == many
assert client.delete_multi(list(many)) and client.get_multi(list(many)) == {}
value, cas = client.gets("a")
assert client.cas("a", 9, cas) and client.get("a") == 9
assert client.touch("a", 100)

unblocked = pylibmc.Client(address, behaviors={"no_block": True, "tcp_nodelay": True})
for nth in range(300):
    unblocked.set(f"q{nth}", nth)
assert unblocked.get_multi([f"q{nth}" for nth in range(300)]) == {f"q{nth}": nth for nth in range(300)}

wrong = []


def work(number):
    own = client.clone()
    for nth in range(200):
        own.set(f"t{number}", f"{number}:{nth}")
        if own.get(f"t{number}") != f"{number}:{nth}":
            wrong.append((number, nth))


threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert wrong == [], wrong[:5]
