/* cache_op.c - the machine of one operation. */
#include "role/gate/cache_op.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TERM_SHIFT 40 /* a cas is the term, and below it the version */
#define VERSION_MASK ((1ull << TERM_SHIFT) - 1)

enum { STEP_READ, STEP_CHANGE, STEP_CREATE, STEP_END };

/* -- records as a cache's client sees them -- */

/* A record without an unnamed field has an empty value; if there is one, it is the first. */
static struct slice value_of(const struct record *r)
{
    const struct field *f = r->field_count > 0 ? r->fields[0] : NULL;
    if (f != NULL && (f->name_len > 0 || f->removed))
        f = NULL;
    return f != NULL ? (struct slice){(const char *)field_value(f), f->value_len}
                     : (struct slice){"", 0};
}

static uint32_t flags_of(const struct record *r)
{
    if (r->field_count < 2 && (r->field_count == 0 || r->fields[0]->name_len == 0))
        return 0; /* mostly */
    const struct field *f = record_get(r, CACHE_FLAGS_FIELD, 1);
    if (f == NULL || f->value_len != 4)
        return 0;
    const uint8_t *v = field_value(f);
    return (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3];
}

static uint64_t cas_of(const struct stamp *s)
{
    return s->term << TERM_SHIFT | (s->version & VERSION_MASK);
}

void cache_op_see(struct cache_op *op, const struct record *r, uint32_t left_ms)
{
    op->seen = (struct cache_seen){
        .there = true, .value = value_of(r), .flags = flags_of(r), .cas = cas_of(&r->stamp)};
    op->left_ms = left_ms;
}

static bool cas_fits(const struct record *r, uint64_t cas)
{
    return cas_of(&r->stamp) == cas;
}

/* -- steps -- */

static void set_fields(struct cache_op *op, const void *value, size_t len)
{
    op->fields[0] = (struct field_op){
        .type = FIELD_SET, .name = (const uint8_t *)"", .value = value, .value_len = len};
    for (unsigned i = 0; i < 4; i++)
        op->flag_bytes[i] = (uint8_t)(op->flags >> (24 - 8 * i));
    op->fields[1] = (struct field_op){.type = op->flags != 0 ? FIELD_SET : FIELD_DELETE,
                                      .name = (const uint8_t *)CACHE_FLAGS_FIELD,
                                      .name_len = 1,
                                      .value = op->flag_bytes,
                                      .value_len = op->flags != 0 ? 4 : 0};
}

/* Of a value that was set all is known but its version. */
static bool knows_value(const struct cache_op *op)
{
    return op->verb == CACHE_SET || op->verb == CACHE_ADD || op->verb == CACHE_REPLACE;
}

static void ask(struct cache_op *op, unsigned step, size_t fields, struct session_op *out)
{
    static const enum session_op_type types[] = {
        [STEP_READ] = SESSION_READ,
        [STEP_CHANGE] = SESSION_CHANGE,
        [STEP_CREATE] = SESSION_CREATE_IF_ABSENT,
        [STEP_END] = SESSION_END,
    };
    op->step = step;
    *out = (struct session_op){.type = types[step], .key = &op->key};
    if (step == STEP_CHANGE || step == STEP_CREATE) {
        out->ttl_ms = op->ttl_ms;
        out->ops = fields > 0 ? op->fields : NULL;
        out->op_count = fields;
        out->bare = knows_value(op);
    }
    if (step != STEP_READ && step != STEP_CREATE) {
        out->has_match = op->matching;
        out->match = op->match;
    }
}

static bool reads_first(const struct cache_op *op)
{
    switch (op->verb) {
    case CACHE_GET:
    case CACHE_APPEND:
    case CACHE_PREPEND:
    case CACHE_TAKE:
    case CACHE_DELETE_EQUAL:
        return true;
    case CACHE_COUNT:
        return op->by_reading || op->has_cas || (!op->is_signed && op->down) ||
               (!op->is_signed && op->delta > INT64_MAX);
    case CACHE_SET:
    case CACHE_DELETE:
    case CACHE_REPLACE:
        return op->has_cas || op->want_old;
    case CACHE_TOUCH:
    case CACHE_ADD:
        break;
    }
    return false;
}

/* Counting leaves the life of what is there. */
static void ask_count(struct cache_op *op, struct session_op *out)
{
    uint32_t ttl_ms = op->ttl_ms;
    op->ttl_ms = 0;
    ask(op, STEP_CHANGE, 1, out);
    op->ttl_ms = ttl_ms;
}

