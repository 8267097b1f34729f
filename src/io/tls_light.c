/* tls_light.c - a server's connection after its handshake, on tls_record.h: OpenSSL's object is
 * freed when the secrets are known. What the handshake left in OpenSSL's hands would be lost, so it
 * goes over only when that is nothing. */
#include "io/tls_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define SEALED_MAX                                                                                 \
    (TLS_RECORD_UPDATE_BYTES + TLS_RECORD_HEADER + TLS_RECORD_PLAIN_MAX + TLS_RECORD_EXTRA)

/* What is read of the socket, while a call runs. */
struct input {
    size_t plain_at, plain_len; /* opened, not taken by the owner yet */
    size_t at, len;             /* records */
    bool drained;
    uint8_t bytes[TLS_RAW_BYTES];
};

_Static_assert(TLS_RAW_BYTES >= 2 * TLS_RECORD_PLAIN_MAX, "a record fits, wherever it begins");

static bool again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* -- going over -- */

static struct tls_secrets *secrets_of(const SSL *ssl)
{
    struct tls *t = SSL_get_app_data(ssl);
    if (t && !t->secrets && !t->context->client)
        t->secrets = mem_alloc(sizeof *t->secrets);
    return t ? t->secrets : NULL;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last word of the line. */
static size_t read_secret(const char *line, uint8_t out[TLS_SECRET_MAX])
{
    const char *hex = strrchr(line, ' ');
    size_t n = 0;
    while (hex && n < TLS_SECRET_MAX && digit(hex[1]) >= 0 && digit(hex[2]) >= 0) {
        out[n++] = (uint8_t)(digit(hex[1]) << 4 | digit(hex[2]));
        hex += 2;
    }
    return n;
}

static void on_key_line(const SSL *ssl, const char *line)
{
    static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ", server[] = "SERVER_TRAFFIC_SECRET_0 ";
    bool clients = strncmp(line, client, sizeof client - 1) == 0;
    if (!clients && strncmp(line, server, sizeof server - 1) != 0)
        return;
    struct tls_secrets *s = secrets_of(ssl);
    if (s && clients)
        s->client_len = read_secret(line, s->client);
    else if (s)
        s->server_len = read_secret(line, s->server);
}

/* The traffic secrets come with keys' lines, which OpenSSL prints digit by digit: a tenth of a
 * handshake's time. So nobody listens before the server's Finished, when those of TLS 1.3 follow.
 */
static void hear_from_here(struct tls *t, SSL *ssl)
{
    if (SSL_version(ssl) == TLS1_3_VERSION && !t->context->client)
        SSL_set_SSL_CTX(ssl, t->context->heard);
}

/* What the server writes once it has its traffic secret is under it: the tickets. */
static void on_message(int writing, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *context)
{
    struct tls *t = SSL_get_app_data(ssl);
    const uint8_t *byte = bytes;
    (void)version;
    (void)context;
    if (writing && type == SSL3_RT_HANDSHAKE && t && len > 0 && byte[0] == SSL3_MT_FINISHED)
        hear_from_here(t, ssl);
    if (writing && type == SSL3_RT_ALERT && t && len == 2 && byte[1] == SSL_AD_NO_RENEGOTIATION)
        tls_renegotiated(t);
    if (writing && type == SSL3_RT_HEADER && t && t->secrets && t->secrets->server_len)
        t->secrets->written++;
}

void tls_light_prepare(SSL_CTX *ssl)
{
    SSL_CTX_set_msg_callback(ssl, on_message);
}

void tls_light_hear(SSL_CTX *ssl)
{
    SSL_CTX_set_keylog_callback(ssl, on_key_line);
}

static bool remember(const struct tls *t, struct tls_light *l)
{
    struct tls_identity id;
    const char *name = tls_server_name(t);
    l->version = tls_version(t);
    l->cipher = tls_cipher(t);
    tls_protocol(t, l->protocol);
    if (*name && !(l->name = mem_strdup(name)))
        return false;
    return !tls_client_identity(t, &id) || (l->identity = mem_dup(&id, sizeof id));
}

static bool possible(const struct tls *t)
{
    const struct tls_secrets *s = t->secrets;
    const SSL_SESSION *session = SSL_get0_session(t->ssl);
    /* Smaller records, as who has little memory asks for, are OpenSSL's (RFC 6066, section 4). */
    if (!session ||
        SSL_SESSION_get_max_fragment_length(session) != TLSEXT_max_fragment_length_DISABLED)
        return false;
    return s && s->client_len && s->client_len == s->server_len &&
           SSL_version(t->ssl) == TLS1_3_VERSION && !SSL_has_pending(t->ssl);
}

void tls_light_begin(struct tls *t)
{
    struct tls_secrets *s = t->secrets;
    struct tls_light *l = possible(t) ? mem_alloc(sizeof *l) : NULL;
    unsigned suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(t->ssl));
    if (l && remember(t, l) &&
        tls_record_init(&l->record, &t->context->suites, suite, s->client, s->server,
                        s->client_len)) {
        l->record.write.seq = s->written;
        t->light = l;
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(t->ssl);
        t->ssl = NULL;
    } else {
        tls_light_free(l);
    }
    if (s)
        explicit_bzero(s, sizeof *s);
    mem_free(s);
    t->secrets = NULL;
}

