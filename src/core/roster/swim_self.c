/* swim_self.c - what this node says of itself: numbering, holding small changes back, refuting. */
#include "core/roster/swim_state.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

/* Each node may be told so many pieces of news a second by all the others together: in a large
 * farm everybody's counts change all the time, and each says so more seldom. Some changes in a row
 * go at once. */
#define COUNTS_A_SECOND 64u
#define COUNTS_IN_A_ROW 4u

static uint64_t share_ns(const struct swim *s)
{
    return (s->table.alive + 1) * NS_PER_S / COUNTS_A_SECOND;
}

/* When the next change may be told: a bucket that leaks a change each share of time. */
static uint64_t pace_ns(const struct swim *s)
{
    uint64_t burst = COUNTS_IN_A_ROW * share_ns(s), least = swim_ns(s->timing.gossip_ms);
    uint64_t due = s->budget_ns > burst ? s->budget_ns - burst : 0;
    return due > s->told_ns + least ? due : s->told_ns + least;
}

static void spend(struct swim *s, uint64_t now_ns)
{
    s->budget_ns = (s->budget_ns > now_ns ? s->budget_ns : now_ns) + share_ns(s);
    s->told_ns = now_ns;
}

static bool small(uint32_t was, uint32_t is, uint32_t of, uint32_t percent)
{
    uint64_t change = was > is ? was - is : is - was;
    uint64_t whole = of > was ? of : was;
    return change * 100 < whole * percent;
}

/* May the change from a to b wait? What decides who gets clients may not. */
static bool may_wait(const struct swim *s, const struct entry *a, const struct entry *b)
{
    uint32_t percent = s->timing.hold_percent;
    if (a->status != b->status || !entry_same_shape(a, b))
        return false;
    for (size_t i = 0; i < a->group_count; i++) {
        if (!small(a->group_users[i], b->group_users[i], 0, percent))
            return false;
    }
    for (size_t i = 0; i < a->server_count; i++) {
        const struct server *x = &a->servers[i], *y = &b->servers[i];
        bool full = x->capacity != 0 && x->users >= x->capacity;
        bool filled = y->capacity != 0 && y->users >= y->capacity;
        if (x->healthy != y->healthy || x->maint != y->maint || x->weight != y->weight ||
            x->capacity != y->capacity || full != filled ||
            (x->load == LOAD_UNKNOWN) != (y->load == LOAD_UNKNOWN) ||
            !small(x->users, y->users, 0, percent) || !small(x->load, y->load, LOAD_MAX, percent))
            return false;
    }
    return true;
}

/* Must it be said at once, whatever the pace? */
static bool urgent(const struct entry *a, const struct entry *b)
{
    bool other = a->status != b->status || a->server_count != b->server_count || a->twin != b->twin;
    for (size_t i = 0; !other && i < a->server_count; i++)
        other = a->servers[i].healthy != b->servers[i].healthy ||
                a->servers[i].maint != b->servers[i].maint ||
                a->servers[i].weight != b->servers[i].weight;
    return other;
}

static bool same(const struct entry *a, const struct entry *b)
{
    uint8_t bytes[2][ENTRY_BYTES_MAX];
    struct wire_writer w[2];
    const struct entry *of[2] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        wire_writer_init(&w[i], bytes[i], sizeof bytes[i]);
        entry_encode(of[i], &w[i]);
    }
    return wire_written(&w[0]) == wire_written(&w[1]) &&
           memcmp(bytes[0], bytes[1], wire_written(&w[0])) == 0;
}

static void install(struct swim *s, struct entry *e)
{
    struct swim_peer *p = swim_find(s, e->inc);
    assert(p != NULL && (p->flags & SWIM_SELF));
    swim_set_entry(s, p, entry_ref(e));
    entry_unref(s->self);
    s->self = e;
}

static void publish(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    struct entry e, told;
    entry_copy(s->self, &told);
    entry_copy(s->coming, &e);
    bool whole = !entry_same_shape(&told, &e);
    e.revision = told.revision + 1;
    e.shape = whole ? e.revision : told.shape;
    e.life = told.life;
    struct entry *next = entry_new(&e);
    if (next == NULL)
        return; /* tried again at the next step */
    install(s, next);
    entry_unref(s->coming);
    s->coming = NULL;
    spend(s, now_ns);
    struct swim_peer *p = swim_find(s, e.inc);
    if (whole)
        p->flags |= SWIM_WHOLE;
    swim_tell(s, p, SWIM_NEWS_CONTENT, now_ns);
    swim_changed(s, p, SWIM_ALIVE, out);
}

void swim_set_self(struct swim *s, const struct entry *self, uint64_t now_ns,
                   struct swim_actions *out)
{
    struct entry e = *self, told;
    entry_copy(s->self, &told);
    e.node = told.node;
    e.inc = told.inc;
    e.boot = told.boot;
    e.revision = told.revision;
    e.shape = told.shape;
    e.life = told.life;
    bool waiting = s->coming != NULL;
    uint64_t due = s->coming_ns;
    entry_unref(s->coming);
    s->coming = NULL;
    if (same(&told, &e))
        return;
    s->coming = entry_new(&e);
    if (s->coming == NULL)
        return; /* the next change tells all of it */
    s->coming_ns = now_ns;
    if (may_wait(s, &told, &e))
        s->coming_ns = waiting ? due : now_ns + swim_ns(s->timing.hold_ms);
    else if (!urgent(&told, &e) && pace_ns(s) > now_ns)
        s->coming_ns = pace_ns(s);
    if (s->coming_ns <= now_ns)
        publish(s, now_ns, out);
    if (s->coming != NULL && s->coming_ns < s->deadline_ns)
        s->deadline_ns = s->coming_ns;
    out->deadline_ns = s->deadline_ns;
}

void swim_self_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    if (s->coming == NULL)
        return;
    if (now_ns >= s->coming_ns)
        publish(s, now_ns, out);
    else if (s->coming_ns < s->deadline_ns)
        s->deadline_ns = s->coming_ns;
}

void swim_refute(struct swim *s, uint32_t life, uint64_t now_ns)
{
    struct entry e;
    struct swim_peer *p = swim_find(s, s->self->inc);
    entry_copy(s->self, &e);
    if (life == UINT32_MAX)
        return; /* nobody gets there by refuting; what says so is malformed */
    e.life = life + 1;
    struct entry *next = entry_new(&e);
    if (next == NULL)
        return; /* it will hear of it again */
    install(s, next);
    swim_set_state(s, p, e.life, SWIM_ALIVE, now_ns);
    swim_tell(s, p, SWIM_NEWS_STATE, now_ns);
    s->gossip_ns = now_ns; /* the sooner the better */
    s->deadline_ns = now_ns;
}
