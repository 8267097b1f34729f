/* cache_resp_admin.c - Redis's commands that are about the connection or the server: what client
 * libraries say when they connect. */
#include "role/gate/cache_resp.h"

#include <stdio.h>
#include <string.h>

#define REDIS_VERSION "7.0.15" /* whose commands these are */
#define WORD_MAX 64

/* Text of a client's, fit to stand in an error: short and printable. */
static void quote(struct slice text, char out[WORD_MAX + 1])
{
    size_t n = text.len < WORD_MAX ? text.len : WORD_MAX;
    for (size_t i = 0; i < n; i++)
        out[i] = text.at[i] < ' ' || text.at[i] > '~' ? '?' : text.at[i];
    out[n] = '\0';
}

bool cache_say_unknown(struct cache_conn *c, const struct cache_call *call)
{
    char name[WORD_MAX + 1], text[2 * WORD_MAX];
    quote(call->resp.argv[0], name);
    snprintf(text, sizeof text, "ERR unknown command '%s'", name);
    cache_count(&c->door->config.counters->malformed);
    return cache_say_error(c, text);
}

bool cache_say_arity(struct cache_conn *c, const struct cache_call *call)
{
    char name[WORD_MAX + 1], text[2 * WORD_MAX + 32];
    quote(call->resp.argv[0], name);
    snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", name);
    cache_count(&c->door->config.counters->malformed);
    return cache_say_error(c, text);
}

static bool password_is(const struct cache_conn *c, struct slice given)
{
    const char *wanted = c->door->config.password;
    size_t len = strlen(wanted);
    unsigned differs = given.len != len;
    for (size_t i = 0; i < given.len && i < len; i++)
        differs |= (unsigned char)given.at[i] ^ (unsigned char)wanted[i];
    return differs == 0;
}

static bool deny(struct cache_conn *c, const char *text)
{
    cache_count(&c->door->config.counters->denied);
    return cache_say_error(c, text);
}

/* AUTH [user] password */
static bool say_auth(struct cache_conn *c, const struct cache_call *call)
{
    size_t argc = call->resp.argc;
    if (argc != 2 && argc != 3)
        return cache_say_arity(c, call);
    if (c->door->config.password[0] == '\0')
        return cache_say_error(c, "ERR AUTH called without any password configured");
    c->admitted = password_is(c, call->resp.argv[argc - 1]);
    if (!c->admitted)
        return deny(c, "WRONGPASS invalid username-password pair or user is disabled.");
    return cache_say_simple(c, "OK");
}

static void put_text(struct resp_out *o, const char *text)
{
    resp_put_bulk(o, text, strlen(text));
}

static bool say_hello_map(struct cache_conn *c)
{
    struct resp_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return true;
    resp_out_init(&o, room, CACHE_REPLY_ROOM, c->version3);
    resp_put_map(&o, 7);
    put_text(&o, "server");
    put_text(&o, "redis");
    put_text(&o, "version");
    put_text(&o, REDIS_VERSION);
    put_text(&o, "proto");
    resp_put_int(&o, c->version3 ? 3 : 2);
    put_text(&o, "id");
    resp_put_int(&o, (int64_t)c->client_id);
    put_text(&o, "mode");
    put_text(&o, "standalone");
    put_text(&o, "role");
    put_text(&o, "master");
    put_text(&o, "modules");
    resp_put_array(&o, 0);
    c->out_len += o.len;
    return true;
}

/* HELLO [2|3 [AUTH user password] [SETNAME name]] */
static bool say_hello(struct cache_conn *c, const struct cache_call *call)
{
    const struct resp_command *q = &call->resp;
    bool version3 = c->version3;
    size_t i = 1;
    if (i < q->argc) {
        version3 = slice_is(q->argv[i], "3");
        if (!version3 && !slice_is(q->argv[i], "2"))
            return cache_say_error(c, "NOPROTO unsupported protocol version");
        i++;
    }
    for (; i < q->argc; i += 2) {
        if (resp_is(q, i, "AUTH") && i + 2 < q->argc) {
            i++;
            c->admitted = c->door->config.password[0] == '\0' || password_is(c, q->argv[i + 1]);
            if (!c->admitted)
                return deny(c, "WRONGPASS invalid username-password pair or user is disabled.");
        } else if (!resp_is(q, i, "SETNAME") || i + 1 >= q->argc) {
            return cache_say_error(c, "ERR syntax error in HELLO");
        }
    }
    if (!c->admitted)
        return deny(c, "NOAUTH HELLO must be called with the client already authenticated, "
                       "otherwise the HELLO <proto> AUTH <user> <pass> option can be used");
    c->version3 = version3;
    return say_hello_map(c);
}

