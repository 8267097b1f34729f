/* tcp_state.c - between a connection's state and the fields of its record. */
#include "core/tcp/tcp_state.h"

#include <stdio.h>
#include <string.h>

#define WSCALE_MAX 14 /* RFC 7323 */
#define WINDOW_MAX (65535u << WSCALE_MAX)
#define OPTIONS_ALL (STEAD_TCP_WSCALE | STEAD_TCP_SACK | STEAD_TCP_TIMESTAMPS | STEAD_TCP_ECN)

static const char *const states[] = {
    [STEAD_TCP_ESTABLISHED] = "established", [STEAD_TCP_FIN_WAIT1] = "fin-wait-1",
    [STEAD_TCP_FIN_WAIT2] = "fin-wait-2",    [STEAD_TCP_CLOSE_WAIT] = "close-wait",
    [STEAD_TCP_CLOSING] = "closing",         [STEAD_TCP_LAST_ACK] = "last-ack"};
#define STATE_COUNT (sizeof states / sizeof states[0])

static const struct {
    uint32_t bit;
    const char *name;
} options[] = {{STEAD_TCP_WSCALE, "wscale"},
               {STEAD_TCP_SACK, "sack"},
               {STEAD_TCP_TIMESTAMPS, "timestamps"},
               {STEAD_TCP_ECN, "ecn"}};
#define OPTION_COUNT (sizeof options / sizeof options[0])

#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct stead_tcp, member), sizeof((struct stead_tcp){0}.member)          \
    }
static const struct {
    const char *name;
    size_t at, size;
} numbers[] = {NUMBER(snd_una),    NUMBER(snd_nxt),    NUMBER(rcv_nxt), NUMBER(snd_wnd),
               NUMBER(snd_wl1),    NUMBER(max_wnd),    NUMBER(rcv_wnd), NUMBER(rcv_wup),
               NUMBER(snd_wscale), NUMBER(rcv_wscale), NUMBER(mss),     NUMBER(ts_val),
               NUMBER(ts_recent)};
_Static_assert(sizeof numbers / sizeof numbers[0] == TCP_STATE_NUMBERS, "a text for each");
_Static_assert(TCP_STATE_NUMBERS + 4 + 3 == TCP_STATE_FIELDS, "a field for each");

/* -- what can be -- */

static bool has_fin(enum stead_tcp_state s)
{
    return s == STEAD_TCP_FIN_WAIT1 || s == STEAD_TCP_CLOSING || s == STEAD_TCP_LAST_ACK;
}

static bool is_address(uint8_t family, const uint8_t ip[16], uint16_t port)
{
    static const uint8_t zero[12];
    return port != 0 && (family == 6 || (family == 4 && memcmp(ip + 4, zero, sizeof zero) == 0));
}

static bool is_there(const void *bytes, size_t len)
{
    return len == 0 || bytes != NULL;
}

static bool bytes_are_sound(const struct stead_tcp *t)
{
    uint32_t flight = t->snd_nxt - t->snd_una;
    if (t->unacked_len > STEAD_TCP_BYTES_MAX || t->unsent_len > STEAD_TCP_BYTES_MAX ||
        t->unread_len > STEAD_TCP_BYTES_MAX ||
        t->unacked_len + t->unsent_len + t->unread_len > STEAD_TCP_BYTES_MAX)
        return false;
    if (!is_there(t->unacked, t->unacked_len) || !is_there(t->unsent, t->unsent_len) ||
        !is_there(t->unread, t->unread_len))
        return false;
    /* A FIN that was sent takes a number; while bytes are unsent it was not. */
    bool with_fin = has_fin(t->state) && t->unsent_len == 0 && flight == t->unacked_len + 1;
    return with_fin || flight == t->unacked_len;
}

bool tcp_state_is_sound(const struct stead_tcp *t)
{
    bool scaled = t->options & STEAD_TCP_WSCALE, stamped = t->options & STEAD_TCP_TIMESTAMPS;
    if (t->state < STEAD_TCP_ESTABLISHED || t->state > STEAD_TCP_LAST_ACK ||
        (t->options & ~(uint32_t)OPTIONS_ALL))
        return false;
    if (!is_address(t->family, t->local_ip, t->local_port) ||
        !is_address(t->family, t->remote_ip, t->remote_port))
        return false;
    if (t->snd_wscale > WSCALE_MAX || t->rcv_wscale > WSCALE_MAX ||
        (!scaled && (t->snd_wscale || t->rcv_wscale)) || (!stamped && (t->ts_val || t->ts_recent)))
        return false;
    return t->mss > 0 && t->snd_wnd <= WINDOW_MAX && t->max_wnd <= WINDOW_MAX &&
           t->rcv_wnd <= WINDOW_MAX && bytes_are_sound(t);
}

/* -- out -- */

static uint32_t number_of(const struct stead_tcp *t, size_t i)
{
    const uint8_t *at = (const uint8_t *)t + numbers[i].at;
    uint16_t half;
    uint32_t whole;
    if (numbers[i].size == 1)
        return *at;
    if (numbers[i].size == 2) {
        memcpy(&half, at, sizeof half);
        return half;
    }
    memcpy(&whole, at, sizeof whole);
    return whole;
}

static void put(struct tcp_state_form *f, size_t *n, const char *name, const void *value,
                size_t len)
{
    f->fields[(*n)++] =
        (struct stead_field){.name = name, .value = len ? value : "", .value_len = len};
}

static void put_address(struct tcp_state_form *f, size_t *n, const char *name, uint8_t family,
                        const uint8_t ip[16], uint16_t port, char text[ADDR_TEXT_MAX])
{
    struct addr a = {.family = family, .port = port};
    memcpy(a.ip, ip, sizeof a.ip);
    addr_format(&a, text);
    put(f, n, name, text, strlen(text));
}

