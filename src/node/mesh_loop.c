/* The main thread's loop. Everything that happens to it (a datagram, a wake from another thread,
 * the time) ends in turn(), which carries what one part says to the others until all are quiet. */
#include "node/mesh_loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"
#include "node/live.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define RECEIVE_BATCH 64
#define DATAGRAM_BYTES 9216
#define ROUNDS_MAX 8 /* of passing messages on, in one turn of the loop */
#define SAVE_ADDRESSES_NS (5 * NS_PER_S)
#define LINGER_NS                                                                                  \
    (300 * NS_PER_MS) /* after leaving: acknowledgements of the last messages go out */
#define NOTICES_MAX 32

static void turn(struct mesh_loop *m, uint64_t began);

const char *mesh_phase_name(enum mesh_phase p)
{
    static const char *const names[] = {"joining", "up", "draining", "leaving", "gone"};
    return names[p];
}

static const char *notice_event(enum member_notice n)
{
    static const char *const names[] = {
        [MEMBER_JOINED] = "joined",
        [MEMBER_SUSPECT] = "suspect",
        [MEMBER_HEARD_AGAIN] = "heard-again",
        [MEMBER_DOWN] = "down",
        [MEMBER_LEFT] = "left",
        [MEMBER_REPLACED] = "replaced",
        [MEMBER_CLAIMANT_REFUSED] = "claimant-refused",
        [MEMBER_SELF_PAUSED] = "self-paused",
        [MEMBER_ALONE] = "alone",
        [MEMBER_REFUSED_HERE] = "refused",
        [MEMBER_CONTACT_LOST] = "contact-lost",
        [MEMBER_CONTACT_AGAIN] = "contact-again",
        [MEMBER_FOREIGN_KEY] = "foreign-key",
        [MEMBER_FOREIGN_VERSION] = "foreign-version",
        [MEMBER_GROUP_SILENT] = "group-silent",
        [MEMBER_GROUP_HEARD] = "group-heard",
        [MEMBER_KEY_RETIRED] = "key-retired",
        [MEMBER_KEY_UNKNOWN] = "key-unknown",
        [MEMBER_GROUP_UNREACHED] = "group-unreached",
        [MEMBER_GROUP_REACHED] = "group-reached",
    };
    return names[n];
}

static void log_member(const struct farm_notice *n)
{
    char where[ADDR_TEXT_MAX];
    if (n->what == MEMBER_FOREIGN_KEY)
        log_warn("foreign-key",
                 "address=%s why=\"it speaks for this farm with another key; see "
                 "key-file\"",
                 addr_format(&n->addr, where));
    else if (n->what == MEMBER_FOREIGN_VERSION)
        log_warn("foreign-version",
                 "address=%s why=\"it speaks another version of the protocol: the whole farm must "
                 "run versions of stead that understand each other\"",
                 addr_format(&n->addr, where));
    else if (n->what == MEMBER_KEY_RETIRED)
        log_warn("key-retired",
                 "address=%s generation=%u why=\"it still uses a key that was retired: give it the "
                 "key-file of another node and restart it\"",
                 addr_format(&n->addr, where), n->key);
    else if (n->what == MEMBER_KEY_UNKNOWN)
        log_warn("key-unknown",
                 "address=%s generation=%u why=\"the farm there uses a key that this node does not "
                 "have: if it was retired here too, take another node's key-file and restart\"",
                 addr_format(&n->addr, where), n->key);
    else if (n->what == MEMBER_GROUP_SILENT)
        log_warn("multicast", "state=silent why=\"nothing comes from the group; unicast goes on\"");
    else if (n->what == MEMBER_GROUP_HEARD)
        log_info("multicast", "state=heard");
    else if (n->what == MEMBER_GROUP_UNREACHED)
        log_warn("multicast",
                 "state=unreached name=%s why=\"it does not hear the group: its copies go by "
                 "unicast\"",
                 *n->name ? n->name : "-");
    else if (n->what == MEMBER_GROUP_REACHED)
        log_info("multicast", "state=reached name=%s", *n->name ? n->name : "-");
    else
        log_info("member", "what=%s name=%s address=%s%s%s", notice_event(n->what),
                 *n->name ? n->name : "-", n->addr.family ? addr_format(&n->addr, where) : "-",
                 n->reason ? " reason=" : "", n->reason ? stead_error_name(n->reason) : "");
}

