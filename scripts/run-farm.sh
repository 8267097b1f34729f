#!/usr/bin/env bash
# Starts the farm of an example on loopback, prints a short tour to copy from, and stops all of it on Ctrl-C.
# usage: run-farm.sh BUILD_DIR EXAMPLE_DIR
set -uo pipefail

scripts=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=scripts/server.sh
. "$scripts/server.sh"

[ $# -eq 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
shown_build=${1%/} shown_example=${2%/} # as they stand in the tour
build=$(realpath -m "$1") example=$(realpath -m "$2")
for program in stead shop; do
    [ -x "$build/$program" ] || { echo "$build/$program is not there; build it first" >&2; exit 1; }
done
[ -f "$example/services.conf" ] || { echo "there is no farm in $example" >&2; exit 1; }

nodes=() servers=()
for conf in "$example"/*.conf; do
    name=$(basename "$conf" .conf)
    [ "$name" = services ] && continue
    nodes+=("$name")
    has_shop "$name" && servers+=("$name")
done

mkdir -p "$example/run"
chmod 700 "$example/run"
exec 9>>"$example/run/lock"
if ! flock -n 9; then
    echo "this farm runs already, by process $(tail -1 "$example/run/lock"); stop that first, with Ctrl-C in its terminal" >&2
    exit 1
fi
echo $$ >"$example/run/lock"

kill_all() {
    local name
    for name in "${nodes[@]}"; do
        signal_part "$name" node KILL
        signal_part "$name" shop KILL
    done
}

leave() { # STATUS
    trap kill_all INT TERM
    stop_servers "${nodes[@]}"
    exit "$1"
}
trap 'echo; echo "stopping (once more Ctrl-C kills)"; leave 0' INT TERM HUP

# What a farm that was not stopped in order has left behind.
for name in "${nodes[@]}"; do
    if alive "$name" node >/dev/null || alive "$name" shop >/dev/null; then
        echo "$name still runs from the last time; it is stopped first"
        stop_servers "$name"
    fi
done

[ -f "$example/run/farm.key" ] || "$build/stead" keygen "$example/run/farm.key" || leave 1
for name in "${nodes[@]}"; do start_server "$name"; done
for name in "${nodes[@]}"; do wait_server "$name" || leave 1; done

# -- the tour --

url=$(value "$example/services.conf" '' url)
www=${url#http://}
www=${www%%[:/]*}
port=${url##*:}
# Who answers the name: nodes with DNS. With a front node, that one alone.
name_nodes=()
for name in "${nodes[@]}"; do
    [ -n "$(value "$(conf_of "$name")" dns listen)" ] && name_nodes+=("$name")
done
dns=$(value "$(conf_of "${name_nodes[0]}")" dns listen)
dns_ip=${dns%:*} dns_port=${dns##*:}
ip_of() { value "$(conf_of "$1")" public listen | sed 's/:.*//'; }
own_name() { sed -n 's/.*urls[[:space:]]*=[[:space:]]*{"http:\/\/\([^:"]*\).*/\1/p' "$(conf_of "$1")"; }
join_by() { local IFS=$1; shift; echo "$*"; }

doors=() # where www leads: the servers, or the front
if grep -q 'name-answers *= *"directors"' "$example/services.conf"; then
    for name in "${nodes[@]}"; do has_shop "$name" || doors+=("$(ip_of "$name")"); done
else
    for name in "${servers[@]}"; do doors+=("$(ip_of "$name")"); done
fi
rules="MAP $www ${doors[0]}"
{
    echo "# The names of the farm for curl -K, so that the machine's resolver is left alone."
    echo "noproxy = \"*\""
    echo "resolve = \"$www:$port:$(join_by , "${doors[@]}")\""
    for name in "${servers[@]}"; do
        echo "resolve = \"$(own_name "$name"):$port:$(ip_of "$name")\""
        rules="$rules, MAP $(own_name "$name") $(ip_of "$name")"
    done
} >"$example/run/resolve"
rm -f "$example/run/jar"

# The tour's shopper has been at the name once, so that it is known where it shops and what to take from it.
jar=$example/run/jar
victim=$(curl -sL -m 5 -K "$example/run/resolve" -b "$jar" -c "$jar" "$url/whoami.json" | sed -n 's/.*"server":"\([^"]*\)".*/\1/p')
victim=${victim:-${servers[1]}}

stead=$shown_build/stead first=$shown_example/${name_nodes[0]}.conf
[ "$victim" != "${name_nodes[0]}" ] || { # the one that is asked should live on
    first=$shown_example/${name_nodes[1]:-${name_nodes[0]}}.conf
    dns=$(value "$(conf_of "${name_nodes[1]:-${name_nodes[0]}}")" dns listen)
    dns_ip=${dns%:*}
}
curl="curl -sL -K $shown_example/run/resolve -b $shown_example/run/jar -c $shown_example/run/jar"
dig="dig @$dns_ip -p $dns_port +short"
victim_name=$(own_name "$victim")
root_needs=''
[ "$(id -u)" != 0 ] || root_needs=' --no-sandbox'
start_again="$scripts/server.sh start $victim"
if [ "$build" != "$(realpath -m "$scripts/../build")" ]; then
    start_again="$start_again $shown_example $shown_build"
elif [ "$example" != "$(realpath -m "$scripts/../examples/loopback")" ]; then
    start_again="$start_again $shown_example"
fi

cat <<END
The farm is up: $www is served by ${servers[*]}. Ctrl-C stops all of it. Logs: $shown_example/run/*.log

Ask for the names, several times: the common one in rotating order, and each server's own.

    $dig $www
    $dig $victim_name

Shop. Any server leads to a chosen one (307), POST and all; the session's cookie is for all of them. This
shopper has been led to $victim, and comes back to it while it lives.

    $curl -d 'sku=5&qty=2' $url/cart
    $curl -d 'user=ann&password=ann' $url/login
    $curl $url/whoami.json
    $curl $url/cart.json

The same with a browser$([ -z "$root_needs" ] || echo " (Chromium's sandbox does not take root, hence --no-sandbox)"). The badge on top says which server answers.

    chromium$root_needs --user-data-dir=$example/run/chromium --host-resolver-rules="$rules" $url/

What the nodes know, and what a client of the farm picks from it.

    $stead status -c $first
    $stead roster -c $first
    $stead pick --dns $dns --verbose $url/

Take $victim, where the shopper is, away as a power cut would: its node and its shop.

    kill -9 $(join_by ' ' "$(alive "$victim" node)" "$(alive "$victim" shop)")

Within two seconds $victim is down in the roster, the name leads to the others, $victim's own name to its
backup, and the cart and the login are there as they were.

    $stead roster -c $first
    $dig $www
    $dig $victim_name
    $curl $url/whoami.json
    $curl $url/cart.json

In the browser, go to $url/ again: its fixed table of names above cannot follow.
Kill only the shop of $victim and even that is not needed: its node sends the shopper on.

Start it again.

    $start_again

END

# -- until it is stopped --

declare -A gone=()
while :; do
    sleep 1 9>&- &
    wait $!
    for name in "${nodes[@]}"; do
        for part in node shop; do
            [ "$part" = node ] || has_shop "$name" || continue
            if alive "$name" "$part" >/dev/null; then
                [ -z "${gone[$name.$part]:-}" ] || echo "$name: its $part is back"
                gone[$name.$part]=''
            elif [ -z "${gone[$name.$part]:-}" ]; then
                echo "$name: its $part is gone"
                gone[$name.$part]=yes
            fi
        done
    done
done
