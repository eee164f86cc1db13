"""Finds the Coremux to measure, and the load generator; builds them when nobody has."""

import os
import subprocess
from pathlib import Path

from bench.lib.errors import CannotRun

REPOSITORY = Path(__file__).resolve().parents[2]


def coremux_binary(given: Path | None, repository: Path = REPOSITORY) -> Path:
    """The binary named on the command line, or the repository's release build, built if it is missing."""
    return _given_or_built(given, "coremux", "--bin", repository)


def load_binary(given: Path | None, repository: Path = REPOSITORY) -> Path:
    """The same of the load generator, an example of the package."""
    return _given_or_built(given, "load", "--example", repository)


def floor_binary(given: Path | None, repository: Path = REPOSITORY) -> Path:
    """The same of the floor, another example."""
    return _given_or_built(given, "floor", "--example", repository)


def _given_or_built(given: Path | None, name: str, kind: str, repository: Path) -> Path:
    if given is not None:
        if not os.access(given, os.X_OK) or given.is_dir():
            raise CannotRun(f"--{name} {given}: no such executable")
        return given.resolve()
    built = repository / "target/release" / ("examples" if kind == "--example" else "") / name
    if not built.exists():
        argv = ["cargo", "build", "--release", kind, name, "--target-dir", str(repository / "target")]
        if subprocess.run(argv, cwd=repository, check=False).returncode != 0 or not built.exists():
            raise CannotRun(f"{name} does not build; give a binary by --{name} PATH")
    return built


def is_older_than_sources(binary: Path, repository: Path = REPOSITORY) -> bool:
    """True when the sources have changed since: figures would be of a Coremux that is no longer there."""
    sources = [repository / "Cargo.toml", repository / "Cargo.lock", *(repository / "src").rglob("*.rs")]
    built_at = binary.stat().st_mtime
    return any(source.stat().st_mtime > built_at for source in sources if source.exists())


def has_flag(binary: Path, flag: str) -> bool:
    """Whether the program's help names the flag: not every one that is measured is of today."""
    done = subprocess.run([str(binary), "--help"], capture_output=True, text=True, timeout=10, check=False)
    return flag in done.stdout + done.stderr
