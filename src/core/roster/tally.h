/* tally.h - what several tellers say of one server, made into what its entry shows. Pure.
 *
 * The number of users has exactly one source a server, so that nobody is counted twice: whoever
 * else tells a number is not heard in that. All else counts whoever says it: a server is down, in
 * maintenance or draining when anyone says so; of two percentages the lower one holds, of two loads
 * the greater. Words age: what was measured (load, the percentage of a report) lapses, what was
 * asked for (down, maint, drain) and the last number of users stay until they are taken back. */
#ifndef CORE_ROSTER_TALLY_H
#define CORE_ROSTER_TALLY_H

#include "core/roster/entry.h"

enum users_from {
    USERS_FORWARD, /* open connections through the secondary */
    USERS_KERNEL,  /* established connections on a port */
    USERS_REPORT,  /* the application's own report */
    USERS_AGENT    /* an agent that is asked */
};
const char *users_from_name(enum users_from f);

enum teller { TELLER_KERNEL, TELLER_REPORT, TELLER_AGENT, TELLERS };

#define PERCENT_MAX 25600u /* of the configured weight, as in HAProxy */
#define WEIGHT_MAX 1000000u
#define USERS_MAX 1000000000u

/* What is said at all. */
enum {
    TOLD_USERS = 1,
    TOLD_GROUPS = 2,
    TOLD_LOAD = 4,
    TOLD_PERCENT = 8,
    TOLD_CAPACITY = 16,
    TOLD_DOWN = 32, /* up or down */
    TOLD_ADMIN = 64 /* ready, drain or maint */
};

struct told {
    uint32_t what;
    uint32_t users, capacity, percent;
    uint16_t load; /* per mille */
    bool down, drain, maint;
    uint8_t group_count;
    char groups[ENTRY_GROUPS_MAX][NAME_MAX_BYTES + 1];
    uint32_t group_users[ENTRY_GROUPS_MAX];
};

struct tally_config {
    enum users_from from;
    uint32_t weight, capacity; /* as configured */
    uint64_t max_age_ns;       /* of reports, agents' words and kernel counts */
    uint64_t slow_start_ns;    /* in which the weight of one that came up grows; 0 = at once */
};

struct tally {
    struct tally_config config;
    struct told told[TELLERS];
    uint64_t told_ns[TELLERS], users_ns[TELLERS]; /* 0 = never */
    uint64_t up_ns;                               /* when it came up; 0 = it always was */
};

struct tally_state {
    enum users_from from;
    uint32_t users, weight, capacity, percent;
    uint32_t grown; /* percent of the weight that is there by slow start */
    uint16_t load;  /* or LOAD_UNKNOWN */
    bool down, drain, maint;
    bool stale;      /* the source of users is silent for too long, or was never heard */
    uint64_t age_ns; /* of the number of users; TIME_NEVER = none came */
    uint64_t max_age_ns;
    bool groups_told;
    uint8_t group_count;
    char groups[ENTRY_GROUPS_MAX][NAME_MAX_BYTES + 1];
    uint32_t group_users[ENTRY_GROUPS_MAX];
};

void tally_init(struct tally *t, const struct tally_config *c);
/* A report replaces the one before; of an agent and the kernel, what they do not say stays. */
void tally_tell(struct tally *t, enum teller by, const struct told *w, uint64_t now_ns);
/* It has come up. */
void tally_up(struct tally *t, uint64_t now_ns);
/* What the teller said is as if it had never been said. */
void tally_forget(struct tally *t, enum teller by);
/* forwarded: open connections through the secondary. */
void tally_state(const struct tally *t, uint32_t forwarded, uint64_t now_ns,
                 struct tally_state *out);
/* Is the teller's word there, and how old? TIME_NEVER = none. */
uint64_t tally_age(const struct tally *t, enum teller by, uint64_t now_ns);

#endif
