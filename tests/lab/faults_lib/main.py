"""`tests/lab/faults`: what a failing server costs the clients of Coremux and of nutcracker.

    load ────────────────────────────────────────────────────────────────►  then: every key is read from its server
           calm        begin ── the fault ── end            after
                                             └ back: the server itself serves again

Owns: the order of things, the report, the exit code. Never: makes a fault (`stage`), counts (`trace`).
"""

import argparse
import fnmatch
import json
import math
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from bench.lib import cli
from bench.lib import contender
from bench.lib import open_load
from bench.lib import report
from bench.lib.cli import say
from bench.lib.contender import Contender
from bench.lib.contender import Proxy
from bench.lib.contender import start_proxy
from bench.lib.contender import with_keys
from bench.lib.coremux_binary import load_binary
from bench.lib.database import Database
from bench.lib.database import MEMCACHED
from bench.lib.database import REDIS
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.homes import keys_by_server
from bench.lib.homes import route_table
from bench.lib.homes import server_name
from bench.lib.open_load import LoadPlan
from bench.lib.process import Children
from bench.lib.servers import Server
from bench.lib.summary import Spoiled
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows
from lab.faults_lib import namespace
from lab.faults_lib import trace
from lab.faults_lib.faults import FAULTS
from lab.faults_lib.gate import FaultOutcome
from lab.faults_lib.gate import FaultResult
from lab.faults_lib.gate import RECOVERY_MS_MAX
from lab.faults_lib.gate import judge
from lab.faults_lib.stage import Fault
from lab.faults_lib.stage import SERVERS
from lab.faults_lib.stage import Stage

SCHEMA = "coremux-bench-faults/1"
ROUNDS = 3
# For Coremux and nutcracker alike.
KEYS_OF_POOL = ("timeout: 400",)
FAULTY = server_name(0)
CLIENTS = 50
KEYS = 600
# Far from saturation, also of a build for tests on a busy machine.
RATE_PER_S = 2_000
# A load that is not told to end ends by itself.
LOAD_S_MAX = 300


@dataclass(frozen=True)
class Timing:
    """Lengths of a run's parts, in seconds. A fault is longer than the `timeout` and, if not short, three of them."""

    calm_s: float
    fault_s: float
    after_s: float


WHOLE = Timing(calm_s=1.0, fault_s=2.0, after_s=3.0)
# So much longer in each round.
LENGTHENED_S = 0.31
SHORT = Timing(calm_s=0.3, fault_s=0.8, after_s=1.2)


def main() -> int:
    """Runs every fault and returns the exit code."""
    arguments = _parse()
    database = MEMCACHED if arguments.memcached else REDIS
    faults = _chosen(arguments.only, FAULTS[database.name])
    if arguments.list:
        print("\n".join(f"{name:<12}{fault.about}" for name, fault in faults.items()))
        return cli.EXIT_OK
    namespace.enter()
    proxies = cli.chosen_proxies(arguments, database)
    if arguments.short:
        proxies = [(proxy, binary) for proxy, binary in proxies if proxy.name == contender.COREMUX]
    load = load_binary(arguments.load)
    folder = cli.output_folder(arguments, "faults")
    timing = SHORT if arguments.short else WHOLE
    setting = cli.setting(proxies, database=database) | {"rounds": arguments.rounds, "clients": CLIENTS, "req/s": RATE_PER_S}
    setting |= {"pool": ", ".join(KEYS_OF_POOL)} | asdict(timing)
    results = {name: {proxy.name: FaultResult() for proxy, _ in proxies} for name in faults}
    interrupted = False
    try:
        for turn in range(arguments.rounds):
            for name, fault in faults.items():
                for proxy, binary in proxies:
                    say(f"[{turn + 1}/{arguments.rounds}] {name}: {proxy.name}")
                    extra = arguments.coremux_key if proxy.name == contender.COREMUX else []
                    place = folder / "run" / f"{name}-{proxy.name}-{turn + 1}"
                    place.mkdir(parents=True)
                    # Timers of the kernel double: a fault of one length would meet them at one point only.
                    varied = replace(timing, fault_s=timing.fault_s + turn * LENGTHENED_S)
                    run = _Run(
                        with_keys(proxy, *KEYS_OF_POOL, *extra), binary, arguments.cores, load, place, varied, database
                    )
                    results[name][proxy.name].outcomes.append(run.outcome(fault))
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: reporting what is complete")
    code = _report(arguments, setting, faults, results, folder)
    return cli.EXIT_INTERRUPTED if interrupted else code


