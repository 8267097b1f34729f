# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# table.sh - the session table and its hash alone, in one process. Beside them uthash and GLib's table, XXH3
# and SipHash. Limit: an array that is told where to look. COUNTS="10000000" needs 5 GB.
area table
round() {
    quiet || log "the machine is not quiet"
    for subject in $(rotate limit uthash glib stead pauses); do
        for count in ${COUNTS:-10000 1000000}; do
            taskset -c "$SRV_CPU" "$BIN/table_bench" "$subject" "$count" | sed "s/^/$ROUND /" >>"$RAW" ||
                fail "table_bench $subject $count failed"
        done
    done
    taskset -c "$SRV_CPU" "$BIN/hash_bench" | sed "s/^/$ROUND /" >>"$RAW"
}
every_round
report '.*'
