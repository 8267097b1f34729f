/* gate_json.h - between the JSON of the session API and operations on records. Pure.
 *
 * A value is a JSON string, or {"base64": "..."} when its bytes are no UTF-8 text. Names of fields
 * are strings. A record whose field names are no text (written through another door) shows them
 * under "binary_fields", with their names in base64. Traps: the operations point into the parsed
 * text and end with gate_change_deinit(); a body's depth and number of elements are bounded before
 * it is parsed.
 */
#ifndef ROLE_GATE_JSON_H
#define ROLE_GATE_JSON_H

#include "core/record/record.h"
#include "role/gate/private.h"

#include <jansson.h>

#define GATE_JSON_DEPTH_MAX 4
#define GATE_JSON_COMMAS_MAX 8192

enum gate_form {
    GATE_FORM_CREATE, /* ttl, fields */
    GATE_FORM_CHANGE, /* ttl, set, delete, add */
    GATE_FORM_LIFE    /* ttl */
};

struct gate_change {
    struct field_op *ops;
    size_t count;
    uint32_t ttl_ms; /* 0: not said */
    bool adds;
    json_t *root;     /* owns the texts */
    uint8_t *decoded; /* owns the bytes that were base64 */
    size_t decoded_len;
};

/* An empty body is an empty object. STEAD_E_PARSE (no JSON), INVAL (not of this form), TOO_LARGE,
 * NOMEM, with a sentence in *why; out is empty then. */
int gate_change_parse(struct gate_change *out, enum gate_form form, const char *body, size_t len,
                      const char **why);
void gate_change_deinit(struct gate_change *c);
/* Depth and elements of the text, before jansson builds a tree of it. False: too many. */
bool gate_json_bounded(const char *body, size_t len);

/* The record as the API shows it, on one line with a newline at its end; left_ms: of its life, 0 =
 * no end; copies 0 = not said. NULL without memory; gate_text_free(). The key must be of URL
 * characters. Private fields are shown in clear; null is one that does not open. */
char *gate_record_json(const struct record *r, const struct private_rules *p, uint32_t left_ms,
                       const char *kind, unsigned copies);
/* Wipes it first: private fields may be in it. */
void gate_text_free(char *text);
/* The version as in an ETag, without quotes. */
#define GATE_VERSION_MAX 48
void gate_version_text(const struct record *r, char out[GATE_VERSION_MAX]);
/* "T.V" in decimal. */
bool gate_version_parse(const char *text, size_t len, uint64_t *term, uint64_t *version);

#endif
