/* gate_renew.c - a new id for a session, and the end of the old one: read, create, end the old if
 * it is still as it was read; else take the new one back and try anew.
 *
 * Whatever goes wrong, the session is under at least one of the two ids. When the end's outcome is
 * not known, the old record is asked for and ended again: taking the new one back then would lose
 * the session if the first end came through late. */
#include "role/gate/gate_internal.h"

#include "base/base64.h"
#include "base/mem.h"
#include "io/io.h"

#include <openssl/crypto.h>

/* May the end have been done, or still come through? A fenced owner may have told a holder, and an
 * end beats all else when copies meet. */
static bool outcome_is_open(int status)
{
    return status == STEAD_E_UNKNOWN || status == STEAD_E_DEADLINE || status == STEAD_E_FENCED ||
           status == STEAD_E_UNREACHABLE;
}

static void submit_end(struct gate_call *call, const struct key *key, const struct stamp *match)
{
    struct session_op op = {.type = SESSION_END, .key = key, .has_match = match != NULL};
    if (match)
        op.match = *match;
    gate_call_submit(call, &op);
}

static void submit_read(struct gate_call *call, enum gate_step step)
{
    struct session_op op = {.type = SESSION_READ, .key = &call->key};
    call->step = step;
    gate_call_submit(call, &op);
}

void gate_renew_start(struct gate_call *call)
{
    call->tries++;
    submit_read(call, STEP_READ);
}

static void take_back(struct gate_call *call, int status)
{
    call->status = status;
    call->step = STEP_END_NEW;
    submit_end(call, &call->new_key, NULL);
}

/* All live fields of the old record as operations; values are in clear in `values`, as private ones
 * are sealed anew for the new id. False: one does not open. */
static bool copy_fields(const struct gate_call *call, const struct record *old,
                        struct field_op *ops, size_t *count, uint8_t *values)
{
    *count = 0;
    for (uint32_t i = 0; i < old->field_count; i++) {
        const struct field *f = old->fields[i];
        if (f->removed)
            continue;
        int64_t len = private_open(call->gate->config.private, &old->key, f, values);
        if (len < 0)
            return false;
        ops[(*count)++] = (struct field_op){.type = FIELD_SET,
                                            .name = field_name(f),
                                            .name_len = f->name_len,
                                            .value = values,
                                            .value_len = (size_t)len};
        values += len;
    }
    return true;
}

static void create_new(struct gate_call *call, const struct record *old)
{
    uint8_t random[GATE_ID_BYTES];
    char id[GATE_ID_CHARS];
    io_random(random, sizeof random);
    base64_encode_url(random, sizeof random, id);
    key_set(&call->new_key, call->key.kind, id, sizeof id);
    struct field_op *ops = mem_alloc(old->field_count * sizeof *ops);
    size_t old_bytes = (size_t)old->live_bytes + 1;
    uint8_t *values = mem_alloc(old_bytes);
    struct session_op op = {
        .type = SESSION_CREATE, .key = &call->new_key, .ttl_ms = old->ttl_ms, .ops = ops};
    bool copied = ops && values && copy_fields(call, old, ops, &op.op_count, values);
    if (copied) {
        call->old = old->stamp;
        call->step = STEP_CREATE;
        gate_call_submit(call, &op);
    } else {
        gate_reply_status(call, ops && values ? STEAD_E_PARSE : STEAD_E_NOMEM);
    }
    if (values)
        OPENSSL_cleanse(values, old_bytes);
    mem_free(values);
    mem_free(ops);
}

static void created(struct gate_call *call, struct session_result *r)
{
    if (r->status != STEAD_OK || !r->record) {
        /* The old one is untouched, whatever became of the new: nobody knows its id, and it
         * expires. */
        gate_reply_status(call, r->status ? r->status : STEAD_E_NOMEM);
        return;
    }
    record_free(call->record);
    call->record = r->record;
    r->record = NULL;
    call->copies = r->copies;
    call->left_ms = r->left_ms;
    call->step = STEP_END_OLD;
    submit_end(call, &call->key, &call->old);
}

static void succeeded(struct gate_call *call)
{
    gate_count(&call->gate->config.counters->renewed);
    gate_reply_record(call, 200, call->record, call->copies, NULL);
}

static void old_ended(struct gate_call *call, const struct session_result *r)
{
    if (r->status == STEAD_OK) {
        succeeded(call);
    } else if (!outcome_is_open(r->status)) {
        take_back(call, r->status);
    } else {
        call->status = r->status;
        submit_read(call, STEP_CHECK_OLD);
    }
}

static void old_checked(struct gate_call *call, const struct session_result *r)
{
    if (r->status == STEAD_E_ABSENT || r->status == STEAD_E_ENDED) {
        succeeded(call);
    } else if (r->status != STEAD_OK || !r->record || ++call->tries > GATE_RENEW_TRIES) {
        gate_reply_unknown_renewal(call, call->status);
    } else {
        /* With a change in between this conflicts, and the new one is made anew from it. */
        call->step = STEP_END_OLD;
        submit_end(call, &call->key, &call->old);
    }
}

static void new_taken_back(struct gate_call *call)
{
    if (call->status == STEAD_E_CONFLICT && call->tries < GATE_RENEW_TRIES)
        gate_renew_start(call);
    else
        gate_reply_status(call, call->status);
}

void gate_renew_result(struct gate_call *call, struct session_result *r)
{
    switch (call->step) {
    case STEP_READ:
        if (r->status != STEAD_OK || !r->record)
            gate_reply_status(call, r->status ? r->status : STEAD_E_NOMEM);
        else
            create_new(call, r->record);
        break;
    case STEP_CREATE:
        created(call, r);
        break;
    case STEP_END_OLD:
        old_ended(call, r);
        break;
    case STEP_CHECK_OLD:
        old_checked(call, r);
        break;
    default:
        new_taken_back(call);
    }
}
