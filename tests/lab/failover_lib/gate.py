"""The project's targets for `tests/lab/failover --gate`, as a table, and their verdicts. Pure."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.summary import spread
from bench.lib.verdict import Verdict
from lab.failover_lib.judge import Figures
from lab.failover_lib.load import CONNECTIONS

# A connection has at most one request under way.
_IN_FLIGHT = CONNECTIONS // 2
# Those of requests that the event itself has caught under way.
_SLACK_ERRORS = ("errors", "errors, its keys: what was in flight")
# To one master: half of what is asked of it.
_WRITES_PER_S = 75
# No reply that was held: what a busy machine adds to a request at the worst.
_UNDISTURBED_S = 0.050

ByClients = Mapping[str, Figures]
Metric = Callable[[ByClients], float]


@dataclass(frozen=True)
class Target:
    """`metric` of a scenario's runs keeps to `limit`, by the median."""

    scenario: str
    text: str
    metric: Metric
    limit: float
    unit: str = ""
    # How many of what is counted a second more of it makes.
    per_second: float = 0.0


@dataclass(frozen=True)
class Slack:
    """What a busy machine may add to limits: in seconds, and in failed requests that were under way."""

    seconds: float = 0.0
    errors: int = 0

    def of(self, target: Target) -> float:
        """What it adds to this one's. What is wrong, lost or misplaced never has any."""
        if target.unit == "s":
            return self.seconds
        errors = self.errors if target.text in _SLACK_ERRORS else 0
        return errors + self.seconds * target.per_second


NO_SLACK = Slack()


def judge_targets(runs: Mapping[str, Sequence[ByClients]], slack: Slack = NO_SLACK) -> list[Verdict]:
    """A verdict for every target of the scenarios that were to run; `runs` by scenario, empty if all failed."""
    return [
        Verdict(
            target=target.text,
            where=target.scenario,
            limit=target.limit + slack.of(target),
            at_most=True,
            unit=target.unit,
            measured=spread(target.metric(each) for each in runs[target.scenario]),
        )
        for target in TARGETS
        if target.scenario in runs
    ]


def _outage(server: int) -> Metric:
    return lambda run: _clients(run).servers[server].outage_s


def _longest_outage(run: ByClients) -> float:
    return max(each.outage_s for each in _clients(run).servers.values())


def _errors(run: ByClients) -> float:
    return _clients(run).errors


def _errors_of(server: int) -> Metric:
    return lambda run: _clients(run).servers[server].errors


def _dropped(run: ByClients) -> float:
    return _clients(run).dropped


def _worst(server: int) -> Metric:
    return lambda run: _clients(run).servers[server].worst_s


def _lost_aside(run: ByClients) -> float:
    return sum(each.not_found for each in run["others"].servers.values())


def _not_found(run: ByClients) -> float:
    return sum(each.not_found for each in _clients(run).servers.values())


def _misplaced(run: ByClients) -> float:
    return sum(each.misplaced for figures in run.values() for each in figures.servers.values())


def _wrong(run: ByClients) -> float:
    return sum(each.wrong for figures in run.values() for each in figures.servers.values())


def _foreign(run: ByClients) -> float:
    return sum(each.foreign for figures in run.values() for each in figures.servers.values())


def _clients(run: ByClients) -> Figures:
    return run["clients"]


def _master_killed(scenario: str, killed: int, other: int) -> list[Target]:
    return [
        Target(scenario, "time without a good reply, its keys", _outage(killed), 3.0, "s"),
        Target(scenario, "errors, its keys: what was in flight", _errors_of(killed), _IN_FLIGHT),
        Target(scenario, "connections dropped", _dropped, 0),
        Target(scenario, "errors, the other server's keys", _errors_of(other), 0),
        Target(scenario, "slowest reply, the other server's keys", _worst(other), _UNDISTURBED_S, "s"),
        Target(scenario, "acknowledged writes not found", _not_found, 0),
        Target(scenario, "wrong replies", _wrong, 0),
    ]


# A partition may lose what was written on its wrong side; a wrong reply after it is of such a write.
_ALWAYS = (
    "master-1",
    "master-2",
    "proxy",
    "host-cut",
    "partition",
    "keepalived",
    "restart",
    "failover-vip",
    "reload",
)

TARGETS: Sequence[Target] = (
    *_master_killed("master-1", 1, 2),
    *_master_killed("master-2", 2, 1),
    Target("proxy", "time without a good reply", _longest_outage, 0.2, "s"),
    Target("host-cut", "time without a good reply, keys of master 1", _outage(1), 4.1, "s"),
    Target("host-cut", "time without a good reply, keys of master 2", _outage(2), 0.9, "s"),
    Target("host-cut", "errors", _errors, 8),
    # Those of the time until the proxy has missed the Sentinels and refuses them.
    Target("partition", "acknowledged writes lost, cut-off side", _lost_aside, 60, per_second=_WRITES_PER_S),
    Target("partition", "acknowledged writes lost, the other side", _not_found, 0),
    Target("keepalived", "time without a good reply", _longest_outage, 0.08, "s"),
    Target("restart", "connections dropped", _dropped, 0),
    Target("restart", "errors", _errors, 0),
    Target("failover-vip", "time without a good reply", _longest_outage, 0.08, "s"),
    Target("failover-vip", "wrong replies", _wrong, 0),
    Target("reload", "connections dropped", _dropped, 0),
    Target("reload", "errors", _errors, 0),
    *(Target(scenario, "replies of another key", _foreign, 0) for scenario in _ALWAYS),
    *(Target(scenario, "acknowledged writes misplaced", _misplaced, 0) for scenario in _ALWAYS),
)
