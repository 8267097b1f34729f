/* sim_check.h - the checkers: one table row each, with the promise in words and the moments at
 * which it looks. They know what went over the network, what stores hold and what clients were
 * told; of the code's reasons they know nothing. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "sim_client.h"
#include "sim_node.h"

struct sim_checker {
    const char *name, *promise;
    void (*frame_sent)(struct sim *s, const uint8_t *bytes, size_t len);
    /* accepted: something in it was delivered. */
    void (*frame_taken)(struct sim *s, struct sim_node *n, struct sim_frame *f, bool accepted);
    void (*message_sent)(struct sim *s, const struct sim_node *n, const struct msg *m);
    void (*message_taken)(struct sim *s, const struct sim_node *n, const struct msg *m);
    /* A step of the shard that keeps this key is over; before is the stamp that it had, or NULL. */
    void (*stepped)(struct sim *s, struct sim_node *n, const struct key *key,
                    const struct stamp *before);
    /* A client has its answer (r), and the model knows. */
    void (*answered)(struct sim *s, struct sim_node *n, const struct model_op *op,
                     const struct session_result *r);
    /* A client lost its patience. */
    void (*unanswered)(struct sim *s, const struct model_op *op);
    /* The others refuse the process; it is about to stop. */
    void (*refused)(struct sim *s, const struct sim_node *n);
    void (*sweep)(struct sim *s); /* every 40 ms */
    void (*final)(struct sim *s); /* all faults are over and the farm had time to settle */
};

extern const struct sim_checker *const sim_checker_rows[];
extern const size_t sim_checker_count;

/* The rows' functions, by file. */
extern const struct sim_checker check_sealed_once, check_accepted_once, check_delivered_once;
extern const struct sim_checker check_durable, check_one_owner, check_no_fall;
extern const struct sim_checker check_fresh, check_ended, check_refused, check_brief;
extern const struct sim_checker check_equal, check_bounds, check_quiet, check_serves;
extern const struct sim_checker check_merge;
extern const struct sim_checker check_winner;
extern const struct sim_checker check_asked;
extern const struct sim_checker check_keys;
extern const struct sim_checker check_sick, check_clone, check_joins, check_leases;

/* What the checkers remember. */
struct sim_watch *sim_watch_new(void);
void sim_watch_free(struct sim_watch *w);

#define CHECK_ALL(s, moment, ...)                                                                  \
    do {                                                                                           \
        for (size_t c_ = 0; c_ < sim_checker_count && !(s)->over; c_++)                            \
            if (sim_checker_rows[c_]->moment)                                                      \
                sim_checker_rows[c_]->moment(__VA_ARGS__);                                         \
    } while (0)

#endif
