/* inline_rules.c - making the lines, and running them. */
#include "node/inline_rules.h"

#include "stead/error.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32
#define CHAIN "STEAD"

__attribute__((format(printf, 2, 3))) static void add(struct inline_rules *r, const char *format,
                                                      ...)
{
    va_list args;
    if (r->count == INLINE_RULES_MAX)
        return;
    va_start(args, format);
    vsnprintf(r->line[r->count++], INLINE_RULE_BYTES_MAX, format, args);
    va_end(args);
}

static bool has_family(const struct config *c, uint8_t family)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (c->servers[i].tcp.address.family == family)
            return true;
    return false;
}

static const char *tables(uint8_t family)
{
    return family == 6 ? "ip6tables-legacy -w 5 -t mangle" : "iptables-legacy -w 5 -t mangle";
}

static const char *ip(uint8_t family)
{
    return family == 6 ? "ip -6" : "ip";
}

static void add_tproxy(struct inline_rules *r, const struct config *c, const struct addr *a,
                       const char *interface)
{
    char text[ADDR_TEXT_MAX];
    addr_format_ip(a, text);
    add(r, "%s -A " CHAIN " %s%s%s-p tcp -d %s --dport %u -j TPROXY --on-port %u --tproxy-mark %u",
        tables(a->family), *interface ? "-i " : "", interface, *interface ? " " : "", text, a->port,
        c->in_line.port, c->in_line.mark);
}

/* The takeover interface of any server of that address: its neighbours come there. */
static const char *takeover_of(const struct config *c, const struct addr *a)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (*c->servers[i].tcp.takeover && addr_same_ip(&c->servers[i].tcp.address, a))
            return c->servers[i].tcp.takeover;
    return "";
}

static void add_server(struct inline_rules *r, const struct config *c, const struct addr *a)
{
    const struct strings *from = &c->in_line.interfaces;
    const char *takeover = takeover_of(c, a);
    bool listed = from->count == 0 || !*takeover;
    for (size_t i = 0; i < from->count; i++) {
        add_tproxy(r, c, a, from->text[i]);
        listed |= strcmp(from->text[i], takeover) == 0;
    }
    if (from->count == 0)
        add_tproxy(r, c, a, "");
    if (!listed)
        add_tproxy(r, c, a, takeover);
}

/* Packets of connections that end on this host though their addresses are others': both those of
 * clients to servers, and those of servers to clients. Then new ones to servers. */
static void make_family(struct inline_rules *r, const struct config *c, uint8_t family)
{
    const char *t = tables(family);
    unsigned mark = c->in_line.mark, table = c->in_line.table;
    add(r, "%s rule add fwmark %u lookup %u", ip(family), mark, table);
    add(r, "%s route add local default dev lo table %u", ip(family), table);
    add(r, "%s -N " CHAIN, t);
    add(r, "%s -A " CHAIN " -p tcp -m socket --transparent -j MARK --set-mark %u", t, mark);
    add(r, "%s -A " CHAIN " -p tcp -m socket --transparent -j ACCEPT", t);
    for (size_t i = 0; i < c->server_count; i++)
        if (c->servers[i].tcp.address.family == family)
            add_server(r, c, &c->servers[i].tcp.address);
    add(r, "%s -A PREROUTING -p tcp -j " CHAIN, t);
}

static void undo_family(struct inline_rules *r, const struct config *c, uint8_t family)
{
    const char *t = tables(family);
    unsigned mark = c->in_line.mark, table = c->in_line.table;
    add(r, "%s -D PREROUTING -p tcp -j " CHAIN, t);
    add(r, "%s -F " CHAIN, t);
    add(r, "%s -X " CHAIN, t);
    add(r, "%s route flush table %u", ip(family), table);
    add(r, "%s rule del fwmark %u lookup %u", ip(family), mark, table);
}

static void both_families(const struct config *c, struct inline_rules *out,
                          void (*family)(struct inline_rules *, const struct config *, uint8_t))
{
    out->count = 0;
    if (has_family(c, 4))
        family(out, c, 4);
    if (has_family(c, 6))
        family(out, c, 6);
}

void inline_rules_make(const struct config *c, struct inline_rules *out)
{
    both_families(c, out, make_family);
}

void inline_rules_undo(const struct config *c, struct inline_rules *out)
{
    both_families(c, out, undo_family);
}

uint64_t inline_rules_mark(const struct config *c)
{
    struct inline_rules rules;
    uint64_t mark = 0xcbf29ce484222325; /* FNV-1a */
    inline_rules_make(c, &rules);
    for (size_t i = 0; i < rules.count; i++)
        for (const char *at = rules.line[i]; *at; at++)
            mark = (mark ^ (uint8_t)*at) * 0x100000001b3;
    return mark ? mark : 1;
}

/* No word has a space or a quote in it: they are names and numbers. */
static bool run_line(const char *line, bool quiet)
{
    char copy[INLINE_RULE_BYTES_MAX], *words[WORDS_MAX + 1], *at = copy, *word;
    size_t n = 0;
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status = -1;
    memcpy(copy, line, strlen(line) + 1);
    while (n < WORDS_MAX && (word = strsep(&at, " ")))
        words[n++] = word;
    words[n] = NULL;
    posix_spawn_file_actions_init(&files);
    if (quiet)
        posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int err = posix_spawnp(&pid, words[0], &files, NULL, words, environ);
    posix_spawn_file_actions_destroy(&files);
    if (err)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int inline_rules_run(const struct inline_rules *r, bool all, const char **failed)
{
    *failed = NULL;
    for (size_t i = 0; i < r->count; i++) {
        if (run_line(r->line[i], all) || all)
            continue;
        *failed = r->line[i];
        return STEAD_E_IO;
    }
    return STEAD_OK;
}
