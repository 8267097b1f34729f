/* call.c - the blocking calls of stead/stead.h, but for what they give back: choice.c,
 * roster_call.c. */
#include "client/call.h"

#include "client/net.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int wait_for(struct stead_client *c)
{
    struct stead_event event = {.size = sizeof event};
    for (;;) {
        int got = stead_client_step(c, &event);
        if (got < 0)
            return got;
        if (c->ended || (got == 1 && event.kind == STEAD_CONNECTED))
            return STEAD_OK;
        if (got == 1)
            continue;
        struct pollfd p = {.fd = c->epoll, .events = POLLIN};
        poll(&p, 1, stead_client_timeout_ms(c));
    }
}

int call_run(const char *url, const struct stead_options *options, enum ladder_goal goal,
             unsigned rounds, struct stead_client **out)
{
    int err = client_new(url, options, goal, rounds, out);
    if (!err && (*out)->terms.options.deadline_ms == 0)
        err = STEAD_E_INVAL; /* nobody waits for ever */
    return err ? err : wait_for(*out);
}

static int pick_call(const char *url, const struct stead_options *options, bool why,
                     struct stead_choice **choice)
{
    struct stead_client *c;
    *choice = NULL;
    int err = call_run(url, options, LADDER_TO_PICK, CALL_ROUNDS, &c);
    if (!err || (why && err == STEAD_E_NO_SERVER && c->ladder.roster)) {
        int failed = call_choice(c, err, choice);
        err = failed ? failed : err;
    }
    stead_client_free(c);
    return err;
}

int stead_pick(const char *url, const struct stead_options *options, struct stead_choice **choice)
{
    return pick_call(url, options, false, choice);
}

int stead_pick_why(const char *url, const struct stead_options *options,
                   struct stead_choice **choice)
{
    return pick_call(url, options, true, choice);
}

static int make_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ? STEAD_E_IO : STEAD_OK;
}

int stead_connect(const char *url, const struct stead_options *options, int *fd,
                  struct stead_choice **choice)
{
    struct stead_client *c;
    *fd = -1;
    if (choice)
        *choice = NULL;
    int err = call_run(url, options, LADDER_TO_SERVER, 0, &c);
    if (!err && choice)
        err = call_choice(c, STEAD_OK, choice);
    if (!err)
        err = make_blocking(c->fd);
    if (!err)
        *fd = stead_client_take(c);
    if (err && choice) {
        stead_choice_free(*choice);
        *choice = NULL;
    }
    stead_client_free(c);
    return err;
}
