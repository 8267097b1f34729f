/* mesh_datagram_fuzz.c - what a member with the farm's key can say. The first byte chooses: 0, raw
 * datagrams; 1, bodies under the right key; 255, bodies to everybody; else the units after a LINK
 * between the present epochs.
 * The rest is cut into frames by a length of two bytes before each. */
#include "base/clock.h"
#include "core/mesh/mesh.h"
#include "core/mesh/unit.h"
#include "fuzz_check.h"

#include "stead/error.h"

#include <string.h>

#define SELF_INC 11u
#define PEER_INC 22u
#define PEER_EPOCH 33u
#define OUTPUTS_MAX 100000u /* far more than any input may cause */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct seal *self, *peer;
    struct mesh *mesh;
    struct addr addr;
    uint32_t epoch;      /* the mesh's, for the peer */
    uint64_t now_ns, to; /* who frames are for */
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
                t->epoch = u.link.own;
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

static void body(struct target *t, bool link, const uint8_t *bytes, size_t len)
{
    static uint8_t text[MESH_FRAME_MAX - FRAME_OVERHEAD], frame[MESH_FRAME_MAX];
    struct wire_writer w;
    size_t frame_len = 0;
    wire_writer_init(&w, text, sizeof text);
    struct unit u = {.type = UNIT_LINK,
                     .link = {.own = PEER_EPOCH, .yours = t->epoch, .number = t->now_ns}};
    if (link)
        unit_put(&w, &u);
    size_t room = (size_t)(w.end - w.at);
    wire_put_bytes(&w, bytes, len < room ? len : room);
    CHECK(seal_frame(t->peer, t->to, text, wire_written(&w), frame, &frame_len) == STEAD_OK);
    datagram(t, frame, frame_len);
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
    c.node = 1;
    c.inc = SELF_INC;
    c.seal = t->self;
    c.group = (struct addr){.family = 4, .port = 2, .ip = {239, 1, 2, 3}};
    c.reassembly_bytes = 2u << 20;
    t->mesh = mesh_new(&c);
    CHECK(t->self && t->peer && t->mesh);
    CHECK(mesh_admit(t->mesh, PEER_INC, 2, &t->addr, t->now_ns) == STEAD_OK);
    uint8_t message[3000] = {0};
    CHECK(mesh_send(t->mesh, PEER_INC, CHANNEL_SESSION, true, message, sizeof message, t->now_ns) ==
          STEAD_OK);
    mesh_set_beacon(t->mesh, message, MESH_BEACON_MAX);
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_flush(t->mesh, t->now_ns, &a);
    take_outputs(t, &a);
    body(t, true, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct target t;
    struct wire_reader r;
    wire_reader_init(&r, data, size);
    uint8_t how = wire_u8(&r);
    target_init(&t);
    t.to = how == 255 ? 0 : SELF_INC;
    while (wire_left(&r) > 0) {
        size_t len = wire_u16(&r);
        len = len < wire_left(&r) ? len : wire_left(&r);
        const uint8_t *bytes = wire_bytes(&r, len);
        if (!wire_ok(&r))
            break;
        if (how == 0)
            datagram(&t, bytes, len);
        else
            body(&t, how > 1 && how != 255, bytes, len);
    }
    mesh_free(t.mesh);
    seal_free(t.self);
    seal_free(t.peer);
    return 0;
}
