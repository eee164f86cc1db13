"""Finds the Coremux to measure; builds it when nobody has."""

import os
import subprocess
from pathlib import Path

from bench.lib.errors import CannotRun

REPOSITORY = Path(__file__).resolve().parents[2]


def coremux_binary(given: Path | None, repository: Path = REPOSITORY) -> Path:
    """The binary named on the command line, or the repository's release build, built if it is missing."""
    if given is not None:
        if not os.access(given, os.X_OK) or given.is_dir():
            raise CannotRun(f"--coremux {given}: no such executable")
        return given.resolve()
    built = repository / "target/release/coremux"
    if not built.exists():
        argv = ["cargo", "build", "--release", "--bin", "coremux", "--target-dir", str(repository / "target")]
        if subprocess.run(argv, cwd=repository, check=False).returncode != 0 or not built.exists():
            raise CannotRun("coremux does not build; give a binary by --coremux PATH")
    return built


def is_older_than_sources(binary: Path, repository: Path = REPOSITORY) -> bool:
    """True when the sources have changed since: figures would be of a Coremux that is no longer there."""
    sources = [repository / "Cargo.toml", repository / "Cargo.lock", *(repository / "src").rglob("*.rs")]
    built_at = binary.stat().st_mtime
    return any(source.stat().st_mtime > built_at for source in sources if source.exists())
