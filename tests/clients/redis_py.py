"""What an application does with redis-py, sync and asyncio, with its default settings and with RESP2."""

import asyncio
import sys

import redis
import redis.asyncio


def check(what, got, due):
    if got != due:
        raise AssertionError(f"{what}: got {got!r}, due {due!r}")


def synchronous(port, protocol, options):
    client = redis.Redis(port=port, decode_responses=True, **options)
    check("ping", client.ping(), True)
    names = [f"{protocol}:key{n}" for n in range(50)]
    client.mset({name: n for n, name in enumerate(names)})
    check("mget", client.mget(names + ["none"]), [str(n) for n in range(50)] + [None])
    client.hset(f"{protocol}:hash", mapping={"a": "1", "b": "2"})
    check("hgetall", client.hgetall(f"{protocol}:hash"), {"a": "1", "b": "2"})
    client.sadd(f"{protocol}:set", "x", "y")
    check("smembers", client.smembers(f"{protocol}:set"), {"x", "y"})
    client.zadd(f"{protocol}:zset", {"m": 1.5})
    check("zscore", client.zscore(f"{protocol}:zset", "m"), 1.5)
    check("get", client.get("none"), None)
    check("delete", client.delete(*names), 50)
    with client.pipeline(transaction=False) as pipeline:
        for n in range(100):
            pipeline.set(f"{protocol}:p{n}", n).get(f"{protocol}:p{n}")
        check("pipeline", pipeline.execute()[1::2], [str(n) for n in range(100)])
    try:
        client.lpush(f"{protocol}:hash", "x")
        raise AssertionError("no WRONGTYPE")
    except redis.ResponseError as error:
        check("wrong type", str(error).startswith("WRONGTYPE"), True)
    info = client.client_info()
    check("resp", info["resp"], str(protocol))
    check("version", client.info()["redis_version"] > "5", True)
    other = redis.Redis(port=port, db=7, decode_responses=True, **options)
    other.set(f"{protocol}:in", "seven")
    check("another database", client.get(f"{protocol}:in"), None)
    check("its own", other.get(f"{protocol}:in"), "seven")
    check("db", other.client_info()["db"], 7)


async def asynchronous(port, protocol, options):
    client = redis.asyncio.Redis(port=port, decode_responses=True, **options)
    check("ping", await client.ping(), True)

    async def one(n):
        await client.set(f"{protocol}:a{n}", n)
        return await client.mget([f"{protocol}:a{n}", "none"])

    got = await asyncio.gather(*(one(n) for n in range(50)))
    check("gather", got, [[str(n), None] for n in range(50)])
    await client.hset(f"{protocol}:ahash", mapping={"a": "1"})
    check("hgetall", await client.hgetall(f"{protocol}:ahash"), {"a": "1"})
    await client.aclose()


def main():
    port = int(sys.argv[1])
    for protocol, options in [(3, {}), (2, {"protocol": 2})]:
        synchronous(port, protocol, options)
        asyncio.run(asynchronous(port, protocol, options))
    print(f"redis-py {redis.__version__}: well")


main()
