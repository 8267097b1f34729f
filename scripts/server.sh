#!/usr/bin/env bash
# One server of an example farm: its node, and its shop where it has one.
# usage: server.sh start|stop|pids NAME [EXAMPLE_DIR [BUILD_DIR]]
#   start   starts what does not run, and waits until it is ready (15 s at most)
#   stop    SIGTERM, so that the node hands its sessions over; SIGKILL after 25 s
#   pids    the process ids of what runs
# Its processes are known by run/NAME.node.pid and run/NAME.shop.pid, and their output is in
# run/NAME.node.log and run/NAME.shop.log. scripts/run-farm.sh uses the functions below.

START_S=${START_S:-15}
STOP_S=${STOP_S:-25}

# value FILE SECTION KEY: of a section that stands on one line, or of a line within any section.
value() {
    local line="^[[:space:]]*$3[[:space:]]*=[[:space:]]*\"\([^\"]*\)\".*"
    [ -z "$2" ] || line="^$2[[:space:]]*{.*[[:space:]]$3[[:space:]]*=[[:space:]]*\"\([^\"]*\)\".*"
    sed -n "s/$line/\1/p" "$1" | head -1
}
conf_of() { echo "$example/$1.conf"; }
has_shop() { grep -q '^server ' "$(conf_of "$1")"; }
forward_of() { value "$(conf_of "$1")" '' forward; }
socket_of() { sed -n 's/.*listen[[:space:]]*=[[:space:]]*"unix:\([^"]*\)".*/\1/p' "$(conf_of "$1")" | head -1; }
domain() { value "$example/services.conf" '' name | sed 's/^[^.]*\.//'; }

# alive SERVER PART: prints the process id when that very program runs under it.
alive() {
    local pid exe program=$build/stead
    [ "$2" = shop ] && program=$build/shop
    pid=$(cat "$example/run/$1.$2.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 1
    [ "${exe% (deleted)}" = "$(realpath "$program")" ] || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$example/" || return 1
    echo "$pid"
}

# launch SERVER PART COMMAND...: in a session of its own, so that a terminal's Ctrl-C does not reach it.
launch() {
    local pidfile=$example/run/$1.$2.pid log=$example/run/$1.$2.log
    shift 2
    rm -f "$pidfile"
    # shellcheck disable=SC2016
    setsid bash -c 'echo $$ >"$0"; exec "$@"' "$pidfile" "$@" >>"$log" 2>&1 </dev/null 9>&- &
    disown # no word from bash when it is killed
    for _ in $(seq 100); do
        [ -s "$pidfile" ] && return
        sleep 0.05
    done
}

start_server() { # SERVER: without waiting
    mkdir -p "$example/run"
    chmod 700 "$example/run"
    alive "$1" node >/dev/null || launch "$1" node "$build/stead" run -c "$(conf_of "$1")"
    has_shop "$1" || return 0
    alive "$1" shop >/dev/null || launch "$1" shop "$build/shop" --listen "$(forward_of "$1")" \
        --node "unix:$example/$(socket_of "$1")" --server "$1" --domain "$(domain)"
}

says_ok() { curl -sf --noproxy '*' -m 2 -o /dev/null "http://$1"; }

# seen_up SERVER: is it up as every node that runs sees it?
seen_up() {
    local conf name
    for conf in "$example"/*.conf; do
        name=$(basename "$conf" .conf)
        if [ "$name" = services ] || ! alive "$name" node >/dev/null; then continue; fi
        "$build/stead" roster -c "$conf" 2>/dev/null |
            awk -v s="$1" '$1 == s && $3 == "up" { up = 1 } END { exit !up }' || return 1
    done
}

wait_server() { # SERVER: until the node is ready, the shop healthy, and all know it; says what is not
    local missing='' end=$((SECONDS + START_S)) admin
    admin=$(value "$(conf_of "$1")" admin listen)
    while [ $SECONDS -le $end ]; do
        # Only if it is ours that answers: another farm may have the addresses.
        missing=node
        alive "$1" node >/dev/null || break
        if has_shop "$1"; then
            missing=shop
            alive "$1" shop >/dev/null || break
        fi
        missing=''
        says_ok "$admin/readyz" || missing=node
        if has_shop "$1"; then says_ok "$(forward_of "$1")/health" || missing=${missing:-shop}; fi
        if [ -z "$missing" ] && has_shop "$1"; then seen_up "$1" || missing=node; fi
        [ -z "$missing" ] && return
        sleep 0.1
    done
    echo "$1: its $missing is not ready; the end of $example/run/$1.$missing.log:" >&2
    tail -3 "$example/run/$1.$missing.log" >&2
    return 1
}

signal_part() { # SERVER PART SIGNAL
    local pid
    pid=$(alive "$1" "$2") && kill "-$3" "$pid" 2>/dev/null
}

# stop_part PART SERVER...: all of them at once. SIGTERM, waits, SIGKILL.
stop_part() {
    local part=$1 server end=$((SECONDS + STOP_S)) left
    shift
    for server; do signal_part "$server" "$part" TERM; done
    while :; do
        left=''
        for server; do alive "$server" "$part" >/dev/null && left="$left $server"; done
        [ -z "$left" ] && return
        [ $SECONDS -lt $end ] || break
        sleep 0.1
    done
    for server in $left; do
        echo "$server: its $part does not stop; it is killed" >&2
        signal_part "$server" "$part" KILL
    done
    return 0
}

# The node first: it gives its sessions and its clients away while the shop still answers.
stop_servers() {
    stop_part node "$@"
    stop_part shop "$@"
}

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

main() {
    set -uo pipefail
    local here
    here=$(dirname "${BASH_SOURCE[0]}")/..
    if [ $# -lt 2 ] || [ $# -gt 4 ]; then usage; fi
    local verb=$1 server=$2
    example=${3:-$here/examples/loopback} build=${4:-$here/build}
    example=$(realpath -m "$example") build=$(realpath -m "$build")
    [ -f "$(conf_of "$server")" ] || { echo "there is no $(conf_of "$server")" >&2; exit 2; }
    case $verb in
    start) start_server "$server" && wait_server "$server" && echo "$server is ready" ;;
    stop) stop_servers "$server" && echo "$server is stopped" ;;
    pids) alive "$server" node; alive "$server" shop; return 0 ;;
    *) usage ;;
    esac
}

[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
