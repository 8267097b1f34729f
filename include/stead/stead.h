/* stead/stead.h - libstead: from a service's URL to the server that this client shall use.
 *
 *     the name leads to any first server -> it gives the roster -> the client picks the second
 * server itself, connects, retries it when that fails, and asks for the name again when the retry
 * fails
 *
 *     int fd;
 *     int err = stead_connect("http://www.shop.test:8080/", NULL, &fd, NULL);
 *     if (err)
 *         fprintf(stderr, "no server: %s\n", stead_error_text(err));
 *     else
 *         use_and_close(fd);
 *
 * The calls here block their thread, for options.deadline_ms at most (plus what the system's
 * resolver takes of its own when options.dns is NULL). A client that lives long, hears of the
 * farm's changes and moves by itself is in stead/client.h. Calls share nothing: they may run in
 * many threads at once. No signal is raised, nothing is printed. Codes are those of stead/error.h.
 *
 * The library has no TLS of its own: first servers are asked by https only with
 * stead_options.secure, which libstead-tls gives (stead/tls.h); without it an https URL is
 * STEAD_E_UNSUPPORTED. A server whose own URL is https is connected to by TCP; the TLS handshake is
 * the application's, or stead_tls_connect() does all of it.
 */
#ifndef STEAD_H
#define STEAD_H

#include "stead/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How connections to first servers are made secure, for https URLs: calls that another library
 * gives. None of them waits. Of one thread at a time; it lives as long as who uses it. */
struct stead_secure {
    size_t size; /* sizeof(struct stead_secure) */
    void *context;
    /* On a connected socket, which stays the caller's: the other side shall be `host`, a name or an
     * address. STEAD_OK, with *connection; STEAD_E_NOMEM. */
    int (*begin)(void *context, int fd, const char *host, void **connection);
    /* STEAD_OK: it is who it shall be, from here on bytes pass. STEAD_PENDING: again when the
     * socket is ready, writable if wants_write() says so, else readable. STEAD_E_DENIED: it is not.
     */
    int (*shake)(void *connection);
    int (*wants_write)(void *connection);
    /* STEAD_OK and how many; STEAD_PENDING; an error. *got 0: its end. A record that has come is
     * received in one call when there is room for 16 KiB. */
    int (*send)(void *connection, const void *bytes, size_t len, size_t *sent);
    int (*receive)(void *connection, void *bytes, size_t cap, size_t *got);
    void (*end)(void *connection);
};

/* What may be asked for. Strings are copied where they are needed for longer than the call. Fields
 * are only ever added at the end. */
struct stead_options {
    size_t size;         /* set by stead_options_init() */
    const char *service; /* the service's id in the farm; NULL: the only one that the roster has */
    const char *policy;  /* "two-choices" (default), "random", "weighted", "least-users" */
    const char *group;   /* only servers of this group; NULL: any */
    const char *zone;    /* only servers of this zone; NULL: any */
    const char *const *exclude; /* names of servers not to pick */
    size_t exclude_count;
    const char *allow; /* only servers with a URL whose host is under this suffix; "*": any host.
                          NULL: the parent domain of the URL's host ("shop.test" of
                          "www.shop.test"), or the host alone when that has no dot in it */
    const char *dns;   /* "IP:PORT" of a name server to ask; NULL: the system's resolver */
    uint32_t
        timeout_ms; /* of one first server, one connection, one try at the name server; 2,000 */
    uint32_t deadline_ms;   /* of a blocking call, and of a client's first connection; 10,000.
                               0: none (stead/client.h only) */
    uint32_t retries;       /* of a server that fails, before the name is asked again; 1 */
    uint32_t retry_base_ms; /* the n-th wait is random, from 0 to base * 2^n; 200 */
    uint32_t retry_max_ms;  /* but no longer than this; 30,000 */
    uint32_t penalty_ms;    /* a server that failed is passed over for so long; 30,000 */
    const char *token; /* for a farm that tells its roster only to who has this; NULL: none. By http
                          it goes in the clear to whoever is asked for a roster */
    const struct stead_secure *secure; /* for https URLs; NULL: none. Not copied */
};

