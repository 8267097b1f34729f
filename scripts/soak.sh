#!/usr/bin/env bash
# Long runs: fresh seeds in the simulator, farms of 1,000 and 10,000 members, coverage-guided fuzzing of every parser,
# shoppers for minutes. Ten thousand members need 3 GB: SWARM_GREAT=1000 leaves them out.
# SEEDS (per half, default 2000), FUZZ_SECONDS (per target, 120), SHOP_SECONDS (600) make it longer or shorter.
set -uo pipefail
cd "$(dirname "$0")/.."
SEEDS=${SEEDS:-2000} FUZZ_SECONDS=${FUZZ_SECONDS:-120} SHOP_SECONDS=${SHOP_SECONDS:-600} SWARM_GREAT=${SWARM_GREAT:-10000}
passed=0 failed=0

count() { # title, exit status
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    echo "== $1: $([ "$2" -eq 0 ] && echo passed || echo FAILED)"
}

build() { # folder, options...
    local folder=$1
    shift
    cmake -G Ninja -S . -B "$folder" "$@" >"$folder.log" 2>&1 && cmake --build "$folder" >>"$folder.log" 2>&1 &&
        rm -f "$folder.log" && return
    tail -40 "$folder.log"
    exit 1
}

simulate() {
    local first=$((RANDOM * 32768 + RANDOM)) half pids=()
    for half in 0 1; do
        local from=$((first + half * SEEDS))
        build-soak/tests/sim/stead_sim --quiet --seeds "$from..$((from + SEEDS - 1))" &
        pids+=($!)
    done
    local status=0 pid
    for pid in "${pids[@]}"; do
        wait "$pid" || status=1
    done
    count "simulated farms, seeds from $first" "$status"
}

swarm() {
    local story nodes
    build-soak/tests/swarm/stead_swarm --nodes 10 --seeds 1..500
    count "swarms of 10" $?
    for nodes in 1000 "$SWARM_GREAT"; do
        for story in kill news; do
            build-soak/tests/swarm/stead_swarm --nodes "$nodes" --seeds 1 --story "$story" --table
            count "a swarm of $nodes: $story" $?
        done
    done
    for story in nap loss split restart; do
        build-soak/tests/swarm/stead_swarm --nodes 1000 --seeds 1 --story "$story" --table
        count "a swarm of 1000: $story" $?
    done
}

fuzz() {
    local target name scratch
    for target in build-fuzz/tests/fuzz/fuzz_*; do
        [ -x "$target" ] || continue
        name=${target##*/fuzz_}
        scratch=$(mktemp -d)
        "$target" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
            "$scratch" "tests/fuzz/corpus/$name"
        count "fuzz $name" $?
        rm -rf "$scratch"
    done
}

build build-soak -DCMAKE_BUILD_TYPE=RelWithDebInfo
simulate
swarm
build build-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSTEAD_SANITIZE=address -DSTEAD_FUZZ=ON
fuzz
python3 tests/farm/shoppers/test.py --build build-soak --seconds "$SHOP_SECONDS"
count "shoppers for $SHOP_SECONDS s" $?
python3 tests/farm/roster/test.py --build build-soak --slow 5000
count "watchers that do not read" $?
STEAD_WATCHERS=5000 build-soak/tests/unit_role_director_watch_test
count "5,000 watchers of 1,000 servers" $?
build-soak/tests/sim/crowd/stead_crowd --seeds 100
count "crowds before a farm" $?
STEAD_ROLLING_CLIENTS=1500 python3 tests/farm/rolling/test.py --build build-soak
count "a rolling restart under 1,500 clients" $?
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
