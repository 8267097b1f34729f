#!/usr/bin/env bash
# stead's figures beside its peers, in one run: medians of alternated rounds, as ratios to a physical
# limit and to each peer. docs/bench.md tells how to read them.
# usage: bench/run.sh BUILD_DIR [AREA...]    areas: those of bench/areas, all by default
# ROUNDS=3 SECS=1 are for a look; figures of record take ROUNDS=15. More settings in lib.sh.
# Servers stand on 127.0.9.x; all that is started here is stopped by its process id.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
[ $# -ge 1 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
BUILD=$(cd "$1" && pwd) || exit 2
shift
[ $# -gt 0 ] || for what in bench/areas/*.sh; do what=${what##*/} && set -- "$@" "${what%.sh}"; done
TMP=$(mktemp -d /tmp/stead-bench.XXXXXX)
chmod 755 "$TMP"
trap '[ -n "${KEEP:-}" ] && echo "# kept: $TMP" || rm -rf "$TMP"' EXIT
ulimit -n "$(ulimit -Hn)"

cmake -S . -B "$BUILD" >/dev/null || exit 1 # finds headers that came after the first configuration
cmake --build "$BUILD" --target stead bench >"$TMP/build.log" 2>&1 || { tail -30 "$TMP/build.log"; exit 1; }
if grep -q '^STEAD_SANITIZE:[^=]*=.' "$BUILD/CMakeCache.txt"; then
    echo "$BUILD has a sanitizer: its figures would mean nothing" >&2
    exit 1
fi

# shellcheck source=SCRIPTDIR/lib.sh
. bench/lib.sh

status=0
for what in "$@"; do
    [ -f "bench/areas/$what.sh" ] || fail "there is no area $what"
    echo "== $what ($(date +%F), $ROUNDS rounds of $SECS s)"
    # shellcheck disable=SC1090 # one of areas/
    (. "bench/areas/$what.sh") || status=1
done
exit $status
