# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# tls.sh - TLS connections (connect, handshake, one GET, close), full and resumed: TLS 1.2 by session
# id, TLS 1.3 by ticket; certificate P-256, X25519. Beside nginx and HAProxy on the same OpenSSL.
# stead answers with its 307; stead-store is the same with tickets = "single-use": sessions lie in
# the farm's store, and "cross" goes to two nodes in turn, so that each session began at the other
# one (the CPU time is that of both). Limit: tlsmin. Memory: IDLE connections of TLS 1.3 that had one
# request, each figure from a fresh process.
area tls
IDLE=${IDLE:-1000}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=www.bench.test \
    -addext subjectAltName=DNS:www.bench.test -keyout "$AREA/key.pem" -out "$AREA/chain.pem" 2>/dev/null ||
    fail "openssl req failed"
cat "$AREA/chain.pem" "$AREA/key.pem" >"$AREA/both.pem"
chmod 600 "$AREA/key.pem" "$AREA/both.pem"
nginx_config 8192 "server { listen 127.0.9.1:8403 ssl backlog=4096;
    ssl_certificate $AREA/chain.pem; ssl_certificate_key $AREA/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:prime256v1;
    ssl_session_cache shared:S:20m; ssl_session_timeout 10m; ssl_session_tickets on;
    location / { return 307 http://s1.bench.test:8080\$request_uri; } }" >"$AREA/nginx.conf"
cat >"$AREA/haproxy.cfg" <<C
global
  nbthread 1
  maxconn 9000
  tune.ssl.cachesize 50000
  ssl-default-bind-options ssl-min-ver TLSv1.2
  ssl-default-bind-curves X25519:P-256
defaults
  mode http
  timeout client 60s
  timeout server 30s
  timeout connect 5s
frontend f
  bind 127.0.9.1:8402 ssl crt $AREA/both.pem
  http-request redirect prefix http://s1.bench.test:8080 code 307
C

# tls_node NAME ADDRESS JOIN TICKETS COPIES: a node that ends TLS.
tls_node() {
    stead_config "$1" "$2" 127.0.9.1:9000 "$3"
    sed -i -e "s|^public .*|public { listen = \"$2:8080\" listen-tls = \"$2:8443\" }|" \
        -e "s|^sessions {|&\n    kind \"tls\" { copies = $5 when-alone = \"accept\" }|" \
        -e "s|urls    = {|&\"https://$1.bench.test:8443\", |" "$AREA/$1.conf"
    cat >>"$AREA/$1.conf" <<C
tls {
    tickets = "$4"
    certificate "bench" { chain = "$AREA/chain.pem" key = "$AREA/key.pem" }
}
C
}
tls_node t1 127.0.9.11 '' stateless 1
tls_node u1 127.0.9.12 '' single-use 1
tls_node v1 127.0.9.13 '"127.0.9.14"' single-use 2
tls_node v2 127.0.9.14 '"127.0.9.13"' single-use 2

declare -A PID ADDRESS=([limit]=127.0.9.1:8401 [haproxy]=127.0.9.1:8402 [nginx]=127.0.9.1:8403
    [stead]=127.0.9.11:8443 [stead-store]=127.0.9.12:8443 [stead-pair]=127.0.9.13:8443)
subject_start() {
    case $1 in
    limit) start limit "$SRV_CPU" "$BIN/tlsmin" "${ADDRESS[limit]}" "$AREA/chain.pem" "$AREA/key.pem" ;;
    haproxy) start haproxy "$SRV_CPU" haproxy -db -f "$AREA/haproxy.cfg" ;;
    nginx) start nginx "$SRV_CPU" nginx -p "$AREA" -c "$AREA/nginx.conf" ;;
    stead) start_stead t1 "$SRV_CPU" ;;
    stead-store) start_stead u1 "$SRV_CPU" ;;
    stead-pair)
        start_stead v2 "$SRV_CPU"
        PID[second]=$P
        start_stead v1 "$SRV_CPU"
        ;;
    esac
    PID[$1]=$P
    await "$1" "$BIN/tlsload" -w 1 -t 0.01 1.3 full "${ADDRESS[$1]}"
}
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
HELPER_PIDS=$P
for subject in limit haproxy nginx stead stead-store stead-pair; do subject_start $subject; done
await v2 "$BIN/tlsload" -w 1 -t 0.5 1.3 resume "${ADDRESS[stead-pair]}" 127.0.9.14:8443

load() { # SUBJECT/LOAD VERSION KIND ADDRESS...
    local name=$1
    shift
    measure "$name" conn_s "$BIN/tlsload" -t "$SECS" "$@"
}
round() {
    local subject version
    for subject in $(rotate limit haproxy nginx stead stead-store stead-pair); do
        wanted "$subject" || continue
        LOADED_PIDS=${PID[$subject]}
        for version in 1.2 1.3; do
            case $subject in
            stead) # by tickets; TLS 1.2 by id is what stead-store does
                load "$subject/full-$version" "$version" full "${ADDRESS[$subject]}"
                [ "$version" = 1.2 ] || load "$subject/resume-$version" "$version" resume "${ADDRESS[$subject]}" ;;
            stead-pair)
                LOADED_PIDS="${PID[$subject]} ${PID[second]}"
                load "$subject/resume-$version" "$version" resume "${ADDRESS[$subject]}"
                load "$subject/cross-$version" "$version" resume "${ADDRESS[$subject]}" 127.0.9.14:8443
                emit "$subject/cross-$version" cpu_by_local "$(awk -v round="$ROUND" -v version="$version" '
                    $1 == round && $3 == "proc_us_per_op" { split($2, part, "/"); if (part[1] == "stead-pair") us[part[2]] = $4 }
                    END { if (us["resume-" version] > 0) print us["cross-" version] / us["resume-" version] }' "$RAW")" ;;
            *)
                load "$subject/full-$version" "$version" full "${ADDRESS[$subject]}"
                load "$subject/resume-$version" "$version" resume "${ADDRESS[$subject]}" ;;
            esac
        done
    done
}
every_round
stop_all

# Memory of idle connections: what the process's own pages grow by.
own_pages() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"; }
idle_round() {
    local subject pid before holder i
    for subject in $(rotate haproxy nginx stead); do
        wanted "$subject" || continue
        subject_start "$subject"
        pid=${PID[$subject]}
        [ "$subject" = nginx ] && pid=$(pgrep -P "$pid")
        "$BIN/tlsload" -w 8 -t 0.3 1.3 full "${ADDRESS[$subject]}" >/dev/null # what is allocated once
        before=$(own_pages "$pid")
        rm -f "$AREA/hold"
        mkfifo "$AREA/hold"
        "$BIN/tlsload" -i "$IDLE" 1.3 full "${ADDRESS[$subject]}" <"$AREA/hold" >"$AREA/idle.out" 2>/dev/null &
        holder=$!
        exec 9>"$AREA/hold"
        for i in $(seq 300); do grep -q open "$AREA/idle.out" && break; sleep 0.1; done
        sleep 0.5
        emit "$subject/idle" bytes_per_conn $((($(own_pages "$pid") - before) * 1024 / IDLE))
        exec 9>&-
        wait "$holder"
        emit "$subject/idle" failed $?
        stop_all
        start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
    done
}
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
for ROUND in $(seq "$((ROUNDS < 3 ? ROUNDS : 3))"); do idle_round; done
stop_all
report 'conn_s|proc_us_per_op|cpu_by_local|p50_us|p99_us|wrong_kind|errors|bytes_per_conn|load_busy_pct'
