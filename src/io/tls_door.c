/* tls_door.c - swapping contexts, and seeing whether files have changed. */
#include "io/tls_door.h"

#include "base/mem.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

/* What tells a file from what it was: a renamed one has another inode, a written one another time.
 */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

#define STAMPS_MAX (3 * TLS_CERTIFICATES_MAX + 1)

struct tls_door {
    pthread_mutex_t lock; /* of the pointer */
    struct tls_context *context;
    struct tls_counters *counters;
    struct stamp stamps[STAMPS_MAX];
    struct tls_tickets *tickets;
};

struct tls_door *tls_door_new(struct tls_counters *counters)
{
    struct tls_door *d = mem_alloc(sizeof *d);
    if (!d)
        return NULL;
    pthread_mutex_init(&d->lock, NULL);
    d->counters = counters;
    d->tickets = tls_tickets_new();
    if (d->tickets)
        return d;
    tls_door_free(d);
    return NULL;
}

void tls_door_free(struct tls_door *d)
{
    if (!d)
        return;
    tls_context_unref(d->context);
    pthread_mutex_destroy(&d->lock);
    tls_tickets_unref(d->tickets);
    mem_free(d);
}

void tls_door_share(struct tls_door *d, const uint8_t (*secrets)[TICKET_SECRET_BYTES], size_t count,
                    uint64_t node)
{
    tls_tickets_share(d->tickets, secrets, count, node);
}

bool tls_door_tickets(struct tls_door *d, struct tls_tickets_view *out)
{
    return tls_tickets_look(d->tickets, out);
}

static void take_stamp(const char *path, struct stamp *out)
{
    struct stat st;
    memset(out, 0, sizeof *out);
    if (!path || !*path || stat(path, &st) != 0)
        return;
    out->device = st.st_dev;
    out->inode = st.st_ino;
    out->size = st.st_size;
    out->modified = st.st_mtim;
}

static void take_stamps(const struct tls_rules *r, struct stamp out[STAMPS_MAX])
{
    size_t n = 0;
    memset(out, 0, STAMPS_MAX * sizeof *out);
    for (size_t i = 0; i < r->count && i < TLS_CERTIFICATES_MAX; i++) {
        take_stamp(r->certificates[i].chain, &out[n++]);
        take_stamp(r->certificates[i].key, &out[n++]);
        take_stamp(r->certificates[i].ocsp, &out[n++]);
    }
    take_stamp(r->client_ca, &out[n]);
}

enum tls_loaded tls_door_load(struct tls_door *d, const struct tls_rules *r, bool force,
                              char error[TLS_ERROR_MAX])
{
    struct stamp stamps[STAMPS_MAX];
    struct tls_rules rules = *r;
    struct tls_context *made = NULL;
    error[0] = '\0';
    take_stamps(r, stamps); /* before reading: a later change is seen the next time */
    if (!force && d->context && memcmp(stamps, d->stamps, sizeof stamps) == 0)
        return TLS_UNCHANGED;
    rules.tickets = d->tickets;
    rules.counters = d->counters;
    if (tls_context_new(&rules, &made, error) != 0)
        return TLS_KEPT;
    memcpy(d->stamps, stamps, sizeof stamps);
    pthread_mutex_lock(&d->lock);
    struct tls_context *old = d->context;
    d->context = made;
    pthread_mutex_unlock(&d->lock);
    tls_context_unref(old);
    return TLS_LOADED;
}

struct tls_context *tls_door_context(struct tls_door *d)
{
    pthread_mutex_lock(&d->lock);
    struct tls_context *c = d->context ? tls_context_ref(d->context) : NULL;
    pthread_mutex_unlock(&d->lock);
    return c;
}

struct tls *tls_door_accept(struct tls_door *d, int fd)
{
    struct tls_context *c = tls_door_context(d);
    struct tls *t = c ? tls_accept(c, fd) : NULL;
    tls_context_unref(c);
    return t;
}
