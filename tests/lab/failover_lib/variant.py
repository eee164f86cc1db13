"""The addresses of the lab and the table of variants: what each gives its hosts. Pure.

| host | .128 | .129 | .130 | .131 | .132 | .133 |
|---|---|---|---|---|---|---|
| keepalived, proxy | first | | | second | | |
| redis | master 1 | replica | replica | master 2 | replica | replica |
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

HOSTS: Mapping[str, str] = {f"h{number}": f"10.0.0.{number}" for number in range(128, 134)}
PROXY_HOSTS = ("h128", "h131")
FIRST, SECOND = PROXY_HOSTS
GROUPS: Mapping[int, Sequence[str]] = {1: ("h128", "h129", "h130"), 2: ("h131", "h132", "h133")}
VIP = "10.0.0.136"
# Another address of the host of master 2, for a change of address that moves no data.
SECOND_ALIAS = "10.0.0.141"
CLIENTS: Mapping[str, str] = {"clients": "10.0.0.201", "others": "10.0.0.202"}

VIP_PORT = 6379
PROXY_PORT = 22121
REDIS_PORT = 6379
SENTINEL_PORT = 26379

NUTCRACKER = "nutcracker"
COREMUX = "coremux"


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    `sentinels`: by host, the groups it watches. `group_names`: what Sentinels call the masters, and, if `named`, what
    the proxy calls its servers. `wrong_until_s`: how long what the variant does to its clients goes on, for which a
    run has to watch it.
    """

    name: str
    program: str
    sentinels: Mapping[str, Sequence[int]]
    quorum: int
    down_after_ms: int
    failover_timeout_ms: int
    advert_s: float
    group_names: Mapping[int, str]
    named: bool
    hardened: bool
    timeout_ms: int
    watch_s: float

    @property
    def native(self) -> bool:
        """The proxy follows the Sentinels itself; no script rewrites its file."""
        return self.program == COREMUX


_EACH_ITS_OWN = {"h128": (1,), "h131": (2,)}
# The third where neither proxy nor master is: no host's loss takes two of them.
_THREE = {"h128": (1, 2), "h131": (1, 2), "h129": (1, 2)}
_NAMES = {1: "m1", 2: "m2"}

VARIANTS: Mapping[str, Variant] = {
    row.name: row
    for row in (
        Variant(
            name="recipe",
            program=NUTCRACKER,
            sentinels=_EACH_ITS_OWN,
            quorum=1,
            down_after_ms=30_000,
            failover_timeout_ms=180_000,
            advert_s=1,
            # The script takes the file's name from the part before `_`; who called the second master differently
            # has no such file.
            group_names={1: "nutcracker_1", 2: "redis2"},
            named=False,
            hardened=False,
            timeout_ms=0,
            watch_s=40,
        ),
        Variant(
            name="hardened",
            program=NUTCRACKER,
            sentinels=_THREE,
            quorum=2,
            down_after_ms=5_000,
            failover_timeout_ms=10_000,
            advert_s=1,
            group_names=_NAMES,
            named=True,
            hardened=True,
            timeout_ms=1_000,
            watch_s=10,
        ),
        Variant(
            name="tuned",
            program=NUTCRACKER,
            sentinels=_THREE,
            quorum=2,
            down_after_ms=1_000,
            failover_timeout_ms=10_000,
            advert_s=0.2,
            group_names=_NAMES,
            named=True,
            hardened=True,
            timeout_ms=1_000,
            watch_s=7,
        ),
        Variant(
            name="coremux",
            program=COREMUX,
            sentinels=_THREE,
            quorum=2,
            # The addresses, names and timers of the files in conf/, which are used as they are.
            down_after_ms=2_000,
            failover_timeout_ms=10_000,
            advert_s=0.2,
            group_names=_NAMES,
            named=True,
            hardened=True,
            timeout_ms=1_000,
            watch_s=7,
        ),
    )
}
