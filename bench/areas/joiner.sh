# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# joiner.sh - how fast a joining node gets its copies: in bulk over loopback TCP, and by rounds, one a record, from
# memory to memory. Limit: what one thread inserts into the table alone. Both sides are in one process and share the
# machine's cores, so CPU time a record, of both sides together, stands beside records a second.
area joiner
round() {
    quiet || log "the machine is not quiet"
    for subject in $(rotate table bulk rounds); do
        "$BIN/joiner_bench" "$subject" "${COUNT:-1000000}" | sed "s/^/$ROUND /" >>"$RAW" || fail "joiner_bench $subject failed"
    done
}
every_round
report '.*'
