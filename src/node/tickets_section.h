/* tickets_section.h - the configuration's part for ticket keys of other programs. */
#ifndef NODE_TICKETS_SECTION_H
#define NODE_TICKETS_SECTION_H

#include "core/ticket/ticket_file.h"
#include "node/config_lists.h"

#define TICKETS_SECTIONS_MAX 8

struct tickets_section {
    char name[NAME_MAX_BYTES + 1]; /* of the set of keys: the same on every node */
    uint32_t format;               /* enum ticket_format */
    char file[CONFIG_TEXT_MAX];
    char socket[CONFIG_TEXT_MAX]; /* HAProxy's, "" = none */
    char reload[CONFIG_TEXT_MAX]; /* a command, "" = none */
    char pid_file[CONFIG_TEXT_MAX];
};

#endif
