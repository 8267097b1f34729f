/* gate_identity.h - who somebody is, by a record of kind auth, as a web server that asks for each
 * request wants to hear it: a status and headers. Pure.
 *
 * Fields of such a record: `user` (without it nobody is logged in), `methods` (how it was shown,
 * words divided by spaces, as "pwd otp"), `issued` and `expires` (seconds since 1970; a login ends
 * then, whatever its record's life), and `claim.NAME` for everything else that the application
 * wants to be known. */
#ifndef ROLE_GATE_IDENTITY_H
#define ROLE_GATE_IDENTITY_H

#include "core/record/record.h"

#define IDENTITY_HEADERS_MAX 4096
#define IDENTITY_NEED_MAX 256

/* What is asked of who comes, beside a login; "" = nothing. */
struct identity_need {
    char user[IDENTITY_NEED_MAX];
    char claim[IDENTITY_NEED_MAX]; /* NAME:WORD: the claim is that word, or a list with it */
};

/* 200, 401 (nobody, or no more) or 403 (somebody else is needed). now_s: wall clock. */
int identity_check(const struct record *r, const struct identity_need *need, int64_t now_s);
/* Header lines: Remote-User, and Remote-Groups, Remote-Name, Remote-Email of the claims groups,
 * name, email; X-Auth-Request-User; Stead-Auth-Methods, Stead-Auth-Expires; Stead-Claim-NAME for
 * every claim whose name can stand in a header. Bytes that cannot stand in a header are
 * percent-encoded. Claims that do not fit are left out, and their number is returned. */
unsigned identity_headers(const struct record *r, char out[IDENTITY_HEADERS_MAX]);

#endif
