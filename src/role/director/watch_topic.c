/* watch_topic.c - what is told: snapshots made into frames, once for all who ask alike. Who gets
 * them and when is watch.c's. */
#include "role/director/watch_internal.h"

#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_HEAD_MAX 96

/* -- frames -- */

static struct watch_frame *frame_alloc(struct watch *w, size_t len)
{
    struct watch_frame *f = mem_alloc(sizeof *f + len);
    if (f == NULL)
        return NULL;
    f->watch = w;
    f->refs = 1;
    f->len = len;
    w->held_bytes += len;
    return f;
}

struct watch_frame *watch_frame_new(struct watch *w, const char *bytes, size_t len)
{
    struct watch_frame *f = frame_alloc(w, len);
    if (f != NULL)
        memcpy(f->bytes, bytes, len);
    return f;
}

struct watch_frame *watch_frame_ref(struct watch_frame *f)
{
    if (f != NULL)
        f->refs++;
    return f;
}

void watch_frame_unref(struct watch_frame *f)
{
    if (f == NULL || --f->refs > 0)
        return;
    f->watch->held_bytes -= f->len;
    mem_free(f);
}

/* An event with an id around one line of JSON, which is freed. NULL without memory. */
static struct watch_frame *event_frame(struct watch_topic *t, const char *event, char *json,
                                       size_t len)
{
    struct watch *w = t->watch;
    char head[EVENT_HEAD_MAX];
    int n = snprintf(head, sizeof head, "event: %s\nid: %" PRIx64 "-%" PRIu64 "\ndata: ", event,
                     w->inc, t->roster->revision);
    assert(n > 0 && (size_t)n < sizeof head);
    struct watch_frame *f = json != NULL ? frame_alloc(w, (size_t)n + len + 2) : NULL;
    if (f != NULL) {
        memcpy(f->bytes, head, (size_t)n);
        memcpy(f->bytes + n, json, len);
        memcpy(f->bytes + (size_t)n + len, "\n\n", 2);
        atomic_fetch_add_explicit(&w->config.counters->events, 1, memory_order_relaxed);
    }
    mem_free(json);
    return f;
}

/* -- topics -- */

static struct roster_show show_of(const struct watch_topic *t)
{
    return (struct roster_show){.service = *t->service != '\0' ? t->service : NULL,
                                .network = t->network,
                                .coarse = t->coarse,
                                .retry_window_ms = t->window_ms};
}

static void forget_oldest(struct watch_topic *t)
{
    size_t at = t->first++ % WATCH_TOPIC_FRAMES_MAX;
    t->frame_bytes -= t->frames[at]->len;
    watch_frame_unref(t->frames[at]);
    t->frames[at] = NULL;
}

static void forget_all(struct watch_topic *t)
{
    while (t->first < t->next)
        forget_oldest(t);
}

/* Takes the frame. One that is larger than all that may be remembered leaves nothing: everybody is
 * skipped ahead. */
static void remember(struct watch_topic *t, struct watch_frame *f)
{
    while (t->first < t->next && (t->next - t->first == WATCH_TOPIC_FRAMES_MAX ||
                                  t->frame_bytes + f->len > WATCH_TOPIC_BYTES_MAX))
        forget_oldest(t);
    size_t at = t->next++ % WATCH_TOPIC_FRAMES_MAX;
    t->frames[at] = f;
    t->frame_bytes += f->len;
    if (t->frame_bytes > WATCH_TOPIC_BYTES_MAX)
        forget_oldest(t);
}

/* Nothing that went before leads here: all get a whole roster. */
static void start_anew(struct watch_topic *t)
{
    forget_all(t);
    t->first = ++t->next;
}

/* Makes room when there is none, by the one that nobody has watched for longest. */
static bool room_for_topic(struct watch *w)
{
    struct watch_topic *oldest = NULL;
    struct list *link;
    for (link = w->topics.next; link != &w->topics; link = link->next) {
        struct watch_topic *t = list_entry(link, struct watch_topic, link);
        if (t->watcher_count == 0 && (oldest == NULL || t->unused_ms < oldest->unused_ms))
            oldest = t;
    }
    if (w->topic_count == WATCH_TOPICS_MAX && oldest != NULL)
        watch_topic_free(oldest);
    return w->topic_count < WATCH_TOPICS_MAX;
}

