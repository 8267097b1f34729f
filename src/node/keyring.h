/* keyring.h - the farm's keys in this process: the file they lie in, what its parts are given of
 * them, and what an operator orders (`stead key`). All on the mesh thread, but for the writing of
 * the file. docs/keys.md. */
#ifndef NODE_KEYRING_H
#define NODE_KEYRING_H

#include "core/farm/farm.h"
#include "core/token/box_ring.h"
#include "node/live.h"

#include <uv.h>

#define KEYRING_SAYS_MAX 1024

/* What seals values in records and files, by purpose: shared with all threads. Alone in locked
 * memory that no core dump has. */
struct key_rings {
    struct box_ring private, tls, tls_set, repository, snapshot;
};

#define KEYRING_NODES_MAX 64 /* that are named; more are counted */

/* What is known of the keys, for people: no secrets. */
struct keyring_view {
    uint64_t turn, in, out, malformed, changes, store_failed;
    size_t count;
    struct {
        uint8_t number;
        enum key_state state;
        bool active, uses, quiet;
        uint64_t mark, nodes_with, nodes_active, nodes_using; /* of those that are up, this too */
    } list[KEYS_MAX];
    size_t node_count, nodes_silent; /* silent: have not said yet */
    struct {
        char name[NAME_MAX_BYTES + 1];
        bool told;
        uint8_t active;    /* its number; 0: not known here */
        unsigned accepted; /* a bit for each of the list */
    } nodes[KEYRING_NODES_MAX];
};

struct keyring {
    uv_loop_t *loop;
    struct farm *farm;
    const char *path;
    struct key_rings *rings;
    uint64_t marks[BOX_RING_MAX]; /* of what the rings have, data and passing alike */
    uint64_t passing_marks[BOX_RING_MAX];
    uint64_t looked_ns;
    uint64_t used[BOX_RING_MAX], passing_used[BOX_RING_MAX];
    bool saving;
    uv_work_t work;
    char *text; /* while it is written */
    size_t text_len;
    int error, said_error;
    uint64_t shown_ns;
    void (*changed)(void *context);           /* other keys are in effect */
    void (*stored)(void *context, int error); /* an order may be answered */
    void *context;
};

/* STEAD_E_NOT_FOUND, DENIED (this user, or others, may read it), PARSE, IO. */
int keyring_load(const char *path, struct keys *out);

/* Makes room for secrets in locked memory; once, before any is read. */
void keyring_lock_memory(void);

struct key_rings *key_rings_new(void) __attribute__((warn_unused_result));
void key_rings_free(struct key_rings *r);

/* The rings and what passes by, from the keys that are in effect. */
void keyring_derive(struct keyring *k, struct shared_keys *out);
/* In each turn of the loop, after the farm's step. */
void keyring_turn(struct keyring *k, uint64_t now_ns);
/* What is shown, made anew now and then. */
void keyring_show(struct keyring *k, struct keyring_view *out);
void keyring_close(struct keyring *k); /* when the loop has ended */

/* "add", "add FILE", "add-here FILE", "activate N", "retire N", "forget N". PENDING: keyring.stored
 * tells. Else an error, and in `says` what is wrong or what was done. */
int keyring_order(struct keyring *k, const char *text, bool force, char says[KEYRING_SAYS_MAX]);

#endif
