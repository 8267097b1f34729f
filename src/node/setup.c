/* From a configuration to an entry, keys and bound sockets: everything that can fail before a
 * thread starts. */
#include "node/setup.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/inherit.h"
#include "io/io.h"
#include "io/listen.h"
#include "io/multicast.h"
#include "node/inline_rules.h"
#include "node/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(int err, const char *what, const char *where, const char *todo)
{
    fprintf(stderr, "stead: %s %s: %s%s%s\n", what, where, stead_error_text(err), *todo ? "; " : "",
            todo);
    return err;
}

static void copy_text(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from);
}

void setup_server(const struct server_section *from, struct server *to)
{
    copy_text(to->service, sizeof(to->service), from->service);
    copy_text(to->backup, sizeof(to->backup), from->backup);
    to->url_count = (uint8_t)from->urls.count;
    for (size_t i = 0; i < from->urls.count; i++)
        copy_text(to->urls[i], sizeof(to->urls[i]), from->urls.text[i]);
    to->weight = from->weight;
    to->capacity = from->capacity;
}

/* What this node says of itself at its start: joining, no user, no server found healthy yet. */
static void make_entry(const struct config *c, const struct state *st, struct entry *e)
{
    *e = (struct entry){.node = st->node,
                        .inc = st->inc,
                        .boot = st->boot,
                        .revision = 1,
                        .status = STATUS_JOINING,
                        .address = c->node.address,
                        .public = c->public.listen,
                        .holds = c->sessions.present,
                        .repository = c->repository.present,
                        .of_count = (uint8_t)c->repository.of.count,
                        .group_count = (uint8_t)c->node.groups.count,
                        .server_count = (uint8_t)c->server_count};
    copy_text(e->name, sizeof(e->name), c->node.name);
    copy_text(e->zone, sizeof(e->zone), c->node.zone);
    copy_text(e->version, sizeof(e->version), STEAD_VERSION);
    for (size_t i = 0; i < c->node.groups.count; i++)
        snprintf(e->groups[i], sizeof(e->groups[i]), "%.*s", NAME_MAX_BYTES,
                 c->node.groups.text[i]);
    for (size_t i = 0; i < c->repository.of.count; i++)
        snprintf(e->of[i], sizeof(e->of[i]), "%.*s", NAME_MAX_BYTES, c->repository.of.text[i]);
    for (size_t i = 0; i < c->public.outside.count; i++)
        e->addresses[e->address_count++] =
            (struct entry_address){c->public.outside.addr[i], NETWORK_OUTSIDE};
    for (size_t i = 0; i < c->server_count; i++)
        setup_server(&c->servers[i], &e->servers[i]);
}

/* The settings are checked one by one when they are read; this is what other nodes will ask of the
 * whole. */
static int check_entry(const struct config *c, const struct entry *e)
{
    static const char same[] = "other nodes would refuse what this one says of itself";
    for (size_t i = 0; i < e->server_count; i++)
        for (size_t u = 0; u < e->servers[i].url_count; u++)
            if (!entry_url_valid(e->servers[i].urls[u], strlen(e->servers[i].urls[u])))
                return fail(STEAD_E_CONFIG, "server: urls", e->servers[i].urls[u],
                            "it must be http:// or https:// and a host");
    if (e->address.family == 0 || !entry_name_valid(e->name, strlen(e->name), false))
        return fail(STEAD_E_CONFIG, "node", c->node.name, "it needs a name and an address");
    return entry_valid(e) ? STEAD_OK : fail(STEAD_E_CONFIG, "node", c->node.name, same);
}

#define MESH_BUFFER_BYTES (4 << 20)

/* The mesh finds the largest frame of each path itself, so a datagram must never be cut on the way,
 * nor refused for what an unauthenticated ICMP message said of the path. A burst from the whole
 * farm waits in the buffer. */
