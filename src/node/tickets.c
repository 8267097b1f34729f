/* tickets.c - the sets of ticket keys, each with its files and its program. */
#include "node/tickets.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATH_MAX_BYTES (CONFIG_TEXT_MAX + TICKET_FILE_SUFFIX_MAX)
#define DUE_SUFFIX ".due" /* an empty file beside: the program has not been told yet */
#define HAPROXY_SAYS "TLS ticket key updated!"
#define HAPROXY_KEYS 3 /* its TLS_TICKETS_NO; of the file's lines it uses as many, the last ones   \
                        */
#define REPLY_MAX 4096

struct set {
    const struct tickets_section *section;
    struct ticket_ring ring, other;
    bool two;        /* other is of another secret, and has its place in ring */
    uint64_t period; /* that is in the files */
    bool written, due;
    uint64_t retry_s; /* wall clock */
    char why[HOOK_WHY_MAX];
};

struct tickets {
    size_t count;
    struct set sets[TICKETS_SECTIONS_MAX];
    struct tickets_counters *counters;
    struct ticket_files files; /* while they are written */
    pthread_t thread;
    int wake_fd;
    atomic_bool stop;
    pthread_mutex_t lock; /* of the views */
    struct tickets_view views[TICKETS_SECTIONS_MAX];
    bool renewed; /* there are new secrets; under the lock too */
    struct tickets_secrets fresh;
    struct tickets_secrets secrets; /* the thread's own */
};

static const char *const format_names[] = {
    [TICKET_NGINX] = "nginx", [TICKET_HAPROXY] = "haproxy", [TICKET_APACHE] = "apache"};

const char *tickets_format_name(enum ticket_format f)
{
    return format_names[f];
}

bool tickets_mistake(const struct tickets_section *s, const char **why)
{
    *why = NULL;
    if (s->file[0] != '/')
        *why = "file: it must be an absolute path";
    else if (*s->socket && s->format != TICKET_HAPROXY)
        *why = "socket: only HAProxy has one";
    else if (*s->pid_file && s->format == TICKET_HAPROXY)
        *why = "pid-file: HAProxy takes no keys by a signal; give its socket";
    else if (*s->pid_file && *s->reload)
        *why = "either reload or pid-file";
    else if (*s->reload && !hook_line_valid(s->reload))
        *why = "reload: it must be a command with an absolute path, on which no shell looks";
    else if (s->format == TICKET_HAPROXY && s->file[strcspn(s->file, " \t;\\\"'")])
        *why = "file: HAProxy's commands know no such path";
    return *why != NULL;
}

/* -- saying how it went -- */

static void id_text(const struct ticket_ring *r, size_t index, char out[TICKETS_ID_MAX])
{
    uint8_t name[TICKET_NAME_BYTES];
    ticket_ring_name(r, index, name);
    snprintf(out, TICKETS_ID_MAX, "%02x%02x%02x%02x", name[0], name[1], name[2], name[3]);
}

/* The same failure is said once. */
static void failed(struct tickets *t, struct set *s, const char *what, const char *why,
                   uint64_t now_s)
{
    char text[HOOK_WHY_MAX];
    snprintf(text, sizeof text, "%.20s: %.130s", what, why);
    atomic_fetch_add(&t->counters->failed, 1);
    s->retry_s = now_s + TICKETS_RETRY_S;
    if (strcmp(s->why, text) == 0)
        return;
    memcpy(s->why, text, sizeof text);
    log_warn("tickets", "set=%s format=%s why=\"%s\" retry_s=%d", s->section->name,
             format_names[s->section->format], text, TICKETS_RETRY_S);
}

static void show(struct tickets *t, const struct set *s)
{
    struct tickets_view v = {
        .format = (enum ticket_format)s->section->format, .written = s->written, .due = s->due};
    memcpy(v.name, s->section->name, sizeof v.name);
    memcpy(v.file, s->section->file, sizeof v.file);
    memcpy(v.why, s->why, sizeof v.why);
    for (size_t i = 0; s->ring.made && i < TICKET_KEYS; i++)
        id_text(&s->ring, i, v.keys[i]);
    pthread_mutex_lock(&t->lock);
    t->views[s - t->sets] = v;
    pthread_mutex_unlock(&t->lock);
}

/* -- files -- */

static const char *path_of(const struct set *s, const char *suffix, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s%s", s->section->file, suffix);
    return out;
}

static bool is_there(const char *path, const struct ticket_file *f)
{
    char *have;
    size_t len;
    if (io_read_file(path, TICKET_FILE_BYTES_MAX, &have, &len) != STEAD_OK)
        return false;
    bool same = len == f->len && memcmp(have, f->bytes, len) == 0;
    explicit_bzero(have, len);
    mem_free(have);
    return same;
}

static bool all_there(struct tickets *t, const struct set *s)
{
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < t->files.count; i++)
        if (!is_there(path_of(s, t->files.file[i].suffix, path), &t->files.file[i]))
            return false;
    return true;
}

static bool has_hook(const struct tickets_section *s)
{
    return *s->socket || *s->reload || *s->pid_file;
}