struct watch_topic *watch_topic_find(struct watch *w, const struct watch_ask *a, uint64_t now_ms)
{
    struct list *link;
    for (link = w->topics.next; link != &w->topics; link = link->next) {
        struct watch_topic *t = list_entry(link, struct watch_topic, link);
        if (t->network == a->network && t->coarse == a->coarse &&
            strcmp(t->service, a->service) == 0)
            return t;
    }
    struct roster *r = room_for_topic(w) ? watch_newest(w, false) : NULL;
    struct watch_topic *t = r != NULL ? mem_alloc(sizeof *t) : NULL;
    if (t == NULL) {
        roster_unref(r);
        return NULL;
    }
    const struct roster_node *self = roster_find(r, w->config.self_name);
    w->inc = self != NULL ? self->entry->inc : 0;
    t->watch = w;
    snprintf(t->service, sizeof t->service, "%s", a->service);
    t->network = a->network;
    t->coarse = a->coarse;
    list_init(&t->watchers);
    t->roster = r;
    t->window_ms = retry_window(r, *a->service != '\0' ? a->service : NULL, &w->config.retry);
    t->unused_ms = now_ms;
    list_append(&w->topics, &t->link);
    w->topic_count++;
    return t;
}

void watch_topic_free(struct watch_topic *t)
{
    assert(t->watcher_count == 0);
    forget_all(t);
    watch_frame_unref(t->whole);
    roster_unref(t->roster);
    list_remove(&t->link);
    t->watch->topic_count--;
    mem_free(t);
}

bool watch_topic_push(struct watch_topic *t, struct roster *now)
{
    const char *service = *t->service != '\0' ? t->service : NULL;
    if (now->revision == t->roster->revision)
        return false;
    char *json;
    size_t len = 0;
    uint32_t before = t->window_ms;
    struct roster *was = t->roster;
    t->window_ms = retry_window(now, service, &t->watch->config.retry);
    struct roster_show show = show_of(t);
    int err = roster_delta(was, now, &show, before, &json, &len);
    t->roster = roster_ref(now);
    roster_unref(was);
    watch_frame_unref(t->whole);
    t->whole = NULL;
    if (err == STEAD_OK && json == NULL)
        return false;
    struct watch_frame *f = err == STEAD_OK ? event_frame(t, "change", json, len) : NULL;
    if (f != NULL)
        remember(t, f);
    else
        start_anew(t);
    return true;
}

struct watch_frame *watch_topic_whole(struct watch_topic *t)
{
    if (t->whole == NULL) {
        struct roster_show show = show_of(t);
        size_t len = 0;
        char *json = roster_show_json(t->roster, &show, &len);
        t->whole = event_frame(t, "roster", json, len);
    }
    return watch_frame_ref(t->whole);
}

/* "<incarnation>-<revision>" of this node. */
static bool id_parse(const struct watch *w, const char *id, uint64_t *revision)
{
    char *end;
    uint64_t inc = strtoull(id, &end, 16);
    if (end == id || *end != '-' || inc != w->inc || end[1] < '0' || end[1] > '9')
        return false;
    *revision = strtoull(end + 1, &end, 10);
    return *end == '\0';
}

bool watch_topic_resume(struct watch_topic *t, const char *last_id, struct watch_frame **out)
{
    uint64_t revision;
    char *json;
    size_t len = 0;
    *out = NULL;
    if (!id_parse(t->watch, last_id, &revision) || revision > t->roster->revision)
        return false;
    struct roster *was = watch_feed_find(t->watch->config.feed, revision);
    if (was == NULL)
        return false;
    struct roster_show show = show_of(t);
    uint32_t before = retry_window(was, show.service, &t->watch->config.retry);
    int err = roster_delta(was, t->roster, &show, before, &json, &len);
    roster_unref(was);
    if (err == STEAD_OK && json != NULL)
        *out = event_frame(t, "change", json, len);
    return err == STEAD_OK && (json == NULL || *out != NULL);
}
