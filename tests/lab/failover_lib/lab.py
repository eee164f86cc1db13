"""Six hosts with everything on them, and what can be done to them."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

from bench.lib.errors import Failed
from bench.lib.resp import Client
from lab.failover_lib import load
from lab.failover_lib import proxy
from lab.failover_lib import redis
from lab.failover_lib import vrrp
from lab.failover_lib.host import Host
from lab.failover_lib.host import Running
from lab.failover_lib.judge import AtTheEnd
from lab.failover_lib.load import Keys
from lab.failover_lib.load import Load
from lab.failover_lib.network import Network
from lab.failover_lib.proxy import Coremux
from lab.failover_lib.variant import CLIENTS
from lab.failover_lib.variant import FIRST
from lab.failover_lib.variant import GROUPS
from lab.failover_lib.variant import HOSTS
from lab.failover_lib.variant import PROXY_HOSTS
from lab.failover_lib.variant import REDIS_PORT
from lab.failover_lib.variant import SECOND
from lab.failover_lib.variant import SECOND_ALIAS
from lab.failover_lib.variant import VIP
from lab.failover_lib.variant import VIP_PORT
from lab.failover_lib.variant import Variant
from lab.failover_lib.wait import wait_for


_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Lab:
    """A `with` block: at its beginning all is up, at its end nothing is left."""

    def __init__(
        self,
        variant: Variant,
        coremux: Coremux | None,
        folder: Path,
        number: int,
        follow: bool = True,
        min_replicas: bool = False,
    ) -> None:
        self.variant = variant
        self.marks: list[tuple[str, float]] = []
        self._coremux = coremux
        self._follow = follow
        self._min_replicas = min_replicas
        self._folder = folder
        self._number = number
        self._stack = ExitStack()
        self.hosts: dict[str, Host] = {}
        self.loads: list[Load] = []

    def __enter__(self) -> "Lab":
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not cut the ending short; it takes less than a second.
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in _END_SIGNALS]
        self._stack.close()
        for number, handler in before:
            signal.signal(number, handler)

    def _build(self) -> None:
        self.network = self._stack.enter_context(Network(self._number))
        for name, address in {**HOSTS, **CLIENTS}.items():
            host = Host(name, address, self.network.add(name, address), self._folder / name)
            self._stack.callback(host.off)
            self.hosts[name] = host
        # Before the first packet: the network has to know where this address is from the beginning.
        self.hosts[SECOND].must_run(["ip", "address", "add", f"{SECOND_ALIAS}/24", "dev", "eth0"])
        self.redis: dict[str, Running] = redis.start_redis(self.hosts, self.variant, self._min_replicas)
        scripts = proxy.prepare(self.hosts, self.variant, self._coremux, self._follow)
        redis.start_sentinels(self.hosts, self.variant, scripts)
        for name in PROXY_HOSTS:
            vrrp.redirect(self.hosts[name])
            proxy.start(self.hosts[name], self.variant, self._coremux)
        self.keepalived = vrrp.start_keepalived(self.hosts, self.variant)
        wait_for("the virtual IP answers", self._vip_answers, 10)
        self.keys = self._fill()

    def _vip_answers(self) -> bool:
        with self.by_vip() as client:
            return client.call("PING") == b"PONG"

    def by_vip(self, name: str = "clients") -> Client:
        """A connection of a client host to the virtual IP."""
        return self.hosts[name].client(VIP, VIP_PORT)

    def _fill(self) -> Keys:
        with self.by_vip() as client:
            keys = load.fill(client)
        with ExitStack() as stack:
            masters = {
                group: stack.enter_context(self.hosts[members[0]].client("127.0.0.1", REDIS_PORT))
                for group, members in GROUPS.items()
            }
            return load.place(keys, masters)

    def start_load(self, both: bool = False) -> None:
        """Starts the clients; those of the second client host, too, if `both`."""
        names = list(CLIENTS)[: 2 if both else 1]
        for number, name in enumerate(names):
            self.loads.append(Load(self.hosts[name], number, (VIP, VIP_PORT), self.keys, len(names)))

    def mark(self, what: str) -> None:
        """Something is about to be done to the lab: what the clients see from here on is judged."""
        self.marks.append((what, time.monotonic()))

    def kill_master(self, group: int) -> None:
        self.redis[redis.master_of(self.hosts, group)].end(signal.SIGKILL)

    def wait_for_failover(self, group: int, timeout_s: float) -> None:
        old = GROUPS[group][0]
        wait_for(f"a new master of group {group}", lambda: redis.master_of(self.hosts, group) != old, timeout_s)

    def stop_keepalived(self, name: str) -> None:
        self.keepalived[name].send(signal.SIGTERM)

    def kill_proxy(self, name: str = FIRST) -> None:
        proxy.kill(self.hosts[name], self.variant)

    def restart_proxies(self) -> None:
        for name in reversed(PROXY_HOSTS):
            proxy.restart(self.hosts[name], self.variant)

    def change_address(self) -> None:
        """Gives master 2 another address in the proxies' files, and waits until the VIP's holder uses it."""
        for name in PROXY_HOSTS:
            proxy.change_address(self.hosts[name], self.variant, HOSTS[SECOND], SECOND_ALIAS)
        wait_for("the proxy uses the new address", self._new_address_is_used, 5)

    def _new_address_is_used(self) -> bool:
        clients = self.hosts[SECOND].ask(REDIS_PORT, "CLIENT", "LIST")
        assert isinstance(clients, bytes)
        ends = f" addr={HOSTS[FIRST]}:", f" laddr={SECOND_ALIAS}:"
        return any(all(end in line for end in ends) for line in clients.decode().splitlines())

    def read_all(self) -> AtTheEnd:
        """What the proxy and each group's master hold of all keys, now."""
        keys = [key for part in (self.keys.cold, self.keys.fresh) for each in part.values() for key in each]
        try:
            with self.by_vip() as client:
                by_proxy = load.values(client, keys)
        except (OSError, Failed):
            by_proxy = None
        by_master = {}
        for group in GROUPS:
            try:
                name = redis.master_of(self.hosts, group)
            except Failed:
                by_master[group] = {}
                continue
            with self.hosts[name].client("127.0.0.1", REDIS_PORT) as client:
                by_master[group] = load.values(client, keys)
        return AtTheEnd(by_proxy, by_master)
