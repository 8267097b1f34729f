/* engine_redis_link.h - one connection to one Redis server: commands are queued, sent together, and
 * answered in their order. All waits have a limit (REDIS_CONNECT_MS, REDIS_ANSWER_MS).
 *
 * Errors: STEAD_E_IO (not reached, closed, too slow, out of room), DENIED (the password is wrong or
 * wanted), PARSE and TOO_LARGE (what comes is not the protocol), NOMEM. After any of them the link
 * is to be closed; redis_link_open() opens it again. */
#ifndef STORE_ENGINE_REDIS_LINK_H
#define STORE_ENGINE_REDIS_LINK_H

#include "base/slice.h"
#include "store/engine_redis_map.h"
#include "store/engine_redis_tls.h"

#define REDIS_CONNECT_MS 1000
#define REDIS_ANSWER_MS 3000 /* without a byte */
#define REDIS_WHOLE_MS 30000 /* for all bytes of one answer */
#define REDIS_OUT_MAX (8u << 20)
#define REDIS_WHY_MAX 96

struct redis_login {
    const char *user, *password; /* NULL: none */
    struct ssl_ctx_st *tls;      /* NULL: without */
};

struct redis_link {
    bool open;
    int fd;
    struct ssl_st *tls; /* NULL: without */
    struct redis_place place;
    struct redis_answers *answers;
    uint8_t *out; /* commands that are not sent yet */
    size_t out_len, out_cap;
    /* What the server said of itself when it was opened. */
    char run_id[REDIS_ID_MAX]; /* of its process; kept when the link is closed */
    bool known;                /* it was open before */
    bool restarted;            /* another process than then, or it does not say */
    bool primary, cluster;
    unsigned replicas;
    char why[REDIS_WHY_MAX]; /* of the last error, for people */
};

uint64_t redis_now_ms(void); /* monotonic */
/* The link is zeroed, or was closed: at this place, or its run_id and known are cleared first. A
 * server that still loads its data is not opened. */
int redis_link_open(struct redis_link *l, const struct redis_place *place,
                    const struct redis_login *login);
/* What is queued is dropped. Takes a zeroed one. */
void redis_link_close(struct redis_link *l);
int redis_link_add(struct redis_link *l, const struct slice *argv, size_t argc);
int redis_link_send(struct redis_link *l);
/* The next answer is the caller's. */
int redis_link_take(struct redis_link *l, struct redis_answer **out);
/* From the answer to INFO. STEAD_E_IO: it still loads its data. */
int redis_link_learn(struct redis_link *l, const struct redis_answer *info);
/* INFO once more: role, replicas, process. */
int redis_link_look(struct redis_link *l);
/* One command of words with one space between them; its answer, an error too, is the caller's. */
int redis_link_ask(struct redis_link *l, const char *words, struct redis_answer **out);

#endif
