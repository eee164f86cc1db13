"""Drives `bench/load`, the open-loop load generator, and reads what it writes.

Never: counts or computes a latency; judges.
"""

import json
import signal
import subprocess
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import tail

SCHEMA = "coremux-load/1"
# Its exit code for a reply that is not the request's own.
MIXED = 3
# Beyond the run and its patience: writing the files of a long run.
_END_TIMEOUT_S = 30


@dataclass(frozen=True)
class LoadPlan:
    """The generator's options. `rate` None: a closed loop, as fast as it goes."""

    port: int
    rate: int | None
    seconds: float
    keys: Path
    connections: int = 50
    warmup_s: float = 0
    in_flight: int = 1
    sets: int = 50
    value_bytes: int = 64
    patience_s: float = 5
    only: Sequence[str] = ()
    apart: Sequence[str] = ()
    memcached: bool = False
    keys_per_get: int = 1
    may_forget: bool = False


@dataclass(frozen=True)
class Group:
    """What the clients of a server saw. Latencies are of good replies, counted from when the request was due."""

    good: int
    errors: Mapping[str, int]
    connections_lost: int
    lost_writes_seen: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    @property
    def errors_in_all(self) -> int:
        return sum(self.errors.values())


@dataclass(frozen=True)
class LoadReport:
    """A run: every server's clients, and all but those that were kept apart, together.

    `answered`: requests, those that are not counted, too. `mixed`: a client got a reply that was not its own, which
    ended the run; `complaint` says which.
    """

    counted_s: float
    answered: int
    lag_p99_ms: float
    mixed: bool
    together: Group
    groups: Mapping[str, Group]
    complaint: str = ""

    @property
    def good_per_s(self) -> float:
        return self.together.good / self.counted_s if self.counted_s else 0.0


@dataclass
class RunningLoad:
    """A load in the background, in `folder`: its JSON, trace (a line a request) and ledger (a line a key)."""

    process: subprocess.Popen[str]
    folder: Path
    children: Children = field(repr=False)

    @property
    def trace(self) -> Path:
        return self.folder / "trace.csv"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.txt"

    def check_running(self) -> None:
        """Raises Failed when it has ended for another reason than a mixed reply."""
        if self.process.poll() not in (None, 0, MIXED):
            raise Failed(f"the load ended: {tail(self.folder / 'log')}")

    def finish(self, at_once: bool) -> LoadReport:
        """Waits for its end, or ends it now: no request is made any more, replies under way are waited for."""
        if at_once and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_END_TIMEOUT_S if at_once else None)
        except subprocess.TimeoutExpired as cause:
            raise Failed("the load did not end") from cause
        finally:
            self.children.end(self.process)
        self.check_running()
        text = (self.folder / "load.json").read_text(encoding="utf-8")
        return parse(text, tail(self.folder / "log", 1) if self.process.returncode == MIXED else "")


def start(children: Children, binary: Path, plan: LoadPlan, folder: Path) -> RunningLoad:
    """Starts it; what it writes goes to `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("load.json", "log"):
        (folder / name).unlink(missing_ok=True)
    return RunningLoad(children.start(argv(binary, plan, folder, True), folder / "log"), folder, children)


def run(children: Children, binary: Path, plan: LoadPlan, folder: Path) -> LoadReport:
    """Runs it to its end, without trace and ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    log.unlink(missing_ok=True)
    process = children.start(argv(binary, plan, folder, False), log)
    running = RunningLoad(process, folder, children)
    try:
        process.wait(plan.seconds + plan.patience_s + _END_TIMEOUT_S)
    except subprocess.TimeoutExpired as cause:
        children.end(process)
        raise Failed("the load did not end") from cause
    return running.finish(False)


def argv(binary: Path, plan: LoadPlan, folder: Path, traced: bool) -> list[str]:
    """The command line of one run."""
    line = [str(binary), "--address", f"127.0.0.1:{plan.port}", "--keys", str(plan.keys)]
    line += ["--rate", "max" if plan.rate is None else str(plan.rate), "--connections", str(plan.connections)]
    line += ["--seconds", f"{plan.seconds:g}", "--warmup", f"{plan.warmup_s:g}", "--patience", f"{plan.patience_s:g}"]
    line += ["--in-flight", str(plan.in_flight), "--sets", str(plan.sets), "--value-bytes", str(plan.value_bytes)]
    line += [word for name in plan.only for word in ("--only", name)]
    line += [word for name in plan.apart for word in ("--apart", name)]
    line += ["--memcached"] if plan.memcached else []
    line += ["--may-forget"] if plan.may_forget else []
    line += ["--keys-per-get", str(plan.keys_per_get)] if plan.keys_per_get > 1 else []
    line += ["--json", str(folder / "load.json")]
    if traced:
        line += ["--trace", str(folder / "trace.csv"), "--ledger", str(folder / "ledger.txt")]
    return line


def parse(text: str, complaint: str = "") -> LoadReport:
    """Reads the generator's JSON."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as cause:
        raise Failed(f"the load wrote figures that cannot be read: {cause}") from cause
    if content.get("schema") != SCHEMA:
        raise Failed(f"the load wrote another schema than {SCHEMA}")
    return LoadReport(
        counted_s=content["counted_s"],
        answered=content["answered"],
        lag_p99_ms=content["lag_p99_ms"],
        mixed=content["mixed"] != 0,
        together=_group(content["all"]),
        groups={group["name"]: _group(group) for group in content["groups"]},
        complaint=complaint,
    )


def _group(content: Mapping[str, object]) -> Group:
    return Group(**{name: content[name] for name in Group.__dataclass_fields__})  # type: ignore[arg-type]
