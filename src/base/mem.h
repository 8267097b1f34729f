/* mem.h - allocation, with faults by countdown for tests. All of src/ allocates through these, so a
 * test can make the n-th allocation fail and see that nothing leaks or breaks. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed memory, or NULL. Free with mem_free. */
void *mem_alloc(size_t bytes) __attribute__((malloc, warn_unused_result));
void *mem_realloc(void *old, size_t bytes) __attribute__((warn_unused_result));
void *mem_dup(const void *src, size_t bytes) __attribute__((warn_unused_result));
char *mem_strdup(const char *text) __attribute__((warn_unused_result));
void mem_free(void *memory); /* takes NULL */
/* Of what nobody is to find there later: `bytes` of it are zeroed first. */
void mem_free_wiped(void *memory, size_t bytes);
/* Zeroes what calls that have returned left on the stack below the caller's: a compiler keeps
 * values there, and the dynamic linker whole registers. */
void mem_wipe_stack(void);

/* For tests: the n-th allocation from now on fails, once (0 = none). Per thread. */
void mem_fail_after(unsigned countdown);

#endif
