/* incs.h - short numbers for incarnations, so that a record at rest names them in a byte or two.
 *
 * A table has one. Numbers are given once and for good; when INCS_MAX have been given, further
 * incarnations have number 0, and whoever packs them writes them out. A farm sees so many only
 * after thousands of starts.
 */
#ifndef CORE_RECORD_INCS_H
#define CORE_RECORD_INCS_H

#include <stdint.h>

#define INCS_MAX 2047
#define INCS_SLOTS 4096 /* a power of 2, above INCS_MAX */

struct incs {
    uint16_t count;
    uint16_t slots[INCS_SLOTS]; /* numbers; 0: free */
    uint64_t inc[INCS_MAX + 1]; /* by number, from 1 on */
};

/* Zeroed memory is an empty one. The number of inc, given now if need be; 0: there is none left. */
uint16_t incs_number(struct incs *i, uint64_t inc);
/* Of a number that was given. */
uint64_t incs_at(const struct incs *i, uint16_t number);

#endif
