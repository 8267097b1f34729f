/* stead/tcp.h - what a TCP connection is beside its bytes: the state that another host would need
 * to go on with it, as a session of kind tcp. Kept and given back here; that a host takes a
 * connection over is no part of it.
 *
 *     struct stead_tcp t = {.size = sizeof t};
 *     char room[1 << 16];
 *     int err = stead_tcp_read(fd, &t, room, sizeof room);
 *     if (!err)
 *         err = stead_session_tcp_create(node, &t, 0, &kept);
 *
 * Numbers are as RFC 9293 and 7323 have them. Fields of the session, which the session API shows to
 * anybody who may ask: state, local, remote ("192.0.2.1:443", "[2001:db8::1]:443"), snd_una,
 * snd_nxt, rcv_nxt, snd_wnd, snd_wl1, max_wnd, rcv_wnd, rcv_wup, snd_wscale, rcv_wscale, mss,
 * options ("wscale sack timestamps ecn"), ts_val, ts_recent, all as text; and the bytes unacked,
 * unsent, unread. Name them in `private` where they are to be sealed.
 */
#ifndef STEAD_TCP_H
#define STEAD_TCP_H

#include "stead/session.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STEAD_TCP_BYTES_MAX 983040 /* unacked, unsent and unread together */

enum stead_tcp_state {
    STEAD_TCP_ESTABLISHED = 1,
    STEAD_TCP_FIN_WAIT1,
    STEAD_TCP_FIN_WAIT2,
    STEAD_TCP_CLOSE_WAIT,
    STEAD_TCP_CLOSING,
    STEAD_TCP_LAST_ACK
};

enum stead_tcp_option {
    STEAD_TCP_WSCALE = 1,
    STEAD_TCP_SACK = 2,
    STEAD_TCP_TIMESTAMPS = 4,
    STEAD_TCP_ECN = 8
};

/* Fields are only ever added at the end. */
struct stead_tcp {
    size_t size; /* sizeof(struct stead_tcp) */
    enum stead_tcp_state state;
    uint8_t family;                        /* 4 or 6 */
    uint8_t local_ip[16], remote_ip[16];   /* IPv4 in the first four bytes, the rest zero */
    uint16_t local_port, remote_port;      /* not 0 */
    uint32_t snd_una, snd_nxt, rcv_nxt;    /* sequence numbers */
    uint32_t snd_wnd, snd_wl1, max_wnd;    /* what the peer takes, bytes; max: the most ever */
    uint32_t rcv_wnd, rcv_wup;             /* what was offered to it, and at which rcv_nxt */
    uint8_t snd_wscale, rcv_wscale;        /* 0 to 14; 0 without STEAD_TCP_WSCALE */
    uint16_t mss;                          /* the peer's */
    uint32_t options;                      /* enum stead_tcp_option */
    uint32_t ts_val, ts_recent;            /* RFC 7323; 0: not known */
    const void *unacked, *unsent, *unread; /* from snd_una on; from snd_nxt on; up to rcv_nxt */
    size_t unacked_len, unsent_len, unread_len;
};

/* A connected socket's, ESTABLISHED or CLOSE_WAIT, by TCP_REPAIR; it goes on afterwards as if
 * nothing had been. The bytes are put into room. ts_recent is left 0: the kernel does not tell it.
 * STEAD_E_DENIED: it takes CAP_NET_ADMIN; INVAL: no such socket, or another state; TOO_LARGE: more
 * bytes than room; BUSY: it changed under the eye; IO. */
int stead_tcp_read(int fd, struct stead_tcp *t, void *room, size_t room_bytes)
    __attribute__((warn_unused_result));

/* As stead_session_create() and stead_session_change() of kind tcp; ttl_ms 0: the kind's; version
 * NULL: any. STEAD_E_INVAL, too, for a state that cannot be: numbers that contradict each other or
 * the bytes. */
int stead_session_tcp_create(struct stead_sessions *node, const struct stead_tcp *t,
                             uint32_t ttl_ms, struct stead_session **session);
int stead_session_tcp_change(struct stead_sessions *node, const char *id, const struct stead_tcp *t,
                             const char *version, struct stead_session **session);
/* The state in a session; its bytes live as long as that. STEAD_E_PARSE: it has none, or one that
 * cannot be. Set t->size. */
int stead_session_tcp_get(const struct stead_session *session, struct stead_tcp *t);

#ifdef __cplusplus
}
#endif
#endif
