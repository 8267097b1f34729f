/* visitor_connect.c - TLS connections: to first servers, for libstead to ask; and to second
 * servers, for the application. */
#include "libtls/visitor.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXCLUDE_MAX 1000
#define TRIES_MAX 8 /* servers whose handshake fails, one after the other */

/* -- for libstead -- */

struct connection {
    SSL *ssl;
    bool wants_write;
};

static int begin(void *context, int fd, const char *host, void **out)
{
    struct connection *c = mem_alloc(sizeof *c);
    if (!c)
        return STEAD_E_NOMEM;
    c->ssl = visitor_ssl(context, host);
    if (!c->ssl || !visitor_socket(c->ssl, fd, false)) {
        SSL_free(c->ssl);
        mem_free(c);
        return STEAD_E_NOMEM;
    }
    *out = c;
    return STEAD_OK;
}

static int told(struct connection *c, int result)
{
    c->wants_write = result <= 0 && SSL_want_write(c->ssl);
    return result > 0 ? STEAD_OK : visitor_error(c->ssl, result);
}

static int shake(void *connection)
{
    struct connection *c = connection;
    ERR_clear_error();
    return told(c, SSL_do_handshake(c->ssl));
}

static int wants_write(void *connection)
{
    return ((struct connection *)connection)->wants_write;
}

static int send_some(void *connection, const void *bytes, size_t len, size_t *sent)
{
    struct connection *c = connection;
    ERR_clear_error();
    return told(c, SSL_write_ex(c->ssl, bytes, len, sent));
}

static int receive_some(void *connection, void *bytes, size_t cap, size_t *got)
{
    struct connection *c = connection;
    ERR_clear_error();
    int err = told(c, SSL_read_ex(c->ssl, bytes, cap, got));
    if (err != STEAD_E_CLOSED)
        return err;
    *got = 0;
    return STEAD_OK;
}

static void end(void *connection)
{
    struct connection *c = connection;
    ERR_clear_error();
    if (SSL_is_init_finished(c->ssl))
        SSL_shutdown(c->ssl); /* else its session would not be resumed */
    ERR_clear_error();
    SSL_free(c->ssl);
    mem_free(c);
}

void visitor_secure(struct stead_tls_client *c, struct stead_secure *out)
{
    *out = (struct stead_secure){.size = sizeof *out,
                                 .context = c,
                                 .begin = begin,
                                 .shake = shake,
                                 .wants_write = wants_write,
                                 .send = send_some,
                                 .receive = receive_some,
                                 .end = end};
}

/* -- for applications -- */

