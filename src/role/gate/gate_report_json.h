/* gate_report_json.h - between the JSON of reports and what a tally is told. Pure.
 *
 * {"users": 12, "groups": {"blue": 3}, "load": 0.42, "weight_percent": 75, "status": "up"}: every
 * member may be left out, others are refused. */
#ifndef ROLE_GATE_REPORT_JSON_H
#define ROLE_GATE_REPORT_JSON_H

#include "core/roster/tally.h"

#define GATE_REPORT_BYTES_MAX 4096

/* STEAD_E_PARSE, INVAL, TOO_LARGE, NOMEM, with a sentence in *why; out is empty then. */
int gate_report_parse(struct told *out, const char *body, size_t len, const char **why);

/* The last report with what the server has now. NULL without memory; freed with free(). */
char *gate_report_json(const char *service, const struct told *w, uint64_t age_ns,
                       uint64_t max_age_ns, const struct tally_state *now);

#endif
