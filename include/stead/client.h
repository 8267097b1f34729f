/* stead/client.h - a client that lives long: a connection to a server of the farm, kept.
 *
 * It hears the farm's roster from the node that it is on. When its server drains, is taken out, or
 * asks it to move, it connects to another one first, and then the older connection is closed. When
 * the connection is lost, it tries the same server again (at a random moment of the time that the
 * farm asks for, so that a crowd does not come back at once), then asks the farm's name anew and
 * takes a fresh roster from whichever first server answers.
 *
 * Nothing blocks: wait until stead_client_fd() is readable or stead_client_timeout_ms() have
 * passed, in whatever event loop there is, and call stead_client_step() until it gives 0.
 *
 *     struct stead_client *client;
 *     struct stead_event event = {.size = sizeof event};
 *     int err = stead_client_new("http://www.shop.test:8080/", NULL, &client);
 *     while (!err) {
 *         struct pollfd p = {.fd = stead_client_fd(client), .events = POLLIN};
 *         poll(&p, 1, stead_client_timeout_ms(client));
 *         while ((err = stead_client_step(client, &event)) > 0)
 *             if (event.kind == STEAD_CONNECTED || event.kind == STEAD_MOVED)
 *                 talk_on(event.fd);
 *     }
 *     stead_client_free(client);
 *
 * One thread at a time may use a client. Names are resolved in a thread of the library's own, which
 * ends by itself.
 */
#ifndef STEAD_CLIENT_H
#define STEAD_CLIENT_H

#include "stead/stead.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stead_client;

enum stead_event_kind {
    STEAD_CONNECTED = 1, /* fd is connected to server */
    STEAD_MOVED,   /* the same; old_fd stays open until the next stead_client_step(), to finish */
    STEAD_TROUBLE, /* something failed (error, server "" if it was no server); goes on in wait_ms */
    STEAD_HEARD    /* the roster has changed */
};

/* Filled in by stead_client_step(). size is set by the caller, once. Strings live until the next
 * step. Fields are only ever added at the end. */
struct stead_event {
    size_t size;
    enum stead_event_kind kind;
    int fd, old_fd; /* non-blocking sockets, the client's: never close() them; -1: none */
    int error;
    uint32_t wait_ms;
    const char *server, *url;
};

/* Begins. deadline_ms of the options holds for the first connection only; 0: no deadline. Errors:
 * STEAD_E_INVAL, STEAD_E_UNSUPPORTED, STEAD_E_NOMEM, STEAD_E_IO (no descriptors). */
int stead_client_new(const char *url, const struct stead_options *options,
                     struct stead_client **client) __attribute__((warn_unused_result));
/* Closes all its descriptors, but one that was taken. Takes NULL. */
void stead_client_free(struct stead_client *client);

/* Readable when there is something to do. Constant. */
int stead_client_fd(const struct stead_client *client);
/* Milliseconds until there is, at most; -1: not before the descriptor says so. As poll() takes. */
int stead_client_timeout_ms(const struct stead_client *client);
/* 1: *event is set; call again. 0: nothing more for now. Negative: the first connection did not
 * come about until the deadline (why: the last failure), or the roster has several services and
 * none was named; the client is of no more use. Never fails after STEAD_CONNECTED. */
int stead_client_step(struct stead_client *client, struct stead_event *event);

/* The application found its connection closed or broken. It is closed; another one follows as
 * STEAD_CONNECTED. Nothing happens when there is none. */
void stead_client_lost(struct stead_client *client);
/* hold != 0: not to be moved now, in the midst of a transaction; 0: moves may come again. To stay
 * is always legal. */
void stead_client_hold(struct stead_client *client, int hold);
/* Hands the connection to the caller, who closes it; the client does nothing more. -1: there is
 * none. */
int stead_client_take(struct stead_client *client);

/* What the client has: the server it is on ("": none), and the roster's revision (0: none). */
const char *stead_client_server(const struct stead_client *client);
uint64_t stead_client_revision(const struct stead_client *client);

#ifdef __cplusplus
}
#endif
#endif
