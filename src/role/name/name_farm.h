/* name_farm.h - inside role/name: the table of what the roster says: services, servers' own names,
 * SRV and HTTPS records, and what every zone has. */
#ifndef ROLE_NAME_FARM_H
#define ROLE_NAME_FARM_H

#include "role/name/name_builder.h"
#include "role/name/name_failback.h"
#include "role/name/name_target.h"

/* What is shared while a table is made. */
struct name_farm {
    struct name_builder builder;
    const struct name_config *config;
    const struct roster *roster;
    const struct name_failback *failback; /* NULL = nothing is held */
    const struct name_table *file;        /* NULL = none */
    struct name_targets targets, near;
    unsigned places; /* 1, 2 or (sites + 1) * 2 */
    /* Addresses of the targets at hand, of both families, each once; and those of one family. */
    struct addr_row {
        const struct addr *addr;
        uint32_t weight;
        struct name_load load;
    } * rows, *chosen;
    size_t row_count;
    uint32_t *seen;    /* rows by address, index + 1 */
    uint32_t *weights; /* of the chosen */
    struct name_load *loads;
};

/* NULL: no memory. `file` and `failback` may be NULL. `file` lends SOA and NS of a zone when it has
 * them. */
struct name_table *name_farm_table(const struct name_config *c, const struct roster *r,
                                   const struct name_table *file,
                                   const struct name_failback *failback);

/* -- for the parts of it -- */

/* The zone that a lower case name is in, or -1. */
int name_farm_zone(const struct name_farm *f, const struct dns_name *lower);
/* The targets' addresses for clients of a network, into f->rows. */
void name_farm_rows(struct name_farm *f, const struct name_targets *t, enum network network);
/* A and AAAA of the rows, in the configured order. */
void name_farm_put_addresses(struct name_farm *f, bool last_resort, bool servfail);
void name_farm_service(struct name_farm *f, const struct name_service *s);
void name_farm_hosts(struct name_farm *f);
/* Name from text, in lower case. */
bool name_farm_name(const char *text, size_t len, struct dns_name *out);

#endif
