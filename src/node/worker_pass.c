/* worker_pass.c - see worker_pass.h. */
#include "node/worker_pass.h"

#include "base/log.h"
#include "node/worker.h"
#include "stead/error.h"

#include <unistd.h>

/* -- giving -- */

struct passing {
    struct worker_hand *from;
    uint8_t door;
};

static bool give(void *context, const struct passage *p)
{
    const struct passing *g = context;
    const struct hand h = {.door = g->door, .passage = *p};
    struct upgrade_fds fds = {PASSAGE_PENDING, {p->tunnel.client, p->tunnel.server}};
    int pending;
    if (p->tunnel.up.len > PASSAGE_PENDING_MAX || p->tunnel.down.len > PASSAGE_PENDING_MAX ||
        passage_save(p, &pending) != STEAD_OK)
        return false;
    if (pending >= 0)
        fds.fd[fds.count++] = pending;
    bool given = worker_hand_send(g->from, &h, &fds);
    if (pending >= 0)
        close(pending);
    return given;
}

void worker_pass_on(struct worker *w)
{
    struct passing g = {&w->hand, HAND_TUNNEL};
    if (w->director)
        director_export(w->director, HAND_TUNNELS_A_TURN, give, &g);
    for (size_t i = 0; i < TCP_LISTENERS_MAX; i++) {
        g.door = (uint8_t)(HAND_TCP + i);
        if (w->tcp[i])
            tcp_export(w->tcp[i], HAND_TUNNELS_A_TURN, give, &g);
    }
}

/* -- taking -- */

static int take_tcp(struct worker *w, const struct hand *h)
{
    struct tcp *same = w->tcp[h->door - HAND_TCP];
    int err = same ? tcp_import(same, &h->passage) : STEAD_E_NOT_FOUND;
    for (size_t i = 0; err == STEAD_E_NOT_FOUND && i < TCP_LISTENERS_MAX; i++)
        if (w->tcp[i])
            err = tcp_import(w->tcp[i], &h->passage);
    return err;
}

static int take(struct worker *w, const struct hand *h)
{
    if (h->door >= HAND_TCP)
        return take_tcp(w, h);
    return w->director ? director_import(w->director, &h->passage) : STEAD_E_NOT_FOUND;
}

void worker_pass_adopt(struct worker *w, struct hand *h, struct upgrade_fds *fds)
{
    struct passage *p = &h->passage;
    char ip[ADDR_TEXT_MAX];
    p->tunnel.client = fds->fd[PASSAGE_CLIENT];
    p->tunnel.server = fds->fd[PASSAGE_SERVER];
    int err = fds->count > PASSAGE_PENDING ? passage_load(p, fds->fd[PASSAGE_PENDING]) : STEAD_OK;
    if (fds->count > PASSAGE_PENDING)
        close(fds->fd[PASSAGE_PENDING]);
    if (!err)
        err = take(w, h);
    if (!err)
        return;
    log_warn("tunnel-not-taken", "client=%s service=%s why=\"%s\"", addr_format(&p->peer, ip),
             p->service, stead_error_text(err));
    passage_drop(p);
    for (int i = PASSAGE_CLIENT; i <= PASSAGE_SERVER; i++)
        stream_close(&(struct stream){.fd = fds->fd[i]}, true);
}
