/* addr.h - an IP address with a port, as a small comparable value. No name is ever resolved here. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDR_TEXT_MAX 64 /* "[v6]:port" with its NUL */

struct addr {
    uint8_t family; /* 4, 6, or 0 = none */
    uint16_t port;
    uint8_t ip[16]; /* IPv4 in the first four bytes, the rest zero; so memcmp compares */
};

/* "1.2.3.4:80", "[::1]:80", or without a port when default_port is not 0 (then also "::1"). Port 0 may be
 * said (a listener that takes any port). False on anything else, with *out untouched. */
bool addr_parse(const char *text, uint16_t default_port, struct addr *out);
/* Writes "1.2.3.4:80" or "[::1]:80", "-" for none; returns buf. */
const char *addr_format(const struct addr *a, char buf[ADDR_TEXT_MAX]);
/* As addr_format, without the port and brackets. */
const char *addr_format_ip(const struct addr *a, char buf[ADDR_TEXT_MAX]);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_same_ip(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);

#endif
