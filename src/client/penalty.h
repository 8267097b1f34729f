/* penalty.h - inside libstead: servers that failed lately and are passed over for a while. Pure; a
 * fixed table: when it is full, the penalty that ends soonest makes room. */
#ifndef CLIENT_PENALTY_H
#define CLIENT_PENALTY_H

#include "core/roster/entry.h"

#define PENALTY_SERVERS_MAX 32

struct penalty {
    struct {
        char name[NAME_MAX_BYTES + 1];
        uint64_t until_ms; /* 0: free */
    } box[PENALTY_SERVERS_MAX];
};

void penalty_add(struct penalty *p, const char *name, uint64_t until_ms);
bool penalty_has(const struct penalty *p, const char *name, uint64_t now_ms);

#endif
