#!/bin/sh
# Sentinel's client-reconfig-script: writes a new master's address into the proxy's file.
set -eu

usage() {
    cat <<'TEXT'
Usage: client-reconfig.sh MASTER-NAME ROLE STATE FROM-IP FROM-PORT TO-IP TO-PORT
       client-reconfig.sh -h

Redis Sentinel calls this after a failover (`sentinel client-reconfig-script MASTER-NAME PATH`). In
the proxy's configuration file, in each pool, it gives the servers that had the address FROM the
address TO, and lets the proxy read the file again. A server without a name gets the text that it
had as its name, so that no key moves. Nothing else in the file changes, not by a byte.

The file is replaced at once (a reader sees the old one or the new one), by one caller at a time, and
the old one stays beside it as FILE.bak. To call it again changes nothing more, but tells the proxy
again. If no server has either address, those are changed whose name is MASTER-NAME: an earlier call
must have been missed.

Settings, from the environment or from /etc/default/coremux (shell, `NAME=value`):
  COREMUX_CONF   the file            [/etc/coremux/coremux.yml]
  COREMUX_BIN    the program         [coremux]
  COREMUX_CTL    its control socket  [/run/coremux/ctl.sock]
  COREMUX_PID    its pid file        [/run/coremux/coremux.pid]
  COREMUX_WAIT   seconds to wait for another call to end [10]
  COREMUX_USE    the file with these settings [/etc/default/coremux]
The proxy is told by `coremux ctl reload` if the control socket is there, else by SIGHUP.

The caller (Debian: user redis) must be allowed to write the file and its directory, and to use the
socket, or to signal the proxy.

Exit codes: 0 done, or nothing to do; 1 try again (Sentinel does, up to ten times): somebody else has
the lock, the disk is full, the proxy does not answer or runs nowhere; 2 wrong arguments; 3 the file
is not there or must not be written; 4 no server of the file has the address; 5 the changed file
would not be valid, so it was not changed; 6 the proxy refused to read the file.
TEXT
}

EXIT_AGAIN=1
EXIT_USAGE=2
EXIT_FORBIDDEN=3
EXIT_UNKNOWN=4
EXIT_INVALID=5
EXIT_REFUSED=6

# With the wait for another call: Sentinel ends a script after 60 s.
CTL_WITHIN_S=15

# While one process of the proxy takes over from another there is nobody to ask. `ctl` waits for that,
# too, and then says so by this exit code.
CTL_TAKES_OVER=3
CTL_TRIES=3

# say TEXT: into Sentinel's log.
say() {
    printf 'client-reconfig: %s\n' "$1" >&2
}

die() {
    say "$2"
    exit "$1"
}

case ${1-} in
-h | --help)
    usage
    exit 0 ;;
esac
if [ $# -ne 7 ]; then
    usage >&2
    exit "$EXIT_USAGE"
fi

master=$1
role=$2
state=$3
from_ip=$4
from_port=$5
to_ip=$6
to_port=$7

# Sentinel knows `leader` and `observer`, and today only `start`; what it may say one day is nothing
# that this script has an answer to.
case $role in
leader | observer) ;;
*)
    say "nothing to do: role $role"
    exit 0 ;;
esac
case $state in
start) ;;
*)
    say "nothing to do: state $state"
    exit 0 ;;
esac

# They become part of a file: an address has no blank, quote, bracket or line end.
for ip in "$from_ip" "$to_ip"; do
    case $ip in
    '' | *[!0-9A-Za-z.:_%-]*) die "$EXIT_USAGE" "not an address: $ip" ;;
    esac
