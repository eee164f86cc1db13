"""keepalived on the two proxy hosts: its file for each variant, and who has the virtual IP."""

from collections.abc import Mapping

from bench.lib.coremux_binary import REPOSITORY
from lab.failover_lib.host import Host
from lab.failover_lib.host import Running
from lab.failover_lib.network import INTERFACE
from lab.failover_lib.proxy import SCRIPTS
from lab.failover_lib.variant import COREMUX
from lab.failover_lib.variant import FIRST
from lab.failover_lib.variant import HOSTS
from lab.failover_lib.variant import PROXY_HOSTS
from lab.failover_lib.variant import PROXY_PORT
from lab.failover_lib.variant import SECOND
from lab.failover_lib.variant import VIP
from lab.failover_lib.variant import VIP_PORT
from lab.failover_lib.variant import Variant
from lab.failover_lib.wait import wait_for

_TIMEOUT_S = 20
_FILE = "/etc/keepalived/keepalived.conf"
CHECK = "/etc/keepalived/check.sh"

# The tutorial's, without its virtual_server: that needs IPVS, and says nothing about who has the address.
_RECIPE = """\
vrrp_instance VI_1 {{
    state {state}
    interface {interface}
    virtual_router_id 51
    priority {priority}
    advert_int 1
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    virtual_ipaddress {{
        {vip}
    }}
}}
"""

_HARDENED = """\
global_defs {{
    router_id {name}
    vrrp_version 3
    script_user root
    enable_script_security
}}
vrrp_script proxy {{
    script "{check}"
    interval 1
    timeout 1
    fall 1
    rise 2
}}
vrrp_instance VI_1 {{
    state BACKUP
    nopreempt
    interface {interface}
    virtual_router_id 51
    priority {priority}
    advert_int {advert}
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {vip}
    }}
    track_script {{
        proxy
    }}
}}
"""

_CHECK = f"#!/bin/sh\n[ \"$(timeout 1 redis-cli -p {PROXY_PORT} ping)\" = PONG ]\n"


def redirect(host: Host) -> None:
    """What comes for the virtual IP goes to the proxy, whatever address it listens at."""
    host.install(REPOSITORY / "scripts/vip-setup.sh", f"{SCRIPTS}/vip-setup.sh")
    host.must_run([f"{SCRIPTS}/vip-setup.sh", VIP, str(VIP_PORT), str(PROXY_PORT)])


def start_keepalived(hosts: Mapping[str, Host], variant: Variant) -> dict[str, Running]:
    """Starts keepalived, first where the virtual IP shall be; returns when it is there and the other one waits."""
    running = {}
    for name in PROXY_HOSTS:
        host = hosts[name]
        host.write(_FILE, _text(name, variant))
        host.write(CHECK, _CHECK, 0o755)
        for script in ("check-health.sh", "notify.sh"):
            host.install(REPOSITORY / "scripts" / script, f"{SCRIPTS}/{script}")
        running[name] = start_one(host)
        if name == FIRST:
            wait_for("the first host has the virtual IP", lambda host=host: host.has_address(VIP), _TIMEOUT_S)
    log = running[SECOND].log
    wait_for("the second host is backup", lambda: "Entering BACKUP STATE" in log.read_text(), _TIMEOUT_S)
    return running


def start_one(host: Host) -> Running:
    """keepalived in the foreground, VRRP only, its log on its output."""
    return host.start("keepalived", ["keepalived", "-n", "-l", "-P", "-f", _FILE])


def _text(name: str, variant: Variant) -> str:
    first = name == FIRST
    if variant.program == COREMUX:
        # The files that the project ships, as they are.
        return (REPOSITORY / "conf/keepalived" / ("first.conf" if first else "second.conf")).read_text(encoding="utf-8")
    return (_HARDENED if variant.hardened else _RECIPE).format(
        name=name,
        interface=INTERFACE,
        state="MASTER" if first else "BACKUP",
        priority=100 if first else 99,
        advert=variant.advert_s,
        check=CHECK,
        own=HOSTS[name],
        peer=HOSTS[SECOND if first else FIRST],
        vip=f"{VIP}/24",
    )