static int tune_mesh(const struct addr *a, int fd)
{
    int probe = a->family == 6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
    int level = a->family == 6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int option = a->family == 6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
    if (setsockopt(fd, level, option, &probe, sizeof(probe)))
        return fail(io_error(errno), "node: address:", "path MTU discovery", "");
    int bytes = MESH_BUFFER_BYTES;
    /* FORCE goes beyond net.core.rmem_max and needs CAP_NET_ADMIN. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    socklen_t len = sizeof(bytes);
    /* The kernel tells the double, which it keeps for its own use. */
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) == 0 && bytes / 2 < MESH_BUFFER_BYTES)
        log_info("mesh-buffer", "bytes=%d wanted=%d raise=net.core.rmem_max", bytes / 2,
                 MESH_BUFFER_BYTES);
    return STEAD_OK;
}

static int bind_udp(const struct addr *a, bool reuseport, const char *what, int *fd)
{
    char where[ADDR_TEXT_MAX];
    int err = listen_udp(a, reuseport, fd);
    return err ? fail(err, what, addr_format(a, where), "") : STEAD_OK;
}

static int bind_tcp(const struct addr *a, bool reuseport, const char *what, int *fd)
{
    char where[ADDR_TEXT_MAX];
    int err = listen_tcp(a, reuseport, fd);
    return err ? fail(err, what, addr_format(a, where), "") : STEAD_OK;
}

/* Each address is bound once without SO_REUSEPORT, so that another process on it is an error. */
static int probe(const struct config *c)
{
    char where[ADDR_TEXT_MAX];
    int err = STEAD_OK;
    if (c->public.listen.family && (err = listen_probe_tcp(&c->public.listen)))
        return fail(err, "public: listen on", addr_format(&c->public.listen, where), "");
    if (c->public.listen_tls.family && (err = listen_probe_tcp(&c->public.listen_tls)))
        return fail(err, "public: listen-tls on", addr_format(&c->public.listen_tls, where), "");
    for (size_t i = 0; i < c->dns.listen.count; i++) {
        const struct addr *a = &c->dns.listen.addr[i];
        if ((err = listen_probe_udp(a)))
            return fail(err, "dns: listen (UDP) on", addr_format(a, where), "");
        if ((err = listen_probe_tcp(a)))
            return fail(err, "dns: listen (TCP) on", addr_format(a, where), "");
    }
    return STEAD_OK;
}

static int probe_tcp(const struct tcp_setup *t)
{
    char where[ADDR_TEXT_MAX];
    for (size_t i = 0; i < t->count; i++) {
        int err = listen_probe_tcp(&t->listeners[i].at);
        if (err)
            return fail(err, t->listeners[i].what, addr_format(&t->listeners[i].at, where), "");
    }
    return STEAD_OK;
}

static int bind_listeners(const struct tcp_setup *t, struct worker_sockets *w)
{
    char where[ADDR_TEXT_MAX];
    for (size_t i = 0; i < t->count; i++) {
        const struct tcp_listener *l = &t->listeners[i];
        int err = l->transparent ? listen_tcp_transparent(&l->at, true, &w->tcp[i])
                                 : listen_tcp(&l->at, true, &w->tcp[i]);
        if (err)
            return fail(err, l->what, addr_format(&l->at, where),
                        l->transparent ? "in line a node needs CAP_NET_ADMIN" : "");
    }
    return STEAD_OK;
}

static int bind_worker(const struct config *c, int gate_fd, struct worker_sockets *w)
{
    int err = STEAD_OK;
    if (c->public.listen.family)
        err = bind_tcp(&c->public.listen, true, "public: listen on", &w->public);
    if (!err && c->public.listen_tls.family)
        err = bind_tcp(&c->public.listen_tls, true, "public: listen-tls on", &w->secure);
    for (size_t i = 0; !err && i < c->dns.listen.count; i++) {
        err = bind_udp(&c->dns.listen.addr[i], true, "dns: listen (UDP) on", &w->dns_udp[i]);
        if (!err)
            err = bind_tcp(&c->dns.listen.addr[i], true, "dns: listen (TCP) on", &w->dns_tcp[i]);
    }
    if (!err && gate_fd >= 0 && (w->gate = fcntl(gate_fd, F_DUPFD_CLOEXEC, 0)) < 0)
        err = fail(STEAD_E_IO, "sessions:", "listen", "");
    return err;
}

