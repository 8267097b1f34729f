# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# idle.sh - resident memory of a forwarded connection that has had one request and is idle, beside
# what the kernel has for it. Limit: the bare relay (fwdmin). A fresh process for each figure.
# IDLE: how many connections; stead shares its descriptors among its doors, so the limit of open
# files must be some nine times as high.
area idle
IDLE=${IDLE:-9000}
most=$((($(ulimit -n) - 1500) / 9))
[ "$IDLE" -le "$most" ] || { log "limit of open files $(ulimit -n): $most connections"; IDLE=$most; }
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
round() {
    local subject address pid before
    for subject in $(rotate limit stead); do
        if [ "$subject" = limit ]; then
            address=127.0.9.1:8201
            start relay "$SRV_CPU" "$BIN/fwdmin" "$address" 127.0.9.1:9000
        else
            address=127.0.9.11:8080
            stead_config s1 127.0.9.11 127.0.9.1:9000 ''
            start_stead s1 "$SRV_CPU"
        fi
        pid=$P
        await "$([ "$subject" = limit ] && echo relay || echo s1)" \
            "$BIN/httpload" -c 50 -t 0.2 -H s1.bench.test:8080 "$address" / # what is allocated once
        before=$(resident "$pid")
        mkfifo "$AREA/hold"
        "$BIN/idle" "$address" "$IDLE" s1.bench.test:8080 <"$AREA/hold" >"$AREA/idle.out" &
        local holder=$!
        exec 9>"$AREA/hold"
        rm "$AREA/hold"
        for _ in $(seq 300); do grep -q open "$AREA/idle.out" && break; sleep 0.1; done
        sleep 1
        emit "$subject/idle" bytes_per_conn $((($(resident "$pid") - before) * 1024 / IDLE))
        exec 9>&-
        wait "$holder"
        emit "$subject/idle" failed $?
        emit "$subject/idle" connections "$IDLE"
        stop "$pid"
    done
}
every_round
stop_all
report 'bytes_per_conn|connections'