static bool say_ping(struct cache_conn *c, const struct cache_call *call)
{
    if (call->resp.argc > 2)
        return cache_say_arity(c, call);
    return call->resp.argc == 2 ? cache_say_bulk(c, call->resp.argv[1])
                                : cache_say_simple(c, "PONG");
}

static bool say_echo(struct cache_conn *c, const struct cache_call *call)
{
    return call->resp.argc == 2 ? cache_say_bulk(c, call->resp.argv[1]) : cache_say_arity(c, call);
}

/* There is one space of keys; numbers are for those who always send one. */
static bool say_select(struct cache_conn *c, const struct cache_call *call)
{
    if (call->resp.argc == 2 && slice_is(call->resp.argv[1], "0"))
        return cache_say_simple(c, "OK");
    return cache_say_error(c, "ERR DB index is out of range: there is only 0");
}

static bool say_client(struct cache_conn *c, const struct cache_call *call)
{
    const struct resp_command *q = &call->resp;
    if (resp_is(q, 1, "SETINFO") || resp_is(q, 1, "SETNAME") || resp_is(q, 1, "NO-EVICT") ||
        resp_is(q, 1, "NO-TOUCH"))
        return cache_say_simple(c, "OK");
    if (resp_is(q, 1, "ID"))
        return cache_say_int(c, (int64_t)c->client_id);
    if (resp_is(q, 1, "GETNAME"))
        return cache_say_null(c);
    return cache_say_error(c, "ERR unknown subcommand of CLIENT");
}

static bool say_info(struct cache_conn *c)
{
    char text[512];
    int n = snprintf(text, sizeof text,
                     "# Server\r\nredis_version:" REDIS_VERSION "\r\nredis_mode:standalone\r\n"
                     "stead_version:" STEAD_VERSION "\r\n# Persistence\r\nloading:0\r\n"
                     "# Clients\r\nconnected_clients:%llu\r\n# Replication\r\nrole:master\r\n",
                     (unsigned long long)atomic_load(&c->door->config.counters->connections));
    return cache_say_bulk(c, (struct slice){text, (size_t)n});
}

/* SCRIPT LOAD of the known script; EXISTS is not worth an answer that libraries do not ask for. */
static bool say_script(struct cache_conn *c, const struct cache_call *call)
{
    char digest[CACHE_SCRIPT_DIGEST + 1];
    if (!resp_is(&call->resp, 1, "LOAD") || call->resp.argc != 3 ||
        !cache_script_text(&c->door->scripts, call->resp.argv[2], digest))
        return cache_say_error(
            c, "ERR only the script that deletes a key if its value matches is understood");
    return cache_say_bulk(c, (struct slice){digest, CACHE_SCRIPT_DIGEST});
}

static bool say_quit(struct cache_conn *c)
{
    cache_say_simple(c, "OK");
    c->broken = true;
    return true;
}

bool cache_resp_admin(struct cache_conn *c, struct cache_call *call, bool *answered)
{
    const struct resp_command *q = &call->resp;
    *answered = true;
    if (resp_is(q, 0, "HELLO"))
        return say_hello(c, call);
    if (resp_is(q, 0, "AUTH"))
        return say_auth(c, call);
    if (resp_is(q, 0, "QUIT"))
        return say_quit(c);
    if (!c->admitted)
        return deny(c, "NOAUTH Authentication required.");
    if (resp_is(q, 0, "PING"))
        return say_ping(c, call);
    if (resp_is(q, 0, "ECHO"))
        return say_echo(c, call);
    if (resp_is(q, 0, "SELECT"))
        return say_select(c, call);
    if (resp_is(q, 0, "CLIENT"))
        return say_client(c, call);
    if (resp_is(q, 0, "INFO"))
        return say_info(c);
    if (resp_is(q, 0, "COMMAND"))
        return cache_say_array(c, 0);
    if (resp_is(q, 0, "CONFIG") && resp_is(q, 1, "GET"))
        return cache_say_array(c, 0);
    if (resp_is(q, 0, "SCRIPT"))
        return say_script(c, call);
    return false;
}
