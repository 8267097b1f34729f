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

/* What those who ask alike are told. Frame number n is kept at n % WATCH_TOPIC_FRAMES_MAX and leads
 * to the snapshot of revision revisions[...]. */
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
    uint64_t told_ms;
    uint64_t first, next;   /* frames that are remembered: from first to before next */
    uint64_t base_revision; /* of the snapshot before frame `first` */
    size_t frame_bytes;
    struct watch_frame *frames[WATCH_TOPIC_FRAMES_MAX];
    uint64_t revisions[WATCH_TOPIC_FRAMES_MAX];
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
    int fd;
    uint8_t state;
    bool whole_due;
    char on[NAME_MAX_BYTES + 1];
};

struct watch {
    struct watch_config config;
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
/* Looks whether there is something new to tell. True: a frame was added. `last`: whatever there is.
 */
bool watch_topic_push(struct watch_topic *t, struct roster *now, uint64_t now_ms, bool last);
/* A reference to the whole roster as an event; NULL without memory. */
struct watch_frame *watch_topic_whole(struct watch_topic *t);
/* The number of the frame to go on with after an event id; false: it is not known any more. */
bool watch_topic_resume(const struct watch_topic *t, const char *last_id, uint64_t *next);
void watch_topic_free(struct watch_topic *t);

/* -- watch.c -- */

/* To be written to in one of the next turns, if it is idle. */
void watcher_due(struct watcher *x);

#endif
