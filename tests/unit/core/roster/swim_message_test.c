/* swim_message_test.c - the bytes of SWIM's messages: what is said is understood, and anything cut
 * short, drawn out or out of range is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roster/swim_message.h"

#include <stdio.h>
#include <string.h>

static struct entry entry_of(uint64_t inc)
{
    struct entry e = {.node = 3,
                      .inc = inc,
                      .boot = 1,
                      .revision = 4,
                      .shape = 2,
                      .status = STATUS_UP,
                      .address = {.family = 4, .port = 7946, .ip = {10, 0, 0, 1}},
                      .server_count = 1,
                      .servers = {{.service = "www.test", .weight = 1, .users = 7}}};
    strcpy(e.name, "alpha");
    return e;
}

static uint8_t bytes[SWIM_PAGE_BYTES];

static struct wire_writer fresh(void)
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    return w;
}

static bool decode(const struct wire_writer *w, struct swim_message *m)
{
    return swim_message_decode(w->start, wire_written(w), m);
}

/* Every shorter and a longer version of a good message is refused. */
static void refuse_others(const struct wire_writer *w, bool open_ended)
{
    static struct swim_message m;
    uint8_t copy[4096];
    size_t len = wire_written(w);
    assert_true(len + 1 <= sizeof copy);
    memcpy(copy, w->start, len);
    copy[len] = 0xff;
    for (size_t cut = 0; cut < len && !open_ended; cut++)
        assert_false(swim_message_decode(copy, cut, &m));
    assert_false(swim_message_decode(copy, len + 1, &m));
}

static void test_heads(void **state)
{
    static struct swim_message m;
    (void)state;
    struct wire_writer w = fresh();
    swim_put_head(&w, SWIM_ASK, 9, 77, 1234);
    assert_true(decode(&w, &m));
    assert_int_equal(m.type, SWIM_ASK);
    assert_int_equal(m.life, 9);
    assert_int_equal(m.seq, 77);
    assert_int_equal(m.target, 1234);
    refuse_others(&w, false);
    w = fresh();
    swim_put_head(&w, SWIM_ASK, 9, 77, 0);
    assert_false(decode(&w, &m));
    w = fresh();
    swim_put_head(&w, SWIM_NEWS, 5, 77, 0);
    assert_true(decode(&w, &m));
    assert_int_equal(m.seq, 0);
    assert_int_equal(wire_left(&m.records), 0);
    for (unsigned type = 0; type < 256; type++) {
        bytes[0] = (uint8_t)type;
        if (type < SWIM_TYPE_FIRST || type > SWIM_TYPE_LAST)
            assert_false(decode(&w, &m));
    }
}

static void test_news(void **state)
{
    static struct swim_message m;
    static struct swim_record r;
    uint64_t accusers[2] = {11, 12};
    struct entry e = entry_of(8);
    (void)state;
    struct wire_writer w = fresh();
    swim_put_head(&w, SWIM_PING, 1, 2, 0);
    assert_true(swim_put_state(&w, 8, 3, SWIM_SUSPECT, accusers, 2));
    assert_true(swim_put_counts(&w, &e));
    assert_true(swim_put_entry(&w, &e, 6, SWIM_DOWN));
    assert_true(swim_put_notice(&w, 8, 44));
    assert_true(decode(&w, &m));
    assert_true(swim_get_record(&m.records, &r));
    assert_int_equal(r.tag, SWIM_TAG_STATE);
    assert_int_equal(r.inc, 8);
    assert_int_equal(r.life, 3);
    assert_int_equal(r.rank, SWIM_SUSPECT);
    assert_int_equal(r.accuser_count, 2);
    assert_int_equal(r.accusers[1], 12);
    assert_true(swim_get_record(&m.records, &r));
    assert_int_equal(r.tag, SWIM_TAG_COUNTS);
    assert_int_equal(r.counts.revision, 4);
    assert_true(swim_get_record(&m.records, &r));
    assert_int_equal(r.tag, SWIM_TAG_ENTRY);
    assert_int_equal(r.life, 6);
    assert_int_equal(r.rank, SWIM_DOWN);
    assert_string_equal(r.entry.name, "alpha");
    assert_true(swim_get_record(&m.records, &r));
    assert_int_equal(r.tag, SWIM_TAG_NOTICE);
    assert_int_equal(r.revision, 44);
    assert_int_equal(wire_left(&m.records), 0);
    refuse_others(&w, true);
}