/* That it is due is written first: then it is known after a crash, too. */
static int write_all(struct tickets *t, const struct set *s)
{
    char path[PATH_MAX_BYTES];
    int err = STEAD_OK;
    if (has_hook(s->section))
        err = io_write_file(path_of(s, DUE_SUFFIX, path), "", 0, 0600);
    for (size_t i = 0; !err && i < t->files.count; i++) {
        const struct ticket_file *f = &t->files.file[i];
        err = io_write_file(path_of(s, f->suffix, path), f->bytes, f->len, 0600);
    }
    return err;
}

static bool was_due(const struct set *s)
{
    char path[PATH_MAX_BYTES];
    return access(path_of(s, DUE_SUFFIX, path), F_OK) == 0;
}

static void write_period(struct tickets *t, struct set *s, uint64_t now_s)
{
    ticket_files_make(&s->ring, (enum ticket_format)s->section->format, &t->files);
    bool same = all_there(t, s);
    int err = same ? STEAD_OK : write_all(t, s);
    int errnum = errno;
    ticket_files_wipe(&t->files);
    if (err) {
        failed(t, s, "file", io_error_text(errnum), now_s);
        return;
    }
    atomic_fetch_add(&t->counters->written, 1);
    /* A HAProxy that was told nothing since its start has what was in the file then. */
    s->due = has_hook(s->section) && (!same || was_due(s) || *s->section->socket);
    s->written = true;
    s->period = s->ring.period;
    s->retry_s = 0;
}

/* -- programs -- */

/* As many as it keeps, the oldest first: what it had before does not matter then. Each pushes out
 * its oldest, and of the last two the first one seals; so no more than these, else a key that is
 * long over would seal for a moment. */
static bool push(const struct set *s, struct hook *h)
{
    char text[HAPROXY_KEYS * (CONFIG_TEXT_MAX + TICKET_FILE_LINE_BYTES + 32)], reply[REPLY_MAX];
    char line[TICKET_FILE_LINE_BYTES + 1];
    size_t len = 0, told = 0;
    for (size_t i = 0; i < HAPROXY_KEYS; i++) {
        ticket_file_line(&s->ring, TICKET_KEYS - HAPROXY_KEYS + i, line);
        len += (size_t)snprintf(text + len, sizeof text - len, "set ssl tls-key %s %s%s",
                                s->section->file, line, i + 1 < HAPROXY_KEYS ? ";" : "\n");
    }
    h->deadline_ms = TICKETS_SOCKET_MS;
    bool good = hook_say(h, s->section->socket, text, len, reply, sizeof reply);
    explicit_bzero(text, sizeof text);
    explicit_bzero(line, sizeof line);
    if (!good)
        return false;
    for (const char *at = reply; (at = strstr(at, HAPROXY_SAYS)) != NULL; at++)
        told++;
    if (told == HAPROXY_KEYS)
        return true;
    reply[strcspn(reply, "\r\n")] = '\0';
    snprintf(h->why, sizeof h->why, "HAProxy took %zu of %d keys: %.80s", told, HAPROXY_KEYS,
             reply);
    return false;
}

static bool tell(const struct set *s, struct hook *h)
{
    const struct tickets_section *c = s->section;
    if (*c->socket && !push(s, h))
        return false;
    if (*c->reload) {
        h->deadline_ms = TICKETS_COMMAND_MS;
        return hook_run(h, c->reload);
    }
    /* Apache ends requests under way when it is told by SIGHUP. */
    int number = c->format == TICKET_APACHE ? SIGUSR1 : SIGHUP;
    return !*c->pid_file || hook_signal(h, c->pid_file, number);
}

static void take_up(struct tickets *t, struct set *s, uint64_t now_s)
{
    char path[PATH_MAX_BYTES], seals[TICKETS_ID_MAX];
    struct hook h = {.stop = &t->stop};
    if (!tell(s, &h)) {
        if (!atomic_load(&t->stop))
            failed(t, s, "telling", h.why, now_s);
        return;
    }
    s->due = false;
    s->why[0] = '\0';
    (void)io_remove_file(path_of(s, DUE_SUFFIX, path)); /* else it is told once more */
    atomic_fetch_add(&t->counters->taken_up, 1);
    id_text(&s->ring, 1, seals);
    log_info("tickets", "set=%s format=%s seals=%s", s->section->name,
             format_names[s->section->format], seals);
}

/* -- the thread -- */

static void step(struct tickets *t, struct set *s, uint64_t now_s)
{
    if (!ticket_ring_turn(&s->ring, now_s) || (s->two && !ticket_ring_turn(&s->other, now_s))) {
        failed(t, s, "keys", "no memory", now_s);
        return;
    }
    if (s->two)
        ticket_ring_join(&s->ring, &s->other);
    bool begins = !s->written || s->period != s->ring.period;
    /* A clock that is set back does not stop it. */
    bool waits = s->retry_s > now_s && s->retry_s - now_s <= TICKETS_RETRY_S;
    if (begins && !waits)
        write_period(t, s, now_s);
    if (s->due && s->written && s->period == s->ring.period && !waits)
        take_up(t, s, now_s);
    if (s->written && !s->due && s->period == s->ring.period)
        s->why[0] = '\0';
    show(t, s);
}

