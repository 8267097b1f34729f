/* terms.h - inside libstead: what the caller asked for, checked, and copied so that it lives as
 * long as the client. Pure. */
#ifndef CLIENT_TERMS_H
#define CLIENT_TERMS_H

#include "base/addr.h"
#include "client/allow.h"
#include "core/http/http.h"
#include "core/roster/pick.h"
#include "stead/stead.h"

#define TERMS_EXCLUDE_MAX 1024
#define TERMS_TARGET_MAX 512
#define TERMS_TOKEN_MAX 256

struct terms {
    struct stead_options options; /* with defaults; strings are copies, or NULL */
    enum policy policy;
    struct addr dns;     /* family 0: the system's resolver */
    struct http_url url; /* of text */
    struct allow allow;
    char host[256], authority[272];
    char *text; /* the URL, then the strings of the options: one piece of memory */
    const char **exclude;
};

/* STEAD_E_INVAL, STEAD_E_UNSUPPORTED (https, and nothing to do it with), STEAD_E_NOMEM; then there
 * is nothing to deinit. */
int terms_init(struct terms *t, const char *url, const struct stead_options *options);
void terms_deinit(struct terms *t); /* takes a zeroed one */
/* The request's target for the roster of a service (NULL: all); on: the server whose client asks,
 * NULL: none. */
void terms_target(const char *service, const char *on, char out[TERMS_TARGET_MAX]);

#endif
