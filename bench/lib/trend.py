"""Whether a figure that was sampled over time grows. Pure."""

from collections.abc import Sequence


def rise(samples: Sequence[tuple[float, float]]) -> float:
    """How much the straight line that fits the samples best (least squares) rises from the first to the last.

    Samples are (when, what), in the order of time. One that swings to and fro does not rise; a step up does.
    """
    if len(samples) < 2:
        return 0.0
    count = len(samples)
    mean_when = sum(when for when, _ in samples) / count
    mean_what = sum(what for _, what in samples) / count
    spread = sum((when - mean_when) ** 2 for when, _ in samples)
    if spread == 0:
        return 0.0
    slope = sum((when - mean_when) * (what - mean_what) for when, what in samples) / spread
    return slope * (samples[-1][0] - samples[0][0])


def second_half(samples: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """The samples after the middle of the time: what a start needs is taken by then."""
    if not samples:
        return samples
    middle = (samples[0][0] + samples[-1][0]) / 2
    return [sample for sample in samples if sample[0] >= middle]