/* False: no memory, it has those of before. */
static bool set_secrets(struct set *s, const struct tickets_secrets *secrets)
{
    struct ticket_ring *const rings[TICKETS_SECRETS_MAX] = {&s->ring, &s->other};
    uint8_t own[TICKETS_SECRETS_MAX][TICKET_SECRET_BYTES];
    bool good = true;
    for (size_t i = 0; i < secrets->count && good; i++)
        good = ticket_file_secret(secrets->of[i], (enum ticket_format)s->section->format,
                                  s->section->name, own[i]);
    for (size_t i = 0; i < TICKETS_SECRETS_MAX && good; i++) {
        ticket_ring_deinit(rings[i]);
        if (i < secrets->count)
            ticket_ring_init(rings[i], own[i], 0);
    }
    s->two = good ? secrets->count > 1 : s->two;
    s->written &= !good;
    explicit_bzero(own, sizeof own);
    return good;
}

static bool same_secrets(const struct tickets_secrets *a, const struct tickets_secrets *b)
{
    return a->count == b->count && CRYPTO_memcmp(a->of, b->of, sizeof a->of) == 0;
}

/* Without memory it is tried again. */
static void take_secrets(struct tickets *t)
{
    struct tickets_secrets fresh;
    bool good = true;
    pthread_mutex_lock(&t->lock);
    bool renewed = t->renewed;
    fresh = t->fresh;
    t->renewed = false;
    pthread_mutex_unlock(&t->lock);
    if (renewed && !same_secrets(&fresh, &t->secrets)) {
        for (size_t i = 0; i < t->count; i++)
            good &= set_secrets(&t->sets[i], &fresh);
        if (good)
            t->secrets = fresh;
    }
    explicit_bzero(&fresh, sizeof fresh);
    if (good)
        return;
    pthread_mutex_lock(&t->lock);
    t->renewed = true;
    pthread_mutex_unlock(&t->lock);
}

static void *run(void *context)
{
    struct tickets *t = context;
    struct pollfd on = {.fd = t->wake_fd, .events = POLLIN};
    while (!atomic_load(&t->stop)) {
        take_secrets(t);
        for (size_t i = 0; i < t->count && !atomic_load(&t->stop); i++)
            step(t, &t->sets[i], (uint64_t)time(NULL));
        poll(&on, 1, TICKETS_LOOK_MS);
    }
    return NULL;
}

/* -- life -- */

static void tickets_free(struct tickets *t)
{
    explicit_bzero(t->sets, sizeof t->sets);
    explicit_bzero(&t->secrets, sizeof t->secrets);
    explicit_bzero(&t->fresh, sizeof t->fresh);
    ticket_files_wipe(&t->files);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static int begin(struct tickets *t, const struct tickets_section *sections, size_t count,
                 const struct tickets_secrets *secrets)
{
    t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->wake_fd < 0)
        return STEAD_E_IO;
    t->secrets = *secrets;
    for (size_t i = 0; i < count; i++) {
        struct set *s = &t->sets[t->count++];
        s->section = &sections[i];
        if (!set_secrets(s, secrets))
            return STEAD_E_NOMEM;
        show(t, s);
    }
    return pthread_create(&t->thread, NULL, run, t) == 0 ? STEAD_OK : STEAD_E_IO;
}

int tickets_start(const struct tickets_section *sections, size_t count,
                  const struct tickets_secrets *secrets, struct tickets_counters *counters,
                  struct tickets **out)
{
    *out = NULL;
    if (count == 0)
        return STEAD_OK;
    struct tickets *t = mem_alloc(sizeof *t);
    if (t == NULL)
        return STEAD_E_NOMEM;
    io_undumped(t, sizeof *t);
    t->counters = counters;
    pthread_mutex_init(&t->lock, NULL);
    int err = begin(t, sections, count, secrets);
    if (err) {
        tickets_free(t);
        return err;
    }
    *out = t;
    return STEAD_OK;
}

void tickets_renew(struct tickets *t, const struct tickets_secrets *secrets)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->fresh = *secrets;
    t->renewed = true;
    pthread_mutex_unlock(&t->lock);
}

void tickets_stop(struct tickets *t)
{
    uint64_t one = 1;
    if (t == NULL)
        return;
    atomic_store(&t->stop, true);
    ssize_t n = write(t->wake_fd, &one, sizeof one); /* there is room for it */
    (void)n;
    pthread_join(t->thread, NULL);
    tickets_free(t);
}

size_t tickets_look(struct tickets *t, struct tickets_view out[TICKETS_SECTIONS_MAX])
{
    if (t == NULL)
        return 0;
    pthread_mutex_lock(&t->lock);
    memcpy(out, t->views, t->count * sizeof *out);
    pthread_mutex_unlock(&t->lock);
    return t->count;
}
