/* penalty.c - a linear table: it is small, and read only when a server is picked. */
#include "client/penalty.h"

#include <stdio.h>
#include <string.h>

void penalty_add(struct penalty *p, const char *name, uint64_t until_ms)
{
    size_t place = 0;
    for (size_t i = 0; i < PENALTY_SERVERS_MAX; i++) {
        if (p->box[i].until_ms && strcmp(p->box[i].name, name) == 0) {
            p->box[i].until_ms = until_ms;
            return;
        }
        if (p->box[i].until_ms < p->box[place].until_ms)
            place = i;
    }
    snprintf(p->box[place].name, sizeof p->box[place].name, "%s", name);
    p->box[place].until_ms = until_ms;
}

bool penalty_has(const struct penalty *p, const char *name, uint64_t now_ms)
{
    for (size_t i = 0; i < PENALTY_SERVERS_MAX; i++)
        if (p->box[i].until_ms > now_ms && strcmp(p->box[i].name, name) == 0)
            return true;
    return false;
}
