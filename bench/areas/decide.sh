# shellcheck shell=bash disable=SC2034,SC2153 # variables that ../lib.sh reads and sets
# decide.sh - the decision on a request alone, in one process: with 1,000 servers in the roster, and,
# as the limit, with 3. Beside it a snapshot that has nothing prepared.
area decide
round() {
    quiet || log "the machine is not quiet"
    for subject in $(rotate limit walk stead); do
        case $subject in
        limit) args='3 yes' ;; walk) args='1000 no' ;; stead) args='1000 yes' ;;
        esac
        # shellcheck disable=SC2086 # two words
        taskset -c "$SRV_CPU" "$BIN/decide_bench" $args | sed "s|^|$ROUND $subject/|" >>"$RAW" ||
            fail "decide_bench $args failed"
    done
}
every_round
report '.*'
