/* Which engine a repository has, and what becomes of one whose records are not to be used. */
#include "store/repository_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "stead/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- where -- */

static char *copy_text(const char *text, bool *missing)
{
    char *copy = text && *text ? mem_strdup(text) : NULL;
    *missing |= text && *text && !copy;
    return copy;
}

bool repository_engine_init(struct repository *r)
{
    const struct repository_config *c = &r->config;
    bool missing = false;
    r->path = copy_text(c->path, &missing);
    r->addresses = copy_text(c->addresses, &missing);
    r->user = copy_text(c->user, &missing);
    r->password = copy_text(c->password, &missing);
    r->ca_file = copy_text(c->ca_file, &missing);
    r->certificate = copy_text(c->certificate, &missing);
    r->key = copy_text(c->key, &missing);
    memcpy(r->prefix, c->prefix, sizeof(r->prefix));
    r->config.path = r->config.addresses = r->config.user = r->config.password = NULL;
    r->config.ca_file = r->config.certificate = r->config.key = NULL;
    return !missing && r->path;
}

void repository_engine_deinit(struct repository *r)
{
    engine_close(r->engine);
    if (r->password)
        explicit_bzero(r->password, strlen(r->password));
    mem_free(r->password);
    mem_free(r->key);
    mem_free(r->certificate);
    mem_free(r->ca_file);
    mem_free(r->user);
    mem_free(r->addresses);
    mem_free(r->path);
}

const char *repository_where(const struct repository *r)
{
    return r->addresses ? r->addresses : r->path;
}

/* -- opening -- */

static int open_redis(struct repository *r)
{
    const struct engine_redis_config c = {.addresses = r->addresses,
                                          .prefix = r->prefix,
                                          .user = r->user,
                                          .password = r->password,
                                          .tls = r->config.tls,
                                          .ca_file = r->ca_file,
                                          .certificate = r->certificate,
                                          .key = r->key,
                                          .stats = &r->servers};
    int err = engine_redis_open(&c, &r->engine);
    if (!err)
        log_info("repository-redis", "prefix=stead:%s:", r->prefix);
    return err == STEAD_E_PARSE ? STEAD_E_IO : err; /* of the protocol: no record was seen */
}

static int open_file(struct repository *r)
{
    int err = engine_lmdb_open(r->path, r->config.bytes_max, &r->engine);
    if (err != STEAD_E_PARSE)
        return err;
    log_error("repository-refused", "path=\"%s\" why=\"the file is damaged\"", r->path);
    return repository_set_aside(r, "damaged");
}

int repository_open_engine(struct repository *r)
{
    return r->addresses ? open_redis(r) : open_file(r);
}

/* -- setting aside -- */

/* What is in the servers is copied to a file. Then the sweep takes out what is not in memory. */
static int copy_aside(struct repository *r, const char *to)
{
    if (unlink(to) && errno != ENOENT)
        return STEAD_E_IO;
    int err = r->engine->calls->snapshot(r->engine, to);
    if (err)
        return err;
    log_warn("repository-aside", "path=\"%s\" now=%s", repository_where(r), to);
    r->full = true;
    return STEAD_OK;
}

static int move_aside(struct repository *r, const char *to)
{
    engine_close(r->engine);
    r->engine = NULL;
    if (rename(r->path, to) == 0)
        log_warn("repository-aside", "path=%s now=%s", r->path, to);
    return engine_lmdb_open(r->path, r->config.bytes_max, &r->engine);
}

int repository_set_aside(struct repository *r, const char *why)
{
    size_t room = strlen(r->path) + 32;
    char *to = mem_alloc(room);
    if (!to)
        return STEAD_E_NOMEM;
    snprintf(to, room, "%s.%s", r->path, why);
    int err = r->addresses ? copy_aside(r, to) : move_aside(r, to);
    mem_free(to);
    return err;
}
