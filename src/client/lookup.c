/* lookup.c - a thread a question; the last of the two who hold it frees it. */
#include "client/lookup.h"

#include "base/mem.h"
#include "client/net.h"
#include "stead/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TRIES 3 /* of both families by UDP and TCP: resolve() ends within so many timeouts */

struct lookup {
    atomic_int holders;
    atomic_bool done;
    int fd;
    char host[256];
    uint16_t port;
    struct addr server;
    uint32_t timeout_ms;
    int error;
    size_t count;
    struct addr list[RESOLVE_MAX];
};

static void drop(struct lookup *l)
{
    if (atomic_fetch_sub(&l->holders, 1) != 1)
        return;
    close(l->fd);
    mem_free(l);
}

static void ask(struct lookup *l)
{
    uint64_t deadline = net_now_ms() + (uint64_t)l->timeout_ms * TRIES;
    l->error = resolve(l->host, l->port, l->server.family ? &l->server : NULL, l->timeout_ms,
                       deadline, l->list, &l->count);
    atomic_store(&l->done, true);
    eventfd_write(l->fd, 1);
}

static void *run(void *context)
{
    ask(context);
    drop(context);
    return NULL;
}

/* The application's signals are not for this thread. */
static int start_thread(struct lookup *l)
{
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, &attributes, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return r ? STEAD_E_NOMEM : STEAD_OK;
}

int lookup_new(const char *host, uint16_t port, const struct addr *server, uint32_t timeout_ms,
               struct lookup **out)
{
    struct addr literal;
    struct lookup *l = mem_alloc(sizeof *l);
    if (!l)
        return STEAD_E_NOMEM;
    snprintf(l->host, sizeof l->host, "%s", host);
    l->port = port;
    l->server = server ? *server : (struct addr){0};
    l->timeout_ms = timeout_ms;
    atomic_init(&l->holders, 1);
    l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->fd < 0) {
        mem_free(l);
        return STEAD_E_IO;
    }
    if (addr_parse(host, port, &literal)) {
        ask(l); /* nobody is asked */
    } else {
        atomic_store(&l->holders, 2);
        int err = start_thread(l);
        if (err) {
            close(l->fd);
            mem_free(l);
            return err;
        }
    }
    *out = l;
    return STEAD_OK;
}

int lookup_fd(const struct lookup *l)
{
    return l->fd;
}

int lookup_result(struct lookup *l, struct addr out[RESOLVE_MAX], size_t *count)
{
    if (!atomic_load(&l->done))
        return STEAD_PENDING;
    *count = l->error ? 0 : l->count;
    for (size_t i = 0; i < *count; i++)
        out[i] = l->list[i];
    return l->error;
}

void lookup_free(struct lookup *l)
{
    if (l)
        drop(l);
}