done
for port in "$from_port" "$to_port"; do
    case $port in
    '' | *[!0-9]* | ??????*) die "$EXIT_USAGE" "not a port: $port" ;;
    esac
    if [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then die "$EXIT_USAGE" "not a port: $port"; fi
done

# What the environment says goes before what the file says.
given_conf=${COREMUX_CONF-}
given_binary=${COREMUX_BIN-}
given_socket=${COREMUX_CTL-}
given_pid_file=${COREMUX_PID-}
given_wait=${COREMUX_WAIT-}
settings=${COREMUX_USE-/etc/default/coremux}
if [ -r "$settings" ]; then
    # What is wrong in it would end this shell with a code that says something else.
    # shellcheck source=/dev/null # of the operator
    why=$(. "$settings" 2>&1 >/dev/null) || die "$EXIT_FORBIDDEN" "not shell: $settings: $why"
    # shellcheck source=/dev/null # of the operator
    . "$settings"
fi
conf=${given_conf:-${COREMUX_CONF:-/etc/coremux/coremux.yml}}
binary=${given_binary:-${COREMUX_BIN:-coremux}}
socket=${given_socket:-${COREMUX_CTL:-/run/coremux/ctl.sock}}
pid_file=${given_pid_file:-${COREMUX_PID:-/run/coremux/coremux.pid}}
wait_s=${given_wait:-${COREMUX_WAIT:-10}}

# A link is not replaced by a file: what it leads to is.
conf=$(readlink -f -- "$conf") || die "$EXIT_FORBIDDEN" "no such file: $conf"
[ -f "$conf" ] || die "$EXIT_FORBIDDEN" "no such file: $conf"
folder=${conf%/*}
[ -r "$conf" ] || die "$EXIT_FORBIDDEN" "may not be read: $conf"
[ -w "${folder:-/}" ] || die "$EXIT_FORBIDDEN" "its directory may not be written: $conf"

# The lock is a file of its own: $conf is another file after each change.
# Tried in a shell of its own: a failed redirection of `exec` ends the shell, and not with our code.
(exec 9>>"$conf.lock") 2>/dev/null || die "$EXIT_FORBIDDEN" "may not be written: $conf.lock"
exec 9>>"$conf.lock"
flock -w "$wait_s" 9 || die "$EXIT_AGAIN" "another call has had $conf.lock for $wait_s s"

work=
trap '[ -z "$work" ] || rm -f -- "$work" "$work.bak"' EXIT
trap 'exit 1' INT TERM HUP
work=$(mktemp -- "$conf.XXXXXX") || die "$EXIT_AGAIN" "cannot write beside $conf"

# began PID|self: when a process began, in ticks since the boot (proc(5): starttime). A name in brackets,
# in which anything may stand, comes before it.
began() {
    tr '\n' ' ' <"/proc/$1/stat" | sed 's/.*) //' | cut -d ' ' -f 20
}

# wrote PID FILE: whether the process was there when the file was written. If the clock was set forward
# since, it seems to have begun later; but then its command line names the file.
wrote() {
    hz=$(getconf CLK_TCK 2>/dev/null) || hz=100
    # `self` is a program of this very moment.
    age_s=$((($(began self) - $(began "$1")) / hz))
    [ $(($(date +%s) - age_s)) -gt $(($(stat -c %Y -- "$2") + 1)) ] || return 0
    tr '\0' '\n' <"/proc/$1/cmdline" | grep -Fqx -e "$2" -e "-p$2" -e "--pid-file=$2"
}

# rewrite by=address|name: the file with the new address, to stdout; on the last line of stderr how
# many servers have changed, and how many have the new address already.
#
# Reads YAML as far as twemproxy's form of it goes: one item a line. Bytes are bytes (LC_ALL=C).
rewrite() {
    LC_ALL=C awk -v by="$1" -v master="$master" -v from_ip="$from_ip" -v from_port="$from_port" \
        -v to_ip="$to_ip" -v to_port="$to_port" '
        # The length of the indentation; YAML has no tabs there.
        function indent(text) { match(text, /^ */); return RLENGTH }

        # Whether `text` is an address and a port, and not a part of another one.
        function is_place(text, ip, port) {
            return text == ip ":" port || text == "[" ip "]:" port
        }

        # One item, `host:port:weight` or `host:port:weight name`, with the new address.
        function changed(item,    blank, place, name, at, weight, place_port, old_name) {
            blank = match(item, / [^ ]*$/)
            place = blank ? substr(item, 1, blank - 1) : item
            name = blank ? substr(item, blank + 1) : ""
            at = match(place, /:[0-9]+$/)
            if (!at || substr(item, 1, 1) == "/") return item
            weight = substr(place, at)
            place_port = substr(place, 1, at - 1)
            if (is_place(place_port, to_ip, to_port)) { there++; return item }
            if (by == "address" ? !is_place(place_port, from_ip, from_port) : name != master)
                return item
            changes++
            if (blank) return to_ip ":" to_port weight substr(item, blank)
            # The name that it had implicitly: its text, and on port 11211 its host alone.
            old_name = place_port
            if (old_name ~ /:0*11211$/) sub(/:[0-9]+$/, "", old_name)
            return to_ip ":" to_port weight " " old_name
        }

        # The text of a list item behind its dash: quoted or plain, perhaps with a comment.
        function rewritten(text,    quote, close_at, item, rest) {
            quote = substr(text, 1, 1)
            if (quote == "\"" || quote == "\047") {
                close_at = index(substr(text, 2), quote)
                if (!close_at) return text
                item = substr(text, 2, close_at - 1)
                rest = substr(text, close_at + 1)
                return quote changed(item) rest
            }
            rest = ""
            if (match(text, /[ \t]+#.*$/) || match(text, /[ \t\r]+$/)) {
                # The comment begins at the first blank before a sharp.
                rest = substr(text, RSTART)
                text = substr(text, 1, RSTART - 1)
            }
            return changed(text) rest
        }

        BEGIN { in_servers = 0; pending = 0 }
        {
            line = $0
            if (line ~ /^[ \t]*(#.*)?\r?$/) { print line; next }
            depth = indent(line)
            content = substr(line, depth + 1)
            is_item = content ~ /^-([ \t\r]|$)/
            # A list stands deeper than its key, or as deep as it.
            if (in_servers && !pending && depth < key_depth) in_servers = 0
            if (in_servers && is_item) {
                match(content, /^-[ \t]*/)
                head = substr(line, 1, depth + RLENGTH)
                text = substr(line, depth + RLENGTH + 1)
                pending = text ~ /^(#.*)?\r?$/
                print (pending ? line : head rewritten(text))
                next
            }
            if (in_servers && pending) {
                print substr(line, 1, depth) rewritten(content)
                pending = 0
                next
            }
            in_servers = depth > 0 && content ~ /^("servers"|\047servers\047|servers)[ \t]*:[ \t]*(#.*)?\r?$/
            key_depth = depth
            pending = 0
            print line
        }
        END { print changes + 0, there + 0 >"/dev/stderr" }
    '
}

# change by=address|name: the changed file to $work; sets $changes and $there.
change() {
    # A copy first: so it has the mode and, if that may be, the owner of the file.
    cp -p -- "$conf" "$work" 2>/dev/null || die "$EXIT_AGAIN" "cannot copy $conf to $work"
    # A file that its reader could not read any more would be worse than an old one.
    case $(stat -c %A -- "$conf") in
    ???????r*) ;;
    *)
        [ "$(stat -c %u:%g -- "$conf")" = "$(stat -c %u:%g -- "$work")" ] ||
            die "$EXIT_FORBIDDEN" "only root can keep the owner of $conf, and others may not read it" ;;
    esac
    counts=$({ rewrite "$1" <"$conf" >"$work.bak"; } 2>&1) ||
        die "$EXIT_AGAIN" "cannot write $work: $counts"
    changes=${counts% *}
    there=${counts#* }
    # awk ends the last line also where the file does not.
    if [ -n "$(tail -c 1 -- "$conf")" ]; then
        bytes=$(wc -c <"$work.bak")
        head -c "$((bytes - 1))" -- "$work.bak" >"$work" || die "$EXIT_AGAIN" "cannot write $work"
    else
        cat -- "$work.bak" >"$work" || die "$EXIT_AGAIN" "cannot write $work"
    fi
    rm -f -- "$work.bak"
}

from="$from_ip:$from_port"
to="$to_ip:$to_port"
change address
if [ "$changes" -eq 0 ] && [ "$there" -eq 0 ]; then
    change name
    [ "$changes" -gt 0 ] ||
        die "$EXIT_UNKNOWN" "no server of $conf has the address $from or $to, or the name $master"
    say "$from is not in $conf: went by the name $master"
fi

if [ "$changes" -gt 0 ]; then
    # Without the program (on a host without the proxy, say) the file cannot be tested.
    if command -v -- "$binary" >/dev/null 2>&1; then
        why=$("$binary" -t -c "$work" 2>&1) ||
            die "$EXIT_INVALID" "$conf with $to in place of $from is not valid: $why"
    fi
    # The bytes first, then the name: a power cut between them must not leave an empty file.
    sync -- "$work" || die "$EXIT_AGAIN" "cannot write $work"
    ln -f -- "$conf" "$conf.bak" 2>/dev/null || cp -p -- "$conf" "$conf.bak" ||
        die "$EXIT_AGAIN" "cannot write $conf.bak"
    mv -f -- "$work" "$conf" || die "$EXIT_AGAIN" "cannot replace $conf"
    work=
    sync -- "${folder:-/}" || say "cannot sync ${folder:-/}"
    say "master $master: $from is $to now, servers changed: $changes"
else
    say "master $master: $conf has $to already"
fi

# Also when nothing has changed: whoever changed the file may not have come as far as this.
tries=0
while [ -S "$socket" ]; do
    if answer=$(timeout "$CTL_WITHIN_S" "$binary" ctl --socket "$socket" reload 2>&1); then
        say "reloaded"
        exit 0
    else
        code=$?
    fi
    # 1 is the proxy's own word; whatever else, it was not reached.
    [ "$code" -ne 1 ] || die "$EXIT_REFUSED" "the proxy refused to reload: $answer"
    if [ "$code" -ne "$CTL_TAKES_OVER" ]; then
        # A signal is remembered, also in the middle of an upgrade.
        say "no answer at $socket ($answer)"
        break
    fi
    tries=$((tries + 1))
    [ "$tries" -lt "$CTL_TRIES" ] ||
        die "$EXIT_AGAIN" "the proxy is being upgraded, nobody could be told yet: $answer"
    say "the proxy is being upgraded, trying again"
    sleep 1
done
pid=$(cat -- "$pid_file" 2>/dev/null) || pid=
case $pid in
'' | *[!0-9]*) die "$EXIT_AGAIN" "nobody to tell: no proxy at $socket, no pid in $pid_file" ;;
esac
# A pid file outlives its process, and its number is given to others.
command=$(cat "/proc/$pid/comm" 2>/dev/null) || command=
[ -n "$command" ] || die "$EXIT_AGAIN" "nobody to tell: process $pid of $pid_file is gone"
[ "$command" = "$(printf %.15s "${binary##*/}")" ] ||
    die "$EXIT_AGAIN" "nobody to tell: process $pid of $pid_file is $command"
wrote "$pid" "$pid_file" ||
    die "$EXIT_AGAIN" "nobody to tell: process $pid began after $pid_file was written"
kill -HUP "$pid" 2>/dev/null || die "$EXIT_AGAIN" "may not signal the proxy, process $pid"
say "sent SIGHUP to process $pid"
