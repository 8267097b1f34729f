#!/usr/bin/env bash
# Installs what is missing to build, test or bench stead on Debian 12, and nothing when nothing is.
# usage: install-deps.sh build|test|bench
set -euo pipefail

build=(gcc libc6-dev make cmake ninja-build pkg-config libuv1-dev libconfuse-dev libssl-dev
    libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev libcmocka-dev libsystemd-dev)
test=(curl bind9-dnsutils knot-dnsutils iproute2 iptables python3 procps mandoc libhttp-parser-dev
    clang libclang-rt-14-dev universal-ctags)
bench=(nginx-light haproxy gdnsd knot uthash-dev libxxhash-dev)

case "${1:-build}" in
build) wanted=("${build[@]}") ;;
test) wanted=("${build[@]}" "${test[@]}") ;;
bench) wanted=("${build[@]}" "${bench[@]}") ;;
*) echo "usage: $0 build|test|bench" >&2; exit 2 ;;
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
export DEBIAN_FRONTEND=noninteractive
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}" >/tmp/stead-install.$$ 2>&1
}
# Servers that are only tested against must not start by themselves.
if ! install; then
    "${as_root[@]}" apt-get update -q >/dev/null 2>&1 || true
    install || { tail -20 /tmp/stead-install.$$ >&2; rm -f /tmp/stead-install.$$; exit 1; }
fi
rm -f /tmp/stead-install.$$