static void log_sessions(struct store *s)
{
    static const char *const names[] = {
        [NOTICE_CLAIMED] = "claimed",           [NOTICE_FENCED] = "fenced",
        [NOTICE_SPLIT_MERGED] = "split-merged", [NOTICE_WIPED] = "wiped",
        [NOTICE_MALFORMED] = "malformed",       [NOTICE_DIVERGED] = "diverged"};
    struct session_notice notices[NOTICES_MAX];
    size_t n = store_take_notices(s, notices, NOTICES_MAX);
    for (size_t i = 0; i < n; i++)
        if (notices[i].type == NOTICE_FULL)
            log_warn("session-full", "why=\"a memory limit of sessions{} is reached\"");
        else
            log_info("session", "what=%s key=%016" PRIx64 " peer=%016" PRIx64 " lost=%u",
                     names[notices[i].type], notices[i].key_digest, notices[i].peer,
                     notices[i].lost);
}

/* What a full socket buffer does not take is as good as lost on the way: the mesh sends again. */
static void send_datagrams(struct mesh_loop *m, struct list *datagrams)
{
    while (!list_empty(datagrams)) {
        struct burst_datagram d[BURST_MAX];
        size_t n = 0;
        for (struct list *l = datagrams->next; l != datagrams && n < BURST_MAX; l = l->next) {
            const struct farm_datagram *f = list_entry(l, struct farm_datagram, link);
            d[n++] = (struct burst_datagram){.to = f->to, .bytes = f->bytes, .len = f->len};
        }
        burst_send(&m->burst, d, n);
        while (n-- > 0)
            mem_free(list_entry(list_pop(datagrams), struct farm_datagram, link));
    }
}

/* What the farm's step asked for. */
static void take_farm(struct mesh_loop *m, struct farm_actions *a, uint64_t now)
{
    struct list *link;
    /* Before others are told of it, and before what they said since is taken in. */
    if (a->view_changed)
        store_set_view(m->store, farm_view(m->farm), now);
    send_datagrams(m, &a->datagrams);
    while ((link = list_pop(&a->deliveries))) {
        struct msg *message = list_entry(link, struct msg, link);
        store_deliver(m->store, message, now);
        msg_free(message);
    }
    while ((link = list_pop(&a->orders))) {
        struct msg *order = list_entry(link, struct msg, link);
        commands_message(&m->commands, order, now);
        msg_free(order);
    }
    if (a->roster) {
        externals_roster(m->externals, a->roster);
        a->roster = NULL;
    }
    for (uint32_t i = 0; i < a->notice_count; i++)
        log_member(&a->notices[i]);
    m->refused |= a->refused;
    farm_actions_clear(a);
}

/* What is counted is filled in by own_entry_fill(). */
static void take_shape(const struct mesh_loop *m, struct entry *e)
{
    memcpy(e->zone, m->shape.zone, sizeof(e->zone));
    memcpy(e->groups, m->shape.groups, sizeof(e->groups));
    memcpy(e->servers, m->shape.servers, sizeof(e->servers));
    e->group_count = m->shape.group_count;
    e->server_count = m->shape.server_count;
}

void mesh_loop_renew(struct mesh_loop *m, const struct config *c)
{
    live_entry(c, &m->shape, &m->own);
    m->own.begun = false; /* other servers may stand in their places: nothing to compare with */
    externals_set(m->externals, c);
    mesh_loop_wake(m);
}

/* Carries own servers' state and this node's phase into its entry; tells the farm when something
 * changed. */
static void update_self(struct mesh_loop *m, uint64_t now)
{
    struct entry e = m->self;
    take_shape(m, &e);
    bool draining = m->phase >= MESH_DRAINING;
    bool maint = store_maint(m->store);
    e.status = m->phase == MESH_JOINING ? STATUS_JOINING
               : draining               ? STATUS_DRAINING
               : maint                  ? STATUS_MAINT
                                        : STATUS_UP;
    e.twin = m->twin;
    own_entry_fill(&m->own, m->store, now, &e);
    if (memcmp(&e, &m->self, sizeof(e)) == 0)
        return;
    m->self = e;
    struct farm_actions a;
    farm_actions_init(&a);
    farm_set_self(m->farm, &m->self, now, &a);
    take_farm(m, &a, now);
}

