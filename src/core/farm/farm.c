/* farm.c - joins mesh and membership: what one puts out goes into the other until both are quiet.
 * A peer is heard
 * by the messages that the mesh delivers from it, heartbeats above all: a hello or an
 * acknowledgement says that its process lives, but not that it counts this node among its peers. */
#include "core/farm/farm_internal.h"

#include "base/mem.h"
#include "core/mesh/seal.h"
#include "stead/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define FLUSHES_MAX 4 /* in one tick; what is queued after them waits for the next */

void farm_actions_init(struct farm_actions *a)
{
    *a = (struct farm_actions){.deadline_ns = TIME_NEVER};
    list_init(&a->datagrams);
    list_init(&a->deliveries);
    list_init(&a->orders);
}

void farm_actions_clear(struct farm_actions *a)
{
    struct list *link;
    while ((link = list_pop(&a->datagrams)) != NULL)
        mem_free(list_entry(link, struct farm_datagram, link));
    msg_list_free(&a->deliveries);
    msg_list_free(&a->orders);
    roster_unref(a->roster);
    farm_actions_init(a);
}

static void set_card(struct farm *f)
{
    uint8_t card[MESH_CARD_MAX];
    uint64_t revision = membership_self(f->members)->revision;
    if (f->card_revision == revision)
        return;
    mesh_set_card(f->mesh, card, membership_card(f->members, card, sizeof card));
    f->card_revision = revision;
}

_Static_assert(MESH_BEACON_MAX >= ENTRY_COUNTS_BYTES_MAX, "any counts fit into a beacon");

/* The beacons say what this node says of itself now. */
static void set_beacon(struct farm *f, bool left)
{
    uint8_t counts[MESH_BEACON_MAX];
    uint64_t revision = left ? 0 : membership_self(f->members)->revision;
    if (!f->grouped || f->beacon_revision == revision)
        return;
    mesh_set_beacon(f->mesh, counts, membership_beacon(f->members, counts, sizeof counts));
    f->beacon_revision = revision;
    f->unflushed = true;
}

static bool make_members(struct farm *f, const struct farm_config *c, const struct entry *self,
                         uint64_t now_ns)
{
    struct member_config members = {
        .farm = c->name,
        .timing = c->timing,
        .join_count = c->join_count,
        .group = c->group.family != 0,
        .seed = c->seed,
    };
    memcpy(members.join, c->join, sizeof members.join);
    f->members = membership_new(&members, self, now_ns);
    return f->members != NULL;
}

static bool make_mesh(struct farm *f, const struct farm_config *c, const struct entry *self)
{
    struct mesh_config mesh;
    f->seal = c->keys != NULL ? seal_new_keys(c->name, c->keys, self->node, self->inc)
                              : seal_new(c->name, c->key, self->node, self->inc);
    if (f->seal == NULL || !farm_keys_make(f))
        return false;
    mesh_config_default(&mesh);
    mesh.node = self->node;
    mesh.inc = self->inc;
    mesh.seal = f->seal;
    mesh.seed = c->seed;
    mesh.group = c->group;
    f->mesh = mesh_new(&mesh);
    return f->mesh != NULL;
}

struct farm *farm_new(const struct farm_config *c, const struct entry *self, uint64_t now_ns)
{
    struct farm *f = mem_alloc(sizeof *f);
    if (f == NULL)
        return NULL;
    mesh_actions_init(&f->mesh_out);
    member_actions_init(&f->member_out);
    f->mesh_deadline_ns = f->member_deadline_ns = now_ns;
    f->peers = mem_alloc(MEMBERS_MAX * sizeof f->peers[0]);
    f->contacts = mem_alloc(MEMBERS_MAX * sizeof f->contacts[0]);
    if (f->peers == NULL || f->contacts == NULL || !make_mesh(f, c, self) ||
        !make_members(f, c, self, now_ns)) {
        farm_free(f);
        return NULL;
    }
    f->grouped = c->group.family != 0;
    f->voter_count = c->voter_count;
    memcpy(f->voters, c->voters, sizeof f->voters);
    set_card(f);
    set_beacon(f, false);
    return f;
}

void farm_free(struct farm *f)
{
    if (f == NULL)
        return;
    mesh_actions_clear(&f->mesh_out);
    member_actions_clear(&f->member_out);
    mesh_free(f->mesh);
    membership_free(f->members);
    keys_talk_free(f->keys);
    seal_free(f->seal);
    mem_free(f->peers);
    mem_free(f->contacts);
    mem_free(f);
}

