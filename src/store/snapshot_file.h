/* snapshot_file.h - a snapshot's file (snapshot.h): written in a stream, read in a stream. Both
 * ends know the SHA-256 of what went through them. */
#ifndef STORE_SNAPSHOT_FILE_H
#define STORE_SNAPSHOT_FILE_H

#include "store/repository_seal.h"

#include <openssl/evp.h>
#include <stdio.h>

#define SNAPSHOT_VERSION 1

struct snapshot_file {
    FILE *file;
    EVP_MD_CTX *sum;
    char *path, *temporary; /* temporary: while it is being written */
    uint64_t records, bytes;
    const char *why; /* what failed */
    uint8_t *box;    /* the last that was read; ENGINE_VALUE_MAX bytes */
};

/* All of these: STEAD_OK, or an error with f->why; f is to be closed in any case. EXISTS: another
 * sort of file stands there; FULL: the disk is; PARSE: damaged, cut, another farm's, or none;
 * UNSUPPORTED: of a later version; NOT_FOUND, DENIED, IO, NOMEM. */
int snapshot_create(struct snapshot_file *f, const char *path, const struct repository_keys *k,
                    uint64_t time_ms);
int snapshot_put(struct snapshot_file *f, const struct sealed *s);
/* The end is written, all is on disk, and the name is its own. */
int snapshot_finish(struct snapshot_file *f, const struct repository_keys *k);

/* Reads the head. */
int snapshot_open(struct snapshot_file *f, const char *path, const struct repository_keys *k,
                  uint64_t *time_ms);
/* The next box: STEAD_OK, name and *len of f->box; ABSENT: that was the last, and all is as it was
 * written. */
int snapshot_next(struct snapshot_file *f, const struct repository_keys *k,
                  uint8_t name[ENGINE_NAME_BYTES], size_t *len);
/* From the first box on, once more. */
int snapshot_rewind(struct snapshot_file *f, const struct repository_keys *k);
/* What was not finished goes. A zeroed one is fine. */
void snapshot_close(struct snapshot_file *f);

#endif