/* The host of an https URL, without brackets. */
static bool host_of(const char *url, char out[VISITOR_HOST_MAX + 1])
{
    static const char scheme[] = "https://";
    if (!url || strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *at = url + sizeof scheme - 1;
    bool bracket = *at == '[';
    at += bracket;
    size_t len = strcspn(at, bracket ? "]" : ":/?#");
    if (len > 1 && !bracket && at[len - 1] == '.')
        len--;
    if (len == 0 || len > VISITOR_HOST_MAX)
        return false;
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

int stead_tls_client_start(struct stead_tls_client *c, const char *url, int fd, SSL **ssl)
{
    char host[VISITOR_HOST_MAX + 1];
    *ssl = NULL;
    if (!host_of(url, host) || fd < 0)
        return STEAD_E_INVAL;
    *ssl = visitor_ssl(c, host);
    if (*ssl && visitor_socket(*ssl, fd, false))
        return STEAD_OK;
    SSL_free(*ssl);
    *ssl = NULL;
    return STEAD_E_NOMEM;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool set_blocking(int fd, bool blocks)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0;
}

static int shake_until(SSL *ssl, int fd, uint64_t until_ms)
{
    for (;;) {
        ERR_clear_error();
        int r = SSL_do_handshake(ssl), err = r > 0 ? STEAD_OK : visitor_error(ssl, r);
        uint64_t now = now_ms();
        if (err != STEAD_PENDING)
            return err;
        if (now >= until_ms)
            return STEAD_E_DEADLINE;
        struct pollfd p = {.fd = fd, .events = SSL_want_write(ssl) ? POLLOUT : POLLIN};
        (void)poll(&p, 1, (int)(until_ms - now));
    }
}

/* The socket is closed on failure. */
static int secure(struct stead_tls_client *c, const char *url, int fd, uint64_t until_ms, SSL **out)
{
    char host[VISITOR_HOST_MAX + 1];
    SSL *ssl = host_of(url, host) ? visitor_ssl(c, host) : NULL;
    if (!ssl || !visitor_socket(ssl, fd, true)) {
        SSL_free(ssl);
        close(fd);
        return STEAD_E_NOMEM;
    }
    int err = set_blocking(fd, false) ? shake_until(ssl, fd, until_ms) : STEAD_E_IO;
    if (!err && !set_blocking(fd, true))
        err = STEAD_E_IO;
    if (err)
        SSL_free(ssl);
    else
        *out = ssl;
    return err;
}

/* One server; *failed: it was reached, and its handshake came to nothing. */
static int try_one(struct stead_tls_client *c, const char *url, const struct stead_options *o,
                   SSL **ssl, struct stead_choice **choice, bool *failed)
{
    int fd, err = stead_connect(url, o, &fd, choice);
    *failed = false;
    if (err)
        return err;
    uint32_t ms = o->timeout_ms < o->deadline_ms ? o->timeout_ms : o->deadline_ms;
    err = secure(c, stead_choice_url(*choice), fd, now_ms() + ms, ssl);
    *failed = err != STEAD_OK;
    return err;
}

/* Servers one after the other, until a handshake is done: the names of those that failed go behind
 * o->exclude. The choice that it was is the last of *count. */
static int try_all(struct stead_tls_client *c, const char *url, struct stead_options *o,
                   const char **exclude, SSL **ssl, struct stead_choice *tried[TRIES_MAX],
                   size_t *count)
{
    uint64_t until = now_ms() + o->deadline_ms;
    bool failed = true;
    int err = STEAD_E_DEADLINE;
    for (*count = 0; failed && *count < TRIES_MAX && now_ms() < until;) {
        struct stead_choice **choice = &tried[(*count)++];
        o->deadline_ms = (uint32_t)(until - now_ms());
        int now = try_one(c, url, o, ssl, choice, &failed);
        /* Why the others could not be taken says more than that none is left. */
        if (*count == 1 || now != STEAD_E_NO_SERVER)
            err = now;
        if (failed)
            exclude[o->exclude_count++] = stead_choice_server(*choice);
    }
    return err;
}

int stead_tls_connect(struct stead_tls_client *c, const char *url,
                      const struct stead_options *options, SSL **ssl, struct stead_choice **choice)
{
    struct stead_choice *tried[TRIES_MAX] = {NULL};
    char host[VISITOR_HOST_MAX + 1];
    struct stead_options o;
    size_t count = 0;
    *ssl = NULL;
    if (choice)
        *choice = NULL;
    stead_options_init(&o, sizeof o);
    if (options && options->size == sizeof o)
        o = *options;
    if (!host_of(url, host) || (options && options->size != sizeof o) || o.deadline_ms == 0 ||
        (o.exclude_count && !o.exclude) || o.exclude_count > EXCLUDE_MAX)
        return STEAD_E_INVAL;
    const char **exclude = mem_alloc((o.exclude_count + TRIES_MAX) * sizeof *exclude);
    if (!exclude)
        return STEAD_E_NOMEM;
    for (size_t i = 0; i < o.exclude_count; i++)
        exclude[i] = o.exclude[i];
    o.exclude = exclude;
    o.secure = &c->secure;
    int err = try_all(c, url, &o, exclude, ssl, tried, &count);
    if (!err && choice) {
        *choice = tried[count - 1];
        tried[count - 1] = NULL;
    }
    for (size_t i = 0; i < TRIES_MAX; i++)
        stead_choice_free(tried[i]);
    mem_free(exclude);
    return err;
}
