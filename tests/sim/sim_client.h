/* sim_client.h - those who use the farm: each does one thing after another, at any node that says
 * it is up, with a deadline and its own patience beyond it, and tries a failed change again
 * elsewhere, as a shopper would. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "sim_model.h"

#define SIM_CLIENTS 5
#define CLIENT_DEADLINE_MS 2000
#define CLIENT_PATIENT_MS 6000

struct sim_client {
    bool busy;
    uint64_t op;      /* the running operation */
    uint64_t due_ns;  /* when it acts next, or gives up; 0: never */
    unsigned retries; /* of the same wish */
    bool retry;       /* the last change failed: wish it again */
};

struct sim_client *sim_clients_new(struct sim *s);
void sim_clients_free(struct sim *s);

void sim_clients_start(struct sim *s);
void sim_client_act(struct sim *s, unsigned who);
/* The operation as the core wants it; ops and bytes live in scratch until the next call. */
void sim_client_operation(struct sim *s, uint64_t op, uint64_t node_now_ns, struct session_op *out);
void sim_client_result(struct sim *s, unsigned slot, const struct session_result *r);
/* The last look: every key is read at two nodes. True when all reads are over. */
bool sim_clients_look(struct sim *s);

#endif
