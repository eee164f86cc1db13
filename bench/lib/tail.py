"""`bench/tail`: what one stalled server of four does to the latencies of the other three's keys.

       pair 1                          pair 2                          …
    undisturbed ─ SIGSTOP, SIGCONT    SIGSTOP, SIGCONT ─ undisturbed
    └ 10 s at half of saturation, fixed rate, latencies from when a request was due ┘

Owns: the order of things and the report. Never: computes a latency (`bench/load` does).
"""

import argparse
import json
import signal
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path

from bench.lib import cli
from bench.lib import contender
from bench.lib import open_load
from bench.lib import report
from bench.lib.cli import say
from bench.lib.contender import Contender
from bench.lib.contender import start_proxy
from bench.lib.contender import with_keys
from bench.lib.coremux_binary import load_binary
from bench.lib.errors import Failed
from bench.lib.homes import keys_by_server
from bench.lib.homes import route_table
from bench.lib.homes import server_name
from bench.lib.open_load import LoadPlan
from bench.lib.process import Children
from bench.lib.process import send_signal
from bench.lib.resp import Client
from bench.lib.servers import Server
from bench.lib.servers import start_servers
from bench.lib.summary import Spoiled
from bench.lib.tail_gate import TailPair
from bench.lib.tail_gate import TailResult
from bench.lib.tail_gate import judge
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows

SCHEMA = "coremux-bench-tail/1"
ROUNDS = 5
WINDOW_S = 10.0
SERVERS = 4
STALLED = server_name(0)
KEYS = 2_000
# Of the highest rate that a closed loop of as many clients reaches.
SHARE_OF_SATURATION = 0.5
SATURATION_S = 3.0
# Not counted: connections are new, and in a disturbed run the server is stalled in this time.
WARMUP_S, STALL_AFTER_S = 1.0, 0.5
# A client that waits for a stalled server still sends so many requests, which the proxy has to keep.
IN_FLIGHT = 100
# For the server that was stalled to answer again.
BACK_TIMEOUT_S = 20.0

# Lines of the pool, by the title of the report.
CONFIGURATIONS: Mapping[str, Sequence[str]] = {"timeout: 400": ("timeout: 400",), "no timeout": ()}


def main() -> int:
    """Measures and returns the exit code."""
    arguments = _parse()
    proxies = cli.chosen_proxies(arguments)
    load = load_binary(arguments.load)
    folder = cli.output_folder(arguments, "tail")
    setting = cli.setting(proxies) | {"rounds": arguments.rounds, "window_s": arguments.seconds}
    results: dict[str, dict[str, TailResult]] = {}
    with Children() as children:
        servers = start_servers(children, SERVERS, folder / "run")
        for title, keys in CONFIGURATIONS.items():
            for proxy, binary in proxies:
                say(f"{title}: {proxy.name}")
                place = folder / "run" / title.replace(": ", "-").replace(" ", "-")
                place.mkdir(exist_ok=True)
                proxy = with_keys(proxy, *keys)
                running = start_proxy(children, proxy, binary, servers, [SERVERS], place, arguments.cores)
                bench = _Bench(children, load, running, servers, place, arguments.seconds)
                results.setdefault(title, {})[proxy.name] = bench.measure(arguments.rounds, arguments.rate)
                if running.process is not None:
                    children.end(running.process)
    return _report(arguments, setting, results, folder)


def _parse() -> argparse.Namespace:
    parser = cli.parser("One of four servers stalls: the tail of the other three's keys.", ROUNDS, other_proxies=False)
    cli.add_load(parser)
    add = parser.add_argument
    add("--seconds", type=cli.positive_seconds, default=WINDOW_S, metavar="S", help="a window (default: 10)")
    add("--rate", type=cli.positive, metavar="N", help="requests a second (default: half of the measured saturation)")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or ROUNDS
    return arguments


