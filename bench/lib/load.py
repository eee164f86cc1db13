"""Drives `redis-benchmark` and reads what it prints.

Never: measures CPU, knows what stands behind the port.
"""

import csv
import math
import subprocess
from dataclasses import dataclass
from dataclasses import replace

from bench.lib import keyspace
from bench.lib.errors import Failed
from bench.lib.point import Kind
from bench.lib.point import Point
from bench.lib.process import Children

# redis-benchmark 7.0 waits for ever when its connection is refused; a point takes seconds.
TIMEOUT_S = 60


@dataclass(frozen=True)
class Outcome:
    """What a load saw: requests per second, and latencies in milliseconds (to the microsecond); how many it sent."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float | None = None
    requests: int = 0


def run(children: Children, port: int, point: Point, requests: int) -> Outcome:
    """Sends `requests` requests of the point to the port. Raises Failed when any was not answered, or by an error."""
    try:
        code, stdout, stderr = children.run(argv(port, point, requests), TIMEOUT_S)
    except subprocess.TimeoutExpired as cause:
        raise Failed(f"redis-benchmark was not done after {TIMEOUT_S} s") from cause
    if code != 0:
        complaint = (stderr.strip() or stdout.strip()).splitlines()
        raise Failed(f"redis-benchmark ended with {code}: {complaint[-1] if complaint else 'no message'}")
    return replace(parse(stdout), requests=requests)


def argv(port: int, point: Point, requests: int) -> list[str]:
    """The command line of one run."""
    line = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "--csv", "--precision", "3"]
    line += ["-c", str(point.clients), "-P", str(point.pipeline), "-n", str(requests)]
    if point.kind is Kind.CHURN:
        line += ["-k", "0"]
    if point.command == "mget":
        return line + ["-r", str(keyspace.KEYS), "mget", *[keyspace.SINGLE_KEY] * point.keys]
    return line + ["-d", str(point.value_bytes), "-t", point.command]


def parse(stdout: str) -> Outcome:
    """Reads the CSV of redis-benchmark 7.0: a line of titles and one of figures.

    A run that is shorter than a millisecond has an infinite rate.
    """
    rows = list(csv.DictReader(stdout.splitlines()))
    if len(rows) != 1:
        raise Failed(f"redis-benchmark printed {len(rows)} lines of figures instead of one")
    try:
        outcome = Outcome(*(float(rows[0][title]) for title in ("rps", "p50_latency_ms", "p99_latency_ms")))
    except (KeyError, TypeError, ValueError) as cause:
        raise Failed(f"redis-benchmark printed figures that cannot be read: {rows[0]}") from cause
    if math.isnan(outcome.requests_per_s):
        raise Failed("redis-benchmark counted no request")
    return outcome