/* what: the setting, for people. */
static int read_token(const char *what, const char *path, char **out)
{
    char *text;
    size_t len;
    struct stat st;
    int err = io_read_file(path, 4096, &text, &len);
    if (err)
        return fail(err, what, path, "");
    text[strcspn(text, "\r\n")] = '\0';
    if (stat(path, &st) || (st.st_mode & 077) || strlen(text) < 16) {
        mem_free(text);
        return fail(STEAD_E_DENIED, what, path,
                    "it must have mode 0600 and a token of at least 16 characters");
    }
    *out = text;
    return STEAD_OK;
}

static int open_gate(struct setup *s, int *fd)
{
    const struct sessions_section *c = &s->config->sessions;
    struct addr a;
    *fd = -1;
    if (!c->present)
        return STEAD_OK;
    if (strncmp(c->listen, "unix:", 5) == 0) {
        int err = listen_unix(c->listen + 5, 0660, fd);
        if (err)
            return fail(err, "sessions: listen on", c->listen, "");
        s->socket_files[s->socket_file_count++] = c->listen + 5;
        return STEAD_OK;
    }
    if (!addr_parse(c->listen, 0, &a))
        return fail(STEAD_E_CONFIG, "sessions: listen on", c->listen, "");
    int err = read_token("sessions: token-file", c->token_file, &s->token);
    if (!err && !addr_is_loopback(&a) && !c->tls)
        err = fail(STEAD_E_DENIED, "sessions: listen on", c->listen,
                   "it must be a loopback address, or tls = yes");
    return err ? err : bind_tcp(&a, false, "sessions: listen on", fd);
}

static int open_caches(struct setup *s)
{
    static const char *const what[] = {"memcached: password-file", "redis: password-file"};
    int err = cache_bind(s->config, s->caches, s->worker_count);
    for (unsigned p = 0; !err && p < CACHE_DOORS; p++) {
        const struct cache_section *c = cache_section_of(s->config, (enum cache_protocol)p);
        if (strncmp(c->listen, "unix:", 5) == 0)
            s->socket_files[s->socket_file_count++] = c->listen + 5;
        err = cache_read_password(c, s->cache_passwords[p]);
        if (err)
            fail(err, what[p], c->password_file, "it must have mode 0600 and a password in it");
    }
    return err;
}

static int join_group(const struct node_section *c, struct setup *s)
{
    char where[ADDR_TEXT_MAX];
    int err = multicast_send_by(s->mesh_fd, &c->address);
    if (!err)
        err = multicast_listen(&c->multicast, &c->address, &s->group_fd);
    return err ? fail(err, "node: multicast", addr_format(&c->multicast, where),
                      "the interface with the node's address must be there and do multicast")
               : STEAD_OK;
}

/* Without it everything goes by datagrams. */
static void listen_for_bulk(struct setup *s)
{
    char where[ADDR_TEXT_MAX];
    const struct addr *a = &s->config->node.address;
    int err = s->config->node.bulk ? listen_tcp(a, false, &s->bulk_fd) : STEAD_OK;
    if (err)
        log_warn("bulk", "address=%s error=%s why=\"copies in bulk come by datagrams\"",
                 addr_format(a, where), stead_error_name(err));
}

