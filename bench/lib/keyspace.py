"""The keys that redis-benchmark asks for, by its own rules (7.0: src/redis-benchmark.c), and those of bench/load."""

# Its key for GET and SET when it is not told to draw random ones.
SINGLE_KEY = "key:__rand_int__"

# `-r KEYS` draws from this many. Large enough that a request of 1000 keys rarely meets one twice, small enough to
# load in a second.
KEYS = 20_000
# A short value, such as a session id or a counter with its name: MGET is about many keys, not about bytes.
VALUE_BYTES = 100


def key(index: int) -> str:
    """The key of this index: `__rand_int__` becomes 12 digits."""
    return f"key:{index:012d}"


def absent_key(index: int) -> str:
    """A key that no server holds: bench/load asks for those, so that all of its replies are of one length."""
    return f"absent:{index:08d}"


def spread(index: int) -> str:
    """A number of 8 digits, far from those of its neighbours: twemproxy's default hash puts keys that differ in the
    last digit close together, and on one server."""
    return f"{index * 2_654_435_761 % (1 << 32):08x}"


def load_key(index: int) -> str:
    """A key of which bench/load finds a value."""
    return f"load:{spread(index)}"


def load_value(key: str, value_bytes: int) -> bytes:
    """What it takes for the value that an earlier run has given it."""
    return f"{key}=1:1;".encode().ljust(value_bytes, b"x")
