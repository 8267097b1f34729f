#!/usr/bin/env bash
# Builds and runs every tier, and closes with "N passed, N failed". Quiet where all is well.
#   ASan+UBSan: style, unit, sim, fuzz, farm.   TSan: what is threaded (unit of io, store, roles and libstead-tls; farm).
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0

build() { # folder sanitizer type
    cmake -G Ninja -S . -B "$1" -DCMAKE_BUILD_TYPE="$3" -DSTEAD_SANITIZE="$2" >"$1.log" 2>&1 &&
        cmake --build "$1" >>"$1.log" 2>&1 && rm -f "$1.log" && return
    tail -40 "$1.log"
    echo "$1 does not build"
    failed=$((failed + 1))
    return 1
}

tier() { # title, folder, ctest arguments
    local title=$1 folder=$2 log
    shift 2
    log=$(mktemp)
    echo "== $title"
    (cd "$folder" || exit 1; ctest --output-on-failure --no-tests=error "$@") >"$log" 2>&1
    local status=$?
    grep -E '^ *[0-9]+/[0-9]+ Test' "$log" | grep -v ' Passed ' || true
    local good bad
    good=$(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed ' "$log")
    bad=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*(\*\*\*|Not Run)' "$log")
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    [ "$bad" -gt 0 ] && cat "$log"
    rm -f "$log"
    passed=$((passed + good)) failed=$((failed + bad))
}

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

if build build-asan address Debug; then
    tier "style, unit, fuzz (ASan, UBSan)" build-asan -L 'style|unit|fuzz' -j 2
    tier "sim (ASan, UBSan)" build-asan -L sim -j 2
    tier "farm (ASan, UBSan)" build-asan -L farm
fi
if build build-tsan thread RelWithDebInfo; then
    tier "threads (TSan)" build-tsan -L 'unit|farm' -R 'unit/(io|store|role|libtls)/|farm/(shoppers|smoke|libtls)'
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
