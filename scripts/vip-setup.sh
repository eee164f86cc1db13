#!/bin/sh
# Leads what comes for a virtual IP to the proxy's port on this host.
set -eu

usage() {
    cat <<'TEXT'
Usage: vip-setup.sh [--with nft|iptables] VIP PORT TO-PORT
       vip-setup.sh [--with nft|iptables] --remove VIP PORT
       vip-setup.sh -h

Connections to VIP:PORT, from elsewhere and from this host, are redirected to TO-PORT of this host,
where the proxy listens (at 0.0.0.0, or [::] for an IPv6 VIP). To be run on both hosts at boot: the rule
says nothing about who has the VIP. It rewrites the address before routing, so a host goes on
serving for the moment between giving the VIP up and the other host's announcement: a planned move
costs clients 0.04 s in place of 0.2 to 0.9 s.

Run again it changes nothing, or replaces an older TO-PORT; other rules are left alone. nft is used if it
is there (a table of our own, replaced in one step), else iptables (or ip6tables).

Exit codes: 0 done, or nothing to do; 1 refused by the kernel (not root?); 2 wrong arguments; 3
neither nft nor iptables is there.
TEXT
}

EXIT_FAILED=1
EXIT_USAGE=2
EXIT_MISSING=3
COMMENT=coremux-vip

die() {
    printf 'vip-setup: %s\n' "$2" >&2
    exit "$1"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

is_port() {
    case $1 in
    '' | *[!0-9]* | ??????*) return 1 ;;
    esac
    [ "$1" -ge 1 ] && [ "$1" -le 65535 ]
}

tool=
remove=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0 ;;
    --with)
        tool=${2-}
        shift ;;
    --remove) remove=yes ;;
    -*)
        usage >&2
        exit "$EXIT_USAGE" ;;
    *) break ;;
    esac
    [ $# -eq 0 ] || shift
done
if [ $# -ne "$([ -n "$remove" ] && echo 2 || echo 3)" ]; then
    usage >&2
    exit "$EXIT_USAGE"
fi
vip=$1
port=$2
to_port=${3-1}
# It becomes part of a rule.
case $vip in
'' | *[!0-9A-Fa-f.:]*) die "$EXIT_USAGE" "not an IP address: $vip" ;;
esac
is_port "$port" || die "$EXIT_USAGE" "not a port: $port"
is_port "$to_port" || die "$EXIT_USAGE" "not a port: $to_port"

case $vip in
*:*) family=ip6 iptables=ip6tables ;;
*) family=ip iptables=iptables ;;
esac
if [ -z "$tool" ]; then
    if has nft; then tool=nft; else tool=iptables; fi
fi

# with_nft: a table for each VIP and port, so that several do not know of each other.
with_nft() {
    has nft || die "$EXIT_MISSING" "nft is missing: apt-get install nftables"
    table="coremux_vip_$(printf %s "$vip" | tr .: __)_$port"
    # One transaction: added so that deleting cannot fail, then made anew.
    rules="add table $family $table
delete table $family $table"
    if [ -z "$remove" ]; then
        rules="$rules
table $family $table {
    chain prerouting {
        type nat hook prerouting priority -100;
        $family daddr $vip tcp dport $port redirect to :$to_port
    }
    chain output {
        type nat hook output priority -100;
        $family daddr $vip tcp dport $port redirect to :$to_port
    }
}"
    fi
    printf '%s\n' "$rules" | nft -f - || die "$EXIT_FAILED" "nft refused the rules"
}

# rules_of CHAIN: our rules of this VIP and port, as arguments of -D.
rules_of() {
    "$iptables" -w -t nat -S "$1" |
        grep -F -e "-d $vip/" | grep -F -e "--dport $port " | grep -F -e "--comment $COMMENT" |
        sed 's/^-A //' || :
}

with_iptables() {
    has "$iptables" || die "$EXIT_MISSING" "$iptables is missing: apt-get install iptables"
    "$iptables" -w -t nat -S PREROUTING >/dev/null || die "$EXIT_FAILED" "$iptables refused"
    for chain in PREROUTING OUTPUT; do
        set -- -d "$vip" -p tcp --dport "$port" -m comment --comment "$COMMENT" \
            -j REDIRECT --to-ports "$to_port"
        # The new one first: at no moment is there none.
        if [ -z "$remove" ] && ! "$iptables" -w -t nat -C "$chain" "$@" 2>/dev/null; then
            "$iptables" -w -t nat -I "$chain" "$@" || die "$EXIT_FAILED" "$iptables refused the rule"
        fi
        rules_of "$chain" | while read -r rule; do
            case "$rule " in
            *"--to-ports $to_port "*) [ -n "$remove" ] || continue ;;
            esac
            # shellcheck disable=SC2086 # words on purpose
            "$iptables" -w -t nat -D $rule || die "$EXIT_FAILED" "$iptables refused to delete $rule"
        done
    done
}

case $tool in
nft) with_nft ;;
iptables) with_iptables ;;
*) die "$EXIT_USAGE" "--with takes nft or iptables" ;;
esac
