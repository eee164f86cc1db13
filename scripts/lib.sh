# What the scripts beside this file share: words, packages, ports, waiting.
#
# Sourced by them, not run: `. "$root/scripts/lib.sh"`. Expects `set -eu` and $name, the script's
# name. Nothing here starts a process that outlives its call.
# shellcheck shell=sh disable=SC2034,SC2154 # these names are for, and from, the scripts

# Exit codes, the same in every script.
EXIT_FAILED=1  # something was tried and was not as it should be
EXIT_USAGE=2   # wrong arguments
EXIT_MISSING=3 # cannot even begin: a program or a port cannot be had

# Where cargo looks for who may be trusted.
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

# say TEXT: to the user, on stderr, so that stdout has only results.
say() {
    printf '%s: %s\n' "$name" "$1" >&2
}

# die EXIT_CODE TEXT
die() {
    say "$2"
    exit "$1"
}

# has PROGRAM
has() {
    command -v "$1" >/dev/null 2>&1
}

# install_missing PROGRAM=PACKAGE[,PACKAGE]...: installs the packages of those programs that are
# not in PATH (or, with a slash, not there), with apt-get, through sudo when not root.
install_missing() {
    packages=
    for pair in "$@"; do
        case $pair in
        /*) [ ! -e "${pair%%=*}" ] || continue ;;
        esac
        ! has "${pair%%=*}" || continue
        for package in $(printf '%s' "${pair#*=}" | tr ',' ' '); do
            case "$packages " in
            *" $package "*) ;;
            *) packages="$packages $package" ;;
            esac
        done
    done
    [ -n "$packages" ] || return 0
    command="apt-get install -y --no-install-recommends$packages"
    has apt-get || die "$EXIT_MISSING" "missing, and there is no apt-get here:$packages"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || die "$EXIT_MISSING" "missing packages; as root: $command"
        as_root=sudo
    fi
    say "installing$packages"
    # Lists may be old or, in a container, absent; a mirror that is away is told by the install.
    $as_root apt-get update -qq >&2 || say "apt-get update failed, trying with the lists there are"
    # shellcheck disable=SC2086 # words on purpose; `env`, because sudo clears the environment
    $as_root env DEBIAN_FRONTEND=noninteractive $command >&2 ||
        die "$EXIT_MISSING" "could not install$packages"
    case $packages in
    *redis-server*)
        say "note: where systemd runs, Debian has now started a Redis of its own on port 6379; it is not used here" ;;
    esac
}

# need_rust: a toolchain is not ours to choose.
need_rust() {
    has cargo && return
    # A fresh rustup is not in the PATH of the shell that installed it.
    # A service or a CI may have no HOME; cargo itself asks then who the user is.
    cargo_home=${CARGO_HOME:-${HOME:-$(getent passwd "$(id -u)" | cut -d : -f 6)}/.cargo}
    if [ -x "$cargo_home/bin/cargo" ]; then
        PATH="$cargo_home/bin:$PATH"
        export PATH
        return
    fi
    die "$EXIT_MISSING" "cargo is missing; a Rust toolchain (see rust-version in Cargo.toml) comes from https://rustup.rs"
}

# is_taken PORT: whether somebody listens on this TCP port, on any address of this host.
is_taken() {
    # Fields: number, local address (address:port, hexadecimal), remote address, state (0A listens).
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port=":$(printf '%04X' "$1")\$" '$4 == "0A" && $2 ~ port { found = 1 } END { exit !found }'
}

# holder PORT: ` (program, pid N)` of whoever listens there, as far as one may know.
holder() {
    has ss || return 0
    ss -Hltnp "sport = :$1" 2>/dev/null |
        sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ (\1, pid \2)/p' | head -n 1
}

# need_port PORT WHAT_FOR
need_port() {
    is_taken "$1" || return 0
    die "$EXIT_MISSING" "port $1, for $2, is taken$(holder "$1"); stop whoever listens there, or choose other ports: see -h"
}

# wait_for SECONDS COMMAND...: polls until the command succeeds; fails when the time is over.
wait_for() {
    deadline=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

# target_dir: where cargo puts what it builds.
target_dir() {
    printf '%s' "${CARGO_TARGET_DIR:-$root/target}"
}
