/* changes.c - new snapshots: from a line, from the file read again; and what of it is kept. */
#include "node/changes.h"

#include "base/log.h"
#include "base/mem.h"
#include "core/roster/order.h"
#include "io/io.h"
#include "node/config_diff.h"
#include "node/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_FILE "changes"

void changes_init(struct changes *g, struct changes with)
{
    *g = with;
    g->serial = 1;
}

void changes_deinit(struct changes *g)
{
    mem_free(g->save_text);
    mem_free(g->fresh);
    free(g->read_errors);
    g->save_text = g->read_errors = NULL;
    g->fresh = NULL;
}

/* Places of removed servers with clients. */
static unsigned busy_places(const struct changes *g)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < ENTRY_SERVERS_MAX; i++)
        busy |= (unsigned)(store_users(g->shared->store, i) > 0) << i;
    return busy;
}

static void apply_lines(struct config *c, char *lines, unsigned busy)
{
    char why[CHANGE_WHY_MAX], *save = NULL;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (change_apply(c, line, busy, NULL, why, sizeof(why)))
            log_warn("change-dropped", "change=\"%s\" why=\"%s\"", line, why);
}

void changes_restore(const struct config *file, struct config *now)
{
    char path[CONFIG_TEXT_MAX + 16], *text;
    size_t len;
    *now = *file;
    snprintf(path, sizeof(path), "%s/%s", file->top.state, CHANGES_FILE);
    int err = io_read_file(path, CHANGE_TEXT_MAX, &text, &len);
    if (err == STEAD_E_NOT_FOUND)
        return;
    if (err) {
        log_error("state", "file=%s error=%s", CHANGES_FILE, stead_error_name(err));
        return;
    }
    apply_lines(now, text, 0);
    mem_free(text);
    log_info("changes", "why=\"servers or services were changed while it ran; see 'stead config "
                        "diff'\"");
}

/* -- keeping -- */

static void start_saving(struct changes *g);

static void save(uv_work_t *work)
{
    struct changes *g = work->data;
    char path[sizeof(g->state->path) + 16];
    snprintf(path, sizeof(path), "%s/%s", g->state->path, CHANGES_FILE);
    g->save_error =
        g->save_len ? io_write_file(path, g->save_text, g->save_len, 0600) : io_remove_file(path);
}

static void on_saved(uv_work_t *work, int status)
{
    struct changes *g = work->data;
    (void)status;
    g->saving = false;
    mem_free(g->save_text);
    g->save_text = NULL;
    if (g->save_error)
        log_error("state", "file=%s error=%s", CHANGES_FILE, stead_error_name(g->save_error));
    commands_changed(&g->mesh->commands, g->save_serial, g->save_error);
    if (g->unsaved)
        start_saving(g);
}

static void start_saving(struct changes *g)
{
    struct live *l = live_now(&g->shared->now);
    g->save_text = mem_alloc(CHANGE_TEXT_MAX);
    long len =
        g->save_text ? change_lines(&l->file, &l->config, g->save_text, CHANGE_TEXT_MAX) : -1;
    g->save_serial = l->serial;
    live_unref(l);
    g->save_len = len > 0 ? (size_t)len : 0;
    g->save.data = g;
    g->unsaved = false;
    g->saving = len >= 0 && uv_queue_work(g->loop, &g->save, save, on_saved) == 0;
    if (g->saving)
        return;
    mem_free(g->save_text);
    g->save_text = NULL;
    log_error("state", "file=%s error=NOMEM", CHANGES_FILE);
    commands_changed(&g->mesh->commands, g->save_serial, STEAD_E_NOMEM);
}

/* -- taking up -- */

/* The store first: from then on what is said of a server is said of the new one. */
static int publish(struct changes *g, const struct config *now, const struct config *file)
{
    struct shared *s = g->shared;
    struct live *fresh = live_new(now, file, g->serial + 1, &s->keys, s->worker_count);
    if (!fresh)
        return STEAD_E_NOMEM;
    g->serial++;
    log_set_level((enum log_level)fresh->config.top.log_level);
    own_tell_store(&fresh->config, s->store);
    store_renew_kinds(s->store, &fresh->config.sessions.kinds);
    if (s->book)
        name_book_set(s->book, &fresh->names);
    mesh_loop_renew(g->mesh, &fresh->config);
    live_now_set(&s->now, fresh);
    for (size_t i = 0; i < *g->workers_running; i++)
        worker_renew(&g->workers[i]);
    g->unsaved = true;
    if (!g->saving)
        start_saving(g);
    return STEAD_OK;
}

void changes_rekey(struct changes *g, const struct shared_keys *keys)
{
    struct live *l = live_now(&g->shared->now);
    g->shared->keys = *keys;
    int err = publish(g, &l->config, &l->file);
    live_unref(l);
    if (err)
        log_error("keys", "kept=old why=\"%s\"", stead_error_text(err));
}

/* Would its service have no server left? */
static bool last_one(struct changes *g, const char *service)
{
    struct roster *r = store_roster(g->shared->store);
    bool last = r && order_last_of(r, service);
    roster_unref(r);
    return last;
}

