"""What an application does with redis-py to listen to channels, sync and asyncio, with its default settings and
with RESP2."""

import asyncio
import os
import sys
import time

import redis
import redis.asyncio

SHARED = os.environ.get("PUBSUB") == "shared"
CHANNELS = [f"news:{n}" for n in range(20)]


def check(what, got, due):
    if got != due:
        raise AssertionError(f"{what}: got {got!r}, due {due!r}")


def message(of, kind="message"):
    """The next one of this kind; confirmations are passed over."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        got = of.get_message(timeout=1)
        if got and got["type"] == kind:
            return got["channel"], got["data"]
    raise AssertionError(f"no {kind}")


def synchronous(port, options):
    client = redis.Redis(port=port, decode_responses=True, **options)
    with client.pubsub() as pubsub:
        pubsub.subscribe(*CHANNELS)
        for n in range(20):
            got = pubsub.get_message(timeout=10)
            check("confirmed", (got["type"], got["data"]), ("subscribe", n + 1))
        for channel in CHANNELS:
            check("published", client.publish(channel, "hello"), 1)
            check("heard", message(pubsub), (channel, "hello"))
        if not SHARED:
            counted = dict(client.pubsub_numsub(*CHANNELS))
            check("numsub", counted, {channel: 1 for channel in CHANNELS})
        check("channels", sorted(client.pubsub_channels("news:*")), sorted(CHANNELS))
        pubsub.psubscribe("sport:*")
        got = pubsub.get_message(timeout=10)
        check("pattern", (got["type"], got["data"]), ("psubscribe", 21))
        check("numpat", client.pubsub_numpat(), 1)
        client.publish("sport:1", "goal")
        check("by pattern", message(pubsub, "pmessage"), ("sport:1", "goal"))
        if options:
            # In RESP3 redis-py takes the status for a message, of one Redis as well.
            pubsub.ping()
            check("pong", pubsub.get_message(timeout=10)["type"], "pong")
        pubsub.unsubscribe()
        for _ in CHANNELS:
            check("ended", pubsub.get_message(timeout=10)["type"], "unsubscribe")
        client.publish("news:1", "too late")
        client.publish("sport:2", "last")
        check("in order", message(pubsub, "pmessage"), ("sport:2", "last"))
    # A handler in a thread of its own, which is what most applications do.
    heard = []
    listener = client.pubsub()
    listener.subscribe(**{"thread": lambda got: heard.append(got["data"])})
    thread = listener.run_in_thread(sleep_time=0.01)
    deadline = time.monotonic() + 10
    while len(heard) < 5 and time.monotonic() < deadline:
        client.publish("thread", "x")
        time.sleep(0.01)
    thread.stop()
    thread.join(5)
    check("handler", heard[:5], ["x"] * 5)


async def asynchronous(port, options):
    client = redis.asyncio.Redis(port=port, decode_responses=True, **options)

    async def listens(n):
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(f"async:{n}", "async:all")
            got = []
            while len(got) < 2:
                found = await pubsub.get_message(ignore_subscribe_messages=True, timeout=10)
                if found:
                    got.append(found["data"])
            return got

    async def all_listen(count):
        while True:
            got = await client.pubsub_numsub(*(f"async:{n}" for n in range(count)))
            if all(subscribers for _, subscribers in got):
                return
            await asyncio.sleep(0.01)

    listeners = [asyncio.create_task(listens(n)) for n in range(30)]
    await asyncio.wait_for(all_listen(30), 10)
    for n in range(30):
        await client.publish(f"async:{n}", n)
    await asyncio.sleep(0.2)
    count = await client.publish("async:all", "all")
    check("all are counted", count if not SHARED else 30, 30)
    got = await asyncio.wait_for(asyncio.gather(*listeners), 20)
    check("each its own, and all", got, [[str(n), "all"] for n in range(30)])
    await client.aclose()


def main():
    port = int(sys.argv[1])
    for options in ({}, {"protocol": 2}):
        synchronous(port, options)
        asyncio.run(asynchronous(port, options))
    print("redis-py listens: well")


main()
