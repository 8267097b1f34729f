/* session_tcp.c - sessions of kind tcp: a connection's state is kept, and read again. */
#include "client/session_internal.h"
#include "core/tcp/tcp_state.h"

#define KIND "tcp"

int stead_session_tcp_create(struct stead_sessions *node, const struct stead_tcp *t,
                             uint32_t ttl_ms, struct stead_session **session)
{
    struct tcp_state_form form;
    if (session)
        *session = NULL;
    int err = tcp_state_write(t, &form);
    struct stead_change change = {
        .size = sizeof change, .set = form.fields, .set_count = TCP_STATE_FIELDS, .ttl_ms = ttl_ms};
    return err ? err : stead_session_create(node, KIND, &change, session);
}

int stead_session_tcp_change(struct stead_sessions *node, const char *id, const struct stead_tcp *t,
                             const char *version, struct stead_session **session)
{
    struct tcp_state_form form;
    if (session)
        *session = NULL;
    int err = tcp_state_write(t, &form);
    struct stead_change change = {.size = sizeof change,
                                  .set = form.fields,
                                  .set_count = TCP_STATE_FIELDS,
                                  .version = version};
    return err ? err : stead_session_change(node, KIND, id, &change, session);
}

int stead_session_tcp_get(const struct stead_session *session, struct stead_tcp *t)
{
    return tcp_state_read(session->fields, session->count, t);
}
