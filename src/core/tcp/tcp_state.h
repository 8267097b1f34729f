/* tcp_state.h - the state of a TCP connection (stead/tcp.h) as named fields of a record, and back.
 *
 * What is read is held to the same as what is written: a state that contradicts itself is none. */
#ifndef CORE_TCP_STATE_H
#define CORE_TCP_STATE_H

#include "base/addr.h"
#include "stead/tcp.h"

#include <stdbool.h>

#define TCP_STATE_FIELDS 20
#define TCP_STATE_NUMBERS 13
#define TCP_STATE_NUMBER_MAX 11 /* "4294967295" and a NUL */
#define TCP_STATE_OPTIONS_MAX 40

struct tcp_state_form {
    struct stead_field fields[TCP_STATE_FIELDS]; /* values lie here, or are the state's own bytes */
    char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX], options[TCP_STATE_OPTIONS_MAX];
    char numbers[TCP_STATE_NUMBERS][TCP_STATE_NUMBER_MAX];
};

/* Do its numbers agree with each other and the bytes? */
bool tcp_state_is_sound(const struct stead_tcp *t);
/* All fields, always the same ones. STEAD_E_INVAL: it is not sound. The form stays where it is. */
int tcp_state_write(const struct stead_tcp *t, struct tcp_state_form *out);
/* Fields in any order, others among them; values need no NUL. The bytes stay where they are.
 * STEAD_E_PARSE: one is not there or malformed, or the state is not sound; *out is zero then. */
int tcp_state_read(const struct stead_field *fields, size_t count, struct stead_tcp *out);

#endif
