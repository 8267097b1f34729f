/* watch_move.c - clients that are asked to move: who they are, and the event that asks them. */
#include "role/director/watch_internal.h"

#include <stdio.h>
#include <string.h>

#define WISH_BYTES_MAX ((WATCH_TARGETS_MAX + 1) * (NAME_MAX_BYTES + 4) + 96)

/* Calls visit for each watcher that is a client of the server, until it says false. */
static void each_client(const struct watch *w, const char *service, const char *server,
                        bool (*visit)(struct watcher *x, void *context), void *context)
{
    const struct list *link, *mate;
    for (link = w->topics.next; link != &w->topics; link = link->next) {
        struct watch_topic *t = list_entry(link, struct watch_topic, link);
        if (*t->service != '\0' && strcmp(t->service, service) != 0)
            continue;
        for (mate = t->watchers.next; mate != &t->watchers; mate = mate->next) {
            struct watcher *x = list_entry(mate, struct watcher, mate);
            if (strcmp(x->on, server) == 0 && !visit(x, context))
                return;
        }
    }
}

static bool count_client(struct watcher *x, void *context)
{
    uint32_t *n = context;
    (void)x;
    ++*n;
    return true;
}

uint32_t watch_clients(const struct watch *w, const char *service, const char *server)
{
    uint32_t n = 0;
    each_client(w, service, server, count_client, &n);
    return n;
}

static bool name_fits(const char *name)
{
    return entry_name_valid(name, strlen(name), false);
}

/* Names have no characters that JSON would escape. NULL: no memory, or nothing that can be said. */
static struct watch_frame *wish_frame(struct watch *w, const struct watch_wish *m)
{
    char text[WISH_BYTES_MAX];
    size_t len, targets = 0;
    if (!name_fits(m->service))
        return NULL;
    len = (size_t)snprintf(text, sizeof text, "event: move\ndata: {\"service\":\"%s\",\"to\":[",
                           m->service);
    for (size_t i = 0; i < m->target_count && targets < WATCH_TARGETS_MAX; i++) {
        if (!name_fits(m->targets[i]))
            continue;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s\"%s\"", targets ? "," : "",
                                m->targets[i]);
        targets++;
    }
    len += (size_t)snprintf(text + len, sizeof text - len, "],\"within_ms\":%u}\n\n", m->within_ms);
    return targets > 0 ? watch_frame_new(w, text, len) : NULL;
}

struct asking {
    struct watch_frame *frame;
    uint64_t now_ms, again_ms;
    uint32_t left;
};

static bool ask_client(struct watcher *x, void *context)
{
    struct asking *a = context;
    if (a->left == 0)
        return false;
    if (x->state == WATCHER_BLOCKED || x->wish != NULL || x->ask_again_ms > a->now_ms)
        return true;
    x->wish = watch_frame_ref(a->frame);
    x->ask_again_ms = a->again_ms;
    watcher_due(x);
    a->left--;
    return true;
}

uint32_t watch_move(struct watch *w, const struct watch_wish *m)
{
    struct asking a = {
        .frame = wish_frame(w, m), .now_ms = uv_now(w->config.loop), .left = m->count};
    if (a.frame == NULL)
        return 0;
    a.again_ms = a.now_ms + m->within_ms + WATCH_AGAIN_MS;
    each_client(w, m->service, m->server, ask_client, &a);
    watch_frame_unref(a.frame);
    uint32_t asked = m->count - a.left;
    atomic_fetch_add_explicit(&w->config.counters->moves, asked, memory_order_relaxed);
    return asked;
}
