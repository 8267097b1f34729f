# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# redirect.sh - the primary virtual server: 307 to a server's own URL, over kept connections and with
# one for each request. Beside it HAProxy and nginx, each with one thread and no log. Limit: nullsrv.
area redirect
cat >"$AREA/haproxy.cfg" <<C
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend f
  bind 127.0.9.1:8102
  http-request redirect prefix http://s1.bench.test:8080 code 307
C
nginx_config 1024 "server { listen 127.0.9.1:8103 backlog=4096;
    location / { return 307 http://s1.bench.test:8080\$request_uri; } }" >"$AREA/nginx.conf"
declare -A PID ADDRESS=([limit/keep]=127.0.9.1:8100 [limit/close]=127.0.9.1:8101
    [haproxy/keep]=127.0.9.1:8102 [nginx/keep]=127.0.9.1:8103 [stead/keep]=127.0.9.11:8080)
start null "$SRV_CPU" "$BIN/nullsrv" "${ADDRESS[limit/keep]}" redirect
PID[limit/keep]=$P
start null-close "$SRV_CPU" "$BIN/nullsrv" "${ADDRESS[limit/close]}" redirect-close
PID[limit/close]=$P
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
HELPER_PIDS=$P
start haproxy "$SRV_CPU" haproxy -db -f "$AREA/haproxy.cfg"
PID[haproxy/keep]=$P
start nginx "$SRV_CPU" nginx -p "$AREA" -c "$AREA/nginx.conf"
PID[nginx/keep]=$P
stead_config s1 127.0.9.11 127.0.9.1:9000 ''
start_stead s1 "$SRV_CPU"
PID[stead/keep]=$P
await_http null 307 www.bench.test "${ADDRESS[limit/keep]}"
await_http haproxy 307 www.bench.test "${ADDRESS[haproxy/keep]}"
await_http nginx 307 www.bench.test "${ADDRESS[nginx/keep]}"
await_http s1 307 www.bench.test:8080 "${ADDRESS[stead/keep]}"
round() {
    for subject in $(rotate limit haproxy nginx stead); do
        wanted "$subject" || continue
        for load in keep close; do
            name=$subject/$load
            LOADED_PIDS=${PID[$name]:-${PID[$subject/keep]}}
            measure "$name" req_s "$BIN/httpload" -c "$CONNS" -t "$SECS" -s 307 -H www.bench.test:8080 \
                -k "$([ $load = keep ] && echo yes || echo no)" \
                "${ADDRESS[$name]:-${ADDRESS[$subject/keep]}}" '/some/path?x=1'
        done
    done
}
every_round
stop_all
report 'req_s|proc_us_per_op|p99_us|load_busy_pct'
