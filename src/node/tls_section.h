/* tls_section.h - the configuration's section tls { }: what the TLS listener shows and demands. */
#ifndef NODE_TLS_SECTION_H
#define NODE_TLS_SECTION_H

#include "core/roster/entry.h"
#include "io/tls_context.h"

#define TLS_SETTING_MAX 256 /* a path, or a list of ciphers */

/* What a TLS listener shows. */
struct tls_certificate_section {
    char name[NAME_MAX_BYTES + 1];
    char chain[TLS_SETTING_MAX], key[TLS_SETTING_MAX], ocsp[TLS_SETTING_MAX];
};

enum tls_minimum { TLS_MINIMUM_12, TLS_MINIMUM_13 };

struct tls_section {
    size_t certificate_count; /* 0: no such section */
    struct tls_certificate_section certificates[TLS_CERTIFICATES_MAX];
    uint32_t minimum; /* enum tls_minimum */
    char ciphers[TLS_SETTING_MAX], groups[TLS_SETTING_MAX];
    uint32_t tickets; /* enum tls_resumption */
    uint32_t client;  /* enum tls_clients of io/tls_context.h */
    char client_ca[TLS_SETTING_MAX], servers_ca[TLS_SETTING_MAX];
    uint32_t handshakes, handshake_ms;
};

#endif
