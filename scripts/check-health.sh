#!/bin/sh
# Asks a proxy how it is: for keepalived's vrrp_script and MISC_CHECK.
set -eu

usage() {
    cat <<'TEXT'
Usage: check-health.sh [-d] [-t SECONDS] [TARGET]
       check-health.sh -h

TARGET is what `coremux --check` takes: the proxy's control socket, the ip:port of --admin, or
ip:port/ready to ask whether its pools can serve. [/run/coremux/ctl.sock]

  -d          for MISC_CHECK with misc_dynamic: the exit code is 2 and the weight of the proxy
  -t SECONDS  give up then; below keepalived's interval [2]
  -h          this text

Where the program is not installed (the proxy runs in a container, say) the health file is read in
its place, with the proxy's pid file if there is one (its numbers must be this host's; the process has
the program's name): then no process is started at all.

Settings, from the environment:
  COREMUX_BIN          the program          [coremux]
  COREMUX_HEALTH_FILE  what --health-file is [/run/coremux/health]
  COREMUX_PID          what --pid-file is    [/run/coremux/coremux.pid]

Exit codes: 0 healthy, or with -d from 2 (weight 0) to 102; 1 not healthy, not there, too late, or
wrong arguments (2 would be a weight).
TEXT
}

EXIT_NOT_HEALTHY=1

dynamic=
within_s=2
while getopts dht: option; do
    case $option in
    d) dynamic=--dynamic ;;
    t) within_s=$OPTARG ;;
    h)
        usage
        exit 0 ;;
    *)
        usage >&2
        exit "$EXIT_NOT_HEALTHY" ;;
    esac
done
shift $((OPTIND - 1))
case $# in
0 | 1) ;;
*)
    usage >&2
    exit "$EXIT_NOT_HEALTHY" ;;
esac
target=${1:-/run/coremux/ctl.sock}
binary=${COREMUX_BIN:-coremux}

if command -v "$binary" >/dev/null 2>&1; then
    code=0
    # A proxy that is stopped still has its socket open; KILL because the check itself might hang.
    timeout -s KILL "$within_s" "$binary" --check "$target" ${dynamic:+"$dynamic"} || code=$?
    # What timeout says of itself (124 to 127, and 137 for KILL) would be a weight.
    [ "$code" -le 102 ] || code=$EXIT_NOT_HEALTHY
    exit "$code"
fi

# From here on only what the shell itself can do.
file=${COREMUX_HEALTH_FILE:-/run/coremux/health}
pid_file=${COREMUX_PID:-/run/coremux/coremux.pid}
state=
if [ -r "$file" ]; then read -r state <"$file" || :; fi
[ "$state" = 0 ] || exit "$EXIT_NOT_HEALTHY"
# A process that was killed could not write that it is no more.
if [ -r "$pid_file" ]; then
    pid=
    # Without a line end `read` fails, and has read all the same.
    read -r pid <"$pid_file" || :
    # And its number may be another's by now.
    command=
    if [ -n "$pid" ] && [ -r "/proc/$pid/comm" ]; then read -r command <"/proc/$pid/comm" || :; fi
    name=${binary##*/}
    # The kernel keeps 15 bytes of a name.
    behind=${name#???????????????}
    [ "$behind" = "$name" ] || name=${name%"$behind"}
    [ "$command" = "$name" ] || exit "$EXIT_NOT_HEALTHY"
fi
[ -z "$dynamic" ] || exit 102
exit 0
