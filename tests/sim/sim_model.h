/* sim_model.h - what clients did and what they were told: the ground on which the checkers stand.
 *
 * A key has some plain fields, a counter, and `presence` (is there a record). An operation has an
 * effect on each. Every value written is unique: it begins with the number of its operation. An
 * answer makes an operation ACKED (promised), REFUSED (nothing was done) or MAYBE (no answer, or
 * one that promises nothing: it may take effect at any later time).
 *
 * Epochs are the times when the farm was cut: reads are not promised to be fresh in them, and of
 * two writes in one epoch, to one field and on different sides, either may win. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "sim.h"

#define MODEL_PLAIN 6
#define MODEL_COUNTER MODEL_PLAIN
#define MODEL_PRESENCE (MODEL_PLAIN + 1)
#define MODEL_FIELDS (MODEL_PLAIN + 2)
#define MODEL_SETTLE_NS SEC(12) /* an epoch ends so long after the heal */

enum model_effect { EFFECT_NONE, EFFECT_SET, EFFECT_REMOVE, EFFECT_ADD };
enum model_outcome { OUTCOME_RUNNING, OUTCOME_ACKED, OUTCOME_REFUSED, OUTCOME_MAYBE };

struct model_op {
    enum session_op_type type;
    uint32_t key;
    unsigned client, slot;
    uint64_t inc;
    uint64_t start_ns, end_ns;
    int status;
    enum model_outcome outcome;
    uint8_t copies;
    uint8_t effect[MODEL_FIELDS];
    uint32_t value_len; /* of every field it sets */
    uint32_t deadline_ms;
};

struct model_key {
    struct key key;
    uint64_t *ops; /* numbers of the operations that may change it */
    size_t op_count, op_cap;
    uint64_t made_ns, renewed_ns;
    bool retired; /* clients leave it alone */
};

struct model_epoch {
    uint64_t start_ns;        /* of the cut, or of a pause before it: see sim_model_cut */
    uint64_t cut_ns, heal_ns; /* heal 0: still cut */
    bool sided;
    uint8_t side[SIM_SLOTS];
};

struct sim_model {
    struct model_op *ops;
    size_t op_count, op_cap;
    struct model_key *keys;
    size_t key_count, key_cap;
    struct model_epoch *epochs;
    size_t epoch_count, epoch_cap;
};

struct sim_model *sim_model_new(void);
void sim_model_free(struct sim_model *m);

uint32_t sim_model_add_key(struct sim *s, uint8_t kind, const void *bytes, size_t len);
/* A new operation, running; returns its number. Effects are the caller's to set. */
uint64_t sim_model_add_op(struct sim *s, enum session_op_type type, uint32_t key, unsigned client);
/* Files the operation under its key. Call when its effects are set. */
void sim_model_begin(struct sim *s, uint64_t op, unsigned slot);
/* The answer, or none (status STEAD_E_UNKNOWN, by the client's own patience). */
void sim_model_end(struct sim *s, uint64_t op, int status, uint8_t copies);

/* The value that operation op sets, value_len bytes, and back: false when no operation made these
 * bytes. */
void sim_model_value(uint64_t op, uint8_t *out, size_t len);
bool sim_model_parse(const struct sim *s, const uint8_t *value, size_t len, uint64_t *op);
const char *sim_model_field(unsigned field);

/* An epoch begins. A node that stood still since start_ns, and now is all that one side has of a
 * record, brings an old state back there: what others acknowledged since then is not known on its
 * side. */
size_t sim_model_cut(struct sim *s, uint64_t start_ns, bool sided, const uint8_t side[SIM_SLOTS]);
void sim_model_heal(struct sim *s, size_t epoch);
/* Does start..end touch an epoch? */
bool sim_model_in_epoch(const struct sim *s, uint64_t start_ns, uint64_t end_ns);

/* Must a reader who starts at read_ns no longer see v on this field, and which acknowledged
 * operation says so? v NULL: the field as it was before any operation. Returns NULL when it may be
 * seen. */
const struct model_op *sim_model_overruled(const struct sim *s, const struct model_key *k,
                                           unsigned field, const struct model_op *v,
                                           uint64_t read_ns);
/* May the field be absent for a reader from start to end? */
bool sim_model_may_be_absent(const struct sim *s, const struct model_key *k, unsigned field,
                             uint64_t start_ns, uint64_t end_ns, const struct model_op **why);
/* The bounds of the counter for such a reader. */
void sim_model_counter(const struct sim *s, const struct model_key *k, uint64_t start_ns,
                       uint64_t end_ns, int64_t *low, int64_t *high);

#endif