class _Bench:
    """One running proxy under the load generator."""

    def __init__(
        self,
        children: Children,
        load: Path,
        proxy: Contender,
        servers: Sequence[Server],
        folder: Path,
        seconds: float,
    ) -> None:
        self._children = children
        self._load = load
        self._proxy = proxy
        self._stalled = servers[0]
        self._folder = folder / f"load-{proxy.name}"
        self._folder.mkdir(exist_ok=True)
        keys = self._folder / "keys.txt"
        keys.write_text(route_table(keys_by_server(proxy, servers, KEYS)), encoding="utf-8")
        self._plan = LoadPlan(
            port=proxy.ports[len(servers)],
            rate=None,
            seconds=WARMUP_S + seconds,
            warmup_s=WARMUP_S,
            keys=keys,
            apart=(STALLED,),
        )

    def measure(self, rounds: int, rate: int | None) -> TailResult:
        """Saturation, then `rounds` pairs of windows."""
        result = TailResult()
        try:
            result.saturation_per_s = self._saturation_per_s()
        except Failed as cause:
            result.pairs.append(self._spoiled(cause))
            return result
        result.rate_per_s = rate or round(result.saturation_per_s * SHARE_OF_SATURATION)
        say(f"  saturation {result.saturation_per_s:,.0f}/s; windows at {result.rate_per_s:,}/s")
        self._plan = replace(self._plan, rate=result.rate_per_s, in_flight=IN_FLIGHT)
        for turn in range(rounds):
            try:
                pair = self._pair(disturbed_first=turn % 2 == 1)
                say(f"  [{turn + 1}/{rounds}] p99.9 {pair.undisturbed_ms:.2f} ms, stalled {pair.stalled_ms:.2f} ms")
                result.pairs.append(pair)
            except Failed as cause:
                result.pairs.append(self._spoiled(cause))
        return result

    def _saturation_per_s(self) -> float:
        plan = replace(self._plan, seconds=WARMUP_S + SATURATION_S, apart=())
        seen = open_load.run(self._children, self._load, plan, self._folder)
        if seen.mixed:
            raise Failed(seen.complaint)
        return seen.good_per_s

    def _pair(self, disturbed_first: bool) -> TailPair:
        seen = {disturbed: self._window(disturbed) for disturbed in (disturbed_first, not disturbed_first)}
        for each in seen.values():
            if each.mixed:
                raise Failed(each.complaint)
        if not all(each.together.good for each in seen.values()):
            raise Failed("no request for the other servers was answered")
        stalled = seen[True].together
        return TailPair(seen[False].together.p999_ms, stalled.p999_ms, stalled.errors_in_all)

    def _window(self, disturbed: bool) -> open_load.LoadReport:
        self._proxy.check_running()
        if not disturbed:
            return open_load.run(self._children, self._load, self._plan, self._folder)
        # Without a `timeout` the requests for the stalled server are never answered while it is.
        running = open_load.start(self._children, self._load, replace(self._plan, patience_s=0.5), self._folder)
        time.sleep(STALL_AFTER_S)
        with _stalled(self._stalled):
            seen = running.finish(at_once=False)
        self._wait_until_back()
        return seen

    def _wait_until_back(self) -> None:
        """The next window must not begin among this one's leftovers."""
        keys = self._plan.keys.read_text(encoding="utf-8").splitlines()
        key = next(fields[1] for fields in map(str.split, keys) if fields[3] == STALLED)
        give_up_at = time.monotonic() + BACK_TIMEOUT_S
        while time.monotonic() < give_up_at:
            try:
                with Client(self._plan.port) as client:
                    client.call("GET", key)
                return
            except (Failed, OSError):
                time.sleep(0.05)
        raise Failed(f"keys of the server that was stalled were not served {BACK_TIMEOUT_S:g} s after its stall")

    def _spoiled(self, cause: Failed) -> Spoiled:
        spoiled = Spoiled(self._proxy.reason_for(cause))
        say(f"  failed: {spoiled.reason}")
        return spoiled


@contextmanager
def _stalled(server: Server) -> Iterator[None]:
    send_signal(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        send_signal(server.pid, signal.SIGCONT)


def _report(
    arguments: argparse.Namespace,
    setting: dict[str, object],
    results: Mapping[str, Mapping[str, TailResult]],
    folder: Path,
) -> int:
    plain = {title: {name: asdict(each) for name, each in row.items()} for title, row in results.items()}
    content = {"schema": SCHEMA, "setting": setting, "results": plain}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    verdicts: list[Verdict] = []
    if arguments.gate:
        verdicts = judge({title: row[contender.COREMUX] for title, row in results.items()})
    text = _text(setting, results, verdicts)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    failed = any(isinstance(pair, Spoiled) for row in results.values() for each in row.values() for pair in each.pairs)
    return cli.EXIT_OK if not failed and all(verdict.reached for verdict in verdicts) else cli.EXIT_NOT_REACHED


def _text(
    setting: dict[str, object], results: Mapping[str, Mapping[str, TailResult]], verdicts: Sequence[Verdict]
) -> str:
    titles = ["configuration", "contender", "saturation, req/s", "load, req/s"]
    titles += ["p99.9 undisturbed, ms", "p99.9 with one stalled, ms", "ratio", "failed requests"]
    rows = [titles]
    spoiled: dict[str, None] = {}
    for title, row in results.items():
        for name, result in row.items():
            figures = [report.range_text(result.values(of)) for of in ("undisturbed_ms", "stalled_ms", "ratio")]
            errors = result.values("errors")
            rates = [report.number_text(result.saturation_per_s), f"{result.rate_per_s:,}"]
            rows.append([title, name, *rates, *figures, "" if errors is None else f"{errors.high:g}"])
            for pair in result.pairs:
                if isinstance(pair, Spoiled):
                    spoiled[f"- {title}: {name}: {pair.reason}"] = None
    parts = [
        cli.setting_text(setting),
        "## Keys of the three servers that do not stall: median (min..max) of the rounds",
        report.markdown(rows),
    ]
    if spoiled:
        parts += ["## Measurements that failed", "\n".join(spoiled)]
    if verdicts:
        parts += ["## Targets", report.markdown(verdict_rows(verdicts))]
    return "\n\n".join(parts) + "\n"
