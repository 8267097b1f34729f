/* line.h - a connection to a server that libstead has found, plain or under TLS as the server's URL
 * says. Nothing waits. */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include "stead/tls.h"

#include <stdbool.h>
#include <sys/types.h>

#define LINE_READ_BYTES 16384 /* of one read at least: a whole record of TLS */

struct line {
    int fd;   /* -1: none. Stays its owner's */
    SSL *ssl; /* NULL: plain */
    bool shaken, wants_write;
};

/* Takes the place of what was there. STEAD_E_NOMEM, STEAD_E_UNSUPPORTED (https, and no client). */
int line_open(struct line *l, struct stead_tls_client *tls, const char *url, int fd);
void line_close(struct line *l); /* what is under TLS, not the descriptor; takes a closed one */
/* The handshake, if it is not done: STEAD_OK, STEAD_PENDING, or why it failed. */
int line_shake(struct line *l);
/* Bytes, 0 at the end, -1: none now, -2: it is broken. */
ssize_t line_read(struct line *l, char *bytes, size_t cap);
/* Bytes that were taken; 0: none now, or it is broken, as reading will show. */
size_t line_write(struct line *l, const char *bytes, size_t len);
/* No more will be written. */
void line_finish(struct line *l);

#endif