void tls_light_free(struct tls_light *l)
{
    if (!l)
        return;
    tls_record_deinit(&l->record);
    mem_free(l->name);
    mem_free(l->identity);
    mem_free(l->out);
    mem_free(l);
}

/* -- writing -- */

/* Sends what was kept. False: errno. */
static bool drain(struct tls *t)
{
    struct tls_light *l = t->light;
    while (l->out_at < l->out_len) {
        ssize_t n = send(t->fd, l->out + l->out_at, l->out_len - l->out_at, MSG_NOSIGNAL);
        if (n < 0 && !again())
            t->error = errno;
        if (n < 0)
            return false;
        l->out_at += (uint32_t)n;
    }
    mem_free(l->out);
    l->out = NULL;
    l->out_at = l->out_len = 0;
    return true;
}

/* Sends sealed bytes, and keeps what is not taken: a record cannot be taken back, nor sealed twice.
 * False: errno; plain then says whose they are. */
static bool send_sealed(struct tls *t, const uint8_t *bytes, size_t len, size_t plain)
{
    struct tls_light *l = t->light;
    ssize_t n = send(t->fd, bytes, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len)
        return true;
    if (n < 0 && !again()) {
        t->error = errno;
        return false;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    l->out = mem_dup(bytes + sent, len - sent);
    if (!l->out)
        t->error = ENOMEM;
    l->out_len = l->out ? (uint32_t)(len - sent) : 0;
    l->out_plain = (uint32_t)plain;
    errno = l->out ? EAGAIN : ENOMEM;
    return false;
}

static bool seal_and_send(struct tls *t, EVP_CIPHER_CTX *ctx, enum tls_record_type type,
                          const void *plain, size_t len)
{
    uint8_t sealed[SEALED_MAX];
    size_t n = tls_record_seal(&t->light->record, ctx, type, plain, len, sealed);
    if (n == 0)
        errno = t->error = ENOMEM;
    return n && send_sealed(t, sealed, n, type == TLS_DATA ? len : 0);
}

ssize_t tls_light_write(struct tls *t, const void *bytes, size_t len)
{
    struct tls_light *l = t->light;
    size_t sent = 0;
    if (l->out && !drain(t))
        return -1;
    sent = l->out_plain < len ? l->out_plain : len; /* repeated by the owner, and gone by now */
    l->out_plain -= (uint32_t)sent;
    EVP_CIPHER_CTX *ctx = sent < len ? EVP_CIPHER_CTX_new() : NULL;
    if (sent < len && !ctx) {
        errno = t->error = ENOMEM;
        return -1;
    }
    while (sent < len) {
        size_t some = len - sent < TLS_RECORD_PLAIN_MAX ? len - sent : TLS_RECORD_PLAIN_MAX;
        if (!seal_and_send(t, ctx, TLS_DATA, (const char *)bytes + sent, some))
            break;
        sent += some;
    }
    EVP_CIPHER_CTX_free(ctx);
    if (sent || !len)
        return (ssize_t)sent;
    errno = t->error ? t->error : EAGAIN;
    return -1;
}

static bool say_alert(struct tls *t, uint8_t level, uint8_t what)
{
    const uint8_t alert[] = {level, what};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool said = ctx && seal_and_send(t, ctx, TLS_ALERT, alert, sizeof alert);
    EVP_CIPHER_CTX_free(ctx);
    return said;
}

bool tls_light_end(struct tls *t)
{
    struct tls_light *l = t->light;
    if (l->out && !drain(t))
        return false;
    if (t->end_said)
        return true;
    t->end_said = true;
    return say_alert(t, 1, 0);
}

/* -- reading -- */

static void input_open(const struct tls *t, struct input *in)
{
    in->plain_at = 0;
    in->plain_len = t->light->left_plain;
    in->at = in->plain_len;
    in->len = t->left_len;
    in->drained = false;
    if (t->left_len)
        memcpy(in->bytes, t->left, t->left_len);
}

/* Keeps what the owner has no room for, and the beginning of a record. */
static void input_close(struct tls *t, const struct input *in)
{
    size_t records = in->len - in->at, all = in->plain_len + records;
    char *left = all ? mem_alloc(all) : NULL;
    mem_free(t->left);
    t->left = left;
    t->left_len = left ? (uint32_t)all : 0;
    t->light->left_plain = left ? (uint32_t)in->plain_len : 0;
    if (all && !left) {
        t->error = ENOMEM; /* bytes of the stream are lost: it cannot go on */
        return;
    }
    if (in->plain_len)
        memcpy(left, in->bytes + in->plain_at, in->plain_len);
    if (records)
        memcpy(left + in->plain_len, in->bytes + in->at, records);
}

/* False: there is nothing. */
static bool refill(struct tls *t, struct input *in)
{
    if (in->drained)
        return false;
    memmove(in->bytes, in->bytes + in->at, in->len - in->at);
    in->len -= in->at;
    in->at = 0;
    ssize_t n = recv(t->fd, in->bytes + in->len, sizeof in->bytes - in->len, 0);
    in->drained = n < (ssize_t)(sizeof in->bytes - in->len);
    if (n == 0 || (n < 0 && !again()))
        t->error = n < 0 ? errno : ECONNRESET; /* an end that was not said is none */
    if (n > 0)
        in->len += (size_t)n;
    return n > 0;
}

static size_t take_plain(struct input *in, char *out, size_t max)
{
    size_t some = in->plain_len < max ? in->plain_len : max;
    if (some)
        memcpy(out, in->bytes + in->plain_at, some);
    in->plain_at += some;
    in->plain_len -= some;
    return some;
}

/* Opens one record. False: none is here, or the last was. */
static bool open_one(struct tls *t, EVP_CIPHER_CTX *ctx, struct input *in)
{
    size_t used = 0, len = 0;
    uint8_t *plain = NULL, alert = 0;
    enum tls_opened o = tls_record_open(&t->light->record, ctx, in->bytes + in->at,
                                        in->len - in->at, &used, &plain, &len, &alert);
    in->at += used;
    switch (o) {
    case TLS_OPENED_DATA:
        in->plain_at = (size_t)(plain - in->bytes);
        in->plain_len = len;
        return true;
    case TLS_OPENED_NOTHING:
        return true;
    case TLS_OPENED_END:
        t->ended = true;
        return false;
    case TLS_OPENED_BROKEN:
        t->error = ECONNRESET;
        return false;
    case TLS_OPENED_WRONG:
        /* Behind what waits; where that does not go now, there is no room for an alert either. */
        if (!t->light->out || drain(t))
            (void)say_alert(t, 2, alert);
        t->error = EPROTO;
        return false;
    case TLS_OPENED_MORE:
        break;
    }
    return false;
}

/* Is one here, or enough to see that it is none? More than a record would not find room. */
static bool whole_record(const uint8_t *bytes, size_t len)
{
    if (len < TLS_RECORD_HEADER)
        return false;
    size_t body = (size_t)bytes[3] << 8 | bytes[4];
    return len - TLS_RECORD_HEADER >= body || TLS_RECORD_HEADER + body > TLS_RECORD_MAX ||
           bytes[0] != TLS_DATA;
}

/* So that a large buffer takes all that is here: the input gives less than it holds. The first
 * read is always done. */
static bool may_refill(size_t got, size_t max)
{
    return got == 0 || max - got >= TLS_RAW_BYTES;
}

ssize_t tls_light_read(struct tls *t, void *out, size_t max)
{
    struct input in;
    EVP_CIPHER_CTX *ctx = NULL;
    size_t got = 0;
    if (!t->error && (!t->ended || t->light->left_plain) && max) {
        input_open(t, &in);
        got = take_plain(&in, out, max);
        while (got < max && !t->ended && !t->error) {
            bool here = whole_record(in.bytes + in.at, in.len - in.at);
            if (!here && !(may_refill(got, max) && refill(t, &in)))
                break;
            if (!here)
                continue;
            if (!ctx && !(ctx = EVP_CIPHER_CTX_new())) {
                t->error = ENOMEM;
                break;
            }
            if (open_one(t, ctx, &in))
                got += take_plain(&in, (char *)out + got, max - got);
        }
        EVP_CIPHER_CTX_free(ctx);
        input_close(t, &in);
    }
    if (got || t->ended || !max)
        return (ssize_t)got;
    errno = t->error ? t->error : EAGAIN;
    return -1;
}

bool tls_light_pending(const struct tls *t)
{
    size_t plain = t->light->left_plain;
    return plain ||
           (!t->ended && whole_record((const uint8_t *)t->left + plain, t->left_len - plain));
}
