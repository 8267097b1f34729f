# shellcheck shell=bash disable=SC2034
# lib.sh - what the areas share: starting and stopping servers, measuring a load, the report.
# Sourced by run.sh, which sets BUILD and TMP. Settings, from the environment:
ROUNDS=${ROUNDS:-3}           # alternated rounds: every subject is loaded once in each
SECS=${SECS:-1}               # seconds of a load
SRV_CPU=${SRV_CPU:-0}         # core of the server that is measured
LOAD_CPU=${LOAD_CPU:-1}       # core of the loader, of real servers and of further nodes
CONNS=${CONNS:-64}            # connections of the HTTP loads
ONLY=${ONLY:-}                # only these subjects, separated by spaces
MAX_FOREIGN=${MAX_FOREIGN:-15} # percent of a core; see measure
QUIET_WAIT=${QUIET_WAIT:-10}  # wait so many seconds at most for quiet cores
REST=${REST:-0}               # seconds between rounds that others may have the machine
ALL=${ALL:-}                  # not empty: print every metric

BIN=$BUILD/bench
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PIDS=() ROUND=0 LOADED_PIDS='' HELPER_PIDS='' P=''

log() { printf '# %s\n' "$*" >&2; }
fail() { log "$@"; exit 1; }

# area NAME: a fresh folder for an area's files; what was started is stopped when the (sub)shell ends.
area() {
    AREA=$TMP/$1
    RAW=$AREA/raw.txt
    mkdir -p "$AREA"
    : >"$RAW"
    trap stop_all EXIT
    trap 'exit 130' INT TERM
}

# start NAME CPU COMMAND...: in the background on a core; its process id becomes $P.
start() {
    local name=$1 cpu=$2
    shift 2
    taskset -c "$cpu" "$@" >"$AREA/$name.log" 2>&1 </dev/null &
    P=$!
    PIDS+=("$P")
}

stop() { # ask, then insist
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$1" 2>/dev/null
}

stop_all() {
    local p
    for p in "${PIDS[@]}"; do stop "$p"; done
    PIDS=()
}

# await NAME COMMAND...: until the command succeeds, 10 s at most.
await() {
    local name=$1
    shift
    for _ in $(seq 100); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    tail -5 "$AREA/$name.log" >&2
    fail "$name does not come up"
}

await_http() { await "$1" "$BIN/httpload" -c 1 -t 0.01 -s "$2" -H "$3" "$4" /; } # NAME STATUS HOST ADDRESS

tree() { # a process and its descendants
    local child children
    echo "$1"
    read -ra children < <(cat /proc/"$1"/task/*/children 2>/dev/null)
    for child in "${children[@]}"; do tree "$child"; done
}

# CPU time of processes, their threads and descendants, in ns. The scheduler's own count, not ticks.
cpu_ns() {
    local root p task used sum=0
    for root in "$@"; do
        for p in $(tree "$root"); do
            for task in /proc/"$p"/task/*/schedstat; do
                { read -r used _ <"$task"; } 2>/dev/null && sum=$((sum + used))
            done
        done
    done
    echo "$sum"
}

# "busy total" ticks of the server's core, then of the loader's.
ticks() {
    awk -v s="cpu$SRV_CPU" -v l="cpu$LOAD_CPU" '$1 == s || $1 == l {
        busy[$1] = $2 + $3 + $4 + $7 + $8; all[$1] = busy[$1] + $5 + $6 + $9 }
        END { print busy[s], all[s], busy[l], all[l] }' /proc/stat
}

# Waits until both cores are at least 85 % idle: the machine may be shared.
quiet() {
    local a b
    for _ in $(seq $((QUIET_WAIT * 2))); do
        a=$(ticks) && sleep 0.4 && b=$(ticks)
        echo "$a $b" | awk '{ exit !($5 - $1 <= 6 && $7 - $3 <= 6) }' && return 0
        sleep 0.1
    done
    return 1
}

emit() { printf '%s %s %s %s\n' "$ROUND" "$1" "$2" "$3" >>"$RAW"; } # SUBJECT/LOAD METRIC VALUE
wanted() { [ -z "$ONLY" ] || [[ " $ONLY " == *" $1 "* ]]; }

