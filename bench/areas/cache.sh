# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# cache.sh - the doors for clients of memcached and Redis: GET and SET of 200-byte values, 10,000
# keys, 50 connections, one request at a time and in pipelines of 32. One node alone, one worker
# (WORKERS). Beside it memcached and redis-server with one thread. Limit: cachemin.
area cache
real=127.0.9.1:9000
start real "$LOAD_CPU" "$BIN/nullsrv" "$real" http
stead_config s1 127.0.9.11 "$real" ''
cat >>"$AREA/s1.conf" <<C
memcached { listen = "127.0.9.11:7302" }
redis { listen = "127.0.9.11:7303" }
C
sed -i "s/^workers .*/workers = ${WORKERS:-1}/; s/kind \"purchase\"/kind \"app\" { when-alone = \"accept\" }\n    &/" "$AREA/s1.conf"
declare -A PID ADDRESS=([limit-memcache]=127.0.9.1:7300 [limit-resp]=127.0.9.1:7301
    [memcached-memcache]=127.0.9.1:7302 [redis-resp]=127.0.9.1:7303
    [stead-memcache]=127.0.9.11:7302 [stead-resp]=127.0.9.11:7303)
for form in memcache resp; do
    start "limit-$form" "$SRV_CPU" "$BIN/cachemin" "${ADDRESS[limit-$form]}" "$form"
    PID[limit-$form]=$P
done
start memcached-memcache "$SRV_CPU" memcached -u "$(id -un)" -l 127.0.9.1 -p 7302 -U 0 -t 1 -m 512 -c 4096 -R 64
PID[memcached-memcache]=$P
start redis-resp "$SRV_CPU" redis-server --bind 127.0.9.1 --port 7303 --save '' --appendonly no --dir "$AREA" \
    --maxmemory 512mb --maxmemory-policy allkeys-lru --protected-mode no
PID[redis-resp]=$P
start_stead s1 "$SRV_CPU"
PID[stead-memcache]=$P PID[stead-resp]=$P
for which in "${!ADDRESS[@]}"; do
    await "${which/stead-*/s1}" "$BIN/cacheload" -c 1 -d 32 -t 0.01 -F "${ADDRESS[$which]}" "${which#*-}"
done
round() {
    for which in $(rotate limit-resp redis-resp stead-resp limit-memcache memcached-memcache stead-memcache); do
        subject=${which%-*} form=${which#*-}
        wanted "$subject" || continue
        LOADED_PIDS=${PID[$which]}
        for depth in 1 32; do
            for get in 100 0; do
                what=$([ "$get" = 100 ] && echo get || echo set)
                measure "$subject/$form-$what-$depth" ops_s "$BIN/cacheload" -c 50 -d "$depth" -g "$get" -t "$SECS" \
                    "${ADDRESS[$which]}" "$form"
            done
        done
    done
}
every_round
stop_all
report 'ops_s|proc_us_per_op|p50_us|p99_us'