int changes_apply(struct changes *g, const char *line, bool force, char *text, size_t cap,
                  uint64_t *serial)
{
    struct change_about about = {.service = ""};
    struct live *l = live_now(&g->shared->now);
    struct config *c = mem_dup(&l->config, sizeof(*c));
    int err = c ? change_apply(c, line, busy_places(g), &about, text, cap) : STEAD_E_NOMEM;
    if (!err && about.removes_server && !force && last_one(g, about.service))
        err = STEAD_E_NO_SERVER;
    if (!err)
        err = publish(g, c, &l->file);
    *serial = g->serial;
    live_unref(l);
    mem_free(c);
    if (err) {
        log_warn("change-refused", "change=\"%s\" why=\"%s\"", line, text);
        return err;
    }
    log_info("change", "change=\"%s\"", line);
    snprintf(text, cap, "%s", "changed");
    return STEAD_PENDING;
}

/* -- the file again -- */

static void read_file(uv_work_t *work)
{
    struct changes *g = work->data;
    const struct config *c = g->shared->config;
    size_t len = 0;
    FILE *errors = open_memstream(&g->read_errors, &len);
    g->read_error = errors ? config_load(c->path, g->fresh, errors) : STEAD_E_NOMEM;
    if (errors)
        fclose(errors);
    struct live *l = live_now(&g->shared->now);
    bool fresh = g->read_error == STEAD_OK && tls_setup_differs(g->fresh, &l->config);
    tls_setup_reload(g->shared->tls, fresh ? g->fresh : &l->config, fresh);
    live_unref(l);
    g->records_error[0] = '\0';
    if (g->shared->book && *c->dns.records)
        name_book_load(g->shared->book, c->dns.records, g->records_error, sizeof(g->records_error));
}

/* "needs restart: a, b" behind what is there. */
static void tell_restarts(const struct config_difference *list, size_t count, char *text,
                          size_t cap)
{
    char name[128];
    unsigned restarts = 0;
    for (size_t i = 0; i < count; i++) {
        if (!list[i].restart)
            continue;
        config_difference_name(&list[i], name, sizeof(name));
        size_t len = strlen(text);
        snprintf(text + len, cap - len, "%s%s", restarts++ ? ", " : "; needs restart: ", name);
        log_warn("needs-restart", "setting=%s", name);
    }
}

static int take_up(struct changes *g, char *text, size_t cap)
{
    struct live *l = live_now(&g->shared->now);
    struct config *now = mem_dup(&l->config, sizeof(*now));
    char *lines = mem_alloc(CHANGE_TEXT_MAX);
    struct config_difference *list = mem_alloc(CONFIG_DIFFERENCES_MAX * sizeof(*list));
    int err = now && lines && list ? STEAD_OK : STEAD_E_NOMEM;
    unsigned busy = busy_places(g);
    if (!err && change_lines(&l->file, &l->config, lines, CHANGE_TEXT_MAX) < 0)
        err = STEAD_E_TOO_LARGE;
    if (!err && !live_take(g->fresh, now, busy))
        log_warn("change-dropped",
                 "why=\"clients of removed servers take the places of new ones\"");
    if (!err) {
        apply_lines(now, lines, busy);
        size_t count = config_diff(&l->config, now, list, CONFIG_DIFFERENCES_MAX);
        snprintf(text, cap, "%zu setting%s changed", count, count == 1 ? "" : "s");
        count = config_diff(g->fresh, now, list, CONFIG_DIFFERENCES_MAX);
        tell_restarts(list, count, text, cap);
        err = publish(g, now, g->fresh);
    }
    live_unref(l);
    mem_free(now);
    mem_free(lines);
    mem_free(list);
    return err;
}

static void first_line(const char *errors, char *text, size_t cap)
{
    snprintf(text, cap, "%.*s", errors ? (int)strcspn(errors, "\n") : 0, errors ? errors : "");
}

static void on_read(uv_work_t *work, int status)
{
    struct changes *g = work->data;
    char text[ORDER_TEXT_MAX + 1] = "";
    int err = status ? STEAD_E_IO : g->read_error;
    g->reading = false;
    if (err)
        first_line(g->read_errors, text, sizeof(text));
    else
        err = take_up(g, text, sizeof(text));
    if (err)
        log_error("reload", "kept=old error=%s why=\"%s\"", stead_error_name(err), text);
    else
        log_info("reload", "what=\"%s\"", text);
    if (*g->records_error) {
        log_error("dns-records", "kept=old why=\"%s\"", g->records_error);
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "; dns records kept: %s", g->records_error);
    }
    free(g->read_errors);
    mem_free(g->fresh);
    g->read_errors = NULL;
    g->fresh = NULL;
    if (g->again)
        changes_reload(g);
    else
        commands_reloaded(&g->mesh->commands, err, text);
}

void changes_reload(struct changes *g)
{
    if (g->reading) {
        g->again = true;
        return;
    }
    g->again = false;
    g->fresh = mem_alloc(sizeof(*g->fresh));
    g->read.data = g;
    g->reading = g->fresh && uv_queue_work(g->loop, &g->read, read_file, on_read) == 0;
    if (g->reading)
        return;
    mem_free(g->fresh);
    g->fresh = NULL;
    log_error("reload", "kept=old error=NOMEM");
    commands_reloaded(&g->mesh->commands, STEAD_E_NOMEM, "");
}
