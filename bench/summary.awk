# summary.awk - raw lines "round subject/load metric value" -> one line per subject, load and metric:
#   name metric median n xlimit [interval] xstead [interval]
# xlimit is this figure / that of the subject "limit" under the same load, xstead is stead's figure /
# this one: medians over the rounds' ratios, with the interval that holds the true median in 95 % of
# cases (order statistics, from 6 rounds on). Rounds with foreign_pct above `max` on either side do
# not count; a name without a clean round uses all and has "!" behind n.
function sort(a, n,    i, j, t) {
    for (i = 2; i <= n; i++) {
        t = a[i]
        for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]
        a[j + 1] = t
    }
}
function median(a, n) { sort(a, n); return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2 }
# How many of n sorted values lie outside of the interval at each end; -1: too few for one.
function outside(n,    p, sum, i) {
    p = 2 ^ -n
    for (i = 0; i < n; i++) {
        sum += p
        if (sum > 0.025) break
        p = p * (n - i) / (i + 1)
    }
    return i - 1
}
function number(x) { return x >= 1000 ? sprintf("%.0f", x) : sprintf("%.4g", x) }
function counts(round, name) { return !((round, name) in dirty) || rounds[name] == dirty_rounds[name] }
function ratio(over, under, metric,    r, a, n, k) {
    if (metric ~ /_pct$/) return sprintf("%8s %-15s", "", "")
    for (r in all_rounds)
        if (counts(r, over) && counts(r, under) && value[r, under, metric] + 0 > 0 && (r, over, metric) in value)
            a[++n] = value[r, over, metric] / value[r, under, metric]
    if (!n) return sprintf("%8s %-15s", "-", "")
    k = median(a, n)
    return sprintf("%8.3f %-15s", k, outside(n) < 0 ? "" : sprintf("[%.3f %.3f]", a[outside(n) + 1], a[n - outside(n)]))
}
/^#/ || NF < 4 { next }
{
    value[$1, $2, $3] = $4
    all_rounds[$1] = 1
    if (!(($2, $3) in seen)) { seen[$2, $3] = 1; order[++count] = $2 " " $3 }
    if ($3 == "foreign_pct") {
        rounds[$2]++
        if ($4 > max) { dirty[$1, $2] = 1; dirty_rounds[$2]++ }
    }
    if ($3 == "failed" && $4) bad[$2]++
}
END {
    printf "%-26s %-15s %10s %4s %8s %-15s %8s\n", "# name", "metric", "median", "n", "xlimit", "", "xstead"
    for (o = 1; o <= count; o++) {
        split(order[o], f, " ")
        if (f[2] !~ shown) continue
        split(f[1], part, "/")
        n = 0
        delete a
        for (r in all_rounds)
            if (counts(r, f[1]) && (r, f[1], f[2]) in value) a[++n] = value[r, f[1], f[2]]
        mark = rounds[f[1]] && rounds[f[1]] == dirty_rounds[f[1]] ? "!" : ""
        printf "%-26s %-15s %10s %4s %s %s\n", f[1], f[2], number(median(a, n)), n mark,
            part[1] == "limit" ? sprintf("%8s %-15s", "1", "") : ratio(f[1], "limit/" part[2], f[2]),
            part[1] ~ /^stead/ ? "" : ratio("stead/" part[2], f[1], f[2])
    }
    for (name in bad) printf "# %s: %d rounds had errors\n", name, bad[name]
}