static int bind_all(struct setup *s)
{
    const struct config *c = s->config;
    int gate_fd = -1;
    int err = probe(c);
    if (!err)
        err = probe_tcp(&s->tcp);
    if (!err)
        err = bind_udp(&c->node.address, false, "node: address", &s->mesh_fd);
    if (!err)
        err = tune_mesh(&c->node.address, s->mesh_fd);
    if (!err)
        listen_for_bulk(s);
    if (!err && c->node.multicast.family)
        err = join_group(&c->node, s);
    if (!err && (err = listen_unix(c->admin.socket, 0660, &s->admin_unix_fd)))
        fail(err, "admin: socket", c->admin.socket, "");
    else if (!err)
        s->socket_files[s->socket_file_count++] = c->admin.socket;
    if (!err && c->admin.listen.family)
        err = bind_tcp(&c->admin.listen, false, "admin: listen on", &s->admin_tcp_fd);
    if (!err)
        err = open_gate(s, &gate_fd);
    for (size_t i = 0; !err && i < c->agent_count; i++)
        err = bind_tcp(&c->agents[i].listen, false, "agent: listen on", &s->agent_fds[i]);
    if (!err && c->sessiond.listen.family)
        err = bind_udp(&c->sessiond.listen, false, "sessiond: listen on", &s->sessiond_fd);
    for (size_t i = 0; !err && i < s->worker_count; i++)
        if (!(err = bind_worker(c, gate_fd, &s->workers[i])))
            err = bind_listeners(&s->tcp, &s->workers[i]);
    if (gate_fd >= 0)
        close(gate_fd);
    if (!err)
        err = open_caches(s);
    return err;
}

static int open_state(const struct config *c, struct setup *s)
{
    int err = state_open(c->top.state, &s->state);
    if (err == STEAD_E_IN_USE)
        return fail(err, "state", c->top.state, "another stead runs as this node");
    if (err == STEAD_E_PARSE)
        return fail(err, "state", c->top.state,
                    "its file 'node' is damaged: remove the folder to join as a new node");
    return err ? fail(err, "state", c->top.state, "") : STEAD_OK;
}

static int load_key(const struct config *c, struct setup *s)
{
    int err = keyring_load(c->top.key_file, &s->keys);
    if (err == STEAD_E_NOT_FOUND)
        return fail(err, "key-file", c->top.key_file,
                    "make one with 'stead keygen', the same for every node");
    if (err == STEAD_E_DENIED && access(c->top.key_file, R_OK) != 0)
        return fail(err, "key-file", c->top.key_file, "this user may not read it");
    if (err == STEAD_E_DENIED)
        return fail(err, "key-file", c->top.key_file, "others may read it: chmod 600");
    if (err == STEAD_E_PARSE)
        return fail(err, "key-file", c->top.key_file, "it is no key file; take another node's");
    return err ? fail(err, "key-file", c->top.key_file, "") : STEAD_OK;
}

static int share_descriptors(struct setup *s)
{
    char has[64];
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    getrlimit(RLIMIT_NOFILE, &files);
    snprintf(has, sizeof(has), "%llu for %zu workers", (unsigned long long)files.rlim_cur,
             s->worker_count);
    unsigned doors = s->config->public.listen_tls.family ? 2 : 1;
    if (!descriptors_share(files.rlim_cur, s->worker_count, doors, &s->descriptors))
        return fail(STEAD_E_FULL, "limit of open files", has,
                    "raise it (LimitNOFILE, ulimit -n) or set fewer workers");
    if (s->descriptors.public < DESCRIPTORS_EACH_MAX)
        log_info("descriptors", "limit=%llu wanted=%llu clients=%u tunnels=%u raise=LimitNOFILE",
                 (unsigned long long)files.rlim_cur,
                 (unsigned long long)descriptors_wanted(s->worker_count, doors),
                 s->descriptors.public * (unsigned)s->worker_count,
                 s->descriptors.tunnels * (unsigned)s->worker_count);
    return STEAD_OK;
}

/* Left over by a node that was killed, they may be there already. */
static int set_rules(struct setup *s)
{
    struct inline_rules rules;
    const char *failed;
    inline_rules_undo(s->config, &rules);
    (void)inline_rules_run(&rules, true, &failed);
    inline_rules_make(s->config, &rules);
    s->rules_set = true;
    if (inline_rules_run(&rules, false, &failed) != STEAD_OK)
        return fail(STEAD_E_DENIED, "inline: apply", failed,
                    "run as root, or have an operator set what `stead inline rules` prints");
    log_info("inline-rules", "set=%zu", rules.count);
    return STEAD_OK;
}