/* Fills in the defaults. size is sizeof(struct stead_options) as the caller knows it. */
void stead_options_init(struct stead_options *options, size_t size);

/* A choice that was made. Opaque; free with stead_choice_free(). */
struct stead_choice;

/* Connects to a server: name, first server, roster, pick, second server; the whole ladder again,
 * with waits that grow, until the deadline. *fd is a blocking TCP socket, the caller's to close();
 * -1 on failure. choice, if it is not NULL, tells who it is. Errors as of stead_pick(): of what
 * failed last. */
int stead_connect(const char *url, const struct stead_options *options, int *fd,
                  struct stead_choice **choice) __attribute__((warn_unused_result));

/* Resolves the URL's host, asks the addresses in random order for the roster until one gives it,
 * and picks. When all have failed the name is asked once again, after a short random wait. options
 * NULL: the defaults. *choice is set on success, else NULL. STEAD_E_INVAL (URL or options; no
 * service named while there are several), STEAD_E_UNSUPPORTED, STEAD_E_NOT_FOUND (no such name),
 * STEAD_E_NO_SERVER, STEAD_E_UNREACHABLE, STEAD_E_DEADLINE, STEAD_E_PARSE, STEAD_E_TOO_LARGE,
 * STEAD_E_IO, STEAD_E_CLOSED, STEAD_E_NOMEM: of the last first server that was tried. */
int stead_pick(const char *url, const struct stead_options *options, struct stead_choice **choice)
    __attribute__((warn_unused_result));

/* The same, to find out why: *choice is also set with STEAD_E_NO_SERVER when there was a roster;
 * then its server and URL are "". */
int stead_pick_why(const char *url, const struct stead_options *options,
                   struct stead_choice **choice) __attribute__((warn_unused_result));

/* The chosen server's own URL, with path and query of the URL that was given; of its URLs one with
 * the same scheme, if it has one. These and all strings below live as long as the choice. */
const char *stead_choice_url(const struct stead_choice *choice);
/* The chosen server's name, as `exclude` takes it. */
const char *stead_choice_server(const struct stead_choice *choice);
/* "IP:PORT" of the first server, which gave the roster. */
const char *stead_choice_first(const struct stead_choice *choice);
/* The policy that chose, and a sentence on why it chose this one. */
const char *stead_choice_policy(const struct stead_choice *choice);
const char *stead_choice_reason(const struct stead_choice *choice);
/* How old the roster was when it was chosen from, and its revision. */
uint64_t stead_choice_age_ms(const struct stead_choice *choice);
uint64_t stead_choice_revision(const struct stead_choice *choice);
/* The servers that it was chosen among, itself too: 0 to count - 1; NULL beyond. */
size_t stead_choice_candidates(const struct stead_choice *choice);
const char *stead_choice_candidate(const struct stead_choice *choice, size_t index);

/* A server of the roster, as it was judged. Fields are only ever added at the end. */
struct stead_considered {
    const char *name, *service, *status;
    const char *verdict;              /* "chosen", "candidate", or why it could not be chosen */
    uint32_t users, weight, capacity; /* capacity 0 = no limit */
    int32_t load;                     /* per mille; -1: not known */
    int drawn;                        /* 1: one of the two that "two-choices" compared */
};
/* Every server of the roster: 0 to count - 1; NULL beyond. */
size_t stead_choice_considered_count(const struct stead_choice *choice);
const struct stead_considered *stead_choice_considered(const struct stead_choice *choice,
                                                       size_t index);
void stead_choice_free(struct stead_choice *choice); /* takes NULL */

/* What a first server knows of the farm. Opaque; free with stead_roster_free(). */
struct stead_roster;

/* One server of it. Made by the library only; fields are only ever added at the end. */
struct stead_server {
    const char *name, *service, *status, *zone, *url;
    uint32_t users, weight, capacity; /* capacity 0 = no limit */
    int32_t load;                     /* per mille; -1: not known */
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
