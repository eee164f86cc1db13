"""The table of scenarios: what is done to the lab while the clients work."""

import time
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from bench.lib.errors import Failed
from lab.failover_lib.lab import Lab
from lab.failover_lib.variant import FIRST

# Before anything is done, so that every connection has worked.
WARM_UP_S = 2.0
# A change that costs nothing has shown so by then.
_BRIEF_S = 4.0
_PROXY_KILLED_S = 8.0
_CUT_S = 10.0
_BACK_S = 8.0


@dataclass(frozen=True)
class Scenario:
    """A row of the table. `act` does it, marking the moments, and returns when the clients have seen enough.

    `both`: clients on both client hosts, of which one goes with the part of the network that is cut off.
    `by_file`: addresses come from the file and not from the Sentinels. `min_replicas`: masters want a replica, where
    the variant's files are the project's.
    """

    name: str
    title: str
    act: Callable[[Lab], None]
    both: bool = False
    by_file: bool = False
    min_replicas: bool = False


def _master_killed(group: int) -> Callable[[Lab], None]:
    def act(lab: Lab) -> None:
        lab.mark("killed")
        lab.kill_master(group)
        time.sleep(lab.variant.watch_s + lab.variant.down_after_ms / 20_000)

    return act


def _proxy_killed(lab: Lab) -> None:
    lab.mark("killed")
    lab.kill_proxy()
    time.sleep(_PROXY_KILLED_S)


def _host_cut(lab: Lab) -> None:
    lab.mark("cut")
    lab.network.pull(FIRST)
    time.sleep(_CUT_S)
    lab.network.plug(FIRST)
    time.sleep(_BACK_S)


def _partition(lab: Lab) -> None:
    aside = (FIRST, "others")
    lab.mark("parted")
    lab.network.split(aside)
    time.sleep(_CUT_S)
    lab.network.heal(aside)
    time.sleep(_BACK_S)


def _keepalived_stopped(lab: Lab) -> None:
    lab.mark("stopped")
    lab.stop_keepalived(FIRST)
    time.sleep(_BRIEF_S)


def _proxies_restarted(lab: Lab) -> None:
    lab.mark("restarted")
    lab.restart_proxies()
    time.sleep(_BRIEF_S)


def _failover_then_vip(lab: Lab) -> None:
    lab.kill_master(1)
    # Without one the clients have no master, and the second act shows it.
    with suppress(Failed):
        lab.wait_for_failover(1, lab.variant.down_after_ms / 1000 + 20)
    time.sleep(4.0)
    lab.mark("moved")
    lab.stop_keepalived(FIRST)
    time.sleep(_BRIEF_S)


def _address_changed(lab: Lab) -> None:
    lab.mark("changed")
    lab.change_address()
    time.sleep(_BRIEF_S)


SCENARIOS: Mapping[str, Scenario] = {
    row.name: row
    for row in (
        Scenario("master-1", "master 1 killed", _master_killed(1)),
        Scenario("master-2", "master 2 killed", _master_killed(2)),
        Scenario("proxy", "proxy killed on the VIP holder", _proxy_killed),
        Scenario("host-cut", "host .128 cut off, later back", _host_cut),
        Scenario("partition", "partition and heal", _partition, both=True, min_replicas=True),
        Scenario("keepalived", "keepalived stopped on the holder", _keepalived_stopped),
        Scenario("restart", "proxies restarted one after the other", _proxies_restarted),
        Scenario("failover-vip", "failover, then the VIP moves", _failover_then_vip),
        Scenario("reload", "a server's address changed, under load", _address_changed, by_file=True),
    )
}
