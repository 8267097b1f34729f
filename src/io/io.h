/* io.h - small things of the operating system: the clock, random bytes, descriptors, files. errno
 * is folded into stead_error here and left as the system set it; io_error_text says what the system
 * said. */
#ifndef IO_H
#define IO_H

#include "base/addr.h"
#include "stead/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* CLOCK_BOOTTIME in ns: goes on while the machine sleeps. */
uint64_t io_now_ns(void);
/* From the kernel; ends the process when the kernel has none (never on Linux after boot). */
void io_random(void *out, size_t len);

/* stead_error for an errno. */
int io_error(int errnum);
/* The system's own words for an errno; static text. */
const char *io_error_text(int errnum);

socklen_t io_sockaddr(const struct addr *a, struct sockaddr_storage *out);
bool io_from_sockaddr(const struct sockaddr *sa, struct addr *out);

/* Keeps the pages on which it lies out of core dumps; what else lies there stays out, too. Best
 * effort: no error. The memory is wiped by who frees it. */
void io_undumped(const void *at, size_t len);

/* A file's content with a NUL after it, at most max bytes; *out is freed with mem_free. */
int io_read_file(const char *path, size_t max, char **out, size_t *len);
/* Writes atomically: a new file, fsync, rename. */
/* No error when there is none. */
int io_remove_file(const char *path);
int io_write_file(const char *path, const void *bytes, size_t len, unsigned mode);
/* Makes a directory and its parents, mode 0700 for new ones. */
int io_make_dirs(const char *path);
/* Opens and locks path (flock); the descriptor stays open while locked. IN_USE when another has it.
 */
int io_lock_file(const char *path, int *fd);

#endif
