/* upgrade.c - see upgrade.h. */
#include "node/upgrade.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/inherit.h"
#include "io/io.h"
#include "node/config.h"
#include "node/inline_rules.h"
#include "store/store.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define PERIOD_MS 5
#define MESSAGES_A_TURN 64

const char *upgrade_phase_name(enum upgrade_phase p)
{
    static const char *const names[] = {"idle",   "joining", "taking", "handing",
                                        "parted", "done",    "failed"};
    return names[p];
}

static void set_phase(struct upgrade *u, enum upgrade_phase p, const char *why)
{
    uv_mutex_lock(&u->lock);
    u->phase = p;
    snprintf(u->why, sizeof u->why, "%s", why);
    uv_mutex_unlock(&u->lock);
    if (p == UPGRADE_FAILED)
        log_error("upgrade", "state=failed why=\"%s\"", why);
    else
        log_info("upgrade", "state=%s%s", upgrade_phase_name(p),
                 u->successor ? " as=successor" : "");
}

static bool say(int to, enum upgrade_type type)
{
    uint8_t byte = (uint8_t)type;
    return upgrade_send(to, &byte, 1, NULL);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void stop_polling(uv_poll_t *poll, bool *polling)
{
    if (*polling) {
        uv_poll_stop(poll);
        uv_close((uv_handle_t *)poll, NULL);
    }
    *polling = false;
}

static int begin_polling(struct upgrade *u, uv_poll_t *poll, bool *polling, int fd,
                         uv_poll_cb heard)
{
    poll->data = u;
    if (uv_poll_init(u->loop, poll, fd))
        return STEAD_E_IO;
    *polling = true;
    return uv_poll_start(poll, UV_READABLE | UV_DISCONNECT, heard) ? STEAD_E_IO : STEAD_OK;
}

/* The successor. */
static void hang_up(struct upgrade *u)
{
    stop_polling(&u->poll, &u->polling);
    close_fd(&u->control);
    close_fd(&u->relay);
    mesh_relay_close(&u->mesh->relay);
}

static void part_from_elder(struct upgrade *u)
{
    stop_polling(&u->elder_poll, &u->elder_polling);
    close_fd(&u->elder);
}

/* -- the elder -- */

/* The successor is gone, or is given up: all is as it was before. */
static void fail(struct upgrade *u, const char *why)
{
    if (u->pid) {
        kill(u->pid, SIGKILL);
        waitpid(u->pid, NULL, 0);
        u->pid = 0;
    }
    hang_up(u);
    if (u->phase == UPGRADE_HANDING) {
        sd_notifyf(0, "MAINPID=%d", (int)getpid());
        mesh_loop_read(u->mesh, true);
        u->hooks.retire(u->hooks.context, false, -1);
        u->mesh->stay = false;
        mesh_loop_succeeded(u->mesh, false, 0);
    }
    atomic_fetch_add(&u->failed, 1);
    set_phase(u, UPGRADE_FAILED, why);
    uv_timer_stop(&u->timer);
    mesh_loop_name_twin(u->mesh, 0);
}

static void on_successor(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

static int make_pairs(int control[2], int relay[2])
{
    int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, bytes = 1 << 20;
    control[0] = control[1] = relay[0] = relay[1] = -1;
    if (socketpair(AF_UNIX, type, 0, control) || socketpair(AF_UNIX, type, 0, relay))
        return io_error(errno);
    for (int i = 0; i < 2; i++)
        setsockopt(relay[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return STEAD_OK;
}

static bool greet(struct upgrade *u)
{
    static const struct upgrade_hello none;
    uint8_t bytes[UPGRADE_MESSAGE_MAX];
    struct wire_writer w;
    struct upgrade_hello hello = none;
    hello.draining = store_draining(u->mesh->store);
    hello.rules = u->config->in_line.apply ? inline_rules_mark(u->config) : 0;
    hello.entry = u->mesh->self;
    wire_writer_init(&w, bytes, sizeof bytes);
    upgrade_encode_hello(&hello, &w);
    return wire_put_ok(&w) && upgrade_send(u->control, bytes, wire_written(&w), NULL);
}

static int start(struct upgrade *u, const char *binary, const char *file)
{
    char *argv[] = {(char *)(uintptr_t)binary, (char *)(uintptr_t) "run", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)file, NULL};
    int control[2], relay[2], err = make_pairs(control, relay);
    u->control = control[0];
    u->relay = relay[0];
    if (!err && !greet(u))
        err = STEAD_E_IO;
    if (!err)
        err = inherit_spawn(binary, argv, control[1], relay[1], u->mesh->state->lock_fd, &u->pid);
    close_fd(&control[1]);
    close_fd(&relay[1]);
    if (!err)
        err = begin_polling(u, &u->poll, &u->polling, u->control, on_successor);
    if (!err) {
        int fd = u->relay;
        u->relay = -1;
        err = mesh_relay_open(&u->mesh->relay, u->mesh, u->loop, fd);
    }
    return err;
}

static void on_asked(uv_async_t *async)
{
    struct upgrade *u = async->data;
    char binary[UPGRADE_PATH_MAX], file[UPGRADE_PATH_MAX], why[UPGRADE_WHY_MAX];
    uv_mutex_lock(&u->lock);
    bool go = u->pending;
    u->pending = false;
    snprintf(binary, sizeof binary, "%s", *u->binary ? u->binary : u->self);
    snprintf(file, sizeof file, "%s", *u->file ? u->file : u->config->path);
    uv_mutex_unlock(&u->lock);
    if (!go || u->closing)
        return;
    atomic_fetch_add(&u->begun, 1);
    u->began_ns = io_now_ns();
    u->join_by_ns = u->began_ns + UPGRADE_JOIN_MS * NS_PER_MS;
    set_phase(u, UPGRADE_JOINING, "");
    int err = start(u, binary, file);
    if (err) {
        snprintf(why, sizeof why, "%.100s: %s", binary, stead_error_text(err));
        fail(u, why);
        return;
    }
    log_info("upgrade", "binary=%s config=%s pid=%d", binary, file, u->pid);
    uv_timer_start(&u->timer, on_timer, PERIOD_MS, PERIOD_MS);
}

static void taken(struct upgrade *u)
{
    sd_notifyf(0, "MAINPID=%d\nSTATUS=handing over to process %d", u->pid, u->pid);
    mesh_loop_read(u->mesh, false);
    u->wait_by_ns = io_now_ns() + u->config->node.upgrade_wait_ms * NS_PER_MS;
    set_phase(u, UPGRADE_HANDING, "");
    u->hooks.retire(u->hooks.context, true, u->control);
    u->mesh->stay = true;
    mesh_loop_succeeded(u->mesh, true, u->config->node.leave_wait_ms);
}

static void successor_says(struct upgrade *u, const struct upgrade_message *m,
                           struct upgrade_fds *fds)
{
    upgrade_fds_close(fds);
    if (m->type == UPGRADE_BORN && u->phase == UPGRADE_JOINING) {
        mesh_loop_name_twin(u->mesh, m->inc);
    } else if (m->type == UPGRADE_READY && u->phase == UPGRADE_JOINING) {
        set_phase(u, UPGRADE_TAKING, "");
        say(u->control, UPGRADE_GO);
    } else if (m->type == UPGRADE_TAKEN && u->phase == UPGRADE_TAKING) {
        taken(u);
    }
}

static void elder_tick(struct upgrade *u, uint64_t now)
{
    if (u->phase <= UPGRADE_TAKING && now >= u->join_by_ns)
        fail(u, "the new process was not ready in time");
    else if (u->phase == UPGRADE_HANDING)
        u->mesh->stay = u->hooks.busy(u->hooks.context, true) > 0 && now < u->wait_by_ns;
    else if (u->phase == UPGRADE_PARTED &&
             ((u->hooks.busy(u->hooks.context, false) == 0 && !u->elder_polling) ||
              now >= u->wait_by_ns)) { /* what its own elder has still passes by here */
        set_phase(u, UPGRADE_DONE, "");
        uv_timer_stop(&u->timer);
        u->hooks.end(u->hooks.context);
    }
}

bool upgrade_left(struct upgrade *u)
{
    if (u->successor || u->phase != UPGRADE_HANDING)
        return false;
    u->gave = true;
    say(u->control, UPGRADE_LEFT);
    mesh_relay_close(&u->mesh->relay);
    set_phase(u, UPGRADE_PARTED, "");
    u->hooks.quiet(u->hooks.context);
    return !u->stopping;
}

bool upgrade_handed(const struct upgrade *u)
{
    return u->gave;
}

void upgrade_stop(struct upgrade *u)
{
    u->stopping = true;
    if (u->successor)
        return;
    if (u->pid && u->phase <= UPGRADE_TAKING)
        fail(u, "the node was stopped");
    else if (u->phase == UPGRADE_PARTED)
        u->hooks.end(u->hooks.context);
}

/* -- the successor -- */

/* The roster that its own doors look at must show that it is up. */
static bool shown_up(struct upgrade *u)
{
    struct roster *r = store_roster(u->mesh->store);
    const struct roster_node *self = r ? roster_find(r, u->config->node.name) : NULL;
    bool up = self && self->entry->inc == u->mesh->self.inc && self->status != STATUS_JOINING;
    roster_unref(r);
    return up;
}

/* It is a process as any other, and may be succeeded itself. */
static void grown_up(struct upgrade *u)
{
    set_phase(u, UPGRADE_DONE, "");
    u->successor = false;
    uv_timer_stop(&u->timer);
    mesh_relay_close(&u->mesh->relay);
    mesh_loop_name_twin(u->mesh, 0);
}

static void successor_tick(struct upgrade *u)
{
    if (u->phase == UPGRADE_JOINING && u->mesh->synced && u->mesh->hold && u->elder_polling) {
        set_phase(u, UPGRADE_TAKING, "");
        say(u->elder, UPGRADE_READY);
    } else if (u->phase == UPGRADE_TAKING && !u->mesh->hold && shown_up(u)) {
        mesh_loop_read(u->mesh, true);
        int err = u->hooks.serve(u->hooks.context);
        if (err)
            return; /* it ends */
        set_phase(u, UPGRADE_HANDING, "");
        if (!u->elder_polling)
            grown_up(u);
        else
            say(u->elder, UPGRADE_TAKEN);
    }
}

static void go(struct upgrade *u)
{
    u->mesh->hold = false;
    mesh_loop_turn(u->mesh);
}

static void elder_says(struct upgrade *u, const struct upgrade_message *m, struct upgrade_fds *fds)
{
    struct hand h;
    struct wire_reader rest = m->rest;
    if (m->type == UPGRADE_CONNECTION && hand_decode(&rest, &h) && hand_fits(&h, fds->count)) {
        atomic_fetch_add(&u->adopted, 1);
        u->hooks.adopt(u->hooks.context, &h, fds);
        return;
    }
    upgrade_fds_close(fds);
    if (m->type == UPGRADE_GO && u->phase == UPGRADE_TAKING)
        go(u);
    else if (m->type == UPGRADE_LEFT && u->successor && u->phase == UPGRADE_HANDING)
        grown_up(u);
}

/* Its elder is gone. Before it served, it goes on as any node that starts. */
static void orphaned(struct upgrade *u)
{
    part_from_elder(u);
    if (!u->successor)
        return;
    if (u->phase == UPGRADE_HANDING) {
        grown_up(u);
        return;
    }
    log_warn("upgrade", "why=\"the old process is gone; this one goes on in its place\"");
    mesh_relay_close(&u->mesh->relay);
    mesh_loop_read(u->mesh, true);
    if (u->phase == UPGRADE_JOINING)
        set_phase(u, UPGRADE_TAKING, "");
    mesh_loop_name_twin(u->mesh, 0);
    go(u);
}

/* -- both -- */

/* False: nobody is there any more. */
static bool hear(struct upgrade *u, int from, bool *polling,
                 void (*take)(struct upgrade *u, const struct upgrade_message *m,
                              struct upgrade_fds *fds))
{
    uint8_t bytes[UPGRADE_MESSAGE_MAX];
    for (int i = 0; i < MESSAGES_A_TURN && *polling && u->hooks.room(u->hooks.context); i++) {
        struct upgrade_message m;
        struct upgrade_fds fds;
        ssize_t n = upgrade_receive(from, bytes, sizeof bytes, &fds);
        if (n == 0)
            return false;
        if (n < 0)
            break;
        if (upgrade_decode(bytes, (size_t)n, &m)) {
            take(u, &m, &fds);
        } else {
            log_warn("upgrade", "why=\"malformed message\"");
            upgrade_fds_close(&fds);
        }
    }
    return true;
}

static void on_elder(uv_poll_t *poll, int status, int events)
{
    struct upgrade *u = poll->data;
    (void)events;
    if (status < 0 || !hear(u, u->elder, &u->elder_polling, elder_says))
        orphaned(u);
}

static void on_successor(uv_poll_t *poll, int status, int events)
{
    struct upgrade *u = poll->data;
    (void)events;
    if (status >= 0 && hear(u, u->control, &u->polling, successor_says))
        return;
    if (u->phase <= UPGRADE_HANDING)
        fail(u, u->phase == UPGRADE_HANDING ? "the new process ended while it took over"
                                            : "the new process ended before it was ready");
    else
        hang_up(u);
}

static void on_timer(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;
    if (u->successor)
        successor_tick(u);
    else
        elder_tick(u, io_now_ns());
}

/* -- lifetime -- */

bool upgrade_inherit(struct upgrade *u, const struct config *c)
{
    uint8_t bytes[UPGRADE_MESSAGE_MAX];
    struct upgrade_message m;
    struct upgrade_fds fds = {0};
    u->config = c;
    u->control = u->relay = u->elder = -1;
    ssize_t n = readlink("/proc/self/exe", u->self, sizeof u->self - 1);
    u->self[n > 0 ? n : 0] = '\0';
    if (!inherit_any())
        return true;
    u->successor = true;
    u->phase = UPGRADE_JOINING;
    u->elder = inherit_take(INHERIT_CONTROL);
    u->relay = inherit_take(INHERIT_RELAY);
    n = u->elder < 0 ? 0 : upgrade_receive(u->elder, bytes, sizeof bytes, &fds);
    upgrade_fds_close(&fds);
    if (n <= 0 || !upgrade_decode(bytes, (size_t)n, &m) || m.type != UPGRADE_HELLO) {
        fprintf(stderr, "stead: the process that started this one does not speak its language\n");
        return false;
    }
    u->hello = m.hello;
    if (strcmp(u->hello.entry.name, c->node.name) == 0 &&
        addr_equal(&u->hello.entry.address, &c->node.address))
        return true;
    fprintf(stderr, "stead: an upgrade cannot change the node's name or address\n");
    return false;
}

int upgrade_open(struct upgrade *u, uv_loop_t *loop, struct mesh_loop *m,
                 const struct upgrade_hooks *hooks)
{
    uint8_t bytes[16];
    struct wire_writer w;
    u->loop = loop;
    u->mesh = m;
    u->hooks = *hooks;
    u->asked.data = u->timer.data = u;
    if (uv_mutex_init(&u->lock) || uv_async_init(loop, &u->asked, on_asked) ||
        uv_timer_init(loop, &u->timer))
        return STEAD_E_IO;
    if (!u->successor)
        return STEAD_OK;
    int fd = u->relay;
    int err = begin_polling(u, &u->elder_poll, &u->elder_polling, u->elder, on_elder);
    u->relay = -1;
    if (!err)
        err = mesh_relay_open(&m->relay, m, loop, fd);
    wire_writer_init(&w, bytes, sizeof bytes);
    upgrade_encode_born(m->self.inc, &w);
    upgrade_send(u->elder, bytes, wire_written(&w), NULL);
    uv_timer_start(&u->timer, on_timer, PERIOD_MS, PERIOD_MS);
    return err;
}

void upgrade_close(struct upgrade *u)
{
    u->closing = true;
    hang_up(u);
    part_from_elder(u);
    uv_close((uv_handle_t *)&u->asked, NULL);
    uv_close((uv_handle_t *)&u->timer, NULL);
}

void upgrade_deinit(struct upgrade *u)
{
    close_fd(&u->control);
    close_fd(&u->relay);
    close_fd(&u->elder);
}

/* -- for other threads -- */

int upgrade_ask(struct upgrade *u, const char *binary, const char *file)
{
    uv_mutex_lock(&u->lock);
    bool busy =
        u->pending || u->successor ||
        (u->phase != UPGRADE_IDLE && u->phase != UPGRADE_FAILED && u->phase != UPGRADE_DONE);
    if (!busy) {
        snprintf(u->binary, sizeof u->binary, "%s", binary);
        snprintf(u->file, sizeof u->file, "%s", file);
        u->phase = UPGRADE_IDLE;
        u->pending = true;
    }
    uv_mutex_unlock(&u->lock);
    if (busy)
        return STEAD_E_BUSY;
    uv_async_send(&u->asked);
    return STEAD_OK;
}

char *upgrade_json(struct upgrade *u)
{
    uv_mutex_lock(&u->lock);
    enum upgrade_phase p = u->pending ? UPGRADE_JOINING : u->phase;
    json_t *j = json_pack("{s:s, s:s, s:i, s:i}", "state", upgrade_phase_name(p), "why", u->why,
                          "pid", (int)getpid(), "successor", u->pid);
    uv_mutex_unlock(&u->lock);
    char *text = j ? json_dumps(j, 0) : NULL;
    json_decref(j);
    return text;
}
