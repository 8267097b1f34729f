/* gate_call.c - operations into the store, and what their results mean to the client. */
#include "role/gate/gate_internal.h"

#include "base/clock.h"
#include "io/io.h"

#include <string.h>

static void submit(struct gate_call *call, struct session_op *op)
{
    struct gate *g = call->gate;
    uint64_t now = io_now_ns();
    call->deadline_ns = now + call->deadline_ms * NS_PER_MS;
    if (call->deadline_ns > call->last_ns)
        call->deadline_ns = call->last_ns;
    op->deadline_ns = call->deadline_ns;
    op->request = (uint64_t)g->slots[call->slot].generation << 32 | call->slot;
    struct session_result *out = NULL;
    int status = store_submit(g->config.store, g->config.mailbox, op, now, &out);
    if (status == STEAD_PENDING)
        return;
    if (out) {
        gate_call_result(call, out);
        session_result_free(out);
        return;
    }
    struct session_result failed = {.status = status};
    gate_call_result(call, &failed);
}

void gate_call_submit(struct gate_call *call, struct session_op *op)
{
    struct private_ops sealed;
    int err = private_seal(call->gate->config.private, op->key, op->ops, op->op_count, &sealed);
    if (err) {
        struct session_result failed = {.status = err};
        gate_call_result(call, &failed);
        return;
    }
    op->ops = sealed.ops;
    submit(call, op);
    private_ops_deinit(&sealed);
}

/* Is one of the ETags in If-None-Match the record's? */
static bool none_match(const struct http_head *h, const struct record *r)
{
    const struct http_header *header = http_find(h->headers, h->header_count, "if-none-match");
    char version[GATE_VERSION_MAX];
    if (!header)
        return false;
    if (slice_is(header->value, "*"))
        return true;
    gate_version_text(r, version);
    size_t len = strlen(version);
    const char *at = header->value.at, *end = at + header->value.len;
    for (; at < end; at++)
        if ((size_t)(end - at) >= len + 2 && at[0] == '"' && memcmp(at + 1, version, len) == 0 &&
            at[len + 1] == '"')
            return true;
    return false;
}

static const char *origin_name(enum session_origin origin)
{
    switch (origin) {
    case ORIGIN_OWNER:
        return "owner";
    case ORIGIN_CLAIM:
        return "claim";
    default:
        return "local";
    }
}

void gate_call_result(struct gate_call *call, struct session_result *r)
{
    if (call->watch) {
        gate_watch_result(call, r);
        return;
    }
    const struct http_head *h = http_request_head(call->request);
    bool created = call->verb == GATE_CREATE || call->verb == GATE_LOGIN;
    if (gate_is_tls(call->verb)) {
        gate_tls_result(call, r);
        return;
    }
    if (call->step != STEP_ONLY) {
        gate_renew_result(call, r);
        return;
    }
    if (call->verb == GATE_VERIFY) {
        gate_verify_result(call, r);
        return;
    }
    call->left_ms = r->left_ms;
    if (r->status != STEAD_OK) {
        gate_reply_status(call, r->status);
    } else if (call->verb == GATE_END) {
        gate_reply_empty(call, 204);
    } else if (!r->record) {
        gate_reply_status(call, STEAD_E_NOMEM);
    } else {
        bool same = call->verb == GATE_READ && none_match(h, r->record);
        if (call->verb == GATE_READ && gate_watch_start(call, r, same))
            return;
        gate_reply_record(call,
                          created ? 201
                          : same  ? 304
                                  : 200,
                          r->record, same ? 0 : r->copies, origin_name(r->origin));
    }
}
