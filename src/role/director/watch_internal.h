/* watch_internal.h - the inside of the watch: frames, topics and watchers. */
#ifndef ROLE_DIRECTOR_WATCH_INTERNAL_H
#define ROLE_DIRECTOR_WATCH_INTERNAL_H

#include "base/list.h"
#include "base/rng.h"
#include "role/director/watch.h"

/* Bytes on their way to any number of watchers. Counted; freed with the last reference. */
struct watch_frame {
    struct watch *watch;
    uint32_t refs;
    size_t len;
    char bytes[];
};

/* What those who ask alike are told. Frame number n is kept at n % WATCH_TOPIC_FRAMES_MAX. */
struct watch_topic {
    struct list link;
    struct watch *watch;
    char service[NAME_MAX_BYTES + 1];
    enum network network;
    bool coarse;
    struct list watchers;
    uint32_t watcher_count;
    uint64_t unused_ms;    /* since then nobody watches */
    struct roster *roster; /* as it was told last */
    uint32_t window_ms;
    uint64_t first, next; /* frames that are remembered: from first to before next */
    size_t frame_bytes;
    struct watch_frame *frames[WATCH_TOPIC_FRAMES_MAX];
    struct watch_frame *whole; /* of `roster`; NULL: not made yet */
};

enum watcher_state { WATCHER_IDLE, WATCHER_DUE, WATCHER_BLOCKED, WATCHER_CLOSED };

struct watcher {
    uv_poll_t poll;
    struct list link; /* of its state */
    struct list mate; /* of its topic */
    struct watch *watch;
    struct watch_topic *topic;
    struct watch_frame *frame, *wish; /* being sent; to be sent after it, before the topic's */
    size_t sent;                      /* of the frame */
    uint64_t next;                    /* number of the topic's frame */
    uint64_t progress_ms;             /* when it last took something */
    uint64_t ask_again_ms;
    struct stream stream;
    uint8_t state;
    bool whole_due;
    char on[NAME_MAX_BYTES + 1];
};

struct watch {
    struct watch_config config;
    struct watch_feed *own_feed; /* NULL: it is shared */
    uv_timer_t timer;
    uv_idle_t idle; /* runs while any is due */
    struct list topics;
    uint32_t topic_count;
    struct list states[WATCHER_CLOSED]; /* idle and blocked: in order of progress_ms */
    uint32_t watchers;
    uint64_t held_bytes;
    uint64_t inc; /* of this node */
    struct rng rng;
    uint32_t handles;
    bool closing;
    struct watch_frame *keepalive;
    void (*closed)(void *context);
    void *closed_context;
};

/* -- watch_topic.c -- */

/* NULL without memory. */
struct watch_frame *watch_frame_new(struct watch *w, const char *bytes, size_t len);
struct watch_frame *watch_frame_ref(struct watch_frame *f); /* takes NULL */
void watch_frame_unref(struct watch_frame *f);              /* takes NULL */

/* The topic for it, made when there is none. NULL: too many, no memory, no roster. */
struct watch_topic *watch_topic_find(struct watch *w, const struct watch_ask *a, uint64_t now_ms);
/* Goes on to a snapshot of the feed. True: there is something new to tell. */
bool watch_topic_push(struct watch_topic *t, struct roster *now);
/* A reference to the whole roster as an event; NULL without memory. */
struct watch_frame *watch_topic_whole(struct watch_topic *t);
/* What has changed since the event of that id, up to the topic's snapshot: *out is NULL when
 * nothing has. False: it is not known any more, or there is no memory. */
bool watch_topic_resume(struct watch_topic *t, const char *last_id, struct watch_frame **out);
void watch_topic_free(struct watch_topic *t);

/* -- watch.c -- */

/* The feed's newest snapshot with a reference, after it was offered the node's newest; NULL before
 * there is one. */
struct roster *watch_newest(struct watch *w, bool at_once);
/* To be written to in one of the next turns, if it is idle. */
void watcher_due(struct watcher *x);

#endif
