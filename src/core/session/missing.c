/* Who is away with copies that may be nowhere else, so that absent is told from unreachable. A node
 * that is down may come back with what it holds. One that was replaced will not; but what it held
 * together with one that may come back had no time to be copied, if the two were lost together. */
#include "core/session/session_internal.h"

#include <stdlib.h>

#define TOGETHER_NS (30 * NS_PER_S) /* by then what was lost with a node has been copied anew */
#define SURELY_NS (2 * NS_PER_S)    /* after a successor is up: it waited for those copies */

/* A place among the peers, in the order of their nodes' lasting ids. */
struct missing_place {
    uint64_t node;
    size_t at;
};

struct missing_room {
    struct missing_place *places;
    uint64_t *losses; /* when those that may return fell silent, in order */
    size_t loss_count;
};

size_t missing_room_bytes(size_t peers)
{
    return (peers + 1) * (sizeof(struct missing_place) + sizeof(uint64_t));
}

static int place_compare(const void *a, const void *b)
{
    const struct missing_place *p = a, *q = b;
    if (p->node != q->node)
        return p->node < q->node ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

static int loss_compare(const void *a, const void *b)
{
    const uint64_t *p = a, *q = b;
    return *p < *q ? -1 : *p > *q;
}

static size_t group_end(const struct missing_room *r, size_t begin, size_t count)
{
    size_t end = begin + 1;
    while (end < count && r->places[end].node == r->places[begin].node)
        end++;
    return end;
}

/* Of the incarnations of one node one may return, the last that kept records, and only if none has
 * been heard since. Membership says of those that were replaced that they keep none. */
static void judge_group(struct session *s, struct missing_room *r, size_t begin, size_t end)
{
    struct peer *last = NULL;
    bool down = true, holds = false;
    for (size_t i = begin; i < end; i++) {
        struct peer *p = &s->peers[r->places[i].at];
        p->may_return = false;
        down &= p->view.state == PEER_DOWN;
        holds |= p->view.holds && p->view.state != PEER_LEFT;
        if (p->view.holds && (!last || p->down_ns > last->down_ns))
            last = p;
    }
    s->holder_nodes += holds && r->places[begin].node != s->self_node;
    if (!down || !last || last->view.node == s->self_node)
        return;
    last->may_return = true;
    r->losses[r->loss_count++] = last->down_ns;
}

/* Was one that may return lost about then, and before `until_ns`? */
static bool lost_beside(const struct missing_room *r, uint64_t lost_ns, uint64_t until_ns)
{
    uint64_t from_ns = lost_ns > TOGETHER_NS ? lost_ns - TOGETHER_NS : 0;
    size_t low = 0, high = r->loss_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r->losses[mid] <= from_ns && from_ns != 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < r->loss_count && r->losses[low] < lost_ns + TOGETHER_NS &&
           r->losses[low] < until_ns;
}

/* A node that takes another's place is up when all others have said that their copies are complete.
 * Since when is that so of those in p's place? */
static uint64_t recopied_ns(const struct session *s, const struct missing_room *r, size_t begin,
                            size_t end, const struct peer *p)
{
    uint64_t since = TIME_NEVER;
    for (size_t i = begin; i < end; i++) {
        const struct peer *q = &s->peers[r->places[i].at];
        if (q->up_ns >= p->down_ns && q->up_ns != 0 && q->up_ns + SURELY_NS < since && q != p)
            since = q->up_ns + SURELY_NS;
    }
    return since;
}

static size_t count_replaced(const struct session *s, const struct missing_room *r, size_t begin,
                             size_t end)
{
    size_t count = 0;
    for (size_t i = begin; i < end; i++) {
        const struct peer *p = &s->peers[r->places[i].at];
        bool replaced = p->view.state == PEER_DOWN && p->held && !p->may_return;
        count += replaced && lost_beside(r, p->down_ns, recopied_ns(s, r, begin, end, p));
    }
    return count;
}

/* A process that is new may stand where another has just been lost; but whoever has told it since
 * that its copies are complete had none that was only there. */
static bool self_is_new_beside(const struct session *s)
{
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer *p = &s->peers[i];
        uint64_t apart =
            p->down_ns > s->start_ns ? p->down_ns - s->start_ns : s->start_ns - p->down_ns;
        if (p->may_return && !p->complete && apart < TOGETHER_NS)
            return true;
    }
    return false;
}

bool missing_asks(const struct session *s, const struct peer *p)
{
    return !p->complete && p->view.holds && peer_heard(&p->view) &&
           s->now_ns < s->start_ns + TOGETHER_NS;
}

void missing_count(struct session *s, void *room)
{
    struct missing_room r = {.places = room};
    r.losses = (uint64_t *)(void *)(r.places + s->peer_count + 1);
    for (size_t i = 0; i < s->peer_count; i++)
        r.places[i] = (struct missing_place){s->peers[i].view.node, i};
    s->holder_nodes = s->self_holds;
    qsort(r.places, s->peer_count, sizeof(*r.places), place_compare);
    for (size_t i = 0, end; i < s->peer_count; i = end) {
        end = group_end(&r, i, s->peer_count);
        judge_group(s, &r, i, end);
    }
    qsort(r.losses, r.loss_count, sizeof(*r.losses), loss_compare);
    s->missing = r.loss_count + self_is_new_beside(s);
    for (size_t i = 0, end; i < s->peer_count && r.loss_count > 0; i = end) {
        end = group_end(&r, i, s->peer_count);
        s->missing += count_replaced(s, &r, i, end);
    }
}

uint8_t missing_told(const struct session *s)
{
    return (uint8_t)(s->missing < UINT8_MAX ? s->missing : UINT8_MAX);
}
