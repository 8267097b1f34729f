# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# repl.sh - replication, through the nodes' doors for Redis's clients. "lag": how long a value that is
# SET at one server takes to be readable at another, beside redis primary and replica: stead with
# ack = 0 and copies on all nodes (as Redis, which does not wait for its replica), and with
# ack = all. "acked": SETs of 1,000 bytes at one node, each answered when two more have it; CPU time
# per write of the node that is written to, and of all three. Limit: ackmin, bare datagrams to two
# holders and their answers. The writer is on the server's core, all others on the loader's.
area repl
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
await redis2 sh -c '[ "$(redis-cli -h 127.0.9.51 -p 7303 info replication | grep -c state=online)" = 2 ]'
repl_farm a 0 2
ASYNC=$WRITER ASYNC_OTHERS=$OTHERS
repl_farm s all 3
SYNC=$WRITER SYNC_OTHERS=$OTHERS
for i in 2 3; do
    start hold$i "$LOAD_CPU" "$BIN/ackmin" hold 127.0.9.6$i:7400
    HOLDERS="${HOLDERS:-} $P"
done

lag() { # NAME ADDRESS ADDRESS: no rate, so not by measure
    quiet || log "the machine is not quiet before $1"
    timeout 60 taskset -c "$LOAD_CPU" "$BIN/repllag" -n $((SECS * 1500 > 300 ? SECS * 1500 : 300)) "$2" "$3" >"$AREA/lag.out" || log "repllag failed"
    sed "s|^|$ROUND $1 |" "$AREA/lag.out" >>"$RAW"
}
acked() { # SUBJECT WRITER OTHERS COMMAND...
    local name=$1 writer=$2 others=$3 before after
    shift 3
    LOADED_PIDS=$writer HELPER_PIDS=$others
    before=$(cpu_ns $others)
    measure "$name" "$RATE" "$@"
    after=$(cpu_ns $others)
    emit "$name" others_us_per_op "$(awk -v ns=$((after - before)) -v rate="$RATE" -v secs="$SECS" \
        '$1 == rate && $2 > 0 { print ns / 1e3 / ($2 * secs) }' "$AREA/load.out")"
}
round() {
    local subject
    for subject in $(rotate limit redis stead stead-async); do
        wanted "$subject" || continue
        case $subject in
        limit)
            RATE=writes_s
            taskset -c "$SRV_CPU" true
            acked limit/acked-1k "" "$HOLDERS" taskset -c "$SRV_CPU" "$BIN/ackmin" write -w 64 -t "$SECS" 127.0.9.62:7400 127.0.9.63:7400
            emit limit/acked-1k proc_us_per_op "$(awk -v rate="$(awk '$1 == "writes_s" { print $2 }' "$AREA/load.out")" -v secs="$SECS" \
                '{ if (rate > 0) print ($1 + $2) * 1e6 / (rate * secs) }' "$AREA/load.time")" ;;
        redis)
            RATE=ops_s
            lag redis/lag 127.0.9.51:7303 127.0.9.52:7303
            acked redis/acked-1k "$REDIS" "$REPLICAS" "$BIN/cacheload" -b 1000 -c 64 -d 1 -g 0 -t "$SECS" 127.0.9.51:7303 resp ;;
        stead)
            RATE=ops_s
            lag stead/lag 127.0.9.31:7303 127.0.9.32:7303
            acked stead/acked-1k "$SYNC" "$SYNC_OTHERS" "$BIN/cacheload" -b 1000 -c 64 -d 1 -g 0 -t "$SECS" 127.0.9.31:7303 resp ;;
        stead-async)
            RATE=ops_s
            lag stead-async/lag 127.0.9.21:7303 127.0.9.22:7303
            acked stead-async/acked-1k "$ASYNC" "$ASYNC_OTHERS" "$BIN/cacheload" -b 1000 -c 64 -d 1 -g 0 -t "$SECS" 127.0.9.21:7303 resp ;;
        esac
    done
}
every_round
stop_all
report 'ops_s|writes_s|proc_us_per_op|others_us_per_op|sent_.*|acked_.*|get_p50_us|errors|lost'
