"""What came of a run, from the clients' records and from what the servers hold at the end. Pure."""

import itertools
from collections import Counter
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from lab.failover_lib.client import ERROR
from lab.failover_lib.client import GOOD
from lab.failover_lib.client import KEPT
from lab.failover_lib.client import Operation
from lab.failover_lib.client import SET
from lab.failover_lib.client import WRONG
from lab.failover_lib.client import old_value


@dataclass(frozen=True)
class AtTheEnd:
    """What can be read when all is over. None of the proxy: it did not answer at all."""

    by_proxy: Mapping[str, str] | None
    by_master: Mapping[int, Mapping[str, str]]


@dataclass
class ServerFigures:
    """The figures of one server (1 or 2). Times in seconds; counts are of operations, except where said.

    `outage_s`: the longest time in which no operation ended well. `recovered`: some did after it. `worst_s`, `p99_s`:
    of operations that ended well, how long they took: what is held is not an error, but it is late. `wrong_s`: from
    the first wrong reply to the last. `not_found`: acknowledged writes that the proxy does not show at the end, of
    which `lost` are on no master, and the others `misplaced`. `cold_gone`: keys never written to, of which the
    proxy has not the old value at the end.
    """

    good: int = 0
    errors: int = 0
    outage_s: float = 0.0
    recovered: bool = True
    worst_s: float = 0.0
    p99_s: float = 0.0
    stale: int = 0
    gone: int = 0
    foreign: int = 0
    wrong_s: float = 0.0
    acknowledged: int = 0
    not_found: int = 0
    lost: int = 0
    misplaced: int = 0
    cold: int = 0
    cold_gone: int = 0

    @property
    def wrong(self) -> int:
        return self.stale + self.gone + self.foreign


@dataclass
class Figures:
    """A run in figures. `dropped`: connections lost after they had been made, whoever ended them.

    `readable`: the proxy answered at the end. If not, only what is on no master counts as not found.
    """

    servers: dict[int, ServerFigures] = field(default_factory=dict)
    connections: int = 0
    dropped: int = 0
    dropped_by_timeout: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    readable: bool = True

    @property
    def errors(self) -> int:
        return sum(each.errors for each in self.servers.values())


def judge(
    operations: Sequence[Operation],
    event_at_s: float,
    end_at_s: float,
    cold: Mapping[int, Collection[str]],
    end: AtTheEnd,
) -> Figures:
    """Figures of the operations that ended after the event; writes are judged from the beginning."""
    after = [each for each in operations if each.ended_s >= event_at_s]
    figures = Figures(
        connections=len({each.connection for each in operations}),
        dropped=sum(each.dropped != KEPT for each in after),
        dropped_by_timeout=sum(each.dropped == "by timeout" for each in after),
        texts=dict(Counter(each.text for each in after if each.outcome == ERROR).most_common()),
        readable=end.by_proxy is not None,
    )
    for server in sorted(cold):
        ours = [each for each in operations if each.server == server]
        row = _of_operations([each for each in after if each.server == server], event_at_s, end_at_s)
        _add_writes(row, ours, end)
        row.cold = len(cold[server])
        if end.by_proxy is not None:
            row.cold_gone = sum(end.by_proxy.get(key) != old_value(key) for key in cold[server])
        figures.servers[server] = row
    return figures


def _of_operations(after: Sequence[Operation], event_at_s: float, end_at_s: float) -> ServerFigures:
    good = [each for each in after if each.outcome == GOOD]
    wrong = [each for each in after if each.outcome == WRONG]
    row = ServerFigures(good=len(good), errors=sum(each.outcome == ERROR for each in after))
    ends = [event_at_s, *sorted(each.ended_s for each in good if each.ended_s <= end_at_s), end_at_s]
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    row.outage_s = max(gaps)
    row.recovered = gaps[-1] < row.outage_s
    latencies = sorted(each.latency_s for each in good)
    if latencies:
        row.worst_s = latencies[-1]
        row.p99_s = latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)]
    row.gone = sum(each.text == "" for each in wrong)
    row.stale = sum(each.text.startswith(f"{each.key}=") for each in wrong)
    row.foreign = len(wrong) - row.gone - row.stale
    if wrong:
        row.wrong_s = max(each.ended_s for each in wrong) - min(each.ended_s for each in wrong)
    return row


def _add_writes(row: ServerFigures, operations: Sequence[Operation], end: AtTheEnd) -> None:
    for each in operations:
        if each.kind != SET or each.outcome != GOOD:
            continue
        row.acknowledged += 1
        if not any(held.get(each.key) == each.value for held in end.by_master.values()):
            row.lost += 1
        elif end.by_proxy is not None and end.by_proxy.get(each.key) != each.value:
            row.misplaced += 1
    row.not_found = row.lost + row.misplaced