static void take_doubts(struct mesh_loop *m, uint64_t now)
{
    uint64_t nodes[16];
    size_t n = store_take_doubts(m->store, nodes, 16);
    for (size_t i = 0; i < n; i++) {
        struct farm_actions a;
        farm_actions_init(&a);
        farm_doubt(m->farm, nodes[i], now, &a);
        take_farm(m, &a, now);
    }
}

/* Messages of the shards to the mesh. What a peer's full queue does not take is lost, or one peer
 * that takes nothing would hold up all others; shards ask again. True if any was sent. */
static bool send_messages(struct mesh_loop *m, uint64_t now)
{
    struct list messages, *link;
    bool sent = false;
    list_init(&messages);
    store_take_sends(m->store, &messages);
    while ((link = list_pop(&messages))) {
        struct msg *message = list_entry(link, struct msg, link);
        sent |= farm_send(m->farm, message, now) == STEAD_OK;
        msg_free(message);
    }
    return sent;
}

static void set_phase(struct mesh_loop *m, enum mesh_phase p)
{
    if (m->phase == p)
        return;
    log_info("phase", "from=%s to=%s", mesh_phase_name(m->phase), mesh_phase_name(p));
    m->phase = p;
    atomic_store(&m->phase_shown, (int)p);
    if (m->moved)
        m->moved(m->context, p);
}

static void leave(struct mesh_loop *m, uint64_t now)
{
    struct farm_actions a;
    if (!store_drained(m->store))
        log_warn("leaving-with-records", "waited_ms=%" PRIu64, m->leave_wait_ms);
    farm_actions_init(&a);
    farm_leave(m->farm, now, &a);
    take_farm(m, &a, now);
    m->left_ns = now;
    set_phase(m, MESH_GONE);
}

/* The shards must have been told that this node leaves before their word counts. */
static bool drained(struct mesh_loop *m)
{
    return farm_view(m->farm)->self_state == PEER_LEAVING && store_drained(m->store);
}

/* joining -> up -> draining <-> up, and leaving -> gone. */
static void move_phase(struct mesh_loop *m, uint64_t now)
{
    bool alone = false;
    if (m->stop_asked && m->phase < MESH_LEAVING) {
        m->leave_by_ns = now + m->leave_wait_ms * NS_PER_MS;
        set_phase(m, MESH_LEAVING);
    }
    if (m->phase == MESH_JOINING)
        m->synced = farm_found(m->farm, &alone) && store_synced(m->store);
    if (m->phase == MESH_JOINING && m->synced && !m->hold) {
        if (alone)
            log_warn("alone", "why=\"no other node was found\"");
        atomic_store(&m->alone_shown, alone);
        set_phase(m, store_draining(m->store) ? MESH_DRAINING : MESH_UP);
    } else if (m->phase == MESH_UP && store_draining(m->store)) {
        set_phase(m, MESH_DRAINING);
    } else if (m->phase == MESH_DRAINING && !store_draining(m->store)) {
        set_phase(m, MESH_UP);
    } else if (m->phase == MESH_LEAVING && !m->stop_asked && !m->succeeded) {
        set_phase(m, store_draining(m->store) ? MESH_DRAINING : MESH_UP);
    } else if (m->phase == MESH_LEAVING && ((drained(m) && !m->stay) || now >= m->leave_by_ns)) {
        leave(m, now);
    } else if (m->phase == MESH_GONE && m->gone && now >= m->left_ns + LINGER_NS) {
        m->gone(m->context);
        m->gone = NULL;
    }
    if (m->refused && m->gone) {
        log_error("refused", "why=\"%s\"", stead_error_text(STEAD_E_NAME_TAKEN));
        m->gone(m->context);
        m->gone = NULL;
    }
}

/* On a thread of libuv's pool: a disk may take its time, and this thread's leases may not. */
static void save(uv_work_t *work)
{
    struct mesh_loop *m = work->data;
    m->save_error = state_save_addresses(m->state, m->addresses, m->address_count);
}

static void on_saved(uv_work_t *work, int status)
{
    struct mesh_loop *m = work->data;
    (void)status;
    m->saving = false;
    if (m->save_error)
        log_warn("state", "file=peers error=%s", stead_error_name(m->save_error));
}

