/* engine_redis_answer.h - what a Redis server answers, read by hiredis' reader within bounds: a
 * server is not trusted. Its bytes go in as they come, whole answers come out.
 *
 * Errors: STEAD_PENDING (more bytes are needed), STEAD_E_PARSE (not the protocol, nested too
 * deeply), TOO_LARGE (an answer beyond the limits below), NOMEM. After an error the connection is
 * to be closed. */
#ifndef STORE_ENGINE_REDIS_ANSWER_H
#define STORE_ENGINE_REDIS_ANSWER_H

#include "store/engine.h"

#define REDIS_ANSWER_BYTES_MAX (ENGINE_VALUE_MAX + (256u << 10)) /* of one answer */
#define REDIS_ANSWER_ITEMS_MAX 65536u                            /* in all lists of one answer */

enum redis_answer_type {
    REDIS_TEXT,
    REDIS_STATUS,
    REDIS_ERROR,
    REDIS_NUMBER,
    REDIS_NIL,
    REDIS_LIST
};

struct redis_answer {
    enum redis_answer_type type;
    long long number;
    size_t len; /* of text, which ends with a NUL beyond it */
    char *text; /* TEXT, STATUS, ERROR */
    size_t count;
    struct redis_answer **items; /* LIST; none of them NULL */
};

struct redis_answers;

struct redis_answers *redis_answers_new(void) __attribute__((warn_unused_result));
void redis_answers_free(struct redis_answers *a);
/* At most REDIS_ANSWER_BYTES_MAX at a time; what is whole is to be taken before more is fed. */
int redis_answers_feed(struct redis_answers *a, const void *bytes, size_t len);
/* STEAD_OK: *out is the caller's. */
int redis_answers_next(struct redis_answers *a, struct redis_answer **out);

void redis_answer_free(struct redis_answer *a); /* takes NULL */
bool redis_answer_is(const struct redis_answer *a, enum redis_answer_type type, const char *text);
/* A text or status that begins with the word, followed by a space or nothing. */
bool redis_answer_begins(const struct redis_answer *a, const char *word);

#endif
