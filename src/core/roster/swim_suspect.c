/* swim_suspect.c - suspicion: what is said of a node's life, how long it has to refute it, and the
 * verdict. The timeout starts long and shrinks with each member that says the same by its own
 * finding: who starves and suspects everybody finds nobody to agree (Lifeguard, LHA-suspicion). */
#include "core/roster/swim_state.h"

#include "base/mem.h"

#include <string.h>

void swim_health(struct swim *s, int change)
{
    if (!swim_with(s, SWIM_WITHOUT_HEALTH) || MUTANT(SWIM_NO_LOCAL_HEALTH))
        return;
    int health = (int)s->stats.local_health + change;
    s->stats.local_health = (uint64_t)(health < 0                 ? 0
                                       : health > SWIM_HEALTH_MAX ? SWIM_HEALTH_MAX
                                                                  : health);
}

uint64_t swim_suspicion_least_ns(const struct swim *s)
{
    uint32_t milli = swim_log10_milli(s->table.alive + 1);
    return swim_ns(s->timing.interval_ms) * s->timing.suspicion * (milli < 1000 ? 1000 : milli) /
           1000;
}

/* Others who could agree, the suspect and this node excepted. */
static uint8_t confirmations_wanted(const struct swim *s)
{
    uint32_t others = s->table.alive > 1 ? s->table.alive - 1 : 0;
    return (uint8_t)(others < SWIM_ACCUSERS_MAX - 1 ? others : SWIM_ACCUSERS_MAX - 1);
}

static uint64_t timeout_ns(const struct swim *s, const struct swim_suspicion *u)
{
    static const uint32_t ln_milli[SWIM_ACCUSERS_MAX + 1] = {0, 0, 693, 1099, 1386};
    uint64_t least = swim_suspicion_least_ns(s);
    unsigned confirmed = u->accuser_count > 0 ? u->accuser_count - 1u : 0;
    if (u->wanted == 0 || confirmed >= u->wanted || !swim_with(s, SWIM_WITHOUT_SHRINKING))
        return least;
    uint64_t more = least * (s->timing.suspicion_max - 1);
    return least + more - more * ln_milli[confirmed + 1] / ln_milli[u->wanted + 1];
}

/* Before the verdict there is time for one last question. */
static uint64_t ask_ns(const struct swim *s, const struct swim_suspicion *u)
{
    return u->due_ns - swim_ns(s->timing.interval_ms);
}

static void schedule(struct swim *s, struct swim_suspicion *u)
{
    u->due_ns = u->start_ns + timeout_ns(s, u);
    uint64_t next_ns = u->asked ? u->due_ns : ask_ns(s, u);
    if (next_ns < s->suspicion_ns)
        s->suspicion_ns = next_ns;
}

static bool add_accusers(struct swim_suspicion *u, const uint64_t *accusers, uint8_t count)
{
    bool more = false;
    for (uint8_t i = 0; i < count && u->accuser_count < SWIM_ACCUSERS_MAX; i++) {
        bool known = accusers[i] == 0 || accusers[i] == u->inc;
        for (uint8_t j = 0; j < u->accuser_count; j++)
            known = known || u->accusers[j] == accusers[i];
        if (!known) {
            u->accusers[u->accuser_count++] = accusers[i];
            more = true;
        }
    }
    return more;
}

static struct swim_suspicion *suspicion_add(struct swim *s, struct swim_peer *p)
{
    if (s->suspicion_count == s->suspicion_capacity) {
        uint16_t capacity = s->suspicion_capacity == 0 ? 4 : (uint16_t)(s->suspicion_capacity * 2);
        struct swim_suspicion *all = mem_realloc(s->suspicions, capacity * sizeof *all);
        if (all == NULL)
            return NULL;
        s->suspicions = all;
        s->suspicion_capacity = capacity;
    }
    struct swim_suspicion *u = &s->suspicions[s->suspicion_count++];
    *u = (struct swim_suspicion){.inc = swim_inc(p)};
    p->suspicion = s->suspicion_count;
    return u;
}

void swim_suspicion_end(struct swim *s, struct swim_peer *p)
{
    if (p->suspicion == 0)
        return;
    uint16_t at = (uint16_t)(p->suspicion - 1);
    p->suspicion = 0;
    struct swim_suspicion *last = &s->suspicions[--s->suspicion_count];
    if (at == s->suspicion_count)
        return;
    s->suspicions[at] = *last;
    struct swim_peer *moved = swim_find(s, last->inc);
    if (moved != NULL)
        moved->suspicion = (uint16_t)(at + 1);
}

static void become(struct swim *s, struct swim_peer *p, uint32_t life, enum swim_rank rank,
                   uint64_t now_ns, struct swim_actions *out)
{
    enum swim_rank was = (enum swim_rank)p->rank;
    swim_set_state(s, p, life, rank, now_ns);
    swim_tell(s, p, SWIM_NEWS_STATE, now_ns);
    if (was != rank)
        swim_changed(s, p, was, out);
}

static bool heard_within(const struct swim *s, const struct swim_peer *p, uint64_t now_ns,
                         uint64_t ns)
{
    return swim_with(s, SWIM_WITHOUT_EVIDENCE) && p->rank <= SWIM_SUSPECT && p->mark_ms != 0 &&
           swim_mark(s, now_ns) - p->mark_ms < ns / NS_PER_MS;
}