int tcp_state_write(const struct stead_tcp *t, struct tcp_state_form *out)
{
    size_t n = 0, len = 0;
    if (!tcp_state_is_sound(t))
        return STEAD_E_INVAL;
    put(out, &n, "state", states[t->state], strlen(states[t->state]));
    put_address(out, &n, "local", t->family, t->local_ip, t->local_port, out->local);
    put_address(out, &n, "remote", t->family, t->remote_ip, t->remote_port, out->remote);
    out->options[0] = '\0';
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (t->options & options[i].bit)
            len += (size_t)snprintf(out->options + len, sizeof out->options - len, "%s%s",
                                    len ? " " : "", options[i].name);
    put(out, &n, "options", out->options, len);
    for (size_t i = 0; i < TCP_STATE_NUMBERS; i++) {
        int digits = snprintf(out->numbers[i], TCP_STATE_NUMBER_MAX, "%u", number_of(t, i));
        put(out, &n, numbers[i].name, out->numbers[i], (size_t)digits);
    }
    put(out, &n, "unacked", t->unacked, t->unacked_len);
    put(out, &n, "unsent", t->unsent, t->unsent_len);
    put(out, &n, "unread", t->unread, t->unread_len);
    return STEAD_OK;
}

/* -- in -- */

static const struct stead_field *find(const struct stead_field *fields, size_t count,
                                      const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].value && strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static bool is_text(const struct stead_field *f, const char *at, size_t len)
{
    return f->value_len == len && memcmp(f->value, at, len) == 0;
}

static bool read_state(const struct stead_field *f, struct stead_tcp *t)
{
    for (size_t i = STEAD_TCP_ESTABLISHED; f && i < STATE_COUNT; i++)
        if (is_text(f, states[i], strlen(states[i])))
            t->state = (enum stead_tcp_state)i;
    return t->state != 0;
}

/* As it is written, and no other way. */
static bool read_address(const struct stead_field *f, uint8_t ip[16], uint16_t *port,
                         uint8_t *family)
{
    char text[ADDR_TEXT_MAX], again[ADDR_TEXT_MAX];
    struct addr a;
    if (!f || f->value_len >= sizeof text)
        return false;
    memcpy(text, f->value, f->value_len);
    text[f->value_len] = '\0';
    if (!addr_parse(text, 0, &a) || strcmp(addr_format(&a, again), text) != 0)
        return false;
    bool same = *family == 0 || *family == a.family;
    memcpy(ip, a.ip, sizeof a.ip);
    *port = a.port;
    *family = a.family;
    return same;
}

static bool read_options(const struct stead_field *f, uint32_t *out)
{
    const char *at = f ? f->value : NULL, *end = f ? at + f->value_len : NULL;
    if (!f)
        return false;
    /* In their order, each once. */
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        size_t len = strlen(options[i].name), room = (size_t)(end - at);
        bool first = *out == 0;
        if (room < len + !first || (!first && *at != ' ') ||
            memcmp(at + !first, options[i].name, len) != 0)
            continue;
        at += len + !first;
        *out |= options[i].bit;
    }
    return at == end;
}

static bool read_number(const struct stead_field *f, size_t i, struct stead_tcp *t)
{
    uint64_t n = 0, max = UINT64_MAX >> (64 - 8 * numbers[i].size);
    uint8_t *to = (uint8_t *)t + numbers[i].at;
    const uint8_t *text = f ? f->value : NULL;
    if (!f || f->value_len == 0 || f->value_len >= TCP_STATE_NUMBER_MAX ||
        (text[0] == '0' && f->value_len > 1))
        return false;
    for (size_t d = 0; d < f->value_len; d++) {
        if (text[d] < '0' || text[d] > '9')
            return false;
        n = n * 10 + (uint64_t)(text[d] - '0');
    }
    uint32_t whole = (uint32_t)n;
    uint16_t half = (uint16_t)n;
    if (numbers[i].size == 1)
        *to = (uint8_t)n;
    else
        memcpy(to, numbers[i].size == 2 ? (const void *)&half : &whole, numbers[i].size);
    return n <= max;
}

static bool read_bytes(const struct stead_field *f, const void **at, size_t *len)
{
    if (!f)
        return false;
    *at = f->value;
    *len = f->value_len;
    return true;
}

static bool read_all(const struct stead_field *fields, size_t count, struct stead_tcp *t)
{
    bool good =
        read_state(find(fields, count, "state"), t) &&
        read_address(find(fields, count, "local"), t->local_ip, &t->local_port, &t->family) &&
        read_address(find(fields, count, "remote"), t->remote_ip, &t->remote_port, &t->family) &&
        read_options(find(fields, count, "options"), &t->options);
    for (size_t i = 0; good && i < TCP_STATE_NUMBERS; i++)
        good = read_number(find(fields, count, numbers[i].name), i, t);
    return good && read_bytes(find(fields, count, "unacked"), &t->unacked, &t->unacked_len) &&
           read_bytes(find(fields, count, "unsent"), &t->unsent, &t->unsent_len) &&
           read_bytes(find(fields, count, "unread"), &t->unread, &t->unread_len) &&
           tcp_state_is_sound(t);
}

int tcp_state_read(const struct stead_field *fields, size_t count, struct stead_tcp *out)
{
    *out = (struct stead_tcp){.size = sizeof *out};
    if (read_all(fields, count, out))
        return STEAD_OK;
    *out = (struct stead_tcp){.size = sizeof *out};
    return STEAD_E_PARSE;
}
