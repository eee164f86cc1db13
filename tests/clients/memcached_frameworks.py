"""Django's cache and its session store, by both of its backends, and dogpile.cache with its lock."""

import sys

import django
from django.conf import settings

PORT = sys.argv[1]
backends = {
    name: {
        "BACKEND": f"django.core.cache.backends.memcached.{name}Cache",
        "LOCATION": f"127.0.0.1:{PORT}",
        "KEY_PREFIX": name,
    }
    for name in ("PyMemcache", "PyLibMC")
}
settings.configure(
    CACHES=backends | {"default": backends["PyMemcache"]},
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SECRET_KEY="of a test",
    INSTALLED_APPS=["django.contrib.sessions"],
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402
from dogpile.cache import make_region  # noqa: E402

for name in backends:
    cache = caches[name]
    cache.set("a", {"b": [1, "ü"]}, 100)
    assert cache.get("a") == {"b": [1, "ü"]} and cache.get("none", "d") == "d"
    assert cache.add("a", 1) is False and cache.get_or_set("new", lambda: 5) == 5
    cache.set_many({f"m{nth}": nth for nth in range(100)})
    assert cache.get_many([f"m{nth}" for nth in range(120)]) == {f"m{nth}": nth for nth in range(100)}
    assert cache.incr("m7") == 8 and cache.decr("m7", 3) == 5 and cache.touch("m7", 100)
    assert cache.incr_version("m8") == 2 and cache.get("m8", version=2) == 8
    cache.delete_many(["a", "m1"])
    assert cache.get("a") is None and "m2" in cache and "m1" not in cache

session = SessionStore()
session["user"] = {"id": 7, "basket": list(range(50))}
session.save()
key = session.session_key
again = SessionStore(session_key=key)
assert again["user"]["id"] == 7
again["seen"] = True
again.save()
again.cycle_key()
assert again.session_key != key and SessionStore(session_key=key).get("user") is None
assert SessionStore(session_key=again.session_key)["seen"] is True
last = again.session_key
again.flush()
assert not SessionStore().exists(last)

for backend in ("dogpile.cache.pymemcache", "dogpile.cache.pylibmc"):
    url = [("127.0.0.1", int(PORT))] if backend.endswith("pymemcache") else [f"127.0.0.1:{PORT}"]
    arguments = {"url": url, "distributed_lock": True, "memcached_expire_time": 100}
    region = make_region().configure(backend, expiration_time=60, arguments=arguments)
    made = []

    @region.cache_on_arguments(namespace=backend.rsplit(".", 1)[1])
    def square(number):
        made.append(number)
        return number * number

    assert [square(nth) for nth in (3, 4, 3, 4)] == [9, 16, 9, 16] and made == [3, 4]
    square.invalidate(3)
    assert square(3) == 9 and made == [3, 4, 3]
    region.set_multi({f"{backend}:{nth}": nth for nth in range(20)})
    assert region.get_multi([f"{backend}:{nth}" for nth in range(20)]) == list(range(20))
