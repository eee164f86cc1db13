"""Turns results into Markdown tables and into JSON, and back. Never: measures or judges."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.lib.contender import RELAY
from bench.lib.errors import CannotRun
from bench.lib.point import Kind
from bench.lib.point import Point
from bench.lib.summary import METRICS
from bench.lib.summary import PointResult
from bench.lib.summary import Sample
from bench.lib.summary import Spoiled
from bench.lib.summary import Spread
from bench.lib.summary import metric_values
from bench.lib.summary import load_metric
from bench.lib.summary import ratios
from bench.lib.summary import spread
from bench.lib.summary import uneven_contenders
from bench.lib.summary import unevenness

SCHEMA = "coremux-bench-compare/3"
# What is told as a multiple of the least that a proxy can cost.
_BY_RELAY = {"proxy_cpu_us": "CPU", "p50_ms": "p50"}
# Of two cores a fifth of one: enough to push client, proxy or Redis off its core now and then.
OTHERS_SHARE_CALM = 0.10


# Each kind of load has its table.
TITLES = {
    Kind.CLOSED: "Closed loop",
    Kind.CHURN: "A connection for each request",
    Kind.CROWD: "Many active clients",
    Kind.OPEN: "Open loop, at a share of what saturates the slowest",
    Kind.IDLE: "Nobody says a word",
}


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is the titles, padded so that it reads in a terminal as well."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def figure_rows(results: Sequence[PointResult]) -> list[list[str]]:
    """Every contender at every point: medians, with the range of the rounds behind them."""
    of_relay = [f"{title} ÷ {RELAY}" for title in _BY_RELAY.values()]
    rows = [["point", "contender", *METRICS.values(), *of_relay, "rounds", "uneven", "others"]]
    for result in results:
        for name, samples in result.rounds.items():
            cells = [range_text(spread(metric_values(samples, metric))) for metric in METRICS]
            uneven = unevenness(samples, load_metric(result.point))
            by_relay = [spread(ratios(result, metric, name, RELAY)) for metric in _BY_RELAY]
            cells += ["" if each is None else f"{each.median:.2f}" for each in by_relay]
            others = spread(metric_values(samples, "others_share"))
            cells += [str(len(samples)), _percent_text(uneven), _percent_text(others and others.median)]
            rows.append([result.point.name, name, *cells])
    return _without_empty_columns(rows)


def ratio_rows(results: Sequence[PointResult], of: str, to: str) -> list[list[str]]:
    """`of` divided by `to`, pair by pair: the median and range of the pairs' ratios."""
    # A ratio has no unit.
    rows = [["point", *(title.removesuffix(" ms").replace(" µs/req", " CPU") for title in METRICS.values())]]
    for result in results:
        spreads = [spread(ratios(result, metric, of, to)) for metric in METRICS]
        if any(spreads):
            rows.append([result.point.name, *(range_text(each) for each in spreads)])
    return _without_empty_columns(rows)


def _percent_text(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    kept = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    return [[row[column] for column in kept] for row in rows] if kept else rows


def noise_text(results: Sequence[PointResult]) -> str:
    """How much of the machine others took, and what that means for the figures."""
    rounds = [samples for result in results for samples in result.rounds.values()]
    others = spread(value for samples in rounds for value in metric_values(samples, "others_share"))
    if others is None:
        return "Nothing was measured."
    text = f"Others took {others.median:.0%} of the machine ({others.low:.0%}..{others.high:.0%})."
    if others.median > OTHERS_SHARE_CALM:
        text += " **Noisy**: throughput and latency are not to be trusted, and CPU per request only by its ratios."
    return text


def uneven_lines(results: Sequence[PointResult]) -> list[str]:
    """Rows whose rounds lie too far apart even after all repeats: their medians are luck."""
    return [
        f"{result.point.name}: {name}: {uneven:.0%} between the quarters of {len(result.rounds[name])} rounds"
        for result in results
        for name, uneven in uneven_contenders(result).items()
    ]


def spoiled_lines(results: Sequence[PointResult]) -> list[str]:
    """What went wrong where, one line a contender and cause."""
    causes = {
        f"{result.point.name}: {name}: {sample.reason}": None
        for result in results
        for name, samples in result.rounds.items()
        for sample in samples
        if isinstance(sample, Spoiled)
    }
    return list(causes)


def restless_lines(results: Sequence[PointResult]) -> list[str]:
    """Windows that were closed while a process still worked: their CPU figures are not complete."""
    lines = []
    for result in results:
        for name, samples in result.rounds.items():
            count = sum(isinstance(sample, Sample) and not sample.quiet for sample in samples)
            if count:
                of_all = f"{count} of {len(samples)} windows"
                lines.append(f"{result.point.name}: {name}: did not come to rest after {of_all}")
    return lines


def write_json(path: Path, setting: dict[str, Any], results: Sequence[PointResult]) -> None:
    """All samples of all rounds; the tables can be made from it again."""
    points = [
        {
            "name": result.point.name,
            "point": asdict(result.point) | {"kind": result.point.kind.value},
            "rounds": {name: [asdict(sample) for sample in samples] for name, samples in result.rounds.items()},
        }
        for result in results
    ]
    text = json.dumps({"schema": SCHEMA, "setting": setting, "points": points}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> list[PointResult]:
    """What `write_json` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as cause:
        raise CannotRun(f"{path}: {cause}") from cause
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise CannotRun(f"{path}: not a result of bench/compare ({SCHEMA})")
    return [
        PointResult(
            Point(**(each["point"] | {"kind": Kind(each["point"]["kind"])})),
            {name: [_sample(fields) for fields in samples] for name, samples in each["rounds"].items()},
        )
        for each in content["points"]
    ]


def number_text(value: float) -> str:
    """Three significant digits or more, no exponent: 84210 -> `84,210`, 6.512 -> `6.51`, 0.0912 -> `0.091`."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def range_text(values: Spread | None) -> str:
    """`6.51 (6.20..7.05)`; nothing when there are no figures."""
    if values is None:
        return ""
    if values.low == values.high:
        return number_text(values.median)
    return f"{number_text(values.median)} ({number_text(values.low)}..{number_text(values.high)})"


def _sample(fields: dict[str, Any]) -> Sample | Spoiled:
    return Spoiled(**fields) if "reason" in fields else Sample(**fields)
