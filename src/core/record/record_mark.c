/* record_mark.c - a record goes back to what it was, or is told that it will not. */
#include "core/record/record_mark.h"

#include "base/mem.h"
#include "core/record/draft.h"

#include <string.h>

static void forget(struct record *r)
{
    if (r->mark->fields != r->loan)
        mem_free(r->mark->fields);
    mem_free(r->mark);
    r->mark = NULL;
}

void record_settle(struct record *r)
{
    struct record_mark *m = r->mark;
    if (!m)
        return;
    draft_free_missing(m->fields, m->count, r->fields, r->field_count, NULL);
    forget(r);
}

bool record_mark(struct record *r)
{
    record_settle(r);
    struct record_mark *m = mem_alloc(sizeof *m);
    if (!m)
        return false;
    if (r->field_cap > 0 && !(m->fields = mem_alloc(r->field_cap * sizeof *m->fields))) {
        mem_free(m);
        return false;
    }
    if (r->field_count > 0)
        memcpy(m->fields, r->fields, r->field_count * sizeof *m->fields);
    m->count = r->field_count;
    m->head = *r;
    r->mark = m;
    return true;
}

bool record_revert(struct record *r)
{
    struct record_mark *m = r->mark;
    if (!m)
        return false;
    draft_free_missing(r->fields, r->field_count, m->fields, m->count, NULL);
    struct field **present = r->fields, **marked = m->fields;
    *r = m->head;
    r->fields = marked;
    r->mark = m;
    m->fields = present;
    forget(r);
    return true;
}
