"""The Redis servers and Sentinels of the hosts: their files, their start, and what they say of themselves."""

from collections.abc import Mapping

from bench.lib.coremux_binary import REPOSITORY
from bench.lib.errors import Failed
from lab.failover_lib.host import Host
from lab.failover_lib.host import Running
from lab.failover_lib.variant import COREMUX
from lab.failover_lib.variant import GROUPS
from lab.failover_lib.variant import HOSTS
from lab.failover_lib.variant import REDIS_PORT
from lab.failover_lib.variant import SENTINEL_PORT
from lab.failover_lib.variant import Variant
from lab.failover_lib.wait import wait_for

# Sentinels learn of each other by a greeting every 2 s.
_TIMEOUT_S = 30

_REDIS = """\
port {port}
bind 0.0.0.0
protected-mode no
daemonize no
dir /var/lib/redis
save ""
appendonly no
repl-diskless-sync-delay 0
repl-backlog-size 16mb
"""


def start_redis(hosts: Mapping[str, Host], variant: Variant, min_replicas: bool) -> dict[str, Running]:
    """Starts the six servers and returns when all replicas follow their masters.

    `min_replicas`: where the project's own files are used, with what they have as a comment.
    """
    running = {}
    for members in GROUPS.values():
        for name in members:
            text = _REDIS.format(port=REDIS_PORT)
            if variant.program == COREMUX:
                text = _shipped("redis.conf") + text
                if min_replicas:
                    text = text.replace("# min-replicas-", "min-replicas-")
            if name != members[0]:
                text += f"replicaof {HOSTS[members[0]]} {REDIS_PORT}\n"
            hosts[name].write("/etc/redis/redis.conf", text)
            hosts[name].path("/var/lib/redis").mkdir(exist_ok=True)
            running[name] = hosts[name].start("redis", ["redis-server", "/etc/redis/redis.conf"])
    for members in GROUPS.values():
        for name in members[1:]:
            wait_for(f"{name} follows", lambda host=hosts[name]: role(host)[:1] == [b"slave"] and _up(host), _TIMEOUT_S)
    return running


def start_sentinels(hosts: Mapping[str, Host], variant: Variant, scripts: Mapping[str, str]) -> None:
    """Starts the Sentinels; `scripts` by host. Returns when all could bring a failover about."""
    for name, groups in variant.sentinels.items():
        lines = [f"port {SENTINEL_PORT}", "bind 0.0.0.0", "protected-mode no", "dir /var/lib/redis"]
        for group in groups:
            master = variant.group_names[group]
            lines += [
                f"sentinel monitor {master} {HOSTS[GROUPS[group][0]]} {REDIS_PORT} {variant.quorum}",
                f"sentinel down-after-milliseconds {master} {variant.down_after_ms}",
                f"sentinel failover-timeout {master} {variant.failover_timeout_ms}",
                f"sentinel parallel-syncs {master} 1",
            ]
            if name in scripts:
                lines.append(f"sentinel client-reconfig-script {master} {scripts[name]}")
        text = "\n".join(lines) + "\n"
        if variant.program == COREMUX:
            text = _shipped("sentinel.conf")
        hosts[name].write("/etc/redis/sentinel.conf", text)
        hosts[name].path("/var/lib/redis").mkdir(exist_ok=True)
        hosts[name].start("sentinel", ["redis-sentinel", "/etc/redis/sentinel.conf"])
    for name, groups in variant.sentinels.items():
        for group in groups:
            others = sum(group in each for each in variant.sentinels.values()) - 1
            master = variant.group_names[group]
            wait_for(
                f"the Sentinel of {name} knows {master}",
                lambda host=hosts[name], master=master, others=others: _is_ready(host, master, others),
                _TIMEOUT_S,
            )


def _shipped(name: str) -> str:
    """A file of the project, as it is."""
    return (REPOSITORY / "conf/sentinel" / name).read_text(encoding="utf-8")


def role(host: Host) -> list:
    """The answer to ROLE, or nothing when the server of this host does not answer."""
    try:
        answer = host.ask(REDIS_PORT, "ROLE")
    except (OSError, Failed):
        return []
    return answer if isinstance(answer, list) else []


def master_of(hosts: Mapping[str, Host], group: int) -> str:
    """The host whose server is master of this group; of several the one that has replicas."""
    masters = {name: answer for name in GROUPS[group] if (answer := role(hosts[name]))[:1] == [b"master"]}
    if not masters:
        raise Failed(f"group {group} has no master")
    return max(masters, key=lambda name: len(masters[name][2]))


def _up(host: Host) -> bool:
    info = host.ask(REDIS_PORT, "INFO", "replication")
    return isinstance(info, bytes) and b"master_link_status:up" in info


def _is_ready(host: Host, master: str, others: int) -> bool:
    """It knows both replicas, with their link up, and all the other Sentinels."""
    replicas = host.ask(SENTINEL_PORT, "SENTINEL", "REPLICAS", master)
    sentinels = host.ask(SENTINEL_PORT, "SENTINEL", "SENTINELS", master)
    assert isinstance(replicas, list) and isinstance(sentinels, list)
    states = [dict(zip(each[::2], each[1::2], strict=True)) for each in replicas]
    follow = sum(each[b"flags"] == b"slave" and each[b"master-link-status"] == b"ok" for each in states)
    return follow == 2 and len(sentinels) == others