static void unset_rules(struct setup *s)
{
    struct inline_rules rules;
    const char *failed;
    if (!s->rules_set || s->borrowed)
        return;
    s->rules_set = false;
    inline_rules_undo(s->config, &rules);
    (void)inline_rules_run(&rules, true, &failed);
}

static void no_sockets(struct worker_sockets *w)
{
    w->public = w->secure = w->gate = -1;
    for (size_t i = 0; i < TCP_LISTENERS_MAX; i++)
        w->tcp[i] = -1;
    for (size_t i = 0; i < NAME_LISTENERS_MAX; i++)
        w->dns_udp[i] = w->dns_tcp[i] = -1;
}

int setup_open(const struct config *c, struct setup *s)
{
    *s = (struct setup){.config = c,
                        .mesh_fd = -1,
                        .bulk_fd = -1,
                        .group_fd = -1,
                        .admin_unix_fd = -1,
                        .admin_tcp_fd = -1,
                        .sessiond_fd = -1};
    s->state.lock_fd = -1;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++)
        s->agent_fds[i] = -1;
    s->worker_count = c->top.workers;
    s->borrowed = inherit_any();
    tcp_setup(&s->tcp, c);
    if (!c->top.core_dumps && prctl(PR_SET_DUMPABLE, 0))
        log_warn("core-dumps", "error=%s", io_error_text(errno));
    for (size_t i = 0; i < WORKERS_MAX; i++)
        no_sockets(&s->workers[i]);
    int err = share_descriptors(s);
    keyring_lock_memory();
    if (!err)
        err = load_key(c, s);
    if (!err)
        err = open_state(c, s);
    if (!err) {
        make_entry(c, &s->state, &s->entry);
        err = check_entry(c, &s->entry);
    }
    if (!err)
        err = tls_setup_open(&s->tls, c);
    if (!err && c->public.exposure == EXPOSURE_AUTHENTICATED)
        err = read_token("public: token-file", c->public.token_file, &s->roster_token);
    if (!err)
        err = bind_all(s);
    if (err)
        setup_close(s);
    return err;
}

int setup_rules(struct setup *s, uint64_t before)
{
    uint64_t own = s->config->in_line.apply ? inline_rules_mark(s->config) : 0;
    if (!s->borrowed)
        return own ? set_rules(s) : STEAD_OK;
    s->rules_set = own != 0;
    return own == before ? STEAD_OK
                         : fail(STEAD_E_CONFIG, "inline:", "apply",
                                "an upgrade cannot change the kernel's rules: restart the node");
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void setup_close(struct setup *s)
{
    unset_rules(s);
    close_fd(&s->mesh_fd);
    close_fd(&s->bulk_fd);
    close_fd(&s->group_fd);
    close_fd(&s->admin_unix_fd);
    close_fd(&s->admin_tcp_fd);
    close_fd(&s->sessiond_fd);
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++)
        close_fd(&s->agent_fds[i]);
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        close_fd(&s->workers[i].public);
        close_fd(&s->workers[i].secure);
        for (size_t k = 0; k < NAME_LISTENERS_MAX; k++) {
            close_fd(&s->workers[i].dns_udp[k]);
            close_fd(&s->workers[i].dns_tcp[k]);
        }
        close_fd(&s->workers[i].gate);
        for (size_t k = 0; k < TCP_LISTENERS_MAX; k++)
            close_fd(&s->workers[i].tcp[k]);
        for (unsigned p = 0; p < CACHE_DOORS; p++)
            close_fd(&s->caches[i].fd[p]);
    }
    /* Before the lock on the state is given up: the next process may make its own at once. */
    while (s->socket_file_count-- > 0 && !s->borrowed)
        unlink(s->socket_files[s->socket_file_count]);
    s->socket_file_count = 0;
    state_close(&s->state);
    tls_setup_close(&s->tls);
    mem_free(s->token);
    mem_free(s->roster_token);
    s->token = s->roster_token = NULL;
    keys_wipe(&s->keys);
}
