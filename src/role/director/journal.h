/* journal.h - what was decided about requests: the access log, and the last decisions of a worker,
 * kept so that somebody can ask why (`stead why redirect ID`).
 *
 * One journal is written by one worker and read by any thread. It forgets the oldest: it has
 * JOURNAL_BYTES, for about a thousand. Paths are kept without their query, which may hold secrets.
 */
#ifndef ROLE_DIRECTOR_JOURNAL_H
#define ROLE_DIRECTOR_JOURNAL_H

#include "role/director/decide.h"
#include "role/director/mark.h"

#define JOURNAL_BYTES (192u << 10)
#define JOURNAL_METHOD_MAX 24
#define JOURNAL_HOST_MAX 128
#define JOURNAL_PATH_MAX 192

struct journal_entry {
    int64_t at_s; /* wall clock */
    char id[MARK_ID_MAX];
    char method[JOURNAL_METHOD_MAX], host[JOURNAL_HOST_MAX], path[JOURNAL_PATH_MAX]; /* cut */
    struct addr client;
    const char *verdict, *why, *policy; /* static; policy NULL: not by policy */
    int status;                         /* of the answer; 0: forwarded */
    char service[NAME_MAX_BYTES + 1];   /* "" = none was concerned */
    char server[NAME_MAX_BYTES + 1];    /* the chosen one; "" = none, and then nothing below */
    enum status server_status;
    uint32_t users, weight, capacity;
    uint16_t load;
    uint64_t revision; /* of the roster by which was chosen */
};

struct journal;

struct journal *journal_new(void);
void journal_free(struct journal *j); /* takes NULL */
/* Keeps it, and writes the access log's line. roster: by which was decided; NULL: by none. now_s:
 * wall clock. */
void journal_note(struct journal *j, const struct decision *d, const struct http_head *h,
                  const struct addr *client, const struct mark *mark, const struct roster *roster,
                  int64_t now_s);
/* The newest decision with that id. Any thread. */
bool journal_find(struct journal *j, const char *id, struct journal_entry *out);
/* As JSON, freed with free(); NULL without memory. node: who decided. */
char *journal_json(const struct journal_entry *e, const char *node);

#endif
