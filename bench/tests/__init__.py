"""Run them all: `python3 -m unittest discover -s bench/tests -t .` at the top of the repository."""