static void suspect(struct swim *s, struct swim_peer *p, const struct swim_saying *what,
                    uint64_t now_ns, struct swim_actions *out)
{
    struct swim_suspicion *u;
    if (p->rank == SWIM_SUSPECT && p->suspicion != 0 && what->life == p->life) {
        u = &s->suspicions[p->suspicion - 1];
        if (add_accusers(u, what->accusers, what->accuser_count)) {
            schedule(s, u);
            swim_tell(s, p, SWIM_NEWS_STATE, now_ns);
        }
        return;
    }
    if (MUTANT(SWIM_NO_SUSPICION)) {
        become(s, p, what->life, SWIM_DOWN, now_ns, out);
        return;
    }
    swim_suspicion_end(s, p);
    u = suspicion_add(s, p);
    if (u == NULL)
        return; /* no memory: it stays as it was; the next probe finds the same */
    u->start_ns = now_ns;
    u->wanted = confirmations_wanted(s);
    (void)add_accusers(u, what->accusers, what->accuser_count);
    schedule(s, u);
    s->stats.suspicions++;
    become(s, p, what->life, SWIM_SUSPECT, now_ns, out);
    /* Who met it just now can tell it at once. */
    if (swim_with(s, SWIM_WITHOUT_BUDDY) &&
        heard_within(s, p, now_ns, 2 * swim_ns(s->timing.interval_ms)))
        swim_ping(s, swim_inc(p), 0, out);
}

/* `down` of one that this node itself met lately is a suspicion that needs nobody to confirm it. */
static void say_down(struct swim *s, struct swim_peer *p, const struct swim_saying *what,
                     uint64_t now_ns, struct swim_actions *out)
{
    if (!heard_within(s, p, now_ns, swim_suspicion_least_ns(s))) {
        become(s, p, what->life, SWIM_DOWN, now_ns, out);
        return;
    }
    if (p->rank == SWIM_ALIVE || what->life > p->life)
        suspect(s, p, what, now_ns, out);
    if (p->suspicion != 0) {
        struct swim_suspicion *u = &s->suspicions[p->suspicion - 1];
        u->wanted = 0;
        schedule(s, u);
    }
}

static bool outranks(const struct swim_peer *p, const struct swim_saying *what)
{
    if (p->rank == SWIM_LEFT)
        return false;
    return what->life > p->life || what->rank == SWIM_LEFT ||
           (what->life == p->life && (uint8_t)what->rank > p->rank);
}

static void say_self(struct swim *s, const struct swim_saying *what, uint64_t now_ns)
{
    if (s->left || what->life < s->self->life ||
        (what->rank != SWIM_SUSPECT && what->rank != SWIM_DOWN))
        return;
    if (MUTANT(SWIM_NO_REFUTATION))
        return;
    s->stats.refutations++;
    swim_refute(s, what->life, now_ns);
    swim_health(s, 1);
}

bool swim_say(struct swim *s, const struct swim_saying *what, uint64_t now_ns,
              struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, what->inc);
    if (p == NULL)
        return false;
    if (p->flags & SWIM_SELF) {
        say_self(s, what, now_ns);
        return true;
    }
    bool confirms = what->rank == SWIM_SUSPECT && p->rank == SWIM_SUSPECT && what->life == p->life;
    if (!outranks(p, what) && !confirms)
        return true;
    if (what->rank == SWIM_SUSPECT)
        suspect(s, p, what, now_ns, out);
    else if (what->rank == SWIM_DOWN)
        say_down(s, p, what, now_ns, out);
    else
        become(s, p, what->life > p->life ? what->life : p->life, what->rank, now_ns, out);
    return true;
}

static bool met_since(const struct swim *s, const struct swim_peer *p, uint64_t start_ns)
{
    return swim_with(s, SWIM_WITHOUT_EVIDENCE) && p->mark_ms != 0 &&
           (int32_t)(p->mark_ms - swim_mark(s, start_ns)) > 0;
}

/* The refutation may have passed this node by: every member asks for itself before it believes. */
static void ask(struct swim *s, struct swim_suspicion *u, struct swim_actions *out)
{
    u->asked = true;
    swim_ping(s, u->inc, 0, out);
}

static void suspicion_tick(struct swim *s, struct swim_suspicion *u, uint64_t now_ns,
                           struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, u->inc);
    bool due = now_ns >= u->due_ns;
    bool buddy = swim_with(s, SWIM_WITHOUT_BUDDY);
    if (due && met_since(s, p, u->start_ns)) {
        /* It answered this node meanwhile: it has as long again to learn what is said of it. */
        u->start_ns = now_ns;
        u->asked = false;
    } else if (due) {
        become(s, p, p->life, SWIM_DOWN, now_ns, out);
        return;
    } else if (!u->asked && buddy && now_ns >= ask_ns(s, u)) {
        ask(s, u, out);
    }
    u->asked = u->asked || !buddy;
    schedule(s, u);
}

void swim_suspicions_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    if (now_ns < s->suspicion_ns)
        return;
    s->suspicion_ns = TIME_NEVER;
    for (uint16_t i = s->suspicion_count; i-- > 0;)
        suspicion_tick(s, &s->suspicions[i], now_ns, out);
}

void swim_suspicions_restart(struct swim *s, uint64_t now_ns)
{
    s->suspicion_ns = TIME_NEVER;
    for (uint16_t i = 0; i < s->suspicion_count; i++) {
        s->suspicions[i].start_ns = now_ns;
        s->suspicions[i].asked = false;
        schedule(s, &s->suspicions[i]);
    }
}

void swim_suspicions_put_off(struct swim *s, uint64_t by_ns)
{
    s->suspicion_ns = TIME_NEVER;
    for (uint16_t i = 0; i < s->suspicion_count; i++) {
        s->suspicions[i].start_ns += by_ns;
        schedule(s, &s->suspicions[i]);
    }
}
