/* login.c - the login that belongs to a TLS session: a value in the store under the session's mark,
 * which names a record of kind auth. So tickets that were given out before the login lead to it as
 * well, and nothing has to be revoked in them: the record's end is enough. */
#include "libtls/attached.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define TRIES_MAX 4 /* from changing to making and back, when others do the same */

static uint32_t life_s(const struct attached *a)
{
    return 2 * a->life_s; /* a resumption may give another ticket of a whole life */
}

static int status_error(int status)
{
    switch (status) {
    case 404:
        return STEAD_E_ABSENT;
    case 400:
    case 413:
        return STEAD_E_INVAL;
    case 401:
    case 403:
        return STEAD_E_DENIED;
    case 507:
        return STEAD_E_FULL;
    case 503:
        return STEAD_E_UNREACHABLE;
    default:
        return STEAD_E_UNSUPPORTED;
    }
}

static bool mark_path(SSL *ssl, const struct guest *g, char path[PATH_MAX_BYTES])
{
    const uint8_t *mark = tickets_marked(SSL_get_session(ssl));
    return mark && kept_path(g->of, "login", mark, MARK_BYTES, "", path);
}

static int finish(struct guest *g, int err)
{
    link_end(&g->of->link, &g->call);
    g->login = LOGIN_NONE;
    return err;
}

static int ask(SSL *ssl, struct guest *g, enum login_step step)
{
    char path[PATH_MAX_BYTES];
    bool puts = step != LOGIN_READS;
    char *body =
        puts ? kept_body((const uint8_t *)g->login_id, strlen(g->login_id), life_s(g->of)) : NULL;
    const struct stead_ask q = {.size = sizeof q,
                                .method = puts ? "PUT" : "GET",
                                .path = path,
                                .match = step == LOGIN_CHANGES ? "*" : NULL,
                                .body = body,
                                .body_len = body ? strlen(body) : 0};
    int err = STEAD_E_NOMEM;
    if (!puts || body)
        err =
            mark_path(ssl, g, path) ? link_begin(&g->of->link, &g->call, &q) : STEAD_E_UNSUPPORTED;
    kept_body_free(body);
    if (err)
        return finish(g, err);
    g->login = step;
    return STEAD_PENDING;
}

static int start(SSL *ssl, struct guest *g, enum login_step step)
{
    if (g->asking == ASKING_WAITS)
        return STEAD_E_BUSY;
    g->login_tries = 0;
    g->login_until_ms = link_now_ms() + g->of->link.deadline_ms;
    return ask(ssl, g, step);
}

/* Until it is done; where the server is event-driven, one step. */
static int run(SSL *ssl, struct guest *g, int (*step)(SSL *, struct guest *, void *), void *context)
{
    for (;;) {
        int err = step(ssl, g, context);
        if (err != STEAD_PENDING)
            return err;
        if (link_now_ms() >= g->login_until_ms) {
            link_told(&g->of->link, STEAD_E_DEADLINE);
            return finish(g, g->login == LOGIN_READS || g->login == LOGIN_VERIFIES
                                 ? STEAD_E_DEADLINE
                                 : STEAD_E_UNKNOWN);
        }
        if (g->of->event_driven)
            return STEAD_PENDING;
        struct pollfd p = {.fd = stead_tls_fd(ssl), .events = stead_tls_events(ssl)};
        (void)poll(&p, 1, stead_tls_timeout_ms(ssl));
    }
}

/* -- binding -- */

static int bind_step(SSL *ssl, struct guest *g, void *context)
{
    const char *body;
    size_t len;
    int status, err = link_step(&g->of->link, &g->call, &status, &body, &len);
    (void)context;
    if (err == STEAD_PENDING)
        return err;
    bool changes = g->login == LOGIN_CHANGES;
    if (!err && status == (changes ? 404 : 409) && g->login_tries++ < TRIES_MAX)
        return ask(ssl, g, changes ? LOGIN_MAKES : LOGIN_CHANGES);
    if (!err && status != 204)
        err = status_error(status);
    if (err == STEAD_E_DEADLINE)
        err = STEAD_E_UNKNOWN;
    g->was_bound |= err == STEAD_OK;
    return finish(g, err);
}