static void begin(struct cache_op *op, struct session_op *out)
{
    op->matching = false;
    if (reads_first(op)) {
        ask(op, STEP_READ, 0, out);
        return;
    }
    set_fields(op, op->value.at, op->value.len);
    switch (op->verb) {
    case CACHE_ADD:
        ask(op, STEP_CREATE, op->flags != 0 ? 2 : 1, out);
        break;
    case CACHE_TOUCH:
        ask(op, STEP_CHANGE, 0, out);
        break;
    case CACHE_DELETE:
        ask(op, STEP_END, 0, out);
        break;
    case CACHE_COUNT:
        op->fields[0] =
            (struct field_op){.type = FIELD_ADD,
                              .name = (const uint8_t *)"",
                              .amount = op->is_signed ? op->amount : (int64_t)op->delta};
        ask_count(op, out);
        break;
    default:
        ask(op, STEP_CHANGE, 2, out);
        break;
    }
}

void cache_op_init(struct cache_op *op)
{
    memset(op, 0, offsetof(struct cache_op, key));
}

void cache_op_start(struct cache_op *op, struct session_op *out)
{
    op->tries = 0;
    op->doubt = false;
    begin(op, out);
}

void cache_op_deinit(struct cache_op *op)
{
    record_free(op->record);
    mem_free(op->joined);
    op->record = NULL;
    op->joined = NULL;
    op->seen = (struct cache_seen){0};
}

static bool over(struct cache_op *op, enum cache_outcome outcome)
{
    op->outcome = outcome;
    return true;
}

static bool failed(struct cache_op *op, int error)
{
    op->error = error;
    return over(op, CACHE_FAILED);
}

static bool again(struct cache_op *op, struct session_op *out)
{
    if (++op->tries >= CACHE_OP_TRIES)
        return failed(op, STEAD_E_BUSY);
    cache_op_deinit(op);
    begin(op, out);
    return false;
}

static void take_record(struct cache_op *op, struct session_result *r)
{
    record_free(op->record);
    op->record = r->record;
    r->record = NULL;
    cache_op_see(op, op->record, r->left_ms);
}

static void see_stored(struct cache_op *op, const struct session_result *r)
{
    op->seen = (struct cache_seen){
        .there = true, .value = op->value, .flags = op->flags, .cas = cas_of(&r->stamp)};
    op->left_ms = r->left_ms;
}

/* -- after a read -- */

static void match_read(struct cache_op *op)
{
    op->matching = true;
    op->match = op->record->stamp;
}

static bool join(struct cache_op *op, struct session_op *out)
{
    struct slice old = value_of(op->record), first = old, second = op->value;
    if (op->verb == CACHE_PREPEND) {
        first = op->value;
        second = old;
    }
    if (first.len + second.len > RECORD_BYTES_MAX)
        return failed(op, STEAD_E_TOO_LARGE);
    op->joined = mem_alloc(first.len + second.len + 1);
    if (op->joined == NULL)
        return failed(op, STEAD_E_NOMEM);
    if (first.len > 0)
        memcpy(op->joined, first.at, first.len);
    if (second.len > 0)
        memcpy(op->joined + first.len, second.at, second.len);
    set_fields(op, op->joined, first.len + second.len);
    ask(op, STEP_CHANGE, 1, out);
    return false;
}

