/* session.c - calls of a server to its node's session API: the connection, and one call at a time
 * on it. What is said is made and read in session_request.c and session_record.c. */
#include "client/session_internal.h"

#include "base/mem.h"
#include "client/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_WHERE "unix:/run/stead/sessions.sock"
#define READ_BYTES 16384
#define READS_A_STEP 64
#define GRACE_MS 1000 /* beyond what the node may take */

/* -- life -- */

static int read_where(struct stead_sessions *s, const char *where)
{
    static const char prefix[] = "unix:";
    size_t skip = sizeof prefix - 1;
    if (strncmp(where, prefix, skip) == 0) {
        size_t len = strlen(where + skip);
        if (len == 0 || len > SESSION_PATH_MAX)
            return STEAD_E_INVAL;
        memcpy(s->path, where + skip, len + 1);
        return STEAD_OK;
    }
    return addr_parse(where, 0, &s->to) ? STEAD_OK : STEAD_E_INVAL;
}

static bool is_token(const char *token)
{
    for (const char *c = token; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return strlen(token) <= SESSION_TOKEN_MAX;
}

int stead_sessions_new(const char *where, const char *token, struct stead_sessions **node)
{
    *node = NULL;
    if (token && !is_token(token))
        return STEAD_E_INVAL;
    struct stead_sessions *s = mem_alloc(sizeof *s);
    if (!s)
        return STEAD_E_NOMEM;
    s->fd = -1;
    int err = read_where(s, where ? where : DEFAULT_WHERE);
    if (!err && token && !(s->token = mem_strdup(token)))
        err = STEAD_E_NOMEM;
    if (err)
        stead_sessions_free(s);
    else
        *node = s;
    return err;
}

static void hang_up(struct stead_sessions *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->connected = s->kept = false;
}

void session_call_clear(struct stead_sessions *s)
{
    if (s->request)
        explicit_bzero(s->request, s->len);
    if (s->body)
        explicit_bzero(s->body, s->body_len);
    mem_free(s->request);
    mem_free(s->body);
    s->request = s->body = NULL;
    s->len = s->sent = s->body_len = s->body_cap = 0;
    s->verb = 0;
}

void stead_sessions_free(struct stead_sessions *s)
{
    if (!s)
        return;
    hang_up(s);
    session_call_clear(s);
    mem_free(s->token);
    mem_free(s);
}

/* -- the connection -- */

static int connect_unix(const char *path, int *fd)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path, strlen(path) + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return STEAD_E_IO;
    if (connect(*fd, (struct sockaddr *)&to, sizeof to) == 0)
        return STEAD_OK;
    int err = errno == EACCES   ? STEAD_E_DENIED
              : errno == EAGAIN ? STEAD_E_BUSY /* its queue is full */
                                : STEAD_E_UNREACHABLE;
    close(*fd);
    *fd = -1;
    return err;
}

/* A kept connection that the node has closed meanwhile is of no use. */
static void check_kept(struct stead_sessions *s)
{
    char byte;
    if (s->kept && s->sent == 0 &&
        !(recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN))
        hang_up(s);
}

static int reach(struct stead_sessions *s)
{
    check_kept(s);
    if (s->connected)
        return STEAD_OK;
    int err = s->fd >= 0   ? net_finish_connect(s->fd)
              : s->path[0] ? connect_unix(s->path, &s->fd)
                           : net_begin_connect(&s->to, &s->fd);
    s->connected = err == STEAD_OK;
    return err;
}

/* -- a call -- */

static bool reads(const struct stead_sessions *s)
{
    return s->verb == STEAD_SESSION_READ || s->verb == STEAD_SESSION_VERIFY ||
           (s->verb == SESSION_ASK && s->asks_to_read);
}

static int append(struct stead_sessions *s, struct slice data)
{
    if (data.len > SESSION_ANSWER_MAX - s->body_len)
        return STEAD_E_PARSE;
    if (s->body_len + data.len >= s->body_cap) {
        size_t cap = s->body_cap ? s->body_cap * 2 : READ_BYTES;
        while (cap <= s->body_len + data.len)
            cap *= 2;
        char *more = mem_realloc(s->body, cap);
        if (!more)
            return STEAD_E_NOMEM;
        s->body = more;
        s->body_cap = cap;
    }
    memcpy(s->body + s->body_len, data.at, data.len);
    s->body_len += data.len;
    s->body[s->body_len] = '\0';
    return STEAD_OK;
}

static int feed(struct stead_sessions *s, const char *bytes, size_t len)
{
    struct slice in = {bytes, len}, data;
    for (;;) {
        int got = reply_feed(&s->reply, &in, &data);
        if (got < 0)
            return got;
        if (s->reply.has_head && (s->reply.status == 204 || s->reply.status == 304))
            return STEAD_OK;
        int err = data.len ? append(s, data) : STEAD_OK;
        if (err || got == 2)
            return err;
        if (got == 0)
            return STEAD_PENDING;
    }
}

static int receive(struct stead_sessions *s)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_A_STEP; i++) {
        size_t got;
        int err = net_try_receive(s->fd, bytes, sizeof bytes, &got);
        if (err)
            return err;
        if (got == 0)
            return STEAD_E_CLOSED;
        err = feed(s, bytes, got);
        explicit_bzero(bytes, got); /* sessions, and keys */
        if (err != STEAD_PENDING)
            return err;
    }
    return STEAD_PENDING;
}

static int send_and_receive(struct stead_sessions *s)
{
    int err = reach(s);
    while (!err && s->sent < s->len) {
        size_t sent = 0;
        err = net_try_send(s->fd, s->request + s->sent, s->len - s->sent, &sent);
        s->sent += sent;
    }
    return err ? err : receive(s);
}

