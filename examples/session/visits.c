/* Counts the visits of a session, whichever server of the farm it was begun at:
 *
 *     visits NODE          begins one, and prints its id
 *     visits NODE ID       one more visit
 *     visits NODE ID end   the last one
 *
 * NODE is where this host's node keeps sessions: unix:/run/stead/sessions.sock */
#include <stead/session.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* What a server with an event loop of its own does: here the loop is poll(), and has nothing else
 * to do meanwhile. */
static int visit(struct stead_sessions *node, const char *id, struct stead_session **session)
{
    const struct stead_add one = {"visits", 1};
    const struct stead_change change = {.size = sizeof change, .add = &one, .add_count = 1};
    int err = stead_session_begin(node, STEAD_SESSION_CHANGE, "app", id, &change);
    while (!err && (err = stead_session_advance(node, session)) == STEAD_PENDING) {
        struct pollfd p = {stead_sessions_fd(node), stead_sessions_events(node), 0};
        err = poll(&p, 1, stead_sessions_timeout_ms(node)) < 0 ? STEAD_E_IO : STEAD_OK;
    }
    return err;
}

static int begin(struct stead_sessions *node, struct stead_session **session)
{
    const struct stead_field first = {"visits", "1", 1};
    const struct stead_change change = {
        .size = sizeof change, .set = &first, .set_count = 1, .ttl_ms = 3600 * 1000};
    return stead_session_create(node, "app", &change, session);
}

int main(int argc, char **argv)
{
    struct stead_sessions *node;
    struct stead_session *session = NULL;
    int err = stead_sessions_new(argc > 1 ? argv[1] : NULL, NULL, &node);
    if (!err)
        err = argc > 2 ? visit(node, argv[2], &session) : begin(node, &session);
    if (!err)
        printf("%s %s\n", stead_session_id(session), stead_session_get(session, "visits", NULL));
    if (!err && argc > 3 && strcmp(argv[3], "end") == 0)
        err = stead_session_end(node, "app", argv[2], stead_session_version(session));
    if (err)
        fprintf(stderr, "%s: %s\n", stead_error_name(err), stead_error_text(err));
    stead_session_free(session);
    stead_sessions_free(node);
    return err ? 1 : 0;
}
