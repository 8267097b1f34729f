/* ticket_set.h - secrets for programs beside a node, each for a use and a set: what one of them
 * gives away is not the farm's, nor another set's. Every node of the farm derives the same. */
#ifndef CORE_TICKET_SET_H
#define CORE_TICKET_SET_H

#include "core/ticket/ticket.h"

/* out = HMAC-SHA256(HMAC-SHA256(farm, use), set). False: no memory. */
bool ticket_set_secret(const uint8_t farm[TICKET_SECRET_BYTES], const char *use, const char *set,
                       uint8_t out[TICKET_SECRET_BYTES]);

#endif
