#!/usr/bin/env bash
# h2load as a load of lib.sh: lines "metric value"; fails when an answer has another class of status.
# usage: h2load.sh SECONDS CONNECTIONS STREAMS CLASS HOST ADDRESS PATH    CLASS: 2 or 3, for 2xx or 3xx
set -euo pipefail
seconds=$(awk -v s="$1" 'BEGIN { printf "%d", s < 1 ? 1 : s }') # h2load knows whole ones only
out=$(h2load -D "$seconds" -c "$2" -m "$3" -H ":authority: $5" "http://$6$7")
awk -v class="$4" '
    /^finished in/ { rate = $4 }
    /^requests:/ { done = $8; failed = $10 + $12 }
    /^status codes:/ { good = class == 2 ? $3 : $5 }
    END { print "req_s", rate; print "answers", good
          exit !(rate > 0 && good > 0 && failed == 0 && good >= done) }' <<<"$out" ||
    { echo "$out" >&2; exit 1; }
