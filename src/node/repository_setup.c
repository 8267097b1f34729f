/* A repository's keys, its prefix and its password. */
#include "node/repository_setup.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_MAX 256

static int read_password(const char *path, char out[SECRET_MAX])
{
    char *text;
    size_t len;
    struct stat st;
    out[0] = '\0';
    if (!*path)
        return STEAD_OK;
    int err = io_read_file(path, SECRET_MAX - 1, &text, &len);
    if (!err) {
        size_t line = strcspn(text, "\r\n");
        if (stat(path, &st) || (st.st_mode & 077) || line == 0)
            err = STEAD_E_DENIED;
        else
            snprintf(out, SECRET_MAX, "%.*s", (int)line, text);
        explicit_bzero(text, len);
        mem_free(text);
    }
    if (!err)
        return STEAD_OK;
    log_error("repository-password",
              "file=%s error=\"%s\" wanted=\"mode 0600 and a password in it\"", path,
              stead_error_text(err));
    return STEAD_E_CONFIG;
}

int snapshot_setup(struct farm *farm, struct key_rings *rings, struct store *store,
                   struct snapshot **out)
{
    struct repository_keys keys;
    farm_lasting(farm, LASTING_NAMES, keys.names);
    keys.values = &rings->snapshot;
    *out = snapshot_new(store, &keys);
    explicit_bzero(&keys, sizeof(keys));
    return *out ? STEAD_OK : STEAD_E_NOMEM;
}

int repository_setup(const struct repository_section *c, struct farm *farm, struct key_rings *rings,
                     struct store *store, struct repository **out)
{
    char password[SECRET_MAX];
    *out = NULL;
    if (!c->present)
        return STEAD_OK;
    int err = read_password(c->password_file, password);
    if (err)
        return err;
    struct repository_config rc = {.store = store,
                                   .path = c->path,
                                   .bytes_max = c->size_max,
                                   .age_max_ms = c->age_max_ms,
                                   .addresses = c->address,
                                   .user = c->user,
                                   .tls = c->tls,
                                   .ca_file = c->ca_file,
                                   .certificate = c->certificate,
                                   .key = c->key,
                                   .start_wait_ms = c->start_wait_ms,
                                   .password = password};
    farm_lasting(farm, LASTING_NAMES, rc.keys.names);
    rc.keys.values = &rings->repository;
    if (repository_prefix(&rc.keys, c->prefix, rc.prefix))
        *out = repository_new(&rc);
    explicit_bzero(&rc.keys, sizeof(rc.keys));
    explicit_bzero(password, sizeof(password));
    if (!*out)
        return STEAD_E_NOMEM;
    repository_load(*out);
    return STEAD_OK;
}
