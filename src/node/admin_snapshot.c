/* A snapshot's state in words: /v1/snapshot. */
#include "node/admin_snapshot.h"

#include "stead/error.h"

#include <jansson.h>

char *admin_snapshot(struct snapshot *s, bool load, const char *path, int *error)
{
    struct snapshot_state st;
    *error = !s ? STEAD_E_UNSUPPORTED : path ? snapshot_begin(s, load, path) : STEAD_OK;
    if (*error)
        return NULL;
    snapshot_state(s, &st);
    json_t *j = json_pack("{s:s, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "what",
                          !*st.path ? ""
                          : st.load ? "load"
                                    : "save",
                          "running", (int)st.running, "path", st.path, "error",
                          st.error ? stead_error_name(st.error) : "", "why", st.why, "records",
                          (json_int_t)st.records, "skipped", (json_int_t)st.skipped, "over",
                          (json_int_t)st.over, "refused", (json_int_t)st.refused, "bytes",
                          (json_int_t)st.bytes, "time_ms", (json_int_t)st.time_ms);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    if (!text)
        *error = STEAD_E_NOMEM;
    return text;
}
