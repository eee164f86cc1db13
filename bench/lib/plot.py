"""Draws the results: an SVG for each family of points, a panel for each metric.

Needs matplotlib (`apt-get install python3-matplotlib`) and says so where it is missing; nothing else does.
"""

from collections.abc import Iterable
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.lib.errors import CannotRun
from bench.lib.point import Kind
from bench.lib.summary import PointResult
from bench.lib.summary import metric_values
from bench.lib.summary import spread

LABELS = {
    "requests_per_s": "requests per second",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "p999_ms": "p99.9, ms",
    "proxy_cpu_us": "CPU of the proxy,\nµs per request",
    "server_cpu_us": "CPU of the servers,\nµs per request",
    "wakeups_per_s": "wake-ups a second",
    "cpu_us_per_s": "CPU of the proxy,\nµs per second",
}
PANELS = ("requests_per_s", "p50_ms", "proxy_cpu_us", "server_cpu_us")
# Kinds of load that have their own.
PANELS_OF = {Kind.OPEN: ("p50_ms", "p99_ms", "p999_ms"), Kind.IDLE: ("wakeups_per_s", "cpu_us_per_s")}
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = {"direct": "#7f7f7f", "nutcracker": "#e69f00", "coremux": "#0072b2"}
OTHER_COLOURS = ("#009e73", "#cc79a7", "#d55e00", "#56b4e9")


def draw(results: Sequence[PointResult], folder: Path) -> list[Path]:
    """Writes the plots and returns their paths. Raises CannotRun without matplotlib."""
    try:
        import matplotlib
    except ImportError as cause:
        raise CannotRun("no plots without matplotlib: apt-get install python3-matplotlib") from cause
    matplotlib.use("svg")
    # The same results give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "coremux"
    paths = []
    for name, group in groupby(sorted(results, key=_plot_name), _plot_name):
        path = folder / f"{name}.svg"
        _draw_family(name, list(group), path)
        paths.append(path)
    return paths


def _plot_name(result: PointResult) -> str:
    # The points of MGET have one load and differ in what they ask for.
    return "mget" if result.point.command == "mget" else result.point.family


def _draw_family(title: str, results: Sequence[PointResult], path: Path) -> None:
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for result in results for name in result.rounds))
    width = max(6.0, 1.5 + 0.9 * len(results))
    panels = PANELS_OF.get(results[0].point.kind, PANELS)
    size = (width, 1 + 2 * len(panels))
    figure, axes = plt.subplots(len(panels), 1, sharex=True, figsize=size, layout="constrained")
    for panel, metric in zip(axes, panels, strict=True):
        for index, (name, colour) in enumerate(zip(names, _colours(names), strict=True)):
            offset = (index - (len(names) - 1) / 2) * 0.16
            _draw_contender(panel, results, metric, name, colour, offset)
        _scale(panel, results, metric)
        panel.set_ylabel(LABELS[metric])
    ticks = [result.point.family if title == "mget" else result.point.load for result in results]
    axes[-1].set_xticks(range(len(results)), ticks, rotation=30, ha="right")
    axes[-1].set_xlim(-0.5, len(results) - 0.5)
    figure.align_ylabels(axes)
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=min(4, len(names)), frameon=False)
    figure.suptitle(f"{title}: median of the rounds, line from min to max")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _scale(panel: Any, results: Sequence[PointResult], metric: str) -> None:
    """Logarithmic: the costs of a pipeline of 1 and of 64 lie a factor of 50 apart."""
    from matplotlib.ticker import LogLocator
    from matplotlib.ticker import NullFormatter

    panel.set_yscale("log")
    rounds = [samples for result in results for samples in result.rounds.values()]
    drawn = spread(value for samples in rounds for value in metric_values(samples, metric))
    # Nothing at all, such as the wake-ups of who sleeps, has no place on such a scale.
    if drawn is not None and drawn.low > 0:
        # Wider than the widest gap between labels, 2 to 5, so that at least one is in sight.
        panel.set_ylim(drawn.low / 1.6, drawn.high * 1.6)
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:,.10g}")
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(axis="y", linewidth=0.3)


def _draw_contender(
    panel: Any, results: Sequence[PointResult], metric: str, name: str, colour: str, offset: float
) -> None:
    spreads = [spread(metric_values(result.rounds.get(name, []), metric)) for result in results]
    present = [(index + offset, each) for index, each in enumerate(spreads) if each is not None]
    if not present:
        return
    below = [each.median - each.low for _, each in present]
    above = [each.high - each.median for _, each in present]
    panel.errorbar(
        [x for x, _ in present],
        [each.median for _, each in present],
        yerr=[below, above],
        fmt="o",
        markersize=4,
        elinewidth=1.2,
        color=colour,
        label=name,
    )


def _colours(names: Iterable[str]) -> list[str]:
    others = iter(OTHER_COLOURS * 2)
    return [COLOURS.get(name) or next(others) for name in names]