static void save_addresses(struct mesh_loop *m, uint64_t now)
{
    struct addr addrs[JOIN_ADDRESSES_MAX];
    if (m->phase != MESH_UP || m->saving || now < m->saved_ns + SAVE_ADDRESSES_NS)
        return;
    m->saved_ns = now;
    size_t n = farm_addresses(m->farm, addrs, JOIN_ADDRESSES_MAX);
    bool same = n == m->address_count;
    for (size_t i = 0; same && i < n; i++)
        same = addr_equal(&addrs[i], &m->addresses[i]);
    if (n == 0 || same)
        return;
    memcpy(m->addresses, addrs, n * sizeof(*addrs));
    m->address_count = n;
    m->save.data = m;
    m->saving = uv_queue_work(m->loop, &m->save, save, on_saved) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data, io_now_ns());
}

/* Rounds up, so that the deadline has come when the timer fires; never longer than a heartbeat's
 * part. */
static void arm(struct mesh_loop *m, uint64_t deadline, uint64_t now)
{
    uint64_t wait_ms = deadline > now ? (deadline - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    uint64_t cap = m->phase == MESH_UP ? 1000 : 50;
    uv_timer_start(&m->timer, on_timer, wait_ms < cap ? wait_ms : cap, 0);
}

/* began: when this turn of the loop did. */
static void turn(struct mesh_loop *m, uint64_t began)
{
    uint64_t now = io_now_ns(), deadline = TIME_NEVER;
    commands_turn(&m->commands, m->self.status, atomic_load(&m->drained_shown), now);
    update_self(m, now);
    take_doubts(m, now);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct farm_actions a;
        bool sent = send_messages(m, now);
        farm_actions_init(&a);
        farm_tick(m->farm, now, &a);
        deadline = a.deadline_ns;
        take_farm(m, &a, now);
        uint64_t shards = store_tick(m->store, now);
        deadline = shards < deadline ? shards : deadline;
        if (!sent && round > 0)
            break;
    }
    keyring_turn(&m->keys, now);
    if (store_sends_wait(m->store))
        mesh_loop_wake(m); /* of the last round: nothing else says so on this thread */
    move_phase(m, now);
    update_self(m, now);
    log_sessions(m->store);
    save_addresses(m, now);
    atomic_store(&m->drained_shown, m->phase >= MESH_DRAINING && drained(m));
    pthread_mutex_lock(&m->stats_lock);
    farm_stats(m->farm, &m->mesh, &m->members);
    keyring_show(&m->keys, &m->key_view);
    pthread_mutex_unlock(&m->stats_lock);
    uint64_t took = io_now_ns() - began;
    if (took > atomic_load(&m->turn_max_ns))
        atomic_store(&m->turn_max_ns, took);
    arm(m, deadline, now);
}

static void take_datagram(struct mesh_loop *m, const struct addr *from, const uint8_t *bytes,
                          size_t len)
{
    struct farm_actions a;
    uint64_t now = io_now_ns();
    farm_actions_init(&a);
    farm_datagram_in(m->farm, from, bytes, len, now, &a);
    take_farm(m, &a, now);
}

void mesh_loop_relayed(struct mesh_loop *m, const struct addr *from, const uint8_t *bytes,
                       size_t len)
{
    take_datagram(m, from, bytes, len);
}

void mesh_loop_turn(struct mesh_loop *m)
{
    turn(m, io_now_ns());
}

static void receive(struct mesh_loop *m, int fd)
{
    uint8_t bytes[DATAGRAM_BYTES];
    uint64_t began = io_now_ns();
    for (int i = 0; i < RECEIVE_BATCH; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        struct addr from;
        ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&ss, &len);
        if (got < 0)
            break;
        if (!io_from_sockaddr((struct sockaddr *)&ss, &from))
            continue;
        if (mesh_relay_mine(&m->relay, m->self.inc, &from, bytes, (size_t)got))
            take_datagram(m, &from, bytes, (size_t)got);
    }
    turn(m, began);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct mesh_loop *m = poll->data;
    (void)status;
    (void)events;
    receive(m, m->fd);
}

static void on_group(uv_poll_t *poll, int status, int events)
{
    struct mesh_loop *m = poll->data;
    (void)status;
    (void)events;
    receive(m, m->group_fd);
}