static bool id_valid(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~");
    return len <= LOGIN_ID_MAX && id[len] == '\0';
}

int stead_tls_bind_login(SSL *ssl, const char *login)
{
    struct guest *g = guest_of(ssl);
    if (!g || !SSL_is_init_finished(ssl))
        return STEAD_E_UNSUPPORTED;
    if (login && (!*login || !id_valid(login)))
        return STEAD_E_INVAL;
    if (g->login == LOGIN_READS || g->login == LOGIN_VERIFIES)
        return STEAD_E_BUSY;
    int err = STEAD_PENDING;
    if (g->login == LOGIN_NONE) {
        memset(g->login_id, 0, sizeof g->login_id);
        if (login)
            memcpy(g->login_id, login, strlen(login));
        bool fresh = !g->was_bound && !SSL_session_reused(ssl);
        err = start(ssl, g, fresh ? LOGIN_MAKES : LOGIN_CHANGES);
    }
    return err == STEAD_PENDING ? run(ssl, g, bind_step, NULL) : err;
}

/* -- reading -- */

static int read_done(struct guest *g, int err, int status, const char *body, size_t len)
{
    size_t n = 0;
    bool local;
    if (!err && status != 200)
        err = status_error(status);
    uint8_t *value = err ? NULL : kept_value(body, len, &n, &local);
    if (err)
        return finish(g, err);
    memset(g->login_id, 0, sizeof g->login_id);
    if (value && n <= LOGIN_ID_MAX && strlen((char *)value) == n && id_valid((char *)value))
        memcpy(g->login_id, value, n);
    if (value)
        OPENSSL_cleanse(value, n);
    mem_free(value);
    if (!*g->login_id)
        return finish(g, STEAD_E_ABSENT);
    err = stead_session_begin(g->call.node, STEAD_SESSION_VERIFY, NULL, g->login_id, NULL);
    if (err)
        return finish(g, err);
    g->login = LOGIN_VERIFIES;
    return STEAD_PENDING;
}

/* The client has another ticket since: what it leads to lives on, too. */
static void renew(SSL *ssl, struct guest *g)
{
    char path[PATH_MAX_BYTES];
    char *body = kept_body((const uint8_t *)g->login_id, strlen(g->login_id), life_s(g->of));
    if (body && mark_path(ssl, g, path)) {
        const struct stead_ask q = {.size = sizeof q,
                                    .method = "PUT",
                                    .path = path,
                                    .match = "*",
                                    .body = body,
                                    .body_len = strlen(body)};
        link_send(&g->of->link, &q, false);
    }
    kept_body_free(body);
}

static int login_step(SSL *ssl, struct guest *g, void *context)
{
    struct stead_session **out = context;
    const char *body;
    size_t len;
    int status, err;
    if (g->login == LOGIN_READS) {
        err = link_step(&g->of->link, &g->call, &status, &body, &len);
        if (err != STEAD_PENDING)
            err = read_done(g, err, status, body, len);
        if (g->login != LOGIN_VERIFIES)
            return err;
    }
    err = stead_session_advance(g->call.node, out);
    if (err == STEAD_PENDING)
        return err;
    if (err != STEAD_E_DENIED) /* the login's, not the node's */
        link_told(&g->of->link, err);
    finish(g, err);
    if (!err && SSL_session_reused(ssl))
        renew(ssl, g);
    g->was_bound |= err == STEAD_OK;
    return err == STEAD_E_ENDED ? STEAD_E_ABSENT : err;
}

int stead_tls_login(SSL *ssl, struct stead_session **login)
{
    struct guest *g = guest_of(ssl);
    *login = NULL;
    if (!g || !SSL_is_init_finished(ssl))
        return STEAD_E_UNSUPPORTED;
    if (g->login == LOGIN_CHANGES || g->login == LOGIN_MAKES)
        return STEAD_E_BUSY;
    if (!tickets_marked(SSL_get_session(ssl)) || (!SSL_session_reused(ssl) && !g->was_bound))
        return STEAD_E_ABSENT;
    int err = g->login == LOGIN_NONE ? start(ssl, g, LOGIN_READS) : STEAD_PENDING;
    return err == STEAD_PENDING ? run(ssl, g, login_step, login) : err;
}
