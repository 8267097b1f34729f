/* mesh_datagram_fuzz.c - what a member with the farm's key can say. The first byte chooses: 0, raw
 * datagrams; 1, bodies under the right key; 255, bodies to everybody; 254, the units after a FLOW
 * to everybody that names the present epochs; else the units after a LINK between them. What two
 * peers are sent by the group waits for their answers meanwhile. The rest is cut into frames by a
 * length of two bytes before each. */
#include "base/clock.h"
#include "core/mesh/mesh.h"
#include "core/mesh/unit.h"
#include "fuzz_check.h"

#include "stead/error.h"

#include <string.h>

#define SELF_INC 11u
#define PEER_INC 22u
#define PEER_EPOCH 33u
#define OTHER_INC 23u
#define FLOW_HIGH 9u
#define OUTPUTS_MAX 100000u /* far more than any input may cause */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct seal *self, *peer, *other;
    struct mesh *mesh;
    struct addr addr;
    uint32_t epoch, other_epoch; /* the mesh's, for the peers */
    uint64_t now_ns, to;         /* who frames are for */
};

/* Reads the outputs, and learns the epoch that the mesh names. */
static void take_outputs(struct target *t, struct mesh_actions *a)
{
    unsigned count = 0;
    struct list *link;
    while ((link = list_pop(&a->outputs))) {
        struct mesh_output *o = list_entry(link, struct mesh_output, link);
        CHECK(++count < OUTPUTS_MAX);
        CHECK(o->type != MESH_OUT_MESSAGE || (o->inc == PEER_INC && o->len <= MESH_MESSAGE_MAX));
        CHECK(o->type != MESH_OUT_BEACON || o->len <= MESH_BEACON_MAX);
        CHECK(o->type != MESH_OUT_PROVEN || o->inc != SELF_INC);
        if (o->type == MESH_OUT_DATAGRAM) {
            uint8_t body[MESH_FRAME_MAX];
            size_t len = 0;
            struct frame_header h;
            CHECK(o->len <= MESH_FRAME_MAX);
            CHECK(seal_open(t->peer, o->bytes, o->len, &h, body, &len) == STEAD_OK);
            CHECK(unit_check_body(body, len)); /* it says nothing that it would not take */
            struct wire_reader r;
            struct unit u;
            wire_reader_init(&r, body, len);
            if (unit_next(&r, &u) && u.type == UNIT_LINK)
                *(o->inc == OTHER_INC ? &t->other_epoch : &t->epoch) = u.link.own;
        }
        mesh_output_free(o);
    }
}

static void datagram(struct target *t, const uint8_t *bytes, size_t len)
{
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_datagram(t->mesh, &t->addr, bytes, len, t->now_ns, &a);
    take_outputs(t, &a);
    mesh_flush(t->mesh, t->now_ns, &a);
    CHECK(a.deadline_ns > t->now_ns);
    take_outputs(t, &a);
    t->now_ns += NS_PER_MS;
}

enum first { FIRST_NONE, FIRST_LINK, FIRST_FLOW };

static void put_first(struct target *t, enum first first, struct wire_writer *w)
{
    uint8_t entry[UNIT_FLOW_ENTRY_BYTES];
    struct wire_writer table;
    struct unit_flow_entry e = {PEER_EPOCH, t->epoch, FLOW_HIGH, 3};
    wire_writer_init(&table, entry, sizeof entry);
    unit_put_flow_entry(&table, &e);
    struct unit link = {.type = UNIT_LINK,
                        .link = {.own = PEER_EPOCH, .yours = t->epoch, .number = t->now_ns}};
    struct unit flow = {.type = UNIT_FLOW, .flow = {.count = 1, .table = entry}};
    if (first != FIRST_NONE)
        unit_put(w, first == FIRST_LINK ? &link : &flow);
}

static void body(struct target *t, enum first first, const uint8_t *bytes, size_t len)
{
    static uint8_t text[MESH_FRAME_MAX - FRAME_OVERHEAD], frame[MESH_FRAME_MAX];
    struct wire_writer w;
    size_t frame_len = 0;
    wire_writer_init(&w, text, sizeof text);
    put_first(t, first, &w);
    size_t room = (size_t)(w.end - w.at);
    wire_put_bytes(&w, bytes, len < room ? len : room);
    CHECK(seal_frame(t->peer, t->to, text, wire_written(&w), frame, &frame_len) == STEAD_OK);
    datagram(t, frame, frame_len);
}

