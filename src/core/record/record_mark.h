/* record_mark.h - what record_mark() remembers: the fields that a record had, some of which it may
 * still have. Within core/record only. */
#ifndef CORE_RECORD_MARK_H
#define CORE_RECORD_MARK_H

#include "core/record/record.h"

struct record_mark {
    struct field **fields; /* sorted by name; those that the record has too are shared */
    uint32_t count;
    struct record head; /* the rest, as it was */
};

#endif
