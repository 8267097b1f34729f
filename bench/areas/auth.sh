# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# auth.sh - nginx and a small file, with and without asking the node who sends the request
# (auth_request to GET /v1/auth, connections to the node kept). One connection tells what a request
# waits longer; many, what it costs. Goal: at most 0.1 ms more at the median.
area auth
mkdir -p "$AREA/www"
echo hello >"$AREA/www/index.html"
stead_config s1 127.0.9.11 127.0.9.1:9000 ''
sed -i 's/^sessions {/&\n    kind "auth" { copies = 1 when-alone = "accept" }/' "$AREA/s1.conf"
start_stead s1 "$SRV_CPU"
STEAD_PID=$P
login() {
    curl -sf --unix-socket "$AREA/s1.sock" -d '{"user": "ann"}' http://localhost/v1/auth >"$AREA/login.json"
}
await s1 login
ID=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$AREA/login.json")
nginx_config 4096 "upstream stead { server unix:$AREA/s1.sock; keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.9.1:8206 backlog=4096; root $AREA/www; }
  server { listen 127.0.9.1:8207 backlog=4096; root $AREA/www;
    location / { auth_request /who; }
    location = /who { internal; proxy_pass http://stead/v1/auth?cookie=sid; proxy_http_version 1.1;
      proxy_set_header Connection \"\"; proxy_pass_request_body off; proxy_set_header Content-Length \"\";
      proxy_set_header Cookie sid=$ID; } }" >"$AREA/nginx.conf"
declare -A ADDRESS=([plain]=127.0.9.1:8206 [asks]=127.0.9.1:8207)
start nginx "$SRV_CPU" nginx -p "$AREA" -c "$AREA/nginx.conf"
LOADED_PIDS="$P $STEAD_PID"
for subject in plain asks; do await_http nginx 200 auth.bench.test "${ADDRESS[$subject]}"; done
round() {
    for subject in $(rotate plain asks); do
        wanted "$subject" || continue
        measure "$subject/one" req_s "$BIN/httpload" -c 1 -t "$SECS" -H auth.bench.test "${ADDRESS[$subject]}" /
        measure "$subject/many" req_s "$BIN/httpload" -c "$CONNS" -t "$SECS" -H auth.bench.test "${ADDRESS[$subject]}" /
    done
}
every_round
stop_all
report 'req_s|p50_us|p99_us|proc_us_per_op|load_busy_pct|foreign_pct'
