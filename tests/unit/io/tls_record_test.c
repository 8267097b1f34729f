/* tls_record_test.c - keys as RFC 8448 has them, records both ways, and what a peer may send
 * wrongly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/tls_record.h"

#include <string.h>

#define PADDED ((enum tls_record_type)0) /* the type stands before zeros, in the text itself */
#define ROOM (TLS_RECORD_UPDATE_BYTES + TLS_RECORD_MAX + 64)

static struct tls_suites suites;
static EVP_CIPHER_CTX *ctx;

struct pair {
    struct tls_record us, peer;
    uint8_t record[ROOM], *out;
    size_t used, len;
    uint8_t alert;
};

static int set_up(void **state)
{
    (void)state;
    ctx = EVP_CIPHER_CTX_new();
    return tls_suites_init(&suites) && ctx ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_CIPHER_CTX_free(ctx);
    tls_suites_deinit(&suites);
    return 0;
}

static void open_pair(struct pair *p, unsigned suite)
{
    uint8_t a[48], b[48];
    size_t len = suite == 0x1302 ? 48 : 32;
    memset(p, 0, sizeof *p);
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    assert_true(tls_record_init(&p->us, &suites, suite, a, b, len));
    assert_true(tls_record_init(&p->peer, &suites, suite, b, a, len));
}

static size_t peer_says(struct pair *p, enum tls_record_type type, const void *text, size_t len)
{
    size_t n = tls_record_seal(&p->peer, ctx, type, text, len, p->record);
    assert_true(n > 0 && n <= ROOM);
    return n;
}

static enum tls_opened heard(struct pair *p, size_t len)
{
    return tls_record_open(&p->us, ctx, p->record, len, &p->used, &p->out, &p->len, &p->alert);
}

static enum tls_opened say_and_hear(struct pair *p, enum tls_record_type type, const void *text,
                                    size_t len)
{
    return heard(p, peer_says(p, type, text, len));
}

static void keys_are_those_of_rfc_8448(void **state)
{
    static const uint8_t client[] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d,
                                     0xc0, 0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52,
                                     0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87,
                                     0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
    static const uint8_t server[] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56,
                                     0xad, 0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32,
                                     0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
                                     0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};
    static const uint8_t client_key[] = {0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9,
                                         0xac, 0xd8, 0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51};
    static const uint8_t client_iv[] = {0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08,
                                        0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9};
    static const uint8_t server_key[] = {0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef,
                                         0xc2, 0x6b, 0xb9, 0xf2, 0xac, 0x92, 0xe3, 0x56};
    static const uint8_t server_iv[] = {0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83,
                                        0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84};
    struct tls_record r;
    (void)state;
    assert_true(tls_record_init(&r, &suites, 0x1301, client, server, sizeof client));
    assert_memory_equal(r.read.key, client_key, sizeof client_key);
    assert_memory_equal(r.read.iv, client_iv, sizeof client_iv);
    assert_memory_equal(r.write.key, server_key, sizeof server_key);
    assert_memory_equal(r.write.iv, server_iv, sizeof server_iv);
    tls_record_deinit(&r);
    assert_int_equal(r.read.key[0] | r.write.secret[0], 0);
    assert_false(tls_record_init(&r, &suites, 0x1300, client, server, 32));
    assert_false(tls_record_init(&r, &suites, 0x1304, client, server, 32));
    assert_false(tls_record_init(&r, &suites, 0x1302, client, server, 32));
}

static void records_pass_in_every_suite_and_size(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 100, 16383, 16384};
    static uint8_t text[TLS_RECORD_PLAIN_MAX];
    static struct pair p;
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7);
    for (unsigned suite = 0x1301; suite <= 0x1303; suite++) {
        open_pair(&p, suite);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t n = peer_says(&p, TLS_DATA, text, sizes[i]);
            for (size_t part = 0; part < n; part += 1 + n / 50) /* not whole yet */
                assert_int_equal(heard(&p, part), TLS_OPENED_MORE);
            assert_int_equal(heard(&p, n), TLS_OPENED_DATA);
            assert_int_equal(p.used, n);
            assert_int_equal(p.len, sizes[i]);
            assert_memory_equal(p.out, text, sizes[i]);
        }
    }
}

/* The longest text with so many bytes behind it: its type, and zeros. */
static enum tls_opened say_longest(struct pair *p, size_t behind)
{
    static const uint8_t header[] = {23, 3, 3}, zeros[TLS_RECORD_PLAIN_MAX + 8];
    size_t len = TLS_RECORD_PLAIN_MAX + behind, body = len + 16;
    uint8_t *at = p->record + TLS_RECORD_HEADER, nonce[12];
    int n = 0, rest = 0;
    memcpy(p->record, header, sizeof header);
    p->record[3] = (uint8_t)(body >> 8);
    p->record[4] = (uint8_t)body;
    memcpy(nonce, p->peer.write.iv, sizeof nonce);
    nonce[11] ^= (uint8_t)p->peer.write.seq++;
    memcpy(at, zeros, len);
    at[TLS_RECORD_PLAIN_MAX] = TLS_DATA;
    assert_int_equal(EVP_CipherInit_ex(ctx, p->peer.cipher, NULL, p->peer.write.key, nonce, 1), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, p->record, TLS_RECORD_HEADER), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, at, &n, at, (int)len), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, at + n, &rest), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, at + len), 1);
    return heard(p, TLS_RECORD_HEADER + body);
}

