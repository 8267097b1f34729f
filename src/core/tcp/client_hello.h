/* client_hello.h - the server's name in the first message of a TLS client (RFC 6066 section 3),
 * read without taking part in the handshake. Of all else in it only the form is checked. */
#ifndef CORE_TCP_CLIENT_HELLO_H
#define CORE_TCP_CLIENT_HELLO_H

#include "base/slice.h"

#include <stdint.h>

#define CLIENT_HELLO_NAME_MAX 255
/* Of the message with its records' headers; a client that sends more is not looked into. */
#define CLIENT_HELLO_MAX 16384

enum client_hello {
    CLIENT_HELLO_MORE, /* not all of it has come */
    CLIENT_HELLO_NAMED,
    CLIENT_HELLO_NAMELESS, /* a hello without a name */
    CLIENT_HELLO_NONE      /* not TLS, malformed, or too long */
};

/* Looks at the first bytes of a connection. NAMED: the name in lower case with its NUL; it has
 * letters, digits, '-', '.' and '_' only. */
enum client_hello client_hello_name(const void *bytes, size_t len,
                                    char name[CLIENT_HELLO_NAME_MAX + 1]);

#endif
