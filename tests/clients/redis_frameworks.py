"""What frameworks do with Redis: a lock, a rate limiter by scripts, a cache."""

import sys
import threading
import time

import django
import redis
from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from limits.strategies import MovingWindowRateLimiter


def check(what, got, due):
    if got != due:
        raise AssertionError(f"{what}: got {got!r}, due {due!r}")


def lock(port):
    """redis-py's Lock: SET NX, and scripts that look whose it is. One at a time has it."""
    holders, most, count = 0, 0, 0

    def worker():
        nonlocal holders, most, count
        client = redis.Redis(port=port)
        for _ in range(10):
            with client.lock("lock", timeout=10, sleep=0.001):
                holders += 1
                most = max(most, holders)
                count += 1
                time.sleep(0.001)
                holders -= 1

    threads = [threading.Thread(target=worker) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    check("holders at once, and in all", (most, count), (1, 40))
    client = redis.Redis(port=port)
    held = client.lock("lock", timeout=10)
    check("acquire", held.acquire(), True)
    check("taken", client.lock("lock", blocking=False).acquire(), False)
    check("extend", held.extend(5), True)
    check("reacquire", held.reacquire(), True)
    held.release()
    try:
        held.release()
        raise AssertionError("released twice")
    except redis.exceptions.LockError:
        pass


def limiter(port):
    """By scripts, called by their SHA1."""
    storage = RedisStorage(f"redis://127.0.0.1:{port}")
    check("check", storage.check(), True)
    for name, strategy in (("fixed", FixedWindowRateLimiter), ("moving", MovingWindowRateLimiter)):
        limit, limiter = RateLimitItemPerMinute(5), strategy(storage)
        hits = [limiter.hit(limit, name, "client") for _ in range(8)]
        check(name, hits, [True] * 5 + [False] * 3)
        check("left", limiter.get_window_stats(limit, name, "client").remaining, 0)


def cache(port):
    """django-redis: values, many at once, counters, patterns, locks. It sets many within MULTI: a tag keeps them together."""
    backend = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{port}/3",
        "KEY_PREFIX": "{cache}",
    }
    settings.configure(CACHES={"default": backend})
    django.setup()
    from django.core.cache import cache

    cache.set("a", {"deep": [1, 2]}, timeout=60)
    check("get", cache.get("a"), {"deep": [1, 2]})
    check("add", (cache.add("a", 1), cache.add("b", 1)), (False, True))
    check("incr", (cache.incr("b"), cache.incr("b", 5)), (2, 7))
    many = {f"k{n}": n for n in range(40)}
    cache.set_many(many)
    check("get_many", cache.get_many(list(many) + ["none"]), many)
    check("ttl", 50 < cache.ttl("a") <= 60, True)
    check("scan", sorted(cache.iter_keys("k*")), sorted(many))
    check("delete_pattern", cache.delete_pattern("k1*"), 11)
    cache.delete_many(["k0", "k2"])
    check("gone", cache.get_many(["k0", "k2", "k3"]), {"k3": 3})
    with cache.lock("held", timeout=5):
        check("locked", cache.lock("held", blocking=False).acquire(), False)
    check("touch", cache.touch("a", 5), True)


def main():
    port = int(sys.argv[1])
    lock(port)
    limiter(port)
    cache(port)


main()