static bool parse_number(const struct cache_op *op, struct slice text, uint64_t *out)
{
    bool minus = op->is_signed && text.len > 1 && *text.at == '-';
    uint64_t v = 0, max = op->is_signed ? (uint64_t)INT64_MAX + minus : UINT64_MAX;
    if (text.len == (size_t)minus || text.len >= CACHE_NUMBER_MAX)
        return false;
    for (size_t i = minus; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = minus ? 0 - v : v;
    return true;
}

static bool counted(struct cache_op *op, uint64_t old)
{
    int64_t sum;
    if (!op->is_signed) {
        op->number = op->down ? (old > op->delta ? old - op->delta : 0) : old + op->delta;
        return true;
    }
    if (__builtin_add_overflow((int64_t)old, op->amount, &sum))
        return false;
    op->number = (uint64_t)sum;
    return true;
}

static void set_number(struct cache_op *op)
{
    int len = op->is_signed ? snprintf(op->text, sizeof op->text, "%" PRId64, (int64_t)op->number)
                            : snprintf(op->text, sizeof op->text, "%" PRIu64, op->number);
    set_fields(op, op->text, (size_t)len);
}

static bool count(struct cache_op *op, struct session_op *out)
{
    uint64_t old;
    if (!parse_number(op, value_of(op->record), &old) || !counted(op, old))
        return over(op, CACHE_NOT_NUMBER);
    set_number(op);
    ask_count(op, out);
    return false;
}

static bool equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static bool after_read(struct cache_op *op, struct session_op *out)
{
    if (op->verb == CACHE_GET)
        return over(op, CACHE_DONE);
    if (op->has_cas && !cas_fits(op->record, op->cas))
        return over(op, CACHE_EXISTS);
    match_read(op);
    switch (op->verb) {
    case CACHE_APPEND:
    case CACHE_PREPEND:
        return join(op, out);
    case CACHE_COUNT:
        return count(op, out);
    case CACHE_DELETE_EQUAL:
        if (!equal(value_of(op->record), op->value))
            return over(op, CACHE_UNEQUAL);
        ask(op, STEP_END, 0, out);
        return false;
    case CACHE_TAKE:
    case CACHE_DELETE:
        ask(op, STEP_END, 0, out);
        return false;
    default:
        set_fields(op, op->value.at, op->value.len);
        ask(op, STEP_CHANGE, 2, out);
        return false;
    }
}

/* Nothing is there: to be made, or not. */
static bool after_absent(struct cache_op *op, struct session_op *out)
{
    bool makes = (op->verb == CACHE_SET && !op->has_cas) || op->verb == CACHE_COUNT;
    if (!makes || (op->verb == CACHE_COUNT && !op->has_initial))
        return over(op, CACHE_ABSENT);
    cache_op_deinit(op);
    if (op->verb == CACHE_COUNT) {
        op->number = op->initial;
        set_number(op);
        ask(op, STEP_CREATE, 1, out);
        return false;
    }
    set_fields(op, op->value.at, op->value.len);
    ask(op, STEP_CREATE, op->flags != 0 ? 2 : 1, out);
    return false;
}

/* -- results -- */

static bool succeeded(struct cache_op *op, struct session_result *r, struct session_op *out)
{
    bool keeps_old = op->verb == CACHE_TAKE || op->want_old;
    if (op->step == STEP_READ) {
        if (r->record == NULL)
            return failed(op, STEAD_E_NOMEM);
        take_record(op, r);
        return after_read(op, out);
    }
    if (knows_value(op) && !keeps_old)
        see_stored(op, r);
    else if (r->record != NULL && !keeps_old)
        take_record(op, r);
    if (op->verb == CACHE_COUNT && op->step == STEP_CHANGE && !op->matching &&
        (op->record == NULL || !parse_number(op, value_of(op->record), &op->number)))
        return failed(op, STEAD_E_NOMEM);
    return over(op, CACHE_DONE);
}

/* May it be done once more, when nobody knows whether it was done? It is then as if it had been
 * done later. */
static bool repeats(const struct cache_op *op)
{
    if (op->doubt || op->matching || op->has_cas || op->want_old)
        return false;
    return op->verb == CACHE_SET || op->verb == CACHE_ADD || op->verb == CACHE_DELETE ||
           op->verb == CACHE_TOUCH;
}

/* The node that it was sent to is gone, and another has its records by now. */
static bool once_more(struct cache_op *op, struct session_op *out)
{
    op->doubt = true;
    return again(op, out);
}

bool cache_op_result(struct cache_op *op, struct session_result *r, struct session_op *out)
{
    switch (r->status) {
    case STEAD_OK:
        return succeeded(op, r, out);
    case STEAD_E_ABSENT:
        if (op->step == STEP_END && op->matching)
            return again(op, out); /* it was there a moment ago */
        if (op->doubt && op->verb == CACHE_DELETE)
            return over(op, CACHE_DONE); /* by itself, it may be */
        return after_absent(op, out);
    case STEAD_E_ENDED:
        /* For good: the key cannot be used again, and there is nothing to be had. */
        return op->step == STEP_CREATE ? failed(op, STEAD_E_ENDED) : after_absent(op, out);
    case STEAD_E_EXISTS:
        if (op->doubt && op->verb == CACHE_ADD)
            return failed(op, STEAD_E_UNKNOWN); /* it may be its own */
        return op->verb == CACHE_ADD ? over(op, CACHE_EXISTS) : again(op, out);
    case STEAD_E_INVAL:
        if (op->verb != CACHE_COUNT || op->by_reading)
            return failed(op, r->status);
        if (op->is_signed)
            return over(op, CACHE_NOT_NUMBER);
        op->by_reading = true; /* it may be a number beyond 63 bits */
        return again(op, out);
    case STEAD_E_CONFLICT:
        return op->has_cas ? over(op, CACHE_EXISTS) : again(op, out);
    case STEAD_E_UNKNOWN:
        return repeats(op) ? once_more(op, out) : failed(op, r->status);
    default:
        return failed(op, r->status);
    }
}
