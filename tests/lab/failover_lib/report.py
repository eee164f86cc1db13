"""Turns results into Markdown tables. Never: measures or judges."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from bench.lib.report import markdown
from bench.lib.summary import spread
from lab.failover_lib.judge import Figures
from lab.failover_lib.judge import ServerFigures
from lab.failover_lib.scenario import SCENARIOS

# By variant and scenario: the runs that gave figures, each by its clients.
Runs = Mapping[tuple[str, str], Sequence[Mapping[str, Figures]]]


def summary_rows(runs: Runs, variants: Sequence[str], scenarios: Sequence[str]) -> list[list[str]]:
    """A row a scenario, a column a variant: what was seen, in words. Medians."""
    rows = [["scenario", *variants]]
    for scenario in scenarios:
        cells = [_in_words(runs.get((variant, scenario), ())) for variant in variants]
        rows.append([SCENARIOS[scenario].title, *cells])
    return rows


def detail_rows(runs: Runs) -> list[list[str]]:
    """Every figure: median (min..max)."""
    titles = [
        *("scenario", "variant", "clients", "runs", "keys of", "without a good reply, s", "slowest good reply, s"),
        *("errors", "wrong replies", "for, s", "dropped", "acknowledged", "not found", "of them lost", "old keys gone"),
    ]
    rows = [titles]
    order = list(SCENARIOS)
    for (variant, scenario), each in sorted(runs.items(), key=lambda item: (order.index(item[0][1]), item[0])):
        for clients in each[0] if each else ():
            figures = [run[clients] for run in each]
            for server in figures[0].servers:
                rows.append([scenario, variant, clients, str(len(each)), f"master {server}", *_cells(figures, server)])
    return rows


def text_rows(runs: Runs) -> list[list[str]]:
    """The errors by their texts, summed over the runs."""
    rows = [["scenario", "variant", "clients", "errors"]]
    for (variant, scenario), each in runs.items():
        for clients in each[0] if each else ():
            texts: dict[str, int] = {}
            for run in each:
                for text, count in run[clients].texts.items():
                    texts[text] = texts.get(text, 0) + count
            if texts:
                by_count = sorted(texts.items(), key=lambda item: -item[1])
                shown = ", ".join(f"{count} × {text}" for text, count in by_count)
                rows.append([scenario, variant, clients, shown])
    return rows


def table(rows: Sequence[Sequence[str]]) -> str:
    """As Markdown; a bar inside a cell would end it."""
    return markdown([[cell.replace("|", "\\|") for cell in row] for row in rows])


def _cells(figures: Sequence[Figures], server: int) -> list[str]:
    ours = [each.servers[server] for each in figures]

    def seconds(metric: Callable[[ServerFigures], float]) -> str:
        return _range((metric(each) for each in ours), "{:.2f}")

    def count(metric: Callable[[ServerFigures], float]) -> str:
        return _range((metric(each) for each in ours), "{:.0f}")

    never = sum(not each.recovered for each in ours)
    return [
        seconds(lambda each: each.outage_s) + (f", {never} to the end" if never else ""),
        seconds(lambda each: each.worst_s),
        count(lambda each: each.errors),
        count(lambda each: each.wrong),
        seconds(lambda each: each.wrong_s),
        _range((each.dropped for each in figures), "{:.0f}"),
        count(lambda each: each.acknowledged),
        count(lambda each: each.not_found),
        count(lambda each: each.lost),
        f"{_median(each.cold_gone / each.cold for each in ours):.0%}",
    ]


def _in_words(runs: Sequence[Mapping[str, Figures]]) -> str:
    if not runs:
        return ""
    return "; ".join(
        (f"{clients}: " if len(runs[0]) > 1 else "") + _clients_in_words([run[clients] for run in runs])
        for clients in runs[0]
    )


def _clients_in_words(figures: Sequence[Figures]) -> str:
    outages = " / ".join(_outage_in_words([each.servers[server] for each in figures]) for server in (1, 2))
    words = [f"{outages} s"]

    def add(text: str, metric: Callable[[Figures], float]) -> None:
        if value := _median(metric(each) for each in figures):
            words.append(f"{value:.0f} {text}")

    add("errors", lambda each: each.errors)
    add("dropped", lambda each: each.dropped)
    add("wrong replies", lambda each: sum(server.wrong for server in each.servers.values()))
    if sum(each.readable for each in figures) * 2 <= len(figures):
        words.append("the proxy does not answer at the end")
    for server in (1, 2):
        gone = _median(each.servers[server].not_found for each in figures)
        of = _median(each.servers[server].acknowledged for each in figures)
        if gone:
            words.append(f"{gone:.0f} of {of:.0f} writes of {server} not found")
        cold = _median(each.servers[server].cold_gone / each.servers[server].cold for each in figures)
        if cold:
            words.append(f"{cold:.0%} of the old keys of {server} gone")
    return ", ".join(words)


def _outage_in_words(ours: Sequence[ServerFigures]) -> str:
    if sum(each.recovered for each in ours) * 2 <= len(ours):
        return f"never ({_median(each.outage_s for each in ours):.0f} watched)"
    return f"{_median(each.outage_s for each in ours):.2f}"


def _range(values: Iterable[float], form: str) -> str:
    found = spread(values)
    assert found is not None
    middle, low, high = (form.format(each) for each in (found.median, found.low, found.high))
    return middle if low == high else f"{middle} ({low}..{high})"


def _median(values: Iterable[float]) -> float:
    found = spread(values)
    return 0.0 if found is None else found.median
