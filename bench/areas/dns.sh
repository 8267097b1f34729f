# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# dns.sh - the name server: 8 A records for the common name, over UDP. stead is a node in a farm of
# eight. Beside it gdnsd and knot with a static zone, and gdnsd's weighted answers, one UDP thread
# each. Limit: dnsmin. Then the name role alone over farms that are made up: 1000 servers, 1000 whose
# weights differ, 1000 that change 20 times a second, 8 under a rate limit; and 8 with two workers,
# the second of them on the loader's core.
area dns
mkdir -p "$AREA/gdnsd/zones" "$AREA/gdnsd/run" "$AREA/gdnsd/state" "$AREA/knot"
zone='@ 60 SOA ns1 hostmaster 1 7200 1800 259200 60
@ 60 NS ns1
ns1 60 A 127.0.9.1'
weighted=''
for n in 1 2 3 4 5 6 7 8; do
    zone+=$'\n'"www 60 A 127.0.9.1$n"
    weighted+=", a$n = [ 127.0.9.1$n, 10 ]"
done
cat >"$AREA/gdnsd/config" <<C
options => {
  listen => 127.0.9.1:5301, udp_threads => 1, tcp_threads => 1
  run_dir => $AREA/gdnsd/run, state_dir => $AREA/gdnsd/state
}
plugins => { weighted => { service_types => up, all => { multi = true $weighted } } }
C
printf '%s\nall 60 DYNA weighted!all\n' "$zone" >"$AREA/gdnsd/zones/bench.test"
printf "\$ORIGIN bench.test.\n%s\n" "$zone" >"$AREA/knot/bench.test.zone"
cat >"$AREA/knot.conf" <<C
server:
  rundir: "$AREA/knot"
  listen: 127.0.9.1@5302
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  answer-rotation: on
  user: $(id -un):$(id -gn)
log:
  - target: stderr
    any: warning
database:
  storage: "$AREA/knot"
zone:
  - domain: bench.test
    storage: "$AREA/knot"
    file: bench.test.zone
    zonefile-load: whole
    journal-content: none
C
declare -A PID ADDRESS=([limit]=127.0.9.1:5300 [gdnsd]=127.0.9.1:5301 [gdnsd-weighted]=127.0.9.1:5301
    [knot]=127.0.9.1:5302 [stead]=127.0.9.11:5300)
start limit "$SRV_CPU" "$BIN/dnsmin" "${ADDRESS[limit]}" 8
PID[limit]=$P
start gdnsd "$SRV_CPU" gdnsd -c "$AREA/gdnsd" start
PID[gdnsd]=$P PID[gdnsd-weighted]=$P
start knot "$SRV_CPU" knotd -c "$AREA/knot.conf"
PID[knot]=$P
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
HELPER_PIDS=$P
for n in 1 2 3 4 5 6 7 8; do
    stead_config "s$n" "127.0.9.1$n" 127.0.9.1:9000 '"127.0.9.11"'
    start_stead "s$n" "$([ $n = 1 ] && echo "$SRV_CPU" || echo "$LOAD_CPU")"
    [ $n = 1 ] && PID[stead]=$P || HELPER_PIDS+=" $P"
done
# alone NAME LAST_NUMBER CPUS ARGUMENT...
alone() {
    ADDRESS[$1]=127.0.9.$2:5300
    start "$1" "$3" "$BIN/nameserve" "${ADDRESS[$1]}" "${@:4}"
    PID[$1]=$P
}
alone stead-1000 21 "$SRV_CPU" 1000 1
alone stead-1000-weights 22 "$SRV_CPU" 1000 1 0 weights
alone stead-1000-changes 23 "$SRV_CPU" 1000 1 20
alone stead-limited 24 "$SRV_CPU" 8 1 0 limit
alone stead-two-workers 25 "$SRV_CPU,$LOAD_CPU" 8 2
name_of() { [ "$1" = gdnsd-weighted ] && echo all.bench.test || echo www.bench.test; }
for subject in "${!ADDRESS[@]}"; do
    await "$subject" "$BIN/dnsload" "${ADDRESS[$subject]}" "$(name_of "$subject")" 0.05 1 1
done
has_eight() { "$BIN/dnsload" "${ADDRESS[stead]}" www.bench.test 0.05 1 1 | grep -q '^answers_per_reply 8'; }
await s1 has_eight
round() {
    for subject in $(rotate limit gdnsd gdnsd-weighted knot stead stead-1000 stead-1000-weights \
        stead-1000-changes stead-limited stead-two-workers); do
        wanted "$subject" || continue
        LOADED_PIDS=${PID[$subject]}
        measure "$subject/batched" qps "$BIN/dnsload" "${ADDRESS[$subject]}" "$(name_of "$subject")" "$SECS" 8 32
        [[ $subject = stead-* ]] ||
            measure "$subject/single" qps "$BIN/dnsload" "${ADDRESS[$subject]}" "$(name_of "$subject")" "$SECS" 1 1
    done
}
every_round
stop_all
report 'qps|proc_us_per_op|p99_us|lost|load_busy_pct'