static void put_datagram(const struct mesh_output *o, struct farm_actions *out)
{
    struct farm_datagram *d = mem_alloc(sizeof *d + o->len);
    if (d == NULL)
        return; /* as if the network had lost it */
    d->to = o->addr;
    d->len = o->len;
    memcpy(d->bytes, o->bytes, o->len);
    list_append(&out->datagrams, &d->link);
}

static void put_delivery(struct farm *f, const struct mesh_output *o, uint64_t now_ns,
                         struct list *to)
{
    if (!membership_heard(f->members, o->inc, now_ns, &f->member_out))
        return;
    struct msg *m = msg_new(o->inc, o->len);
    if (m == NULL)
        return;
    memcpy(m->bytes, o->bytes, o->len);
    list_append(to, &m->link);
}

static void take_beacon(struct farm *f, const struct mesh_output *o, uint64_t now_ns)
{
    if (!membership_beacon_in(f->members, o->inc, o->bytes, o->len, now_ns, &f->member_out))
        mesh_greet(f->mesh, &o->addr, now_ns, &f->mesh_out);
}

void farm_notice_add(struct farm_actions *out, const struct farm_notice *n)
{
    if (out->notice_count < FARM_NOTICES_MAX)
        out->notices[out->notice_count++] = *n;
}

/* A peer hears the group no more, or does again. */
static void add_reach_notice(struct farm *f, const struct mesh_output *o, struct farm_actions *out)
{
    bool again = o->len > 0 && o->bytes[0] != 0;
    struct farm_notice n = {.what = again ? MEMBER_GROUP_REACHED : MEMBER_GROUP_UNREACHED,
                            .inc = o->inc,
                            .addr = o->addr};
    size_t count = membership_contacts(f->members, f->contacts, MEMBERS_MAX);
    for (size_t i = 0; i < count; i++)
        if (f->contacts[i].inc == o->inc)
            snprintf(n.name, sizeof n.name, "%s", f->contacts[i].name);
    farm_notice_add(out, &n);
}

static void take_mesh_output(struct farm *f, const struct mesh_output *o, uint64_t now_ns,
                             struct farm_actions *out)
{
    switch (o->type) {
    case MESH_OUT_DATAGRAM:
        put_datagram(o, out);
        break;
    case MESH_OUT_MESSAGE:
        if (o->channel == CHANNEL_ROSTER)
            membership_message(f->members, o->inc, o->bytes, o->len, now_ns, &f->member_out);
        else if (o->channel == CHANNEL_SESSION)
            put_delivery(f, o, now_ns, &out->deliveries);
        else if (o->channel == CHANNEL_ORDER)
            put_delivery(f, o, now_ns, &out->orders);
        else if (o->channel == CHANNEL_KEYS &&
                 membership_heard(f->members, o->inc, now_ns, &f->member_out))
            farm_keys_message(f, o->inc, o->bytes, o->len);
        break;
    case MESH_OUT_PROVEN:
        membership_proven(f->members, o->inc, o->node, &o->addr, o->bytes, o->len, now_ns,
                          &f->member_out);
        break;
    case MESH_OUT_REFUSED:
        membership_refused(f->members, o->inc, o->len > 0 ? -(int)o->bytes[0] : 0, now_ns,
                           &f->member_out);
        break;
    case MESH_OUT_FOREIGN:
        membership_foreign(f->members, &o->addr,
                           o->bytes[0] == SEAL_OTHER_VERSION ? MEMBER_FOREIGN_VERSION
                                                             : MEMBER_FOREIGN_KEY,
                           now_ns, &f->member_out);
        farm_keys_foreign(f, o, now_ns, out);
        break;
    case MESH_OUT_MOVED:
        membership_moved(f->members, o->inc, &o->addr, now_ns, &f->member_out);
        break;
    case MESH_OUT_BEACON:
        take_beacon(f, o, now_ns);
        break;
    case MESH_OUT_GROUP:
        farm_notice_add(out, &(struct farm_notice){.what = o->len > 0 && o->bytes[0] != 0
                                                               ? MEMBER_GROUP_SILENT
                                                               : MEMBER_GROUP_HEARD});
        break;
    case MESH_OUT_REACH:
        add_reach_notice(f, o, out);
        break;
    }
}

static void put_notice(const struct member_output *o, struct farm_actions *out)
{
    struct farm_notice n = {.what = o->notice, .reason = o->reason, .inc = o->inc, .addr = o->addr};
    memcpy(n.name, o->name, sizeof n.name);
    farm_notice_add(out, &n);
}

