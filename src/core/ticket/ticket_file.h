/* ticket_file.h - ticket keys for other programs, in the bytes that each of them reads: of a ring
 * of their own, with a secret of their own, so that what one of them gives away is not the
 * farm's, nor another program's. Tickets do not cross programs anyhow.
 *
 * nginx     a file for each key, of 80 raw bytes (16 of name, 64 of keys); the file that its
 *           configuration names first seals: FILE. The others open: FILE.next, FILE.1, FILE.2, ...
 * HAProxy   one file with a line for each key (80 bytes in base64); the last but one seals
 * Apache    one file of 48 raw bytes: one key, which seals and opens
 *
 * What is made here are secrets: wipe it. */
#ifndef CORE_TICKET_FILE_H
#define CORE_TICKET_FILE_H

#include "core/ticket/ticket.h"

#define TICKET_FILE_KEY_BYTES 80
#define TICKET_FILE_SHORT_BYTES 48
#define TICKET_FILE_LINE_BYTES 108 /* 80 bytes in base64, without an end of line */
#define TICKET_FILE_BYTES_MAX (TICKET_KEYS * (TICKET_FILE_LINE_BYTES + 1))
#define TICKET_FILE_SUFFIX_MAX 8

enum ticket_format { TICKET_NGINX, TICKET_HAPROXY, TICKET_APACHE };

struct ticket_file {
    char suffix[TICKET_FILE_SUFFIX_MAX]; /* behind the file's name; "" for the one that seals */
    size_t len;
    uint8_t bytes[TICKET_FILE_BYTES_MAX];
};

struct ticket_files {
    size_t count; /* the one that seals is the last */
    struct ticket_file file[TICKET_KEYS];
};

/* The secret of the ring for that program and set of keys. False: no memory. */
bool ticket_file_secret(const uint8_t farm[TICKET_SECRET_BYTES], enum ticket_format format,
                        const char *set, uint8_t out[TICKET_SECRET_BYTES]);
/* All files of a ring that has turned, and was begun with node 0: they are the same at all nodes.
 */
void ticket_files_make(const struct ticket_ring *r, enum ticket_format format,
                       struct ticket_files *out);
/* HAProxy's line `index` of TICKET_KEYS, without an end of line. */
void ticket_file_line(const struct ticket_ring *r, size_t index,
                      char out[TICKET_FILE_LINE_BYTES + 1]);
void ticket_files_wipe(struct ticket_files *f);

#endif