static void padding_is_taken_off(void **state)
{
    static struct pair p;
    static uint8_t text[TLS_RECORD_PLAIN_MAX] = {'h', 'i', TLS_DATA};
    static const uint8_t nothing[100];
    (void)state;
    open_pair(&p, 0x1301);
    assert_int_equal(say_and_hear(&p, PADDED, text, 3), TLS_OPENED_DATA);
    assert_int_equal(p.len, 2);
    assert_int_equal(say_and_hear(&p, PADDED, text, sizeof text), TLS_OPENED_DATA);
    assert_int_equal(p.len, 2);
    assert_memory_equal(p.out, "hi", 2);
    /* Nor may padding make it longer than text alone may be. */
    open_pair(&p, 0x1301);
    assert_int_equal(say_longest(&p, 1), TLS_OPENED_DATA);
    assert_int_equal(p.len, 16384);
    assert_int_equal(say_longest(&p, 2), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 22);
    open_pair(&p, 0x1301);
    /* Zeros alone have no type. */
    assert_int_equal(say_and_hear(&p, PADDED, nothing, sizeof nothing), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 10);
}

static void damage_and_repetition_are_noticed(void **state)
{
    static struct pair p;
    static uint8_t copy[ROOM];
    (void)state;
    open_pair(&p, 0x1303);
    size_t n = peer_says(&p, TLS_DATA, "pay 10", 6);
    memcpy(copy, p.record, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(p.record, copy, n);
        p.record[i] ^= 0x40;
        enum tls_opened o = heard(&p, n);
        assert_true(o == TLS_OPENED_WRONG || (o == TLS_OPENED_MORE && (i == 3 || i == 4)));
    }
    memcpy(p.record, copy, n);
    assert_int_equal(heard(&p, n), TLS_OPENED_DATA);
    memcpy(p.record, copy, n);
    assert_int_equal(heard(&p, n), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 20);
}

static void lengths_are_bounded(void **state)
{
    static struct pair p;
    (void)state;
    open_pair(&p, 0x1301);
    static const struct {
        uint8_t header[5], alert;
    } cases[] = {
        {{23, 3, 3, 0x41, 0x01}, 22}, /* longer than may be: seen by its head */
        {{23, 3, 3, 0xff, 0xff}, 22},
        {{23, 3, 3, 0, 16}, 20}, /* no room for a type and a tag */
        {{23, 3, 3, 0, 0}, 20},
        {{22, 3, 3, 0, 40}, 10}, /* after the handshake all is of type 23 outside */
        {{20, 3, 3, 0, 1}, 10},
        {{'G', 'E', 'T', ' ', '/'}, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(p.record, cases[i].header, 5);
        assert_int_equal(heard(&p, 5), TLS_OPENED_WRONG);
        assert_int_equal(p.alert, cases[i].alert);
        assert_int_equal(p.used, 0);
    }
}

static void alerts_end_the_stream(void **state)
{
    static struct pair p;
    (void)state;
    open_pair(&p, 0x1302);
    assert_int_equal(say_and_hear(&p, TLS_ALERT, "\x01\x5a", 2), TLS_OPENED_NOTHING);
    assert_int_equal(say_and_hear(&p, TLS_ALERT, "\x01\x00", 2), TLS_OPENED_END);
    assert_int_equal(say_and_hear(&p, TLS_ALERT, "\x02\x28", 2), TLS_OPENED_BROKEN);
    /* One in a record, and whole. */
    assert_int_equal(say_and_hear(&p, TLS_ALERT, "\x02", 1), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 50);
    assert_int_equal(say_and_hear(&p, TLS_ALERT, "\x01\x5a\x01\x00", 4), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 50);
    assert_int_equal(say_and_hear(&p, TLS_ALERT, "", 0), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 10);
    assert_int_equal(say_and_hear(&p, (enum tls_record_type)24, "\x01", 1), TLS_OPENED_WRONG);
}

static void keys_change_when_asked_and_in_time(void **state)
{
    static struct pair p;
    static uint8_t reply[ROOM];
    (void)state;
    for (unsigned suite = 0x1301; suite <= 0x1303; suite++) {
        open_pair(&p, suite);
        p.peer.write.seq = p.us.read.seq = TLS_RECORDS_A_KEY; /* a new key goes before */
        size_t n = peer_says(&p, TLS_DATA, "x", 1);
        assert_int_equal(p.peer.write.seq, 1);
        assert_int_equal(heard(&p, n), TLS_OPENED_NOTHING);
        size_t first = p.used;
        assert_int_equal(tls_record_open(&p.us, ctx, p.record + first, n - first, &p.used, &p.out,
                                         &p.len, &p.alert),
                         TLS_OPENED_DATA);
        /* One who asks for ours gets it before our next data. */
        uint8_t old[32];
        memcpy(old, p.us.write.key, sizeof old);
        p.us.update_due = true;
        n = tls_record_seal(&p.us, ctx, TLS_DATA, "y", 1, reply);
        assert_memory_not_equal(old, p.us.write.key, 16);
        assert_int_equal(tls_record_open(&p.peer, ctx, reply, n, &p.used, &p.out, &p.len, &p.alert),
                         TLS_OPENED_NOTHING);
        assert_false(p.peer.update_due);
        assert_int_equal(tls_record_open(&p.peer, ctx, reply + p.used, n - p.used, &p.used, &p.out,
                                         &p.len, &p.alert),
                         TLS_OPENED_DATA);
    }
}

static void other_handshake_messages_are_refused(void **state)
{
    static struct pair p;
    static const struct {
        uint8_t text[8];
        size_t len;
        uint8_t alert;
    } cases[] = {
        {{24, 0, 0, 1, 0, 0}, 6, 10}, /* something behind it */
        {{24, 0, 0, 2}, 4, 50},       /* another length */
        {{24, 0, 0, 0, 0}, 5, 50},
        {{24, 1, 0, 1, 0}, 5, 50},
        {{1, 0, 0, 1, 0}, 5, 10}, /* a ClientHello: renegotiation */
        {{4, 0, 0, 1, 0}, 5, 10}, /* a ticket, which servers give */
        {{0}, 0, 10},             /* nothing */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_pair(&p, 0x1301);
        assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, cases[i].text, cases[i].len),
                         TLS_OPENED_WRONG);
        assert_int_equal(p.alert, cases[i].alert);
    }
}