def _parse() -> argparse.Namespace:
    description = "A server fails under load, in many ways: what it costs the clients of Coremux and nutcracker."
    parser = cli.parser(description, ROUNDS, other_proxies=False)
    cli.add_load(parser)
    add = parser.add_argument
    add("--memcached", action="store_true", help="memcached in place of Redis")
    add("--only", action="append", default=[], metavar="PATTERN", help="faults by shell pattern; may be repeated")
    add("--list", action="store_true", help="print the faults and end")
    add("--short", action="store_true", help="Coremux only, shorter faults, one round: under a minute")
    add("--recovery-ms", type=cli.positive_seconds, default=RECOVERY_MS_MAX, metavar="N", help="the gate's limit")
    key_help = "a line of Coremux's pool, such as 'on_server_failure: hold'; may be repeated"
    add("--coremux-key", action="append", default=[], metavar="LINE", help=key_help)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.short else ROUNDS)
    return arguments


def _chosen(patterns: Sequence[str], faults: Mapping[str, Fault]) -> dict[str, Fault]:
    for pattern in patterns:
        if not fnmatch.filter(faults, pattern):
            raise CannotRun(f"no fault is called {pattern}: see --list")
    return {
        name: fault
        for name, fault in faults.items()
        if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    }


@dataclass(frozen=True)
class _Run:
    """One proxy and one fault, with servers and processes of their own."""

    proxy: Proxy
    binary: Path
    cores: int
    load: Path
    folder: Path
    timing: Timing
    database: Database

    def outcome(self, fault: Fault) -> FaultOutcome | Spoiled:
        with Children() as children, Stage(children, self.folder, fault, self.database) as stage:
            running = start_proxy(
                children, self.proxy, self.binary, stage.for_proxy, [SERVERS], self.folder, self.cores
            )
            try:
                return self._under_load(children, fault, stage, running)
            except (Failed, OSError) as cause:
                spoiled = Spoiled(running.reason_for(cause))
                say(f"  failed: {spoiled.reason}")
                return spoiled

    def _under_load(self, children: Children, fault: Fault, stage: Stage, running: Contender) -> FaultOutcome:
        keys = self.folder / "keys.txt"
        keys.write_text(route_table(keys_by_server(running, stage.servers, KEYS)), encoding="utf-8")
        plan = LoadPlan(running.ports[SERVERS], RATE_PER_S, LOAD_S_MAX, keys, CLIENTS, patience_s=2.0)
        plan = replace(plan, memcached=self.database is MEMCACHED, may_forget=fault.forgets)
        load = open_load.start(children, self.load, plan, self.folder)
        time.sleep(self.timing.calm_s)
        load.check_running()
        begin_us = _now_us()
        fault.begin(stage)
        time.sleep(self.timing.fault_s)
        fault.end(stage)
        back_us = _now_us()
        time.sleep(self.timing.after_s)
        seen = load.finish(at_once=True)
        running.check_running()
        requests = trace.parse_trace(load.trace.read_text(encoding="utf-8"))
        lost = 0
        if not seen.mixed:
            lost = _lost_at_the_end(load.ledger.read_text(encoding="utf-8"), stage.servers, fault.forgets)
            lost += sum(group.lost_writes_seen for group in seen.groups.values())
        return FaultOutcome(
            good=sum(each.is_good for each in requests),
            mixed=int(seen.mixed),
            lost=lost,
            failed=dict(trace.failures(requests, lambda server: server == FAULTY)),
            failed_others=dict(trace.failures(requests, lambda server: server != FAULTY)),
            dropped=seen.groups[FAULTY].connections_lost,
            dropped_others=sum(each.connections_lost for name, each in seen.groups.items() if name != FAULTY),
            recovery_ms=trace.recovery_ms(requests, FAULTY, back_us, fault.verb),
            last_failure_ms=trace.last_failure_ms(requests, FAULTY, back_us),
            longest_other_ms=trace.longest_ms(requests, FAULTY, begin_us),
            complaint=seen.complaint,
        )