static void take_member_output(struct farm *f, const struct member_output *o, uint64_t now_ns,
                               struct farm_actions *out)
{
    switch (o->type) {
    case MEMBER_OUT_SEND:
        /* A full queue is as good as loss: heartbeats come again, and lists. */
        (void)mesh_send(f->mesh, o->inc, CHANNEL_ROSTER, o->reliable, o->bytes, o->len, now_ns);
        f->unflushed = true;
        break;
    case MEMBER_OUT_HELLO:
        mesh_hello(f->mesh, &o->addr, now_ns, &f->mesh_out);
        break;
    case MEMBER_OUT_ADMIT:
        /* Without memory it stays unheard, is counted out, and proves itself anew. */
        if (mesh_admit(f->mesh, o->inc, o->node, &o->addr, now_ns) == STEAD_OK)
            farm_keys_met(f, o->inc);
        f->unflushed = true;
        break;
    case MEMBER_OUT_REFUSE:
        mesh_refuse(f->mesh, o->inc, &o->addr, o->reason, now_ns, &f->mesh_out);
        break;
    case MEMBER_OUT_REMOVE:
        mesh_remove(f->mesh, o->inc);
        farm_keys_gone(f, o->inc);
        break;
    case MEMBER_OUT_NOTICE:
        if (o->notice == MEMBER_CONTACT_LOST)
            mesh_drop_waiting(f->mesh, o->inc);
        put_notice(o, out);
        break;
    }
}

/* Until both are quiet. It ends: hellos and refusals make datagrams only, and no message is
 * answered twice. */
static void pump(struct farm *f, uint64_t now_ns, struct farm_actions *out)
{
    for (;;) {
        struct list *link = list_pop(&f->mesh_out.outputs);
        if (link != NULL) {
            struct mesh_output *o = list_entry(link, struct mesh_output, link);
            take_mesh_output(f, o, now_ns, out);
            mesh_output_free(o);
            continue;
        }
        link = list_pop(&f->member_out.outputs);
        if (link == NULL)
            return;
        struct member_output *o = list_entry(link, struct member_output, link);
        take_member_output(f, o, now_ns, out);
        mem_free(o);
    }
}

