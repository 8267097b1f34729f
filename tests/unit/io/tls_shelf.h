/* tls_shelf.h - a keeper of TLS sessions for tests. */
#ifndef TESTS_TLS_SHELF_H
#define TESTS_TLS_SHELF_H

#include "io/tls_keeper.h"

#include <string.h>

#define SHELF 16

/* A keeper that gives each session once, at once or when it is told to. */
struct shelf {
    struct tls_keeper keeper;
    struct {
        uint8_t id[TLS_ID_BYTES], bytes[TLS_SESSION_BYTES_MAX];
        size_t len;
        bool gone;
    } kept[SHELF];
    size_t count;
    bool slow;
    bool old; /* TLS 1.2: sessions come back more than once */
    struct tls *waits;
    uint8_t wanted[TLS_ID_BYTES];
};

static void shelf_keep(void *context, const uint8_t id[TLS_ID_BYTES], const uint8_t *session,
                       size_t len)
{
    struct shelf *s = context;
    assert_true(s->count < SHELF && len <= sizeof s->kept[0].bytes);
    memcpy(s->kept[s->count].id, id, TLS_ID_BYTES);
    memcpy(s->kept[s->count].bytes, session, len);
    s->kept[s->count++].len = len;
}

static void shelf_answer(struct shelf *s, bool late)
{
    struct tls *t = s->waits;
    s->waits = NULL;
    for (size_t i = 0; !late && i < s->count; i++) {
        if (s->kept[i].gone || memcmp(s->kept[i].id, s->wanted, TLS_ID_BYTES) != 0)
            continue;
        s->kept[i].gone = !s->old;
        tls_answer(t, TLS_ANSWER_PEER, s->kept[i].bytes, s->kept[i].len);
        return;
    }
    tls_answer(t, late ? TLS_ANSWER_LATE : TLS_ANSWER_NONE, NULL, 0);
}

static void shelf_ask(void *context, struct tls *t, const uint8_t id[TLS_ID_BYTES], bool once)
{
    struct shelf *s = context;
    assert_int_equal(once, !s->old);
    s->waits = t;
    memcpy(s->wanted, id, TLS_ID_BYTES);
    if (!s->slow)
        shelf_answer(s, false);
}

static void shelf_drop(void *context, struct tls *t)
{
    struct shelf *s = context;
    assert_ptr_equal(s->waits, t);
    s->waits = NULL;
}

static void shelf_init(struct shelf *s)
{
    s->keeper = (struct tls_keeper){s, shelf_keep, shelf_ask, shelf_drop};
}

__attribute__((unused)) static void wake(void *context)
{
    (void)context;
}

#endif