static void on_wake(void *context)
{
    turn(context, io_now_ns());
}

void mesh_loop_wake(struct mesh_loop *m)
{
    wake_send(&m->wake);
}

static void wake_mesh(void *context)
{
    mesh_loop_wake(context);
}

static void show_roster(void *context, struct roster *r)
{
    store_set_roster(context, r);
}

int mesh_loop_open(struct mesh_loop *m, uv_loop_t *loop, int fd, struct farm *farm,
                   struct store *store, const struct state *state, const struct config *c)
{
    m->loop = loop;
    m->fd = fd;
    burst_init(&m->burst, fd);
    m->group_fd = -1;
    m->relay.fd = -1;
    m->farm = farm;
    m->store = store;
    m->state = state;
    m->leave_wait_ms = c->node.leave_wait_ms;
    m->self = *farm_self(farm);
    m->shape = m->self;
    for (uint8_t i = 0; i < ENTRY_SERVERS_MAX; i++)
        m->own.place[i] = i;
    commands_init(&m->commands, loop, farm, store, state);
    pthread_mutex_init(&m->stats_lock, NULL);
    m->socket.data = m->timer.data = m;
    if (uv_poll_init(loop, &m->socket, fd) || wake_open(&m->wake) ||
        uv_timer_init(loop, &m->timer) || uv_poll_start(&m->socket, UV_READABLE, on_socket))
        return STEAD_E_IO;
    wake_start(&m->wake, loop, on_wake, m);
    const struct externals_config x = {.loop = loop, .show = show_roster, .context = store};
    int err = externals_open(&x, &m->externals);
    if (err)
        return err;
    externals_set(m->externals, c);
    store_set_mesh_wake(store, (struct store_wake){.call = wake_mesh, .context = m});
    uint64_t now = io_now_ns();
    store_set_view(store, farm_view(farm), now);
    turn(m, now);
    return STEAD_OK;
}

int mesh_loop_open_group(struct mesh_loop *m, int fd)
{
    m->group.data = m;
    if (uv_poll_init(m->loop, &m->group, fd))
        return STEAD_E_IO;
    m->group_fd = fd;
    return uv_poll_start(&m->group, UV_READABLE, on_group) ? STEAD_E_IO : STEAD_OK;
}

void mesh_loop_read(struct mesh_loop *m, bool read)
{
    if (read)
        uv_poll_start(&m->socket, UV_READABLE, on_socket);
    else
        uv_poll_stop(&m->socket);
}

void mesh_loop_name_twin(struct mesh_loop *m, uint64_t inc)
{
    m->twin = inc;
    turn(m, io_now_ns());
}

void mesh_loop_succeeded(struct mesh_loop *m, bool is, uint64_t wait_ms)
{
    uint64_t now = io_now_ns();
    m->succeeded = is;
    if (is && m->phase < MESH_LEAVING) {
        m->leave_by_ns = now + wait_ms * NS_PER_MS;
        set_phase(m, MESH_LEAVING);
    }
    turn(m, now);
}

void mesh_loop_close(struct mesh_loop *m)
{
    mesh_relay_close(&m->relay);
    store_set_mesh_wake(m->store, (struct store_wake){0});
    externals_close(m->externals, NULL, NULL);
    uv_close((uv_handle_t *)&m->socket, NULL);
    if (m->group_fd >= 0)
        uv_close((uv_handle_t *)&m->group, NULL);
    wake_close(&m->wake, NULL);
    uv_close((uv_handle_t *)&m->timer, NULL);
}

void mesh_loop_stop(struct mesh_loop *m)
{
    if (m->stop_asked)
        m->leave_by_ns = 0;
    m->stop_asked = true;
    wake_send(&m->wake);
}

void mesh_loop_keys(struct mesh_loop *m, struct keyring_view *out)
{
    pthread_mutex_lock(&m->stats_lock);
    *out = m->key_view;
    pthread_mutex_unlock(&m->stats_lock);
}

void mesh_loop_stats(struct mesh_loop *m, struct mesh_stats *mesh, struct member_stats *members)
{
    pthread_mutex_lock(&m->stats_lock);
    *mesh = m->mesh;
    *members = m->members;
    pthread_mutex_unlock(&m->stats_lock);
}