/* The answer is whole. */
static int conclude(struct stead_sessions *s, struct stead_session **out)
{
    struct stead_session *session = NULL;
    int status = s->reply.status;
    if (status == 204)
        return STEAD_OK;
    const char *body = s->body ? s->body : "";
    if (status != 200 && status != 201)
        return session_error(s->verb, status, body, s->body_len);
    int err = session_record_parse(body, s->body_len, &session);
    if (!err && s->verb == STEAD_SESSION_VERIFY)
        err = session_login_check(session, time(NULL));
    if (err || !out)
        stead_session_free(session);
    else
        *out = session;
    return err;
}

/* Nothing came back: what of it? */
static int broken(const struct stead_sessions *s, int err)
{
    bool done = s->sent > 0 && !reads(s);
    return done ? STEAD_E_UNKNOWN : err;
}

int stead_session_begin(struct stead_sessions *s, enum stead_session_verb verb, const char *kind,
                        const char *id, const struct stead_change *change)
{
    if (s->verb)
        return STEAD_E_BUSY;
    session_call_clear(s);
    int err = session_request(s, verb, kind, id, change, &s->request, &s->len);
    if (err)
        return err;
    s->verb = verb;
    s->reply = (struct reply){0};
    uint32_t wait_ms = STEAD_SESSION_DEADLINE_MS * (verb == STEAD_SESSION_RENEW ? 2 : 1);
    s->until_ms = net_now_ms() + wait_ms + GRACE_MS;
    return STEAD_OK;
}

int session_go_on(struct stead_sessions *s)
{
    int err = send_and_receive(s);
    /* The node closed what was kept while the question was on its way. */
    if (err == STEAD_E_CLOSED && s->kept && reads(s) && s->reply.have == 0) {
        hang_up(s);
        s->sent = 0;
        err = send_and_receive(s);
    }
    if (err == STEAD_PENDING && net_now_ms() < s->until_ms)
        return STEAD_PENDING;
    if (err) {
        err = broken(s, err == STEAD_PENDING ? STEAD_E_DEADLINE : err);
        hang_up(s);
    } else {
        s->kept = true;
        bool bare = s->reply.status == 204 || s->reply.status == 304;
        if (!bare && s->reply.has_length + s->reply.chunked == 0)
            hang_up(s);
    }
    return err;
}

int stead_session_advance(struct stead_sessions *s, struct stead_session **out)
{
    if (out)
        *out = NULL;
    if (!s->verb || s->verb == SESSION_ASK)
        return STEAD_E_INVAL;
    int err = session_go_on(s);
    if (err == STEAD_PENDING)
        return err;
    if (!err) {
        err = conclude(s, out);
        if (err == STEAD_E_PARSE)
            hang_up(s);
    }
    session_call_clear(s);
    return err;
}

int stead_sessions_fd(const struct stead_sessions *s)
{
    return s->verb ? s->fd : -1;
}

short stead_sessions_events(const struct stead_sessions *s)
{
    return s->verb && (!s->connected || s->sent < s->len) ? POLLOUT : POLLIN;
}

int stead_sessions_timeout_ms(const struct stead_sessions *s)
{
    uint64_t now = net_now_ms();
    if (!s->verb)
        return -1;
    return s->until_ms > now ? (int)(s->until_ms - now) : 0;
}

/* -- calls that wait -- */

static int call(struct stead_sessions *s, enum stead_session_verb verb, const char *kind,
                const char *id, const struct stead_change *change, struct stead_session **out)
{
    if (out)
        *out = NULL;
    int err = stead_session_begin(s, verb, kind, id, change);
    if (err)
        return err;
    while ((err = stead_session_advance(s, out)) == STEAD_PENDING) {
        struct pollfd p = {.fd = s->fd, .events = stead_sessions_events(s)};
        (void)poll(&p, 1, stead_sessions_timeout_ms(s));
    }
    return err;
}

int stead_session_create(struct stead_sessions *s, const char *kind,
                         const struct stead_change *change, struct stead_session **session)
{
    return call(s, STEAD_SESSION_CREATE, kind, NULL, change, session);
}

int stead_session_read(struct stead_sessions *s, const char *kind, const char *id,
                       struct stead_session **session)
{
    return call(s, STEAD_SESSION_READ, kind, id, NULL, session);
}

int stead_session_change(struct stead_sessions *s, const char *kind, const char *id,
                         const struct stead_change *change, struct stead_session **session)
{
    return call(s, STEAD_SESSION_CHANGE, kind, id, change, session);
}

int stead_session_touch(struct stead_sessions *s, const char *kind, const char *id, uint32_t ttl_ms,
                        struct stead_session **session)
{
    struct stead_change life = {.size = sizeof life, .ttl_ms = ttl_ms};
    return call(s, STEAD_SESSION_TOUCH, kind, id, &life, session);
}

int stead_session_renew(struct stead_sessions *s, const char *kind, const char *id,
                        struct stead_session **session)
{
    return call(s, STEAD_SESSION_RENEW, kind, id, NULL, session);
}

int stead_session_end(struct stead_sessions *s, const char *kind, const char *id,
                      const char *version)
{
    struct stead_change only = {.size = sizeof only, .version = version};
    return call(s, STEAD_SESSION_END, kind, id, &only, NULL);
}

int stead_session_verify(struct stead_sessions *s, const char *id, struct stead_session **session)
{
    return call(s, STEAD_SESSION_VERIFY, NULL, id, NULL, session);
}
