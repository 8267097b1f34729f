/* cache_setup.c - sockets and rules of the doors for clients of memcached and Redis. */
#include "node/cache_setup.h"

#include "base/mem.h"
#include "io/io.h"
#include "io/listen.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = {[CACHE_MEMCACHE] = "memcached", [CACHE_RESP] = "redis"};

static int fail(enum cache_protocol p, int err, const char *what, const char *where)
{
    fprintf(stderr, "stead: %s: %s %s: %s\n", names[p], what, where, stead_error_text(err));
    return err;
}

const struct cache_section *cache_section_of(const struct config *c, enum cache_protocol p)
{
    return p == CACHE_MEMCACHE ? &c->memcached : &c->redis;
}

static int bind_tcp(const struct addr *a, struct cache_sockets *workers, size_t count, unsigned p)
{
    int err = listen_probe_tcp(a);
    for (size_t i = 0; !err && i < count; i++)
        err = listen_tcp(a, true, &workers[i].fd[p]);
    return err;
}

static int bind_unix(const char *path, struct cache_sockets *workers, size_t count, unsigned p)
{
    int fd;
    int err = listen_unix(path, 0660, &fd);
    if (err)
        return err;
    for (size_t i = 0; !err && i < count; i++)
        if ((workers[i].fd[p] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
            err = STEAD_E_IO;
    close(fd);
    return err;
}

static int bind_door(const struct cache_section *s, struct cache_sockets *workers, size_t count,
                     enum cache_protocol p)
{
    struct addr a;
    int err;
    if (!s->listen[0])
        return STEAD_OK;
    if (strncmp(s->listen, "unix:", 5) == 0)
        err = bind_unix(s->listen + 5, workers, count, p);
    else if (addr_parse(s->listen, 0, &a))
        err = bind_tcp(&a, workers, count, p);
    else
        err = STEAD_E_CONFIG;
    return err ? fail(p, err, "listen on", s->listen) : STEAD_OK;
}

int cache_bind(const struct config *c, struct cache_sockets *workers, size_t count)
{
    int err = STEAD_OK;
    for (unsigned p = 0; p < CACHE_DOORS; p++)
        for (size_t i = 0; i < count; i++)
            workers[i].fd[p] = -1;
    for (unsigned p = 0; !err && p < CACHE_DOORS; p++)
        err = bind_door(cache_section_of(c, (enum cache_protocol)p), workers, count,
                        (enum cache_protocol)p);
    return err;
}

int cache_read_password(const struct cache_section *s, char out[CACHE_SECRET_MAX])
{
    char *text;
    size_t len;
    struct stat st;
    out[0] = '\0';
    if (!s->password_file[0])
        return STEAD_OK;
    int err = io_read_file(s->password_file, CACHE_SECRET_MAX - 1, &text, &len);
    if (err)
        return err;
    len = strcspn(text, "\r\n");
    if (stat(s->password_file, &st) || (st.st_mode & 077) || len == 0)
        err = STEAD_E_DENIED;
    else
        snprintf(out, CACHE_SECRET_MAX, "%.*s", (int)len, text);
    mem_free(text);
    return err;
}

void cache_rules(const struct config *c, enum cache_protocol p, struct cache_config *out)
{
    const struct cache_section *s = cache_section_of(c, p);
    out->protocol = p;
    out->kind = (uint8_t)kinds_find(&c->sessions.kinds, s->kind);
    out->idle_ms = s->idle_ms;
    out->prefix_count = 0;
    for (size_t i = 0; i < s->prefixes.count; i++) {
        struct cache_prefix *to = &out->prefixes[out->prefix_count++];
        const char *equals = strrchr(s->prefixes.text[i], '=');
        snprintf(to->text, sizeof to->text, "%.*s", (int)(equals - s->prefixes.text[i]),
                 s->prefixes.text[i]);
        to->kind = (uint8_t)kinds_find(&c->sessions.kinds, equals + 1);
    }
}
