/* request.h - one request to the shop and its answer, between libmicrohttpd and the pages.
 *
 * A handler reads the request with the calls below and answers exactly once with one of the
 * request_reply_...() calls.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "text.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#define REQUEST_BODY_MAX 16384       /* beyond it 413 */
#define REQUEST_DRAIN_MAX (1u << 20) /* a body that goes on beyond this is cut off */

struct request {
    struct MHD_Connection *connection;
    const char *method, *path;
    const char *domain; /* of the cookie */
    const char *allow;  /* with 405 */
    char body[REQUEST_BODY_MAX + 1];
    size_t body_len, seen;             /* kept; all that came */
    char set_sid[192], set_login[192]; /* cookies that go with any answer; "" = none */
    enum MHD_Result result;            /* of the answer; MHD_NO closes the connection */
};

bool request_is_post(const struct request *r);
/* Does the client want JSON? By the path (.json), else by Accept: a POST gets JSON unless text/html
 * is accepted, another request a page unless application/json is. */
bool request_wants_json(const struct request *r);
/* From another site (by Origin or Sec-Fetch-Site, which browsers send with forms)? */
bool request_is_cross_site(const struct request *r);

/* A value of the form in the body, decoded. False when it is not there, there twice, longer than
 * cap - 1, or has control characters or bytes that are no UTF-8; `out` is "" then. */
bool request_form(const struct request *r, const char *name, char *out, size_t cap);
bool request_has_form(const struct request *r, const char *name);
/* As above, a number of at most 4 digits. */
bool request_form_number(const struct request *r, const char *name, int *out);
/* The cookies: `sid` has the id of the cart's session, `login` that of the login. "" when there is
 * none or it cannot be one. */
void request_sid(const struct request *r, char *out, size_t cap);
void request_login(const struct request *r, char *out, size_t cap);
/* To be set with the answer; "" ends it. */
void request_set_sid(struct request *r, const char *sid);
void request_set_login(struct request *r, const char *id);

/* Answers. The text is taken over. Pages and JSON are never kept by caches. */
void request_reply_page(struct request *r, unsigned status, struct text *page);
/* Takes json over. */
void request_reply_json(struct request *r, unsigned status, json_t *json);
void request_reply_plain(struct request *r, unsigned status, const char *text);
void request_reply_see_other(struct request *r, const char *location);
void request_reply_style(struct request *r);

#endif
