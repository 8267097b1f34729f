/* node.h - the shop's side of the session API: HTTP and JSON on the unix socket of its node
 * (docs/session-api.md). Records are of the kind "purchase", but for logins, which are of "auth".
 *
 * Thread-safe: connections are kept alive and lent to one call at a time. A call blocks until the
 * node has answered, NODE_TIMEOUT_MS at most: while a server is failing over, the node may need
 * seconds to find out who keeps a session now.
 *
 * Answers are HTTP statuses: 200, 201, 204 done, and the promise of the kind was kept; 404 there is
 * no such session; 412 it is not at that version; 0 the node cannot be reached; others: it was
 * refused. Records are the API's JSON, given back with json_decref().
 */
#ifndef NODE_H
#define NODE_H

#include <jansson.h>
#include <stdbool.h>

#define NODE_TIMEOUT_MS 12000L
#define NODE_ID_MAX 64
#define USER_MAX 31

struct node;

/* NULL without memory. The socket need not be there yet. */
struct node *node_new(const char *socket_path);
void node_free(struct node *n);

struct node_answer {
    int status;
    bool unknown; /* a write was perhaps done, perhaps not */
    json_t *record;
};
void node_answer_deinit(struct node_answer *a);

/* Is it an id that a node could have given? What comes in a cookie is asked first. */
bool node_id_valid(const char *id);

void node_read(struct node *n, const char *id, struct node_answer *out);
/* `fields` is taken over (json_decref'ed), also on failure. */
void node_create(struct node *n, json_t *fields, struct node_answer *out);
/* `change` has the members set, delete, add; it is taken over. version NULL: any. */
void node_change(struct node *n, const char *id, const char *version, json_t *change,
                 struct node_answer *out);
/* The same session under a new id; the old one is gone for good. */
void node_renew(struct node *n, const char *id, struct node_answer *out);
void node_end(struct node *n, const char *id, struct node_answer *out);
/* A login, which is one at all servers until it is ended at any. 201: *out has its record. */
void node_log_in(struct node *n, const char *user, struct node_answer *out);
/* Whose login is it? 200, with the user; 401: nobody's. */
int node_who(struct node *n, const char *id, char user[USER_MAX + 1]);
/* 204: it is ended everywhere; 404: there was none. */
void node_log_out(struct node *n, const char *id, struct node_answer *out);
/* Does the node answer within a second? */
bool node_answers(struct node *n);

#endif
