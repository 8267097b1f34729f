# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# sessions.sh - acknowledged writes (PATCH, 200 bytes) through the session API's unix socket, on a
# farm of three nodes, every record with a copy on another node before the answer. The node asked is
# on the server's core; the others share the loader's. Limit: a unix socket that answers as many
# bytes at once, without looking at anything.
area sessions
real=127.0.9.1:9000
start real "$LOAD_CPU" "$BIN/nullsrv" "$real" http
stead_config s1 127.0.9.11 "$real" '"127.0.9.12", "127.0.9.13"'
stead_config s2 127.0.9.12 "$real" '"127.0.9.11", "127.0.9.13"'
stead_config s3 127.0.9.13 "$real" '"127.0.9.11", "127.0.9.12"'
start_stead s1 "$SRV_CPU"
stead_pid=$P
start_stead s2 "$LOAD_CPU"
farm_pids=$P
start_stead s3 "$LOAD_CPU"
farm_pids="$farm_pids $P"
node=unix:$AREA/s1.sock
await s1 "$BIN/sessload" -c 1 -n 1 -t 0.01 -k purchase "$node"
bytes=$("$BIN/sessload" -c 1 -n 1 -t 0.01 -k purchase "$node" | awk '$1 == "answer_bytes" { print $2 }')
start null "$SRV_CPU" "$BIN/nullsrv" "unix:$AREA/null.sock" session "$bytes"
null_pid=$P
await null test -S "$AREA/null.sock"
round() {
    for subject in $(rotate limit stead); do
        wanted "$subject" || continue
        for conns in 1 16 64; do
            load=(-c "$conns" -n 4 -t "$SECS" -k purchase)
            LOADED_PIDS=$null_pid HELPER_PIDS=''
            if [ "$subject" = stead ]; then
                LOADED_PIDS=$stead_pid HELPER_PIDS=$farm_pids
                load+=("$node")
            else
                load+=("unix:$AREA/null.sock")
            fi
            measure "$subject/patch-$conns" writes_s "$BIN/sessload" "${load[@]}"
        done
    done
}
every_round
# What was acknowledged by one node is read back through another.
if wanted stead; then
    "$BIN/sessload" -c 16 -n 16 -t 0.3 -k purchase -r "unix:$AREA/s2.sock" "$node" >"$AREA/verify.txt" ||
        fail "an acknowledged write is not there: $(cat "$AREA/verify.txt")"
    echo "# $(awk '$1 == "verified" { print $2 }' "$AREA/verify.txt") sessions read back through another node"
fi
stop_all
report 'writes_s|proc_us_per_op|p50_us|p99_us|load_busy_pct'
