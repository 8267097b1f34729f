# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# repl.sh - replication, through the nodes' doors for Redis's clients. "lag": how long a value that is
# SET at one server takes to be readable at another, beside redis primary and replica: stead with
# ack = 0 and copies on all nodes (as Redis, which does not wait for its replica), and with
# ack = all. "acked": SETs of 1,000 bytes at one node, each answered when two more have it; CPU time
# per write of the node that is written to, and of all three. Limit: ackmin, bare datagrams to two
# holders and their answers. The writer is on the server's core, all others on the loader's.
area repl
SAMPLES=${SAMPLES:-1500} # of a lag
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http

# repl_farm PREFIX ACK NET: three nodes 127.0.9.NET1..3 with copies on all of them.
repl_farm() {
    local i other
    for i in 1 2 3; do
        other=$(for j in 1 2 3; do [ $j = $i ] || printf '"127.0.9.%s%s" ' "$3" $j; done)
        stead_config "$1$i" "127.0.9.$3$i" 127.0.9.1:9000 "${other% }"
        sed -i -e "s/\" \"/\", \"/" \
            -e "s|^sessions {|&\n    kind \"app\" { copies = \"all\" ack = \"$2\" when-alone = \"accept\" }|" "$AREA/$1$i.conf"
        echo "redis { listen = \"127.0.9.$3$i:7303\" }" >>"$AREA/$1$i.conf"
    done
    start_stead "${1}2" "$LOAD_CPU"
    OTHERS=$P
    start_stead "${1}3" "$LOAD_CPU"
    OTHERS="$OTHERS $P"
    start_stead "${1}1" "$SRV_CPU"
    WRITER=$P
    for i in 1 2 3; do
        await "$1$i" "$BIN/cacheload" -c 1 -t 0.01 -g 0 "127.0.9.$3$i:7303" resp
    done
}
redis_start() { # NAME CPU ADDRESS MORE...
    local name=$1 cpu=$2 address=$3
    shift 3
    start "$name" "$cpu" redis-server --bind "$address" --port 7303 --save '' --appendonly no --dir "$AREA" \
        --maxmemory 512mb --maxmemory-policy allkeys-lru --protected-mode no \
        --repl-diskless-sync yes --repl-diskless-sync-delay 0 "$@"
    await "$name" "$BIN/cacheload" -c 1 -t 0.01 -g 100 "$address:7303" resp
}
redis_start redis1 "$SRV_CPU" 127.0.9.51
REDIS=$P
redis_start redis2 "$LOAD_CPU" 127.0.9.52 --replicaof 127.0.9.51 7303
REPLICAS=$P
redis_start redis3 "$LOAD_CPU" 127.0.9.53 --replicaof 127.0.9.51 7303
REPLICAS="$REPLICAS $P"
# shellcheck disable=SC2016 # the inner shell's
await redis2 sh -c '[ "$(redis-cli -h 127.0.9.51 -p 7303 info replication | grep -c state=online)" = 2 ]'
repl_farm a 0 2
ASYNC=$WRITER ASYNC_OTHERS=$OTHERS
repl_farm s all 3
SYNC=$WRITER SYNC_OTHERS=$OTHERS
for i in 2 3; do
    start hold$i "$LOAD_CPU" "$BIN/ackmin" hold 127.0.9.6$i:7400
    HOLDERS="${HOLDERS:-} $P"
done

declare -A PID=([redis]=$REDIS [stead]=$SYNC [stead-async]=$ASYNC)
declare -A OTHER=([redis]=$REPLICAS [stead]=$SYNC_OTHERS [stead-async]=$ASYNC_OTHERS)
declare -A DOOR=([redis]=127.0.9.51:7303 [stead]=127.0.9.31:7303 [stead-async]=127.0.9.21:7303)
declare -A READER=([redis]=127.0.9.52:7303 [stead]=127.0.9.32:7303 [stead-async]=127.0.9.22:7303)

lag() { # NAME ADDRESS ADDRESS: no rate, so not by measure
    quiet || log "the machine is not quiet before $1"
    timeout 60 taskset -c "$LOAD_CPU" "$BIN/repllag" -n "$SAMPLES" "$2" "$3" >"$AREA/lag.out" ||
        log "repllag failed"
    sed "s|^|$ROUND $1 |" "$AREA/lag.out" >>"$RAW"
}
acked() { # NAME WRITER OTHERS RATE COMMAND...
    local name=$1 others=$3 rate=$4 before after
    LOADED_PIDS=$2 HELPER_PIDS=$others
    shift 4
    # shellcheck disable=SC2086 # lists of process ids
    before=$(cpu_ns $others)
    measure "$name" "$rate" "$@"
    # shellcheck disable=SC2086
    after=$(cpu_ns $others)
    emit "$name" others_us_per_op "$(awk -v ns=$((after - before)) -v rate="$rate" -v secs="$SECS" \
        '$1 == rate && $2 > 0 { print ns / 1e3 / ($2 * secs) }' "$AREA/load.out")"
}
round() {
    local subject
    for subject in $(rotate limit redis stead stead-async); do
        wanted "$subject" || continue
        if [ "$subject" = limit ]; then
            acked limit/acked-1k "" "$HOLDERS" writes_s \
                taskset -c "$SRV_CPU" "$BIN/ackmin" write -w 64 -t "$SECS" 127.0.9.62:7400 127.0.9.63:7400
            # It runs for a load's time only, so its own CPU time is the writer's.
            emit limit/acked-1k proc_us_per_op "$(awk -v rate="$(awk '$1 == "writes_s" { print $2 }' "$AREA/load.out")" \
                -v secs="$SECS" '{ if (rate > 0) print ($1 + $2) * 1e6 / (rate * secs) }' "$AREA/load.time")"
        else
            lag "$subject/lag" "${DOOR[$subject]}" "${READER[$subject]}"
            acked "$subject/acked-1k" "${PID[$subject]}" "${OTHER[$subject]}" ops_s \
                "$BIN/cacheload" -b 1000 -c 64 -d 1 -g 0 -t "$SECS" "${DOOR[$subject]}" resp
        fi
    done
}
every_round
stop_all
report 'ops_s|writes_s|proc_us_per_op|others_us_per_op|sent_.*|acked_.*|get_p50_us|errors|lost'
