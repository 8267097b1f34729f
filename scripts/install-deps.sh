#!/usr/bin/env bash
# Installs what is missing to build, run, test or bench stead on Debian 12, and nothing when nothing is.
# usage: install-deps.sh build|run|test|bench
set -euo pipefail

build=(gcc libc6-dev make cmake ninja-build pkg-config libuv1-dev libconfuse-dev libssl-dev
    libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev libcmocka-dev libsystemd-dev
    libldns-dev libnghttp2-dev liblmdb-dev libhiredis-dev)
run=(curl openssl bind9-dnsutils)
test=(nghttp2-client haproxy nginx-light knot knot-dnsutils python3 php-cli php-memcached php-redis python3-redis python3-pymemcache redis-tools redis-server
    mandoc libhttp-parser-dev g++ clang libclang-rt-14-dev universal-ctags iproute2 iptables apache2-bin stunnel4 faketime slowhttptest)
bench=(nginx-light nghttp2-client haproxy gdnsd knot dnsperf uthash-dev libxxhash-dev libglib2.0-dev)

case "${1:-build}" in
build) wanted=("${build[@]}") ;;
run) wanted=("${build[@]}" "${run[@]}") ;;
test) wanted=("${build[@]}" "${run[@]}" "${test[@]}") ;;
bench) wanted=("${build[@]}" "${run[@]}" "${bench[@]}") ;;
*) echo "usage: $0 build|run|test|bench" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
        missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "these Debian packages are missing, and there is no sudo: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing: ${missing[*]}" >&2
log=$(mktemp) policy=/usr/sbin/policy-rc.d
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}" >"$log" 2>&1
}
# Servers that are only tested against must not start by themselves.
if [[ "${1:-}" =~ ^(test|bench)$ ]] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
if ! install; then
    "${as_root[@]}" apt-get update -q >/dev/null 2>&1 || true
    install || { tail -20 "$log" >&2; rm -f "$log"; exit 1; }
fi
rm -f "$log"
