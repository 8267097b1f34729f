/* message_test.c - what one shard says the other understands, and what no shard says is refused
 * whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/session/message.h"
#include "stead/error.h"

#include <string.h>

static const struct field_op ops[] = {
    {.type = FIELD_SET,
     .name = (const uint8_t *)"a",
     .name_len = 1,
     .value = (const uint8_t *)"value",
     .value_len = 5},
    {.type = FIELD_DELETE, .name = (const uint8_t *)"b", .name_len = 1},
    {.type = FIELD_ADD, .name = (const uint8_t *)"", .name_len = 0, .amount = -3},
};

static struct record *sample(const struct key *key)
{
    struct stamp first = {3, 9, 7};
    struct record *r = record_new(key);
    assert_non_null(r);
    assert_int_equal(record_apply(r, ops, 1, &first, 1), STEAD_OK);
    return r;
}

static struct message full(enum message_type type)
{
    struct message m = {.type = type,
                        .token = 0x1122334455667788,
                        .stamp = {3, 9, 7},
                        .peer = 5,
                        .counted = 1,
                        .granted = 2,
                        .digest = 77,
                        .left_ms = 1000,
                        .status = 3,
                        .hops = 2,
                        .copies = 2,
                        .origin = 1,
                        .index = 1,
                        .count = 4,
                        .op = {.type = SESSION_CHANGE,
                               .ttl_ms = 12,
                               .ops = ops,
                               .op_count = 3,
                               .has_match = true,
                               .match = {3, 8, 0},
                               .min_term = 3,
                               .min_version = 9}};
    assert_true(key_set(&m.key, 1, "key", 3));
    return m;
}

static struct msg *encoded(enum message_type type)
{
    struct message m = full(type);
    struct record *r = sample(&m.key);
    struct msg *out = message_encode(&m, r, 42);
    assert_non_null(out);
    assert_int_equal(out->peer, 42);
    record_free(r);
    return out;
}

static void what_is_said_is_understood(void **state)
{
    (void)state;
    for (int type = MESSAGE_FORWARD; type <= MESSAGE_HEARD; type++) {
        struct msg *out = encoded((enum message_type)type);
        struct message m;
        struct key key;
        int err = STEAD_E_PARSE;
        bool keyed = type != MESSAGE_SYNC && type != MESSAGE_SYNCED;
        assert_int_equal(message_decode(out->bytes, out->len, &m), STEAD_OK);
        assert_int_equal(m.type, type);
        assert_true(session_message_key(out->bytes, out->len, &key));
        assert_int_equal(key.len, keyed ? 3 : 0);
        assert_true(!keyed || key_equal(&key, &m.key));
        if (m.record) {
            struct record *r = message_record(&m, 1, &err);
            assert_non_null(r);
            assert_int_equal(err, STEAD_OK);
            assert_memory_equal(field_value(record_get(r, "a", 1)), "value", 5);
            record_free(r);
        }
        message_op_free(&m);
        msg_free(out);
    }
}

static void an_operation_arrives_whole(void **state)
{
    (void)state;
    struct msg *out = encoded(MESSAGE_FORWARD);
    struct message m;
    assert_int_equal(message_decode(out->bytes, out->len, &m), STEAD_OK);
    assert_int_equal(m.hops, 2);
    assert_int_equal(m.op.type, SESSION_CHANGE);
    assert_int_equal(m.op.ttl_ms, 12);
    assert_true(m.op.has_match);
    assert_int_equal(m.op.match.version, 8);
    assert_int_equal(m.op.min_version, 9);
    assert_int_equal(m.op.op_count, 3);
    assert_int_equal(m.op.ops[1].type, FIELD_DELETE);
    assert_int_equal(m.op.ops[2].amount, -3);
    message_op_free(&m);
    msg_free(out);
}

static void what_ends_early_or_late_is_refused(void **state)
{
    (void)state;
    for (int type = MESSAGE_FORWARD; type <= MESSAGE_HEARD; type++) {
        struct msg *out = encoded((enum message_type)type);
        struct message m;
        for (size_t len = 0; len < out->len; len++) {
            uint8_t *exact = mem_dup(out->bytes, len);
            int err = message_decode(exact, len, &m);
            if (err == STEAD_OK) {
                /* Only the record's own bytes are left to its decoder. */
                assert_non_null(m.record);
                assert_null(message_record(&m, 1, &err));
                assert_int_equal(err, STEAD_E_PARSE);
                message_op_free(&m);
            }
            mem_free(exact);
        }
        uint8_t longer[1024] = {0};
        assert_true(out->len < sizeof(longer));
        memcpy(longer, out->bytes, out->len);
        int err = message_decode(longer, out->len + 1, &m);
        if (err == STEAD_OK) {
            assert_non_null(m.record);
            assert_null(message_record(&m, 1, &err));
            message_op_free(&m);
        }
        msg_free(out);
    }
}

