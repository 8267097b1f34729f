/* resp_parse.c - commands in. Two forms, told apart by the first byte. */
#include "core/resp/resp.h"

#include <string.h>

enum { NEED_MORE = 0, BROKEN = -1 };

/* Where input is read on. */
struct input {
    const char *at, *end;
};

/* The line up to CRLF (or a bare LF, as Redis takes it for inline commands). 1: there is one;
 * else NEED_MORE, or BROKEN when it is too long. */
static int take_line(struct input *in, struct slice *line)
{
    size_t left = (size_t)(in->end - in->at);
    const char *lf = memchr(in->at, '\n', left < RESP_INLINE_MAX ? left : RESP_INLINE_MAX);
    if (lf == NULL)
        return left < RESP_INLINE_MAX ? NEED_MORE : BROKEN;
    size_t len = (size_t)(lf - in->at);
    *line = (struct slice){in->at, len > 0 && lf[-1] == '\r' ? len - 1 : len};
    in->at = lf + 1;
    return 1;
}

bool resp_int(struct slice text, int64_t *out)
{
    bool minus = text.len > 0 && *text.at == '-';
    uint64_t v = 0, max = (uint64_t)INT64_MAX + minus;
    size_t i = minus;
    if (text.len == i || (text.at[i] == '0' && text.len > 1))
        return false;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool resp_is(const struct resp_command *c, size_t arg, const char *word)
{
    return arg < c->argc && slice_is_nocase(c->argv[arg], word);
}

static int take_length(struct input *in, int64_t max, int64_t *out, const char *what,
                       const char **why)
{
    struct slice line;
    int got = take_line(in, &line);
    if (got == NEED_MORE)
        return NEED_MORE;
    if (got == BROKEN || !resp_int(line, out) || *out > max) {
        *why = what;
        return BROKEN;
    }
    return 1;
}

static int take_bulk(struct input *in, struct slice *out, const char **why)
{
    int64_t len;
    if (in->at == in->end)
        return NEED_MORE;
    if (*in->at != '$') {
        *why = "Protocol error: expected '$'";
        return BROKEN;
    }
    in->at++;
    int got = take_length(in, RESP_BULK_MAX, &len, "Protocol error: invalid bulk length", why);
    if (got != 1)
        return got;
    if (len < 0) {
        *why = "Protocol error: invalid bulk length";
        return BROKEN;
    }
    size_t left = (size_t)(in->end - in->at);
    if (left < (size_t)len + 2)
        return NEED_MORE;
    if (in->at[len] != '\r' || in->at[len + 1] != '\n') {
        *why = "Protocol error: a bulk string does not end where it says";
        return BROKEN;
    }
    *out = (struct slice){in->at, (size_t)len};
    in->at += len + 2;
    return 1;
}

static int parse_array(struct input *in, const char *start, struct resp_command *out,
                       const char **why)
{
    int64_t count;
    in->at++;
    int got =
        take_length(in, RESP_ARGS_MAX, &count, "Protocol error: invalid multibulk length", why);
    if (got != 1)
        return got;
    for (int64_t i = 0; i < count; i++) {
        got = take_bulk(in, &out->argv[out->argc], why);
        if (got != 1)
            return got;
        out->argc++;
        if (in->at - start > (ptrdiff_t)RESP_COMMAND_MAX) {
            *why = "Protocol error: too big a command";
            return BROKEN;
        }
    }
    return 1;
}

/* Words between blanks; quotes are not understood, and no client that is a program needs them. */
static int parse_inline(struct input *in, struct resp_command *out, const char **why)
{
    struct slice line;
    int got = take_line(in, &line);
    if (got == BROKEN)
        *why = "Protocol error: too big inline request";
    if (got != 1)
        return got;
    /* A web page can make a browser send a request here, with commands of its own in the body. */
    if (slice_fits(line, (struct slice){"* HTTP/1.*", 10})) {
        *why = "Protocol error: this is no HTTP server";
        return BROKEN;
    }
    for (size_t i = 0; i < line.len;) {
        if (line.at[i] == ' ' || line.at[i] == '\t') {
            i++;
            continue;
        }
        size_t from = i;
        while (i < line.len && line.at[i] != ' ' && line.at[i] != '\t')
            i++;
        if (out->argc == RESP_ARGS_MAX) {
            *why = "Protocol error: too big inline request";
            return BROKEN;
        }
        out->argv[out->argc++] = (struct slice){line.at + from, i - from};
    }
    return 1;
}

int resp_parse(const char *bytes, size_t len, struct resp_command *out, const char **why)
{
    struct input in = {bytes, bytes + len};
    out->argc = 0;
    if (len == 0)
        return NEED_MORE;
    int got = *bytes == '*' ? parse_array(&in, bytes, out, why) : parse_inline(&in, out, why);
    return got == 1 ? (int)(in.at - bytes) : got;
}
