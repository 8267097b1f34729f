/* roster_out.h - inside core/roster: a growing text with a sticky error, and JSON's small parts. */
#ifndef CORE_ROSTER_OUT_H
#define CORE_ROSTER_OUT_H

#include "core/roster/roster_show.h"

struct roster_out {
    char *bytes; /* mem_free */
    size_t len, cap;
    bool failed; /* no memory: what follows is dropped */
};

void roster_out_bytes(struct roster_out *o, const char *bytes, size_t len);
void roster_out_text(struct roster_out *o, const char *text);
void roster_out_number(struct roster_out *o, uint64_t n);
/* With quotes; escaped. */
void roster_out_string(struct roster_out *o, const char *text);
void roster_out_deinit(struct roster_out *o);
/* Ends it with a NUL and gives it away; NULL without memory. */
char *roster_out_take(struct roster_out *o, size_t *len);

/* -- roster_show.c -- */

/* A walk over the servers that are shown. */
struct roster_walk {
    const struct roster *roster;
    const struct roster_show *show;
    size_t at, server_at, told;
    const struct roster_node *node; /* of the present server */
    const struct server *server;
    bool more; /* ended by the limit */
};
void roster_walk_start(struct roster_walk *w, const struct roster *r,
                       const struct roster_show *show);
bool roster_walk_next(struct roster_walk *w);
/* Its load as this asker may know it; LOAD_UNKNOWN. */
uint16_t roster_show_load(const struct roster_show *show, const struct server *s);
/* One server as a JSON object. */
void roster_out_server(struct roster_out *o, const struct roster_show *show,
                       const struct roster_node *n, const struct server *s);

#endif
