"""What a load's trace and ledger say about a fault. Pure: reads text, knows no process and no clock.

    due         done
     │◄─latency─►│            a line of the trace: due_us,done_us,server,client,GET or SET,result
                              a line of the ledger: server key run acknowledged sent
"""

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass

GOOD = "ok"
# A good reply from which it is seen that an acknowledged write is gone; counted by itself.
LOST_WRITE = "lost write"


@dataclass(frozen=True)
class Request:
    """One request. Times in microseconds since 1970."""

    due_us: int
    done_us: int
    server: str
    verb: str
    result: str

    @property
    def is_good(self) -> bool:
        return self.result in (GOOD, LOST_WRITE)


@dataclass(frozen=True)
class Entry:
    """What a key may hold: the value numbered `acked` (0: none was acknowledged) or one up to `given`."""

    server: str
    key: str
    run: int
    acked: int
    given: int


def parse_trace(text: str) -> list[Request]:
    """All requests, in the order in which they were done. A last line that was cut off is left out."""
    lines = text.split("\n")[:-1]
    return [
        Request(int(due), int(done), server, verb, result)
        for due, done, server, _client, verb, result in (line.split(",", 5) for line in lines)
    ]


def parse_ledger(text: str) -> list[Entry]:
    """All keys."""
    fields = (line.split() for line in text.splitlines())
    return [
        Entry(server, key, int(run), int(acked), int(given)) for server, key, run, acked, given in fields
    ]


def failures(requests: Iterable[Request], of: Callable[[str], bool]) -> Counter[str]:
    """Failed requests for the servers that `of` is true of, by the error's text."""
    return Counter(each.result for each in requests if of(each.server) and not each.is_good)


def recovery_ms(requests: Iterable[Request], server: str, back_us: int, verb: str | None) -> float | None:
    """From `back_us`, when the server itself was back, to its next good reply (of a verb); None if there was none."""
    done = [
        each.done_us
        for each in requests
        if each.server == server and each.is_good and each.done_us >= back_us and verb in (None, each.verb)
    ]
    return (min(done) - back_us) / 1e3 if done else None


def last_failure_ms(requests: Iterable[Request], server: str, back_us: int) -> float:
    """How long after `back_us` a request for the server still failed; 0 when none did."""
    late = [each.done_us for each in requests if each.server == server and not each.is_good]
    return max([0, *(done - back_us for done in late)]) / 1e3


def longest_ms(requests: Iterable[Request], server: str, from_us: int) -> float:
    """The longest that a good request for another server took, of those due at `from_us` or later."""
    others = (each for each in requests if each.server != server and each.is_good and each.due_us >= from_us)
    return max([0, *(each.done_us - each.due_us for each in others)]) / 1e3


def is_lost(entry: Entry, value: bytes | None, may_forget: bool = False) -> bool:
    """Whether what a server holds at the end is older than what it has acknowledged; one that `may_forget` can also
    hold nothing.

    `value` begins with `key=run:number;`. One of another run is as good as none. A value that was sent later than
    the last that was acknowledged is right: its client was told that it failed, and cannot know if it was done.
    """
    if entry.acked == 0:
        return False
    if value is None and may_forget:
        return False
    prefix = f"{entry.key}={entry.run}:".encode()
    if value is None or not value.startswith(prefix):
        return True
    number = int(value[len(prefix) :].partition(b";")[0])
    return not entry.acked <= number <= entry.given