static void test_news_malformed(void **state)
{
    static struct swim_message m;
    uint64_t accusers[SWIM_ACCUSERS_MAX + 1] = {1, 2, 3, 4, 5};
    (void)state;
    struct wire_writer w = fresh();
    swim_put_head(&w, SWIM_NEWS, 1, 0, 0);
    assert_true(swim_put_state(&w, 8, 3, SWIM_SUSPECT, accusers, SWIM_ACCUSERS_MAX + 1));
    assert_false(decode(&w, &m));
    w = fresh();
    swim_put_head(&w, SWIM_NEWS, 1, 0, 0);
    assert_true(swim_put_state(&w, 8, 3, (enum swim_rank)(SWIM_LEFT + 1), NULL, 0));
    assert_false(decode(&w, &m));
    w = fresh();
    swim_put_head(&w, SWIM_NEWS, 1, 0, 0);
    assert_true(swim_put_state(&w, 0, 3, SWIM_ALIVE, NULL, 0));
    assert_false(decode(&w, &m));
    w = fresh();
    swim_put_head(&w, SWIM_NEWS, 1, 0, 0);
    wire_put_u8(&w, 99);
    assert_false(decode(&w, &m));
}

/* What does not fit leaves the writer as it was. */
static void test_full(void **state)
{
    uint8_t small[24];
    struct wire_writer w;
    struct entry e = entry_of(8);
    (void)state;
    wire_writer_init(&w, small, sizeof small);
    assert_false(swim_put_entry(&w, &e, 0, SWIM_ALIVE));
    assert_false(swim_put_counts(&w, &e));
    assert_true(swim_put_state(&w, 8, 0, SWIM_ALIVE, NULL, 0));
    assert_false(swim_put_state(&w, 8, 0, SWIM_ALIVE, NULL, 0));
    assert_int_equal(wire_written(&w), 15);
    assert_true(wire_put_ok(&w));
}

static void test_digest(void **state)
{
    static struct swim_message m;
    uint64_t digest[SWIM_BUCKETS];
    (void)state;
    for (size_t i = 0; i < SWIM_BUCKETS; i++)
        digest[i] = i * 3;
    struct wire_writer w = fresh();
    swim_put_digest(&w, 1, true, digest);
    assert_true(decode(&w, &m));
    assert_true(m.gone);
    assert_memory_equal(m.digest, digest, sizeof digest);
    refuse_others(&w, false);
}

static void test_list(void **state)
{
    static struct swim_message m;
    struct swim_line line = {.inc = 5, .revision = 6, .life = 7, .rank = SWIM_LEFT}, out;
    (void)state;
    struct wire_writer w = fresh();
    swim_start_list(&w, 1);
    assert_true(swim_put_line(&w, &line));
    line.inc = 1ull << 58;
    assert_true(swim_put_line(&w, &line));
    swim_finish_list(&w, 3, 2);
    assert_true(decode(&w, &m));
    assert_int_equal(m.count, 2);
    assert_int_equal(m.buckets, 3);
    assert_true(swim_get_line(&m.records, &out));
    assert_int_equal(out.inc, 5);
    assert_int_equal(out.revision, 6);
    assert_int_equal(out.rank, SWIM_LEFT);
    refuse_others(&w, false);
    swim_finish_list(&w, 1, 2); /* a line of a bucket that the page is not about */
    assert_false(decode(&w, &m));
    swim_finish_list(&w, 3, 1);
    assert_false(decode(&w, &m));
}

static void test_list_descending(void **state)
{
    static struct swim_message m;
    struct swim_line line = {.inc = 5, .revision = 6};
    (void)state;
    struct wire_writer w = fresh();
    swim_start_list(&w, 1);
    assert_true(swim_put_line(&w, &line));
    assert_true(swim_put_line(&w, &line));
    swim_finish_list(&w, 1, 2);
    assert_false(decode(&w, &m));
}

static void test_pages(void **state)
{
    static struct swim_message m;
    static struct swim_record r;
    struct entry e = entry_of(8);
    (void)state;
    struct wire_writer w = fresh();
    swim_start_page(&w, SWIM_ENTRIES, 1);
    assert_true(swim_put_page_entry(&w, &e, 2, SWIM_DOWN, 900));
    swim_finish_page(&w, 1);
    assert_true(decode(&w, &m));
    assert_true(swim_get_page_entry(&m.records, &r));
    assert_int_equal(r.age_ms, 900);
    assert_int_equal(r.life, 2);
    assert_int_equal(r.inc, 8);
    refuse_others(&w, false);
    w = fresh();
    swim_start_page(&w, SWIM_WANT, 1);
    wire_put_u64(&w, 8);
    swim_finish_page(&w, 1);
    assert_true(decode(&w, &m));
    refuse_others(&w, false);
    swim_finish_page(&w, 2);
    assert_false(decode(&w, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),           cmocka_unit_test(test_news),
        cmocka_unit_test(test_news_malformed),  cmocka_unit_test(test_full),
        cmocka_unit_test(test_digest),          cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_descending), cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
