/* One request to a node's admin listener, found by --admin or by the configuration. */
#include "base/mem.h"
#include "cli/admin_tls.h"
#include "cli/cli.h"
#include "client/net.h"
#include "core/http/http.h"
#include "stead/error.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (32u << 20)
#define PATIENCE_MS 5000
#define REQUEST_MAX 8192
#define ALREADY_SAID 1 /* no error of the table: it was said already */

static int connect_unix(const char *path, int *fd)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sa.sun_path))
        return STEAD_E_TOO_LARGE;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return STEAD_E_IO;
    if (connect(*fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return STEAD_OK;
    int err = errno == EACCES ? STEAD_E_DENIED : STEAD_E_UNREACHABLE;
    close(*fd);
    return err;
}

static int connect_to(const char *where, uint64_t deadline_ms, int *fd)
{
    struct addr a;
    if (strncmp(where, "unix:", 5) == 0)
        return connect_unix(where + 5, fd);
    if (strchr(where, '/'))
        return connect_unix(where, fd);
    if (!addr_parse(where, 7380, &a))
        return STEAD_E_INVAL;
    return net_connect(SOCK_STREAM, &a, deadline_ms, fd);
}

/* Reads until the node closes. */
static int read_answer(int fd, uint64_t deadline_ms, char **out, size_t *out_len)
{
    size_t cap = 0, len = 0, got = 0;
    char *bytes = NULL;
    for (;;) {
        if (cap - len < 4096) {
            char *more = len < ANSWER_MAX ? mem_realloc(bytes, cap = 2 * cap + 16384) : NULL;
            if (!more) {
                mem_free(bytes);
                return len < ANSWER_MAX ? STEAD_E_NOMEM : STEAD_E_TOO_LARGE;
            }
            bytes = more;
        }
        int err = net_receive(fd, bytes + len, cap - len - 1, deadline_ms, &got);
        if (err) {
            mem_free(bytes);
            return err;
        }
        if (got == 0)
            break;
        len += got;
    }
    bytes[len] = '\0';
    *out = bytes;
    *out_len = len;
    return STEAD_OK;
}

/* Reads the answer's bytes, whose the caller is. */
static int fetch(const struct cli_options *o, const char *request, char **answer, size_t *len)
{
    char why[ADMIN_TLS_WHY_MAX];
    int fd;
    uint64_t deadline = net_now_ms() + PATIENCE_MS;
    if (admin_tls_is(o->where)) {
        if (admin_tls_ask(o, request, ANSWER_MAX, deadline, answer, len, why))
            return STEAD_OK;
        if (!o->quiet)
            fprintf(stderr, "stead: %s: %s\n", o->where, why);
        return ALREADY_SAID;
    }
    int err = connect_to(o->where, deadline, &fd);
    if (err)
        return err;
    err = net_send(fd, request, strlen(request), deadline);
    if (!err)
        err = read_answer(fd, deadline, answer, len);
    close(fd);
    return err;
}

static int ask(const struct cli_options *o, const char *method, const char *path, int *status,
               char **body)
{
    char request[REQUEST_MAX], *answer;
    size_t len;
    struct http_response_head head;
    const char *why;
    snprintf(request, sizeof(request),
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: 0\r\n\r\n",
             method, path);
    int err = fetch(o, request, &answer, &len);
    if (err)
        return err;
    if (http_parse_response(answer, len, &head, &why) <= 0) {
        mem_free(answer);
        return STEAD_E_PARSE;
    }
    *status = head.status;
    *body = strdup(answer + head.head_bytes);
    mem_free(answer);
    return *body ? STEAD_OK : STEAD_E_NOMEM;
}

int cli_admin(const struct cli_options *o, const char *method, const char *path, char **body)
{
    const char *where = o->where;
    int status = 0;
    *body = NULL;
    int err = ask(o, method, path, &status, body);
    if (err == ALREADY_SAID || (err && o->quiet))
        return 0;
    if (err == STEAD_E_UNREACHABLE)
        fprintf(stderr, "stead: no node answers at %s; is it running?\n", where);
    else if (err == STEAD_E_DENIED)
        fprintf(stderr, "stead: %s: it is for the node's own user and group\n", where);
    else if (err == STEAD_E_INVAL)
        fprintf(stderr, "stead: '%s' is neither unix:PATH, ADDRESS:PORT nor https://HOST:PORT\n",
                where);
    else if (err)
        fprintf(stderr, "stead: %s: %s\n", where, stead_error_text(err));
    return err ? 0 : status;
}

int cli_refused(const char *verb, int status, const char *body)
{
    if (status == 0)
        return EXIT_FAILED;
    json_t *j = json_loads(body, 0, NULL);
    const char *message = json_string_value(json_object_get(j, "message"));
    if (message)
        fprintf(stderr, "stead %s: %s\n", verb, message);
    else
        fprintf(stderr, "stead %s: the node answers %d: %s\n", verb, status, body);
    json_decref(j);
    return EXIT_FAILED;
}
