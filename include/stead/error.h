/* stead/error.h - the one error space of stead: negative codes, zero is success.
 *
 * Every call of libstead that can fail returns one of these. errno is folded in where the operating
 * system is met; the text is one clear lower-case clause without a full stop.
 */
#ifndef STEAD_ERROR_H
#define STEAD_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, code, text). Codes are stable: they are part of the ABI and of the wire protocol. */
#define STEAD_ERRORS(X)                                                                            \
    X(NOMEM, -1, "out of memory")                                                                  \
    X(INVAL, -2, "an argument is not valid")                                                       \
    X(PARSE, -3, "malformed input")                                                                \
    X(TRUNCATED, -4, "input ends too early")                                                       \
    X(TOO_LARGE, -5, "larger than the limit")                                                      \
    X(FULL, -6, "the memory limit of this kind is reached")                                        \
    X(ABSENT, -7, "there is no such record")                                                       \
    X(ENDED, -8, "the record has been ended for good")                                             \
    X(EXISTS, -9, "it exists already")                                                             \
    X(CONFLICT, -10, "the record has another version than the request names")                      \
    X(UNREACHABLE, -11, "no node that may hold it can be reached")                                 \
    X(ALONE, -12, "too few nodes are up to keep the promised copies")                              \
    X(DEADLINE, -13, "the deadline has passed")                                                    \
    X(UNKNOWN, -14, "the outcome is not known: the node that did it went away")                    \
    X(BUSY, -15, "a queue is full, try again")                                                     \
    X(FENCED, -16, "another node owns the record by now")                                          \
    X(AUTH, -17, "the sender does not have the farm's key")                                        \
    X(REPLAY, -18, "a frame that was received before")                                             \
    X(VERSION, -19, "another version of the protocol")                                             \
    X(IO, -20, "an input or output error")                                                         \
    X(IN_USE, -21, "the address or file is in use by another process")                             \
    X(CONFIG, -22, "a mistake in the configuration")                                               \
    X(CLOSED, -23, "the other side has closed the connection")                                     \
    X(DENIED, -24, "not permitted")                                                                \
    X(NAME_TAKEN, -25, "another live node has this name or identity")                              \
    X(NO_SERVER, -26, "no server of the service can take a client")                                \
    X(UNSUPPORTED, -27, "not supported")                                                           \
    X(NOT_FOUND, -28, "not found")                                                                 \
    X(NO_QUORUM, -29, "no majority of the voters can be reached")

enum stead_error {
    STEAD_OK = 0,
    STEAD_PENDING = 1, /* not an error: the result follows */
#define X(name, code, text) STEAD_E_##name = (code),
    STEAD_ERRORS(X)
#undef X
};

/* The code's short name ("ABSENT") and its text. Never NULL; an unknown code gives "UNKNOWN_CODE".
 */
const char *stead_error_name(int code);
const char *stead_error_text(int code);

#ifdef __cplusplus
}
#endif
#endif
