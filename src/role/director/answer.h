/* answer.h - the last answer on a connection that was taken from the HTTP server.
 *
 * It is written, our half is closed, and what the client still sends is read and dropped until it
 * closes or ANSWER_LINGER_MS have passed: closing at once with unread bytes would reset the
 * connection and might take the answer back.
 */
#ifndef ROLE_DIRECTOR_ANSWER_H
#define ROLE_DIRECTOR_ANSWER_H

#include "io/stream.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define ANSWER_LINGER_MS 1000

struct answers;

/* max: at once; beyond it a connection is closed without an answer, and `dropped` counts it.
 * STEAD_E_NOMEM. */
int answers_open(uv_loop_t *loop, uint32_t max, atomic_uint_fast64_t *dropped,
                 struct answers **out);
/* Owns the client from now on; the bytes (a whole HTTP response) are copied. */
void answer_last(struct answers *a, struct stream client, const void *bytes, size_t len);
/* Breaks off what is under way; `closed` is called on the loop when nothing is left, a is freed
 * then. */
void answers_close(struct answers *a, void (*closed)(void *context), void *context);

#endif
