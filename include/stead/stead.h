/* stead/stead.h - libstead: from a service's URL to the server that this client shall use.
 *
 *     the name leads to any first server -> it gives the roster -> the client picks the second
 * server itself
 *
 *     struct stead_options options;
 *     struct stead_choice *choice;
 *     stead_options_init(&options, sizeof options);
 *     options.service = "shop";
 *     int err = stead_pick("http://www.shop.test:8080/cart", &options, &choice);
 *     if (err)
 *         fprintf(stderr, "no server: %s\n", stead_error_text(err));
 *     else
 *         printf("connect to %s\n", stead_choice_url(choice));
 *     stead_choice_free(choice);
 *
 * If connecting to the chosen server fails, try it once more; if that fails too, call stead_pick()
 * again with its name in `exclude`: the farm's name is asked anew.
 *
 * Every call blocks its thread, for options.deadline_ms at most (the system's resolver, used when
 * options.dns is NULL, keeps its own time). Calls share nothing: they may run in many threads at
 * once. No signal is raised. Codes are those of stead/error.h. This release asks first servers by
 * http only; an https URL is STEAD_E_UNSUPPORTED.
 */
#ifndef STEAD_H
#define STEAD_H

#include "stead/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What may be asked for. Strings stay the caller's. Fields are only ever added at the end. */
struct stead_options {
    size_t size;         /* set by stead_options_init() */
    const char *service; /* the service's id in the farm; NULL: the only one that the roster has */
    const char *policy;  /* "two-choices" (default), "random", "weighted", "least-users" */
    const char *group;   /* only servers of this group; NULL: any */
    const char *zone;    /* only servers of this zone; NULL: any */
    const char *const *exclude; /* names of servers not to pick */
    size_t exclude_count;
    const char *dns;     /* "IP:PORT" of a name server to ask; NULL: the system's resolver */
    uint32_t timeout_ms; /* for each first server, and each try at the name server; default 2,000 */
    uint32_t deadline_ms; /* for the whole call; default 10,000 */
};

/* Fills in the defaults. size is sizeof(struct stead_options) as the caller knows it. */
void stead_options_init(struct stead_options *options, size_t size);

/* A choice that was made. Opaque; free with stead_choice_free(). */
struct stead_choice;

/* Resolves the URL's host, asks the addresses in random order for the roster until one gives it,
 * and picks. When all have failed the name is asked once again, after a short random wait. options
 * NULL: the defaults. *choice is set on success, else NULL. STEAD_E_INVAL (URL or options; no
 * service named while there are several), STEAD_E_UNSUPPORTED, STEAD_E_NOT_FOUND (no such name),
 * STEAD_E_NO_SERVER, STEAD_E_UNREACHABLE, STEAD_E_DEADLINE, STEAD_E_PARSE, STEAD_E_TOO_LARGE,
 * STEAD_E_IO, STEAD_E_CLOSED, STEAD_E_NOMEM: of the last first server that was tried. */
int stead_pick(const char *url, const struct stead_options *options, struct stead_choice **choice)
    __attribute__((warn_unused_result));

/* The chosen server's own URL, with path and query of the URL that was given; of its URLs one with
 * the same scheme, if it has one. These and all strings below live as long as the choice. */
const char *stead_choice_url(const struct stead_choice *choice);
/* The chosen server's name, as `exclude` takes it. */
const char *stead_choice_server(const struct stead_choice *choice);
/* "IP:PORT" of the first server, which gave the roster. */
const char *stead_choice_first(const struct stead_choice *choice);
/* The servers that were considered, the chosen one among them: 0 to count - 1; NULL beyond. */
size_t stead_choice_candidates(const struct stead_choice *choice);
const char *stead_choice_candidate(const struct stead_choice *choice, size_t index);
void stead_choice_free(struct stead_choice *choice); /* takes NULL */

/* What a first server knows of the farm. Opaque; free with stead_roster_free(). */
struct stead_roster;

/* One server of it. Made by the library only; fields are only ever added at the end. */
struct stead_server {
    const char *name, *service, *status, *zone, *url;
    uint32_t users, weight, capacity; /* capacity 0 = no limit */
};

/* Fetches the roster as stead_pick() does, for options.service or all services. Same errors but
 * STEAD_E_NO_SERVER. */
int stead_roster_get(const char *url, const struct stead_options *options,
                     struct stead_roster **roster) __attribute__((warn_unused_result));
/* Grows with each change; two first servers count on their own. */
uint64_t stead_roster_revision(const struct stead_roster *roster);
const char *stead_roster_farm(const struct stead_roster *roster);
const char *stead_roster_first(const struct stead_roster *roster);
size_t stead_roster_count(const struct stead_roster *roster);
/* In order of their names; NULL beyond count - 1. Lives as long as the roster. */
const struct stead_server *stead_roster_server(const struct stead_roster *roster, size_t index);
void stead_roster_free(struct stead_roster *roster); /* takes NULL */

#ifdef __cplusplus
}
#endif
#endif
