#!/bin/sh
# keepalived's notify script: says what has become of this host, and can drain its proxy.
set -eu

usage() {
    cat <<'TEXT'
Usage: notify.sh TYPE NAME STATE [PRIORITY]
       notify.sh -h

keepalived calls this (`notify PATH`) with TYPE INSTANCE or GROUP, the instance's name, and STATE
MASTER, BACKUP, FAULT, STOP or DELETED. It is written to the system's log, or to stderr.

With COREMUX_NOTIFY_DRAIN=yes the proxy is also told: to drain when this host is not MASTER, to drain no
longer when it is. ONLY where keepalived does not track the proxy's health: a proxy that drains is
unhealthy, so a keepalived that tracks it would never make this host MASTER again.

Settings, from the environment:
  COREMUX_NOTIFY_DRAIN  yes or no          [no]
  COREMUX_BIN           the program        [coremux]
  COREMUX_CTL           its control socket [/run/coremux/ctl.sock]

Exit codes: 0 done; 1 the proxy was not reached, or refused; 2 wrong arguments.
TEXT
}

EXIT_FAILED=1
EXIT_USAGE=2
# keepalived waits for nobody; but scripts that hang would heap up.
CTL_WITHIN_S=5

say() {
    logger -t coremux-vrrp -- "$1" 2>/dev/null || printf 'coremux-vrrp: %s\n' "$1" >&2
}

case ${1-} in
-h | --help)
    usage
    exit 0 ;;
esac
if [ $# -lt 3 ] || [ $# -gt 4 ]; then
    usage >&2
    exit "$EXIT_USAGE"
fi
type=$1
name=$2
state=$3

case $state in
MASTER) command=undrain ;;
BACKUP | FAULT | STOP | DELETED) command=drain ;;
# What later versions may say beside these (MASTER_RX_LOWER_PRI, for one) is no change of state.
*)
    say "$type $name: $state"
    exit 0 ;;
esac
say "$type $name is $state now"
[ "${COREMUX_NOTIFY_DRAIN:-no}" = yes ] || exit 0

socket=${COREMUX_CTL:-/run/coremux/ctl.sock}
if answer=$(timeout "$CTL_WITHIN_S" "${COREMUX_BIN:-coremux}" ctl --socket "$socket" "$command" 2>&1); then
    say "$command: $answer"
else
    say "$command failed: $answer"
    exit "$EXIT_FAILED"
fi
