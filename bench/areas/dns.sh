# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# dns.sh - the name server: one A record for the common name, over UDP. Beside it gdnsd and knot with
# a static zone, one UDP thread each. Limit: dnsmin.
area dns
mkdir -p "$AREA/gdnsd/zones" "$AREA/gdnsd/run" "$AREA/gdnsd/state" "$AREA/knot"
zone='@ 60 SOA ns1 hostmaster 1 7200 1800 259200 60
@ 60 NS ns1
ns1 60 A 127.0.9.1
www 60 A 127.0.9.11'
cat >"$AREA/gdnsd/config" <<C
options => {
  listen => 127.0.9.1:5301, udp_threads => 1, tcp_threads => 1
  run_dir => $AREA/gdnsd/run, state_dir => $AREA/gdnsd/state
}
C
echo "$zone" >"$AREA/gdnsd/zones/bench.test"
printf "\$ORIGIN bench.test.\n%s\n" "$zone" >"$AREA/knot/bench.test.zone"
cat >"$AREA/knot.conf" <<C
server:
  rundir: "$AREA/knot"
  listen: 127.0.9.1@5302
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
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
declare -A PID ADDRESS=([limit]=127.0.9.1:5300 [gdnsd]=127.0.9.1:5301 [knot]=127.0.9.1:5302
    [stead]=127.0.9.11:5300)
start limit "$SRV_CPU" "$BIN/dnsmin" "${ADDRESS[limit]}" 1
PID[limit]=$P
start gdnsd "$SRV_CPU" gdnsd -c "$AREA/gdnsd" start
PID[gdnsd]=$P
start knot "$SRV_CPU" knotd -c "$AREA/knot.conf"
PID[knot]=$P
start real "$LOAD_CPU" "$BIN/nullsrv" 127.0.9.1:9000 http
HELPER_PIDS=$P
stead_config s1 127.0.9.11 127.0.9.1:9000 ''
start_stead s1 "$SRV_CPU"
PID[stead]=$P
for subject in limit gdnsd knot stead; do
    await "$subject" "$BIN/dnsload" "${ADDRESS[$subject]}" www.bench.test 0.05 1 1
done
round() {
    for subject in $(rotate limit gdnsd knot stead); do
        wanted "$subject" || continue
        LOADED_PIDS=${PID[$subject]}
        measure "$subject/batched" qps "$BIN/dnsload" "${ADDRESS[$subject]}" www.bench.test "$SECS" 8 32
        measure "$subject/single" qps "$BIN/dnsload" "${ADDRESS[$subject]}" www.bench.test "$SECS" 1 1
    done
}
every_round
stop_all
report 'qps|proc_us_per_op|p99_us|lost|load_busy_pct'