/* What the members said beside their outputs. */
static void take_flags(struct farm *f, uint64_t now_ns, struct farm_actions *out)
{
    struct member_actions *a = &f->member_out;
    if (a->roster_changed) {
        struct roster *r = membership_roster(f->members, now_ns);
        if (r != NULL) {
            roster_unref(out->roster);
            out->roster = r;
        }
    }
    out->view_changed = out->view_changed || a->view_changed;
    out->refused = out->refused || a->refused;
    if (a->deadline_ns != TIME_NEVER)
        f->member_deadline_ns = a->deadline_ns;
    a->roster_changed = a->view_changed = a->refused = false;
    a->deadline_ns = TIME_NEVER;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The end of every event: both are brought to rest, and the next deadline is known. */
static void settle(struct farm *f, uint64_t now_ns, struct farm_actions *out)
{
    pump(f, now_ns, out);
    take_flags(f, now_ns, out);
    f->mesh_deadline_ns = least(f->mesh_deadline_ns, f->mesh_out.deadline_ns);
    out->deadline_ns =
        least(least(f->mesh_deadline_ns, f->member_deadline_ns), keys_talk_deadline_ns(f->keys));
    if (f->unflushed)
        out->deadline_ns = now_ns;
}

void farm_datagram_in(struct farm *f, const struct addr *from, const uint8_t *bytes, size_t len,
                      uint64_t now_ns, struct farm_actions *out)
{
    mesh_datagram(f->mesh, from, bytes, len, now_ns, &f->mesh_out);
    farm_keys_heard(f, now_ns);
    settle(f, now_ns, out);
}

static int send_on(struct farm *f, enum mesh_channel channel, const struct msg *m, uint64_t now_ns)
{
    int rc = mesh_send(f->mesh, m->peer, channel, true, m->bytes, m->len, now_ns);
    f->unflushed = f->unflushed || rc == STEAD_OK;
    return rc;
}

_Static_assert(MSG_OWN_BYTES == MESH_OWN_BYTES && MSG_ALSO_MAX + 1 <= MESH_RECEIVERS_MAX,
               "any message to several can be sent");

static int send_many(struct farm *f, const struct msg *m, uint64_t now_ns)
{
    struct mesh_to to[MSG_ALSO_MAX + 1] = {{.inc = m->peer}};
    memcpy(to[0].own, m->bytes + m->own_at, MSG_OWN_BYTES);
    for (unsigned i = 0; i < m->also_count; i++) {
        to[i + 1].inc = m->also[i].peer;
        memcpy(to[i + 1].own, m->also[i].own, MSG_OWN_BYTES);
    }
    unsigned took = mesh_send_many(f->mesh, to, m->also_count + 1u, CHANNEL_SESSION, m->own_at,
                                   m->bytes, m->len, now_ns);
    f->unflushed = f->unflushed || took != 0;
    return took ? STEAD_OK : STEAD_E_BUSY;
}

int farm_send(struct farm *f, const struct msg *m, uint64_t now_ns)
{
    if (m->also_count > 0)
        return send_many(f, m, now_ns);
    return send_on(f, CHANNEL_SESSION, m, now_ns);
}

int farm_send_order(struct farm *f, const struct msg *m, uint64_t now_ns)
{
    return send_on(f, CHANNEL_ORDER, m, now_ns);
}

void farm_set_self(struct farm *f, const struct entry *self, uint64_t now_ns,
                   struct farm_actions *out)
{
    membership_set_self(f->members, self, now_ns, &f->member_out);
    set_card(f);
    set_beacon(f, false);
    settle(f, now_ns, out);
}

void farm_doubt(struct farm *f, uint64_t node, uint64_t now_ns, struct farm_actions *out)
{
    membership_doubt(f->members, node, now_ns, &f->member_out);
    settle(f, now_ns, out);
}

void farm_leave(struct farm *f, uint64_t now_ns, struct farm_actions *out)
{
    membership_leave(f->members, now_ns, &f->member_out);
    f->member_deadline_ns = TIME_NEVER;
    set_beacon(f, true);
    settle(f, now_ns, out);
}

void farm_tick(struct farm *f, uint64_t now_ns, struct farm_actions *out)
{
    if (now_ns >= f->member_deadline_ns) {
        f->member_deadline_ns = TIME_NEVER;
        membership_tick(f->members, now_ns, &f->member_out);
        set_beacon(f, false);
    }
    for (int i = 0; i < FLUSHES_MAX; i++) {
        pump(f, now_ns, out);
        farm_keys_send(f, now_ns);
        if (i > 0 && !f->unflushed)
            break;
        f->unflushed = false;
        f->mesh_out.deadline_ns = TIME_NEVER;
        mesh_flush(f->mesh, now_ns, &f->mesh_out);
        f->mesh_deadline_ns = f->mesh_out.deadline_ns;
    }
    settle(f, now_ns, out);
}

static enum peer_state peer_state_of(enum status s)
{
    switch (s) {
    case STATUS_JOINING:
        return PEER_JOINING;
    case STATUS_UP:
    case STATUS_FULL:
    case STATUS_MAINT:
    case STATUS_SUSPECT:
        return PEER_UP;
    case STATUS_DRAINING:
        return PEER_LEAVING;
    case STATUS_LEFT:
        return PEER_LEFT;
    case STATUS_DOWN:
        break;
    }
    return PEER_DOWN;
}

/* From 1; 0: it is none. */
static uint8_t voter_of(const struct farm *f, const char *name)
{
    for (size_t i = 0; i < f->voter_count; i++)
        if (strcmp(f->voters[i], name) == 0)
            return (uint8_t)(i + 1);
    return 0;
}

const struct session_view *farm_view(struct farm *f)
{
    const struct entry *self = membership_self(f->members);
    size_t count = membership_contacts(f->members, f->contacts, MEMBERS_MAX);
    assert(count <= MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct member_contact *c = &f->contacts[i];
        f->peers[i] = (struct peer_view){
            .inc = c->inc,
            .node = c->node,
            .state = peer_state_of(c->status),
            .holds = c->holds,
            .mate = c->mate,
            .wish = c->wish,
            .repository = c->repository,
            .zone = c->zone,
            .voter = voter_of(f, c->name),
            .lease_until_ns = c->lease_until_ns,
            .counted = c->counted,
            .granted = c->granted,
        };
    }
    f->view = (struct session_view){
        .self_inc = self->inc,
        .self_node = self->node,
        .self_state = peer_state_of(self->status),
        .self_holds = self->holds,
        .self_zone = membership_zone(f->members),
        .voters = (uint8_t)f->voter_count,
        .self_voter = voter_of(f, self->name),
        .peer_count = count,
        .peers = f->peers,
    };
    return &f->view;
}

const struct entry *farm_self(const struct farm *f)
{
    return membership_self(f->members);
}

bool farm_found(const struct farm *f, bool *alone)
{
    return membership_found(f->members, alone);
}

size_t farm_addresses(const struct farm *f, struct addr *out, size_t max)
{
    return membership_addresses(f->members, out, max);
}

void farm_derive(const struct farm *f, const char *purpose, uint8_t out[32])
{
    seal_derive(f->seal, purpose, out);
}

void farm_stats(const struct farm *f, struct mesh_stats *mesh, struct member_stats *members)
{
    mesh_stats(f->mesh, mesh);
    membership_stats(f->members, members);
}