static void changed_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    for (int type = MESSAGE_FORWARD; type <= MESSAGE_HEARD; type++) {
        struct msg *out = encoded((enum message_type)type);
        for (int i = 0; i < 2000; i++) {
            uint8_t *bytes = mem_dup(out->bytes, out->len);
            struct message m;
            int err;
            for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
                bytes[rng_below(&rng, out->len)] = (uint8_t)rng_u64(&rng);
            if (message_decode(bytes, out->len, &m) == STEAD_OK) {
                assert_true(m.stamp.term <= UINT64_MAX >> 1);
                assert_true(m.op.op_count <= RECORD_FIELDS_MAX);
                record_free(message_record(&m, 1, &err));
                message_op_free(&m);
            }
            mem_free(bytes);
        }
        msg_free(out);
    }
}

static void a_stamp_that_cannot_be_counted_on_from_is_refused(void **state)
{
    (void)state;
    struct message m = full(MESSAGE_DROP), back;
    m.stamp.term = UINT64_MAX;
    struct msg *out = message_encode(&m, NULL, 1);
    assert_non_null(out);
    assert_int_equal(message_decode(out->bytes, out->len, &back), STEAD_E_PARSE);
    msg_free(out);
}

static void a_record_of_another_key_is_refused(void **state)
{
    (void)state;
    struct message m = full(MESSAGE_OFFER), back;
    struct key other;
    int err;
    assert_true(key_set(&other, 1, "other", 5));
    struct record *r = sample(&other);
    struct msg *out = message_encode(&m, r, 1);
    assert_non_null(out);
    assert_int_equal(message_decode(out->bytes, out->len, &back), STEAD_OK);
    assert_null(message_record(&back, 1, &err));
    assert_int_equal(err, STEAD_E_PARSE);
    record_free(r);
    msg_free(out);
}

static void memory_may_fail(void **state)
{
    (void)state;
    struct message m = full(MESSAGE_FORWARD), back;
    mem_fail_after(1);
    assert_null(message_encode(&m, NULL, 1));
    struct msg *out = encoded(MESSAGE_FORWARD);
    mem_fail_after(1);
    assert_int_equal(message_decode(out->bytes, out->len, &back), STEAD_E_NOMEM);
    mem_fail_after(0);
    msg_free(out);
}

/* Each as if it had been encoded for that node alone. */
static void several_are_told_by_one(void **state)
{
    (void)state;
    struct msg *told = encoded(MESSAGE_REPLICATE);
    struct message m = full(MESSAGE_REPLICATE);
    struct record *r = sample(&m.key);
    m.counted = 0x0102030405060708;
    m.granted = 9;
    assert_int_equal(message_also(told, &m, 43), STEAD_OK);
    struct msg *one = msg_of(told, 0), *alone = message_encode(&m, r, 43);
    assert_non_null(one);
    assert_non_null(alone);
    assert_int_equal(one->peer, 43);
    assert_int_equal(one->len, alone->len);
    assert_memory_equal(one->bytes, alone->bytes, alone->len);
    assert_memory_not_equal(one->bytes, told->bytes, told->len);
    record_free(r);
    msg_free(one);
    msg_free(alone);
    msg_free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_understood),
        cmocka_unit_test(several_are_told_by_one),
        cmocka_unit_test(an_operation_arrives_whole),
        cmocka_unit_test(what_ends_early_or_late_is_refused),
        cmocka_unit_test(changed_bytes_are_refused_or_harmless),
        cmocka_unit_test(a_stamp_that_cannot_be_counted_on_from_is_refused),
        cmocka_unit_test(a_record_of_another_key_is_refused),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
