/* session_message_fuzz.c - what a member of the farm can say to a shard that owns some records,
 * keeps copies of others, and waits for answers. The input is cut into messages: one byte that
 * chooses the sender and what happens between, two bytes of length, the message. Whatever it says,
 * nothing that this node says next is malformed, and nothing waits for ever. */
#include "base/clock.h"
#include "core/session/session.h"
#include "fuzz_check.h"

#include <string.h>

#define SELF_INC 100u
#define PEERS 2
#define KINDS 3
#define SENDS_MAX 100000u /* far more than any input may cause */
#define DEADLINE_NS (2 * NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct session *shard;
    uint64_t now_ns;
    struct peer_view peers[PEERS];
    unsigned sends;
};

static void take(struct target *t, struct session_actions *a)
{
    struct list *l;
    while ((l = list_pop(&a->sends))) {
        struct msg *m = list_entry(l, struct msg, link);
        struct key key;
        CHECK(++t->sends < SENDS_MAX);
        CHECK(session_message_key(m->bytes, m->len, &key));
        CHECK(m->peer != SELF_INC);
        msg_free(m);
    }
    session_actions_clear(a);
}

static void step(struct target *t, const struct session_event *ev)
{
    struct session_actions a;
    session_actions_init(&a);
    session_step(t->shard, ev, t->now_ns, &a);
    take(t, &a);
}

static void message(struct target *t, uint64_t from, const uint8_t *bytes, size_t len)
{
    struct session_event ev = {.type = SESSION_EV_MESSAGE,
                               .message = {.from = from, .bytes = bytes, .len = len}};
    struct session_slice slice = {.bytes = bytes, .len = len};
    if (len & 1) { /* as what comes in bulk */
        ev.type = SESSION_EV_BATCH;
        ev.batch.slices = &slice;
        ev.batch.count = 1;
    }
    step(t, &ev);
}

static void view(struct target *t)
{
    for (unsigned i = 0; i < PEERS; i++)
        t->peers[i].lease_until_ns = t->now_ns + NS_PER_S;
    struct session_view v = {.self_inc = SELF_INC,
                             .self_node = SELF_INC,
                             .self_state = PEER_UP,
                             .self_holds = true,
                             .peer_count = PEERS,
                             .peers = t->peers};
    struct session_event ev = {.type = SESSION_EV_VIEW, .view = &v};
    step(t, &ev);
}

static void pass(struct target *t, uint64_t ns)
{
    struct session_event tick = {.type = SESSION_EV_TICK};
    t->now_ns += ns;
    step(t, &tick);
}

static void operate(struct target *t, enum session_op_type type, uint8_t kind, const char *name)
{
    static const struct field_op set = {.type = FIELD_SET,
                                        .name = (const uint8_t *)"a",
                                        .name_len = 1,
                                        .value = (const uint8_t *)"1",
                                        .value_len = 1};
    struct key key;
    CHECK(key_set(&key, kind, name, strlen(name)));
    struct session_event ev = {.type = SESSION_EV_OP,
                               .op = {.type = type,
                                      .key = &key,
                                      .ops = &set,
                                      .op_count = type == SESSION_READ ? 0 : 1,
                                      .deadline_ns = t->now_ns + DEADLINE_NS,
                                      .request = 1}};
    step(t, &ev);
}

static void between(struct target *t, uint8_t what)
{
    struct peer_view *p = &t->peers[what & 1];
    if (what & 0x80)
        operate(t, SESSION_CHANGE, what >> 4 & 1, what & 2 ? "k" : "l");
    if (what & 0x40)
        pass(t, 20 * NS_PER_MS);
    if (what & 0x20) {
        p->state = p->state == PEER_UP ? PEER_DOWN : PEER_UP;
        p->counted += p->state == PEER_DOWN;
        view(t);
    }
    if (what & 0x08) {
        p->granted++;
        view(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kinds kinds = {
        .count = KINDS,
        .kind = {{.name = "own", .copies = 1, .ack = ACK_ALL},
                 {.name = "kept", .copies = 2, .ack = ACK_ALL, .deletion = DELETE_VERSIONED},
                 {.name = "brief", .copies = 2, .sliding = true, .ttl_ms = 1000, .losable = true}}};
    struct target t = {.now_ns = 1000 * NS_PER_S};
    struct session_config c;
    session_config_default(&c);
    c.kinds = &kinds;
    c.memory_bytes = 8u << 20;
    c.seed = 1;
    CHECK((t.shard = session_new(&c, t.now_ns)) != NULL);
    for (unsigned i = 0; i < PEERS; i++)
        t.peers[i] = (struct peer_view){
            .inc = 110 + 10 * i, .node = 110 + 10 * i, .state = PEER_UP, .holds = true};
    view(&t);
    operate(&t, SESSION_CREATE, 0, "k");
    operate(&t, SESSION_CREATE, 1, "k");
    operate(&t, SESSION_CREATE, 2, "k");
    operate(&t, SESSION_READ, 1, "l");
    while (size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len < size - 3 ? len : size - 3;
        between(&t, data[0]);
        message(&t, t.peers[data[0] & 1].inc, data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    /* Nobody answers any more: what waits ends by its deadline, a forwarded operation's included.
     */
    for (unsigned i = 0; i < 8; i++)
        pass(&t, NS_PER_S);
    struct session_stats st;
    session_stats(t.shard, &st);
    CHECK(st.waiting == 0);
    CHECK(st.memory_bytes <= c.memory_bytes);
    session_free(t.shard);
    return 0;
}
