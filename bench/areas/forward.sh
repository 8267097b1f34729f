# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# forward.sh - the secondary virtual server before a real server (nullsrv, on the loader's core): a
# small answer over kept connections, and 10 MiB objects. Beside it HAProxy and nginx as HTTP
# proxies, each with one thread, no log and kept connections behind; and HAProxy as a TCP relay,
# tuned for big transfers, to which MODE=tunnel compares: then stead's secondary looks at the first
# request of a connection and relays from then on; and stead's listener for services that are not
# HTTP (stead-tcp). Limit: a bare relay (fwdmin) that copies.
area forward
cat >"$AREA/haproxy.cfg" <<C
global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend f
  bind 127.0.9.1:8202
  default_backend b
backend b
  http-reuse always
  server s1 127.0.9.1:9000
C
cat >"$AREA/haproxy-tcp.cfg" <<C
global
  nbthread 1
  maxconn 2000
  maxpipes 200
  tune.bufsize 65536
defaults
  mode tcp
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option splice-response
frontend f
  bind 127.0.9.1:8204
  default_backend b
backend b
  server s1 127.0.9.1:9000
C
nginx_config 4096 "upstream b { server 127.0.9.1:9000; keepalive 128; keepalive_requests 100000000; }
  server { listen 127.0.9.1:8203 backlog=4096;
    location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_max_temp_file_size 0; proxy_buffers 16 32k; proxy_busy_buffers_size 64k; } }" >"$AREA/nginx.conf"
declare -A PID ADDRESS=([limit]=127.0.9.1:8201 [haproxy]=127.0.9.1:8202 [nginx]=127.0.9.1:8203
    [haproxy-tcp]=127.0.9.1:8204 [stead]=127.0.9.11:8080 [stead-tcp]=127.0.9.11:8205)
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
HELPER_PIDS=$P
start relay "$SRV_CPU" "$BIN/fwdmin" "${ADDRESS[limit]}" 127.0.9.1:9000 131072
PID[limit]=$P
start haproxy "$SRV_CPU" haproxy -db -f "$AREA/haproxy.cfg"
PID[haproxy]=$P
start haproxy-tcp "$SRV_CPU" haproxy -db -f "$AREA/haproxy-tcp.cfg"
PID[haproxy-tcp]=$P
start nginx "$SRV_CPU" nginx -p "$AREA" -c "$AREA/nginx.conf"
PID[nginx]=$P
stead_config s1 127.0.9.11 127.0.9.1:9000 ''
sed -i "s/^service \"shop\" {/&\n    mode = \"${MODE:-http}\"/" "$AREA/s1.conf"
cat >>"$AREA/s1.conf" <<C
service "raw" { name = "raw.bench.test" url = "tcp://raw.bench.test:8205" }
server "raw" {
    urls    = {"tcp://s1.raw.bench.test:8205"}
    listen  = "${ADDRESS[stead-tcp]}"
    forward = "127.0.9.1:9000"
}
C
start_stead s1 "$SRV_CPU"
PID[stead]=$P
PID[stead-tcp]=$P
for subject in limit haproxy haproxy-tcp nginx stead stead-tcp; do
    await "$subject" "$BIN/httpload" -c 1 -t 0.01 -H s1.bench.test:8080 "${ADDRESS[$subject]}" /
done
round() {
    for subject in $(rotate limit haproxy haproxy-tcp nginx stead stead-tcp); do
        wanted "$subject" || continue
        LOADED_PIDS=${PID[$subject]}
        measure "$subject/small" req_s "$BIN/httpload" -c "$CONNS" -t "$SECS" -H s1.bench.test:8080 \
            "${ADDRESS[$subject]}" /
        measure "$subject/big" mbit_s "$BIN/httpload" -c 4 -t "$SECS" -H s1.bench.test:8080 \
            "${ADDRESS[$subject]}" /big
    done
}
every_round
stop_all
grep -v '/big req_s' "$RAW" | grep -v '/small mbit_s' >"$AREA/shown.txt" # each load's own rate
RAW=$AREA/shown.txt
report 'req_s|mbit_s|proc_us_per_op|p99_us|load_busy_pct'