def _lost_at_the_end(ledger: str, servers: Sequence[Server], forgets: bool) -> int:
    """How many keys do not hold what was acknowledged, asked of the servers past the proxy; the faulty one may be one
    that `forgets`."""
    lost = 0
    for index, server in enumerate(servers):
        with server.connect() as client:
            for entry in trace.parse_ledger(ledger):
                if entry.server == server_name(index):
                    value = client.get(entry.key)
                    lost += trace.is_lost(entry, value, forgets and server_name(index) == FAULTY)
    return lost


def _now_us() -> int:
    return time.time_ns() // 1000


def _report(
    arguments: argparse.Namespace,
    setting: dict[str, object],
    faults: Mapping[str, Fault],
    results: Mapping[str, Mapping[str, FaultResult]],
    folder: Path,
) -> int:
    plain = {name: {proxy: asdict(each) for proxy, each in row.items()} for name, row in results.items()}
    content = {"schema": SCHEMA, "setting": setting, "results": plain}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    verdicts: list[Verdict] = []
    if arguments.gate:
        verdicts = judge({name: row[contender.COREMUX] for name, row in results.items()}, arguments.recovery_ms)
    text = _text(setting, faults, results, verdicts)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    of_coremux = [each for row in results.values() for each in row[contender.COREMUX].outcomes]
    failed = any(isinstance(each, Spoiled) for each in of_coremux)
    return cli.EXIT_OK if not failed and all(verdict.reached for verdict in verdicts) else cli.EXIT_NOT_REACHED


def _text(
    setting: dict[str, object],
    faults: Mapping[str, Fault],
    results: Mapping[str, Mapping[str, FaultResult]],
    verdicts: Sequence[Verdict],
) -> str:
    titles = ["fault", "contender", "good", "mixed", "lost writes", "failed", "failed, others", "clients dropped"]
    titles += ["first good reply, ms", "last failure, ms", "longest, others, ms"]
    rows = [titles]
    for name, row in results.items():
        for proxy, result in row.items():
            rows.append([name, proxy, *_cells(result)])
    parts = [
        cli.setting_text(setting),
        "## One of three servers fails: the worst of the rounds, times as median (min..max)",
        "Times of the faulty server count from when it served again itself.",
        report.markdown(rows),
        "\n".join(f"- {name}: {fault.about}" for name, fault in faults.items()),
        "## Errors",
        "\n".join(_error_lines(results)) or "None.",
    ]
    if verdicts:
        parts += ["## Targets", report.markdown(verdict_rows(verdicts))]
    return "\n\n".join(parts) + "\n"


def _cells(result: FaultResult) -> list[str]:
    if not result.seen:
        return [""] * 9

    def worst(of: str) -> str:
        return f"{max(getattr(each, of) for each in result.seen):,}"

    recovery = result.recovery()
    if recovery is None or math.isinf(recovery.high):
        never = sum(each.recovery_ms is None for each in result.seen)
        recovery_text = f"not in time: {never} of {len(result.seen)}"
    else:
        recovery_text = report.range_text(recovery)
    return [
        f"{min(each.good for each in result.seen):,}",
        *(worst(of) for of in ("mixed", "lost", "failed_in_all", "failed_others_in_all")),
        f"{max(each.dropped + each.dropped_others for each in result.seen):,}",
        recovery_text,
        *(
            report.number_text(max(getattr(each, of) for each in result.seen))
            for of in ("last_failure_ms", "longest_other_ms")
        ),
    ]


def _error_lines(results: Mapping[str, Mapping[str, FaultResult]]) -> list[str]:
    lines = []
    for name, row in results.items():
        for proxy, result in row.items():
            for each in result.outcomes:
                if isinstance(each, Spoiled):
                    lines.append(f"- {name}: {proxy}: not measured: {each.reason}")
                    continue
                for whose, errors in (("", each.failed), ("other servers: ", each.failed_others)):
                    lines += [f"- {name}: {proxy}: {whose}{count} × {text}" for text, count in errors.items()]
                if each.complaint:
                    lines.append(f"- {name}: {proxy}: {each.complaint}")
    return lines