static void key_updates_come_whole_or_in_pieces(void **state)
{
    static struct pair p;
    static const uint8_t update[] = {24, 0, 0, 1, 1};
    (void)state;
    for (size_t cut = 1; cut < 5; cut++) {
        open_pair(&p, 0x1301);
        assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, update, cut), TLS_OPENED_NOTHING);
        assert_int_equal(p.us.read.seq, 1);
        assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, update + cut, 5 - cut),
                         TLS_OPENED_NOTHING);
        assert_int_equal(p.us.read.seq, 0); /* the next key */
        assert_true(p.us.update_due);
        /* Nothing comes between the pieces, and each has something. */
        for (int type = TLS_ALERT; type <= TLS_DATA; type++) {
            open_pair(&p, 0x1301);
            assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, update, cut), TLS_OPENED_NOTHING);
            assert_int_equal(
                say_and_hear(&p, (enum tls_record_type)type, "\1\0", type == TLS_HANDSHAKE ? 0 : 2),
                TLS_OPENED_WRONG);
            assert_int_equal(p.alert, 10);
        }
        open_pair(&p, 0x1301);
        assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, update, cut), TLS_OPENED_NOTHING);
        assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, "\2\2\2\2\2", 6 - cut), TLS_OPENED_WRONG);
        assert_int_equal(p.alert, cut < 4 ? 50 : 10); /* its length, or what stands behind it */
    }
    /* Neither yes nor no. */
    open_pair(&p, 0x1301);
    assert_int_equal(say_and_hear(&p, TLS_HANDSHAKE, "\x18\0\0\1\2", 5), TLS_OPENED_WRONG);
    assert_int_equal(p.alert, 47);
}

static void records_without_data_are_bounded(void **state)
{
    static struct pair p;
    (void)state;
    open_pair(&p, 0x1301);
    for (unsigned i = 0; i < 3 * TLS_RECORDS_EMPTY_MAX; i++) {
        assert_int_equal(say_and_hear(&p, TLS_DATA, "", 0), TLS_OPENED_DATA);
        if (i % 20 == 19)
            assert_int_equal(say_and_hear(&p, TLS_DATA, "x", 1), TLS_OPENED_DATA);
    }
    unsigned n = 0;
    while (say_and_hear(&p, TLS_DATA, "", 0) == TLS_OPENED_DATA)
        assert_true(++n <= TLS_RECORDS_EMPTY_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_rfc_8448),
        cmocka_unit_test(records_pass_in_every_suite_and_size),
        cmocka_unit_test(padding_is_taken_off),
        cmocka_unit_test(damage_and_repetition_are_noticed),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(alerts_end_the_stream),
        cmocka_unit_test(keys_change_when_asked_and_in_time),
        cmocka_unit_test(other_handshake_messages_are_refused),
        cmocka_unit_test(key_updates_come_whole_or_in_pieces),
        cmocka_unit_test(records_without_data_are_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
