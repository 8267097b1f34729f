/* tcp_state_test.c - a connection's state as fields and back, and the states that cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/tcp/tcp_state.h"

#include <stdlib.h>
#include <string.h>

static struct stead_tcp sound(void)
{
    return (struct stead_tcp){.size = sizeof(struct stead_tcp),
                              .state = STEAD_TCP_ESTABLISHED,
                              .family = 4,
                              .local_ip = {192, 0, 2, 1},
                              .remote_ip = {198, 51, 100, 7},
                              .local_port = 443,
                              .remote_port = 50001,
                              .snd_una = UINT32_MAX - 4, /* round the end of the numbers */
                              .snd_nxt = 5,
                              .rcv_nxt = 77,
                              .snd_wnd = 65535,
                              .snd_wl1 = 76,
                              .max_wnd = 1u << 30 >> 1,
                              .rcv_wnd = 1048576,
                              .rcv_wup = 70,
                              .snd_wscale = 7,
                              .rcv_wscale = 14,
                              .mss = 1460,
                              .options = STEAD_TCP_WSCALE | STEAD_TCP_SACK | STEAD_TCP_TIMESTAMPS,
                              .ts_val = UINT32_MAX,
                              .ts_recent = 1,
                              .unacked = "0123456789",
                              .unacked_len = 10,
                              .unsent = "ab\0c",
                              .unsent_len = 4,
                              .unread = "\xff",
                              .unread_len = 1};
}

static struct stead_field *field(struct tcp_state_form *f, const char *name)
{
    for (size_t i = 0; i < TCP_STATE_FIELDS; i++)
        if (strcmp(f->fields[i].name, name) == 0)
            return &f->fields[i];
    fail_msg("no field %s", name);
    return NULL;
}

static void assert_field(struct tcp_state_form *f, const char *name, const char *value)
{
    const struct stead_field *found = field(f, name);
    assert_int_equal(found->value_len, strlen(value));
    assert_memory_equal(found->value, value, strlen(value));
}

static void the_fields_have_their_names(void **state)
{
    (void)state;
    static const char *const wanted[][2] = {{"state", "established"},
                                            {"local", "192.0.2.1:443"},
                                            {"remote", "198.51.100.7:50001"},
                                            {"options", "wscale sack timestamps"},
                                            {"snd_una", "4294967291"},
                                            {"snd_nxt", "5"},
                                            {"rcv_nxt", "77"},
                                            {"snd_wnd", "65535"},
                                            {"snd_wl1", "76"},
                                            {"max_wnd", "536870912"},
                                            {"rcv_wnd", "1048576"},
                                            {"rcv_wup", "70"},
                                            {"snd_wscale", "7"},
                                            {"rcv_wscale", "14"},
                                            {"mss", "1460"},
                                            {"ts_val", "4294967295"},
                                            {"ts_recent", "1"},
                                            {"unacked", "0123456789"}};
    struct tcp_state_form f;
    struct stead_tcp t = sound();
    assert_int_equal(tcp_state_write(&t, &f), STEAD_OK);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_field(&f, wanted[i][0], wanted[i][1]);
    assert_int_equal(field(&f, "unsent")->value_len, 4);
    assert_int_equal(field(&f, "unread")->value_len, 1);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct stead_tcp t = sound(), again;
    struct tcp_state_form f;
    for (int v6 = 0; v6 <= 1; v6++)
        for (unsigned bits = 0; bits < 16; bits++) {
            t = sound();
            t.options = bits;
            t.family = v6 ? 6 : 4;
            t.local_ip[15] = (uint8_t)(v6 ? 1 : 0);
            if (!(bits & STEAD_TCP_WSCALE))
                t.snd_wscale = t.rcv_wscale = 0;
            if (!(bits & STEAD_TCP_TIMESTAMPS))
                t.ts_val = t.ts_recent = 0;
            assert_int_equal(tcp_state_write(&t, &f), STEAD_OK);
            assert_int_equal(tcp_state_read(f.fields, TCP_STATE_FIELDS, &again), STEAD_OK);
            assert_memory_equal(&again, &t, sizeof t);
        }
}

/* A FIN has a number of its own, once it was sent. */
static void states_and_their_numbers(void **state)
{
    (void)state;
    struct tcp_state_form f;
    struct stead_tcp again;
    for (int s = STEAD_TCP_ESTABLISHED; s <= STEAD_TCP_LAST_ACK; s++) {
        bool fin = s == STEAD_TCP_FIN_WAIT1 || s == STEAD_TCP_CLOSING || s == STEAD_TCP_LAST_ACK;
        struct stead_tcp t = sound();
        t.state = (enum stead_tcp_state)s;
        assert_int_equal(tcp_state_write(&t, &f), STEAD_OK);
        t.snd_nxt++;
        assert_int_equal(tcp_state_write(&t, &f), STEAD_E_INVAL); /* bytes wait before it */
        t.unsent_len = 0;
        assert_int_equal(tcp_state_write(&t, &f), fin ? STEAD_OK : STEAD_E_INVAL);
        if (fin)
            assert_int_equal(tcp_state_read(f.fields, TCP_STATE_FIELDS, &again), STEAD_OK);
        t.snd_nxt++;
        assert_int_equal(tcp_state_write(&t, &f), STEAD_E_INVAL);
    }
}