# rotate ITEM...: the items, beginning with another one in each round.
rotate() {
    local k=$((ROUND % $#))
    echo "${@:k+1}" "${@:1:k}"
}

# every_round: for each round, from 1 on, the function `round` that an area defines.
every_round() {
    for ROUND in $(seq "$ROUNDS"); do
        [ "$ROUND" = 1 ] || sleep "$REST"
        round
    done
}

# measure SUBJECT/LOAD RATE COMMAND...: runs a load on the loader's core. The command prints lines
# "metric value"; RATE names the one that is operations per second. LOADED_PIDS are the processes
# measured, HELPER_PIDS others that belong to the run. Added to the metrics:
#   proc_us_per_op  CPU time of the measured processes per operation: holds where the loader is the
#                   bottleneck, and repeats where the rate does not
#   load_busy_pct   of the loader's core: near 100, the rate says little
#   foreign_pct     CPU of nobody here, in percent of one core. Above MAX_FOREIGN the load is
#                   repeated, twice at most; a round that stays above it does not count.
measure() {
    local name=$1 rate=$2 try status=0 c0 c1 h0 h1 t0 t1 before after foreign
    shift 2
    for try in 1 2 3; do
        quiet || log "the machine is not quiet before $name"
        # shellcheck disable=SC2086 # lists of process ids
        c0=$(cpu_ns $LOADED_PIDS) h0=$(cpu_ns $HELPER_PIDS $KSOFTIRQD) before=$(ticks) t0=$(date +%s%N)
        { TIMEFORMAT='%U %S'; time timeout 30 taskset -c "$LOAD_CPU" "$@" >"$AREA/load.out" 2>"$AREA/load.err"; } 2>"$AREA/load.time"
        status=$?
        t1=$(date +%s%N) after=$(ticks)
        # shellcheck disable=SC2086
        c1=$(cpu_ns $LOADED_PIDS) h1=$(cpu_ns $HELPER_PIDS $KSOFTIRQD)
        foreign=$(echo "$before $after $(cat "$AREA/load.time")" |
            awk -v ours=$((c1 - c0 + h1 - h0)) -v ns=$((t1 - t0)) '{
                printf "%.1f", ($5 - $1 + $7 - $3 - ($9 + $10) * 100 - ours / 1e7) / (ns / 1e9) }')
        awk -v f="$foreign" -v m="$MAX_FOREIGN" 'BEGIN { exit !(f <= m) }' && break
        [ "$try" = 3 ] || echo "# discarded: round $ROUND $name foreign $foreign" >>"$RAW"
    done
    [ "$status" = 0 ] || log "load failed: $name: $(tail -1 "$AREA/load.err")"
    sed "s|^|$ROUND $name |" "$AREA/load.out" >>"$RAW"
    emit "$name" foreign_pct "$foreign"
    emit "$name" failed "$status"
    emit "$name" load_busy_pct "$(echo "$before $after" | awk '{ printf "%.0f", 100 * ($7 - $3) / ($8 - $4 + 0.001) }')"
    emit "$name" proc_us_per_op "$(awk -v rate="$rate" -v ns=$((c1 - c0)) -v wall=$((t1 - t0)) '
        $1 == rate && $2 > 0 { v = ns / wall * 1e6 / $2 } END { printf "%.3f", v }' "$AREA/load.out")"
}

# The kernel's threads that finish others' network work belong to the run, not to strangers.
KSOFTIRQD=$(for p in /proc/[0-9]*; do
    { read -r name <"$p/comm"; } 2>/dev/null && [[ $name == ksoftirqd/* ]] && printf '%s ' "${p#/proc/}"
done)

# report METRICS: the table of an area. METRICS is a regular expression of those to show.
report() {
    local shown=$1
    [ -n "$ALL" ] && shown='.*'
    awk -v max="$MAX_FOREIGN" -v shown="^($shown)\$" -f "$HERE/summary.awk" "$RAW"
    local discarded
    discarded=$(grep -c '^# discarded' "$RAW")
    [ "$discarded" = 0 ] || echo "# $discarded loads repeated for foreign load"
}

# nginx_config CONNECTIONS SERVERS: a configuration for one worker without root's files.
nginx_config() {
    [ "$(id -u)" = 0 ] && echo "user root;"
    cat <<C
worker_processes 1;
daemon off;
pid $AREA/nginx.pid;
error_log $AREA/nginx-error.log warn;
events { worker_connections $1; multi_accept on; }
http { access_log off; server_tokens off; tcp_nodelay on;
  keepalive_requests 100000000; keepalive_timeout 60;
  client_body_temp_path $AREA/nginx-body; proxy_temp_path $AREA/nginx-proxy;
  fastcgi_temp_path $AREA/nginx-f; uwsgi_temp_path $AREA/nginx-u; scgi_temp_path $AREA/nginx-s;
  $2
}
C
}

# stead_config NAME ADDRESS FORWARD JOIN: a node's configuration in $AREA/NAME.conf.
stead_config() {
    local name=$1 address=$2 forward=$3 join=$4
    [ -f "$AREA/farm.key" ] || "$BUILD/stead" keygen "$AREA/farm.key" >/dev/null || fail "stead keygen failed"
    cat >"$AREA/$name.conf" <<C
farm     = "bench"
key-file = "$AREA/farm.key"
state    = "$AREA/$name"
workers  = 1
log-level = "warn"
service "shop" {
    name   = "www.bench.test"
    url    = "http://www.bench.test:8080"
    policy = "two-choices"
}
node "$name" {
    address = "$address"
    join    = {$join}
    join-wait = "200ms"
    leave-wait = "0s"
}
server "shop" {
    urls    = {"http://$name.bench.test:8080"}
    forward = "$forward"
    check { type = "tcp" interval = "1s" }
}
sessions {
    listen = "unix:$AREA/$name.sock"
    kind "purchase" { copies = 2 when-alone = "refuse" }
}
public { listen = "$address:8080" }
dns    { listen = "$address:5300" ttl = 60 }
C
}

# start_stead NAME CPU
start_stead() { start "$1" "$2" "$BUILD/stead" run -c "$AREA/$1.conf"; }
