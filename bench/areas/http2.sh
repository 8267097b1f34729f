# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# http2.sh - HTTP/2 without TLS: the primary's 307 with one stream at a time on each connection, and
# with 32; a small answer of a real server behind the secondary. Beside it nginx with one worker.
area http2
nginx_config 1024 "upstream real { server 127.0.9.1:9000; keepalive 64; }
  server { listen 127.0.9.1:8103 http2 backlog=4096; http2_max_concurrent_streams 100;
    location / { return 307 http://s1.bench.test:8080\$request_uri; }
    location /real { proxy_pass http://real; proxy_http_version 1.1; proxy_set_header Connection ''; } }" >"$AREA/nginx.conf"
declare -A PID ADDRESS=([nginx]=127.0.9.1:8103 [stead]=127.0.9.11:8080)
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
HELPER_PIDS=$P
start nginx "$SRV_CPU" nginx -p "$AREA" -c "$AREA/nginx.conf"
PID[nginx]=$P
stead_config s1 127.0.9.11 127.0.9.1:9000 ''
start_stead s1 "$SRV_CPU"
PID[stead]=$P
await_http s1 307 www.bench.test:8080 "${ADDRESS[stead]}"
await nginx curl -s --http2-prior-knowledge "http://${ADDRESS[nginx]}/"
load() { # NAME CONNECTIONS STREAMS CLASS HOST PATH
    LOADED_PIDS=${PID[$subject]}
    measure "$subject/$1" req_s bench/h2load.sh "$SECS" "$2" "$3" "$4" "$5" "${ADDRESS[$subject]}" "$6"
}
round() {
    for subject in $(rotate nginx stead); do
        wanted "$subject" || continue
        load redirect-1 "$CONNS" 1 3 www.bench.test:8080 '/some/path?x=1'
        load redirect-32 8 32 3 www.bench.test:8080 '/some/path?x=1'
        load forward-1 "$CONNS" 1 2 s1.bench.test:8080 /real
    done
}
every_round
stop_all
report 'req_s|proc_us_per_op|load_busy_pct'
