/* mem.c - allocation from the C library, and the countdown that lets a test fail one call of it. */
#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES 16384 /* more than calls that have to do with secrets go down */

static _Thread_local unsigned fail_countdown;

static bool must_fail(void)
{
    return fail_countdown != 0 && --fail_countdown == 0;
}

void mem_fail_after(unsigned countdown)
{
    fail_countdown = countdown;
}

void *mem_alloc(size_t bytes)
{
    if (must_fail())
        return NULL;
    /* NULL must mean "no memory" and nothing else, so an empty request gets a byte. */
    return calloc(1, bytes ? bytes : 1);
}

void *mem_realloc(void *old, size_t bytes)
{
    if (must_fail())
        return NULL;
    return realloc(old, bytes ? bytes : 1);
}

void *mem_dup(const void *src, size_t bytes)
{
    void *copy = mem_alloc(bytes);
    if (copy && bytes)
        memcpy(copy, src, bytes);
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}

void mem_free(void *memory)
{
    free(memory);
}

__attribute__((noinline)) void mem_wipe_stack(void)
{
    char below[STACK_BYTES];
    explicit_bzero(below, sizeof below);
}

void mem_free_wiped(void *memory, size_t bytes)
{
    if (memory)
        explicit_bzero(memory, bytes);
    free(memory);
}