/* Both peers hear the group, and are sent something by it. */
static void share(struct target *t)
{
    static const uint8_t hears[] = {UNIT_HEARS, 0, 0, 0, 0, 0, 0, 0, 9};
    uint8_t bytes[300] = {5}, frame[MESH_FRAME_MIN];
    struct mesh_to to[2] = {{.inc = PEER_INC, .own = {1}}, {.inc = OTHER_INC, .own = {2}}};
    struct wire_writer w;
    size_t len = 0;
    body(t, FIRST_LINK, hears, sizeof hears);
    struct unit u = {.type = UNIT_LINK, .link = {.own = PEER_EPOCH, .yours = t->other_epoch}};
    wire_writer_init(&w, bytes, sizeof bytes);
    unit_put(&w, &u);
    wire_put_bytes(&w, hears, sizeof hears);
    CHECK(seal_frame(t->other, SELF_INC, bytes, wire_written(&w), frame, &len) == STEAD_OK);
    datagram(t, frame, len);
    for (int i = 0; i < 4; i++)
        CHECK(mesh_send_many(t->mesh, to, 2, CHANNEL_SESSION, 8, bytes, sizeof bytes, t->now_ns) ==
              3);
    body(t, FIRST_LINK, NULL, 0);
    struct mesh_stats s;
    mesh_stats(t->mesh, &s);
    CHECK(s.group_copies == 8);
}

static void target_init(struct target *t)
{
    static const uint8_t key[FARM_KEY_BYTES] = {1};
    struct mesh_config c;
    mesh_config_default(&c);
    *t = (struct target){
        .addr = {.family = 4, .port = 1, .ip = {127, 0, 0, 1}}, .now_ns = NS_PER_S, .to = SELF_INC};
    t->self = seal_new("fuzz", key, 1, SELF_INC);
    t->peer = seal_new("fuzz", key, 2, PEER_INC);
    t->other = seal_new("fuzz", key, 3, OTHER_INC);
    c.node = 1;
    c.inc = SELF_INC;
    c.seal = t->self;
    c.group = (struct addr){.family = 4, .port = 2, .ip = {239, 1, 2, 3}};
    c.reassembly_bytes = 2u << 20;
    t->mesh = mesh_new(&c);
    CHECK(t->self && t->peer && t->other && t->mesh);
    CHECK(mesh_admit(t->mesh, PEER_INC, 2, &t->addr, t->now_ns) == STEAD_OK);
    CHECK(mesh_admit(t->mesh, OTHER_INC, 3, &t->addr, t->now_ns) == STEAD_OK);
    uint8_t message[3000] = {0};
    CHECK(mesh_send(t->mesh, PEER_INC, CHANNEL_SESSION, true, message, sizeof message, t->now_ns) ==
          STEAD_OK);
    mesh_set_beacon(t->mesh, message, MESH_BEACON_MAX);
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_flush(t->mesh, t->now_ns, &a);
    take_outputs(t, &a);
    body(t, FIRST_LINK, NULL, 0);
    share(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct target t;
    struct wire_reader r;
    wire_reader_init(&r, data, size);
    uint8_t how = wire_u8(&r);
    target_init(&t);
    t.to = how >= 254 ? 0 : SELF_INC;
    enum first first = how == 254 ? FIRST_FLOW : how > 1 && how != 255 ? FIRST_LINK : FIRST_NONE;
    while (wire_left(&r) > 0) {
        size_t len = wire_u16(&r);
        len = len < wire_left(&r) ? len : wire_left(&r);
        const uint8_t *bytes = wire_bytes(&r, len);
        if (!wire_ok(&r))
            break;
        if (how == 0)
            datagram(&t, bytes, len);
        else
            body(&t, first, bytes, len);
    }
    mesh_free(t.mesh);
    seal_free(t.self);
    seal_free(t.peer);
    seal_free(t.other);
    return 0;
}
