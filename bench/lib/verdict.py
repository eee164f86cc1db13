"""Whether a figure reached its target, and whether the noise leaves room for doubt. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.summary import Spread


@dataclass(frozen=True)
class Verdict:
    """A row of the gate's table. `measured` is None when there is no figure to judge."""

    target: str
    where: str
    limit: float
    at_most: bool
    unit: str
    measured: Spread | None

    @property
    def reached(self) -> bool:
        """By the median; what was not measured is not reached."""
        return self.measured is not None and self._keeps(self.measured.median)

    @property
    def certain(self) -> bool:
        """True when every round says the same as the median does."""
        if self.measured is None:
            return False
        return self._keeps(self.measured.low) == self._keeps(self.measured.high)

    @property
    def answer(self) -> str:
        """What the table says."""
        if self.measured is None:
            return "**not measured**"
        if not self.certain:
            return "reached, in doubt" if self.reached else "**not reached**, in doubt"
        return "reached" if self.reached else "**not reached**"

    @property
    def missed_text(self) -> str:
        """What was measured, and what it had to be: `CPU of the proxy 0.71 × nutcracker, to be ≤ 0.65`."""
        figure = "not measured" if self.measured is None else f"{self.measured.median:.2f} {self.unit}"
        return f"{self.target} {figure}, to be {'≤' if self.at_most else '≥'} {self.limit:g}"

    def _keeps(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


def verdict_rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """The gate's table, its titles first."""
    rows = [["target", "where", "limit", "measured", "min..max", "answer"]]
    for each in verdicts:
        sign = "≤" if each.at_most else "≥"
        measured = each.measured
        rows.append(
            [
                each.target,
                each.where,
                f"{sign} {each.limit:g} {each.unit}",
                "" if measured is None else f"{measured.median:.2f}",
                "" if measured is None else f"{measured.low:.2f}..{measured.high:.2f}",
                each.answer,
            ]
        )
    return rows
