/* tls_client.h - one client's TLS over bytes that somebody else carries: for checks of servers. It
 * owns no descriptor. */
#ifndef IO_TLS_CLIENT_H
#define IO_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct tls_client_rules; /* shared by many; of one thread */
struct tls_client;

/* verify: the chain must lead to ca_file, or when that is "" to what the system trusts, and be of
 * the name. NULL: no memory, or the file cannot be read. */
struct tls_client_rules *tls_client_rules_new(bool verify, const char *ca_file)
    __attribute__((warn_unused_result));
void tls_client_rules_free(struct tls_client_rules *r); /* takes NULL */

/* name: the server's, sent as SNI and verified; "" or an address: no SNI. NULL without memory. */
struct tls_client *tls_client_new(struct tls_client_rules *r, const char *name)
    __attribute__((warn_unused_result));
void tls_client_free(struct tls_client *t); /* takes NULL */

/* Bytes from the server. False: no memory. */
bool tls_client_take(struct tls_client *t, const char *bytes, size_t len);
/* Bytes for the server: how many, up to cap; 0: none now. */
size_t tls_client_give(struct tls_client *t, char *out, size_t cap);
/* 1 the handshake is done, 0 it goes on, -1 it failed; *why is then a word for the log. */
int tls_client_shake(struct tls_client *t, const char **why);
/* After the handshake: a text to be sent. False: it failed. */
bool tls_client_write(struct tls_client *t, const char *text, size_t len);
/* What the server said: how much, up to cap; 0: nothing yet; -1: the end, or a failure. */
long tls_client_read(struct tls_client *t, char *out, size_t cap);

#endif
