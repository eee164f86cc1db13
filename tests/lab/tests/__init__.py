"""Run them all: `python3 -m unittest discover -s tests/lab/tests -t tests` at the top of the repository."""

# No test can hang: it bounds each.
import bench.tests  # noqa: F401
