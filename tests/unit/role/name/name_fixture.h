/* name_fixture.h - a farm made by hand, records of a file, questions, and answers as text: ldns
 * reads them, which had no part in writing them. */
#ifndef NAME_FIXTURE_H
#define NAME_FIXTURE_H

#include "role/name/name_answer.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODES_MAX 32
#define TEXT_MAX 16384

struct fixture {
    struct name_config config;
    struct roster *roster;
    struct name_records *records;
    struct name_stats stats;
    struct name_asker by;
    struct dns_limit limit;
    uint8_t message[DNS_TCP_MAX];
    size_t len;
    unsigned rcode;
    bool authoritative, truncated;
    char answer[TEXT_MAX], authority[TEXT_MAX], additional[TEXT_MAX];
};

/* Servers s0, s1, ... of service "shop" at 192.0.2.N and sN.shop.test, all up, with weight 10. */
static inline struct roster *make_roster(size_t nodes)
{
    struct roster *r = roster_blank(nodes, 1);
    assert_non_null(r);
    r->revision = 42;
    for (size_t i = 0; i < nodes; i++) {
        struct entry *e = r->nodes[i].entry;
        r->nodes[i].status = STATUS_UP;
        snprintf(e->name, sizeof e->name, "s%zu", i);
        e->public = (struct addr){.family = 4, .port = 80, .ip = {192, 0, 2, (uint8_t)i}};
        e->server_count = 1;
        e->servers[0] = (struct server){
            .service = "shop", .url_count = 1, .weight = 10, .load = LOAD_UNKNOWN, .healthy = true};
        snprintf(e->servers[0].urls[0], URL_MAX_BYTES, "http://s%zu.shop.test:8080", i);
    }
    return r;
}

static inline struct server *server_of(struct fixture *f, size_t node)
{
    return &f->roster->nodes[node].entry->servers[0];
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->config = (struct name_config){
        .zone_count = 1,
        .zones = {"shop.test"},
        .service_count = 1,
        .services = {{.id = "shop", .name = "www.shop.test", .url = "http://www.shop.test:8080"}},
        .ttl_s = 5,
        .addresses = 8,
    };
    f->roster = make_roster(3);
    assert_true(addr_parse("198.51.100.1:53", 0, &f->by.from));
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    roster_unref(f->roster);
    name_records_unref(f->records);
    free(f);
    return 0;
}

static inline void set_nodes(struct fixture *f, size_t nodes)
{
    roster_unref(f->roster);
    f->roster = make_roster(nodes);
}

/* The records of a file with this text; "" when it is good, else what is said of it after the
 * file's name. */
static inline const char *set_records(struct fixture *f, const char *text)
{
    static char error[512];
    char path[] = "/tmp/stead-records-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    error[0] = 0;
    struct name_records *r = name_records_read(path, &f->config, error, sizeof error);
    unlink(path);
    if (!r) {
        assert_memory_equal(error, path, strlen(path));
        return error + strlen(path);
    }
    name_records_unref(f->records);
    f->records = r;
    return "";
}

/* Sorted, one record a line, the fields divided by single spaces. */
static inline void dump(ldns_rr_list *list, char *out)
{
    ldns_rr_list_sort(list);
    char *text = ldns_rr_list2str(list);
    snprintf(out, TEXT_MAX, "%s", text ? text : "");
    for (char *c = out; *c; c++)
        if (*c == '\t')
            *c = ' ';
    free(text);
}

static inline void read_answer(struct fixture *f)
{
    ldns_pkt *p = NULL;
    assert_int_equal(ldns_wire2pkt(&p, f->message, f->len), LDNS_STATUS_OK);
    f->rcode = (unsigned)ldns_pkt_get_rcode(p) | (unsigned)ldns_pkt_edns_extended_rcode(p) << 4;
    f->authoritative = ldns_pkt_aa(p);
    f->truncated = ldns_pkt_tc(p);
    dump(ldns_pkt_answer(p), f->answer);
    dump(ldns_pkt_authority(p), f->authority);
    dump(ldns_pkt_additional(p), f->additional);
    ldns_pkt_free(p);
}

/* The message of f->len bytes, answered over itself; false when there is no answer. */
static inline bool send_message(struct fixture *f)
{
    struct name_view *v = name_view_new(&f->config, f->roster, f->records, NULL);
    assert_non_null(v);
    f->len = name_answer(v, &f->by, f->message, f->len,
                         f->by.tcp ? DNS_TCP_MAX : (size_t)DNS_UDP_MAX, &f->stats);
    name_view_unref(v);
    f->by.chance++;
    if (f->len)
        read_answer(f);
    return f->len > 0;
}

/* A question with further EDNS options (0, NULL: none). */
static inline bool ask_with(struct fixture *f, const char *name, uint16_t type, const void *options,
                            size_t len)
{
    f->len = dns_build_query(f->message, sizeof f->message, 7, name, type);
    assert_true(f->len > 0);
    f->message[f->len - 2] = (uint8_t)(len >> 8);
    f->message[f->len - 1] = (uint8_t)len;
    if (len)
        memcpy(f->message + f->len, options, len);
    f->len += len;
    return send_message(f);
}

static inline unsigned ask(struct fixture *f, const char *name, uint16_t type)
{
    assert_true(ask_with(f, name, type, NULL, 0));
    return f->rcode;
}

#define assert_answer(f, name, type, text)                                                         \
    do {                                                                                           \
        assert_int_equal(ask(f, name, type), DNS_NOERROR);                                         \
        assert_string_equal((f)->answer, text);                                                    \
    } while (0)

#endif