#define REFUSED(...)                                                                               \
    do {                                                                                           \
        struct stead_tcp t = sound();                                                              \
        struct tcp_state_form f;                                                                   \
        __VA_ARGS__;                                                                               \
        assert_int_equal(tcp_state_write(&t, &f), STEAD_E_INVAL);                                  \
    } while (0)

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    REFUSED(t.state = 0);
    REFUSED(t.state = STEAD_TCP_LAST_ACK + 1);
    REFUSED(t.family = 0);
    REFUSED(t.family = 5);
    REFUSED(t.local_port = 0);
    REFUSED(t.remote_port = 0);
    REFUSED(t.remote_ip[4] = 1);
    REFUSED(t.snd_wscale = 15);
    REFUSED(t.options &= ~(uint32_t)STEAD_TCP_WSCALE);
    REFUSED(t.options &= ~(uint32_t)STEAD_TCP_TIMESTAMPS);
    REFUSED(t.options |= 16);
    REFUSED(t.mss = 0);
    REFUSED(t.snd_wnd = UINT32_MAX);
    REFUSED(t.rcv_wnd = 1u << 31);
    REFUSED(t.unacked_len = 9);
    REFUSED(t.unacked = NULL);
    REFUSED(t.unsent_len = STEAD_TCP_BYTES_MAX);
    REFUSED(t.unread_len = SIZE_MAX);
}

static void bytes_have_a_limit(void **state)
{
    (void)state;
    char *bytes = calloc(1, STEAD_TCP_BYTES_MAX);
    struct stead_tcp t = sound(), again;
    struct tcp_state_form f;
    size_t record = 0;
    assert_non_null(bytes);
    t.unread = bytes;
    t.unread_len = STEAD_TCP_BYTES_MAX - t.unacked_len - t.unsent_len;
    assert_int_equal(tcp_state_write(&t, &f), STEAD_OK);
    assert_int_equal(tcp_state_read(f.fields, TCP_STATE_FIELDS, &again), STEAD_OK);
    for (size_t i = 0; i < TCP_STATE_FIELDS; i++)
        record += strlen(f.fields[i].name) + f.fields[i].value_len;
    assert_true(record < 1u << 20); /* what a record of kind tcp has room for */
    t.unread_len++;
    assert_int_equal(tcp_state_write(&t, &f), STEAD_E_INVAL);
    free(bytes);
}

static void malformed_fields_are_no_state(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"state", "ESTABLISHED"},
                                           {"state", "established "},
                                           {"state", ""},
                                           {"local", "192.0.2.1"},
                                           {"local", "192.0.2.1:0"},
                                           {"local", "192.0.2.01:443"},
                                           {"local", "[::1]:443"},
                                           {"local", "-"},
                                           {"remote", "x:1"},
                                           {"options", "sack wscale timestamps"},
                                           {"options", "wscale"},
                                           {"options", "wscale  sack timestamps"},
                                           {"options", "wscale sack timestamps "},
                                           {"options", "wscale sack timestamps more"},
                                           {"snd_una", ""},
                                           {"snd_una", "4294967296"},
                                           {"snd_nxt", "05"},
                                           {"snd_nxt", "+5"},
                                           {"snd_nxt", "5 "},
                                           {"rcv_nxt", "99999999999999999999"},
                                           {"snd_wscale", "256"},
                                           {"rcv_wscale", "15"},
                                           {"mss", "65536"},
                                           {"mss", "-1"},
                                           {"unacked", "012345678"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stead_tcp t = sound(), again;
        struct tcp_state_form f;
        assert_int_equal(tcp_state_write(&t, &f), STEAD_OK);
        struct stead_field *wrong = field(&f, cases[i][0]);
        wrong->value = cases[i][1];
        wrong->value_len = strlen(cases[i][1]);
        if (tcp_state_read(f.fields, TCP_STATE_FIELDS, &again) != STEAD_E_PARSE)
            fail_msg("%s = \"%s\" is taken", cases[i][0], cases[i][1]);
        assert_int_equal(again.family, 0);
        wrong->value = NULL; /* private, and it does not open */
        assert_int_equal(tcp_state_read(f.fields, TCP_STATE_FIELDS, &again), STEAD_E_PARSE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_have_their_names),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(states_and_their_numbers),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(bytes_have_a_limit),
        cmocka_unit_test(malformed_fields_are_no_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
