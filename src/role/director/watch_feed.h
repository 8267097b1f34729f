/* watch_feed.h - the snapshots that watchers are told, in one order for all workers: an event id
 * that one worker gave is a snapshot that the others know, so a client may come back to any of
 * them.
 *
 * A snapshot is taken in at most every WATCH_PUSH_MS; when only counts have changed, every
 * WATCH_COUNTS_MS. The last WATCH_FEED_MAX are remembered, fewer of a large farm: snapshots share
 * the entries that are the same, but in a busy farm few are. Thread-safe. */
#ifndef ROLE_DIRECTOR_WATCH_FEED_H
#define ROLE_DIRECTOR_WATCH_FEED_H

#include "core/roster/roster.h"

#define WATCH_PUSH_MS 100
#define WATCH_COUNTS_MS 1000
#define WATCH_FEED_MAX 64
#define WATCH_FEED_NODES_MAX                                                                       \
    8000 /* of all snapshots together; the newest stays whatever its size */

struct watch_feed;

struct watch_feed *watch_feed_new(void);    /* NULL without memory */
void watch_feed_free(struct watch_feed *f); /* takes NULL */

/* Takes the snapshot in if it is time for it, `at_once` if it is a new one; now_ms is monotonic.
 * The reference stays the caller's. */
void watch_feed_offer(struct watch_feed *f, struct roster *r, uint64_t now_ms, bool at_once);
/* With a reference; NULL: there is none yet. */
struct roster *watch_feed_newest(struct watch_feed *f);
/* That of this revision with a reference; NULL: it was none of them, or is forgotten. */
struct roster *watch_feed_find(struct watch_feed *f, uint64_t revision);

#endif
