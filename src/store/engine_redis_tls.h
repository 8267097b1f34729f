/* engine_redis_tls.h - TLS to Redis servers: 1.2 or later, the server's name or address and its
 * chain verified. The process ignores SIGPIPE. */
#ifndef STORE_ENGINE_REDIS_TLS_H
#define STORE_ENGINE_REDIS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_ctx_st;
struct ssl_st;

/* ca_file: what is trusted; NULL, "": what the system trusts. certificate, key: shown to servers
 * that ask; NULL, "": none. NULL: a file cannot be read, or no memory; *why says which. */
struct ssl_ctx_st *redis_tls_rules_new(const char *ca_file, const char *certificate,
                                       const char *key, const char **why)
    __attribute__((warn_unused_result));
void redis_tls_rules_free(struct ssl_ctx_st *rules); /* takes NULL */

/* Over a connected socket that stays the caller's. NULL: no memory. */
struct ssl_st *redis_tls_new(struct ssl_ctx_st *rules, int fd, const char *host)
    __attribute__((warn_unused_result));
void redis_tls_free(struct ssl_st *tls); /* takes NULL */

/* All three: above 0 done or bytes; 0: the end; -1: the socket is to be waited for (*events, as of
 * poll()); -2: it failed, *why is a word for people. */
int redis_tls_shake(struct ssl_st *tls, short *events, const char **why);
ssize_t redis_tls_write(struct ssl_st *tls, const void *bytes, size_t len, short *events,
                        const char **why);
ssize_t redis_tls_read(struct ssl_st *tls, void *bytes, size_t cap, short *events,
                       const char **why);

#endif
