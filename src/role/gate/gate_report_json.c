/* gate_report_json.c - the members of a report, each with its range. */
#include "role/gate/gate_report_json.h"

#include "base/clock.h"
#include "stead/error.h"

#include <jansson.h>
#include <string.h>

static bool read_count(const json_t *j, uint32_t max, uint32_t *out)
{
    json_int_t n = json_integer_value(j);
    if (!json_is_integer(j) || n < 0 || n > max)
        return false;
    *out = (uint32_t)n;
    return true;
}

static bool read_groups(json_t *j, struct told *out)
{
    const char *name;
    size_t len;
    json_t *value;
    if (!json_is_object(j) || json_object_size(j) > ENTRY_GROUPS_MAX)
        return false;
    json_object_keylen_foreach(j, name, len, value)
    {
        size_t i = out->group_count++;
        if (!entry_name_valid(name, len, false) ||
            !read_count(value, USERS_MAX, &out->group_users[i]))
            return false;
        memcpy(out->groups[i], name, len);
    }
    out->what |= TOLD_GROUPS;
    return true;
}

static bool read_load(const json_t *j, struct told *out)
{
    double load = json_number_value(j);
    if (!json_is_number(j) || !(load >= 0.0) || load > 1.0)
        return false;
    out->load = (uint16_t)(load * LOAD_MAX + 0.5);
    out->what |= TOLD_LOAD;
    return true;
}

static bool read_status(const json_t *j, struct told *out)
{
    const char *text = json_string_value(j);
    out->what |= TOLD_ADMIN;
    out->drain = text && strcmp(text, "drain") == 0;
    out->maint = text && strcmp(text, "maint") == 0;
    return text && (out->drain || out->maint || strcmp(text, "up") == 0);
}

/* NULL, or what is wrong. */
static const char *read_member(const char *name, json_t *value, struct told *out)
{
    if (strcmp(name, "users") == 0) {
        out->what |= TOLD_USERS;
        return read_count(value, USERS_MAX, &out->users)
                   ? NULL
                   : "users is a whole number from 0 to 1000000000";
    }
    if (strcmp(name, "weight_percent") == 0) {
        out->what |= TOLD_PERCENT;
        return read_count(value, PERCENT_MAX, &out->percent)
                   ? NULL
                   : "weight_percent is a whole number from 0 to 25600";
    }
    if (strcmp(name, "groups") == 0)
        return read_groups(value, out) ? NULL : "groups is an object of at most 4 names with users";
    if (strcmp(name, "load") == 0)
        return read_load(value, out) ? NULL : "load is a number from 0 to 1";
    if (strcmp(name, "status") == 0)
        return read_status(value, out) ? NULL : "status is up, drain or maint";
    return "a report has users, groups, load, weight_percent and status only";
}

int gate_report_parse(struct told *out, const char *body, size_t len, const char **why)
{
    json_error_t error;
    const char *name;
    json_t *value;
    *out = (struct told){0};
    *why = "a report has at most 4096 bytes";
    if (len > GATE_REPORT_BYTES_MAX)
        return STEAD_E_TOO_LARGE;
    json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        bool memory = json_error_code(&error) == json_error_out_of_memory;
        *why = memory ? "out of memory" : "the body is no JSON object";
        return memory ? STEAD_E_NOMEM : STEAD_E_PARSE;
    }
    *why = json_is_object(root) ? NULL : "the body is no JSON object";
    json_object_foreach(root, name, value)
    {
        if (!*why)
            *why = read_member(name, value, out);
    }
    json_decref(root);
    if (!*why)
        return STEAD_OK;
    *out = (struct told){0};
    return STEAD_E_INVAL;
}

static json_t *groups_json(const struct told *w)
{
    json_t *j = json_object();
    for (size_t i = 0; i < w->group_count; i++)
        json_object_set_new(j, w->groups[i], json_integer(w->group_users[i]));
    return j;
}

/* What the report said, and no more. */
static json_t *said_json(const struct told *w)
{
    json_t *j = json_object();
    if (w->what & TOLD_USERS)
        json_object_set_new(j, "users", json_integer(w->users));
    if (w->what & TOLD_GROUPS)
        json_object_set_new(j, "groups", groups_json(w));
    if (w->what & TOLD_LOAD)
        json_object_set_new(j, "load", json_real((double)w->load / LOAD_MAX));
    if (w->what & TOLD_PERCENT)
        json_object_set_new(j, "weight_percent", json_integer(w->percent));
    if (w->what & TOLD_ADMIN)
        json_object_set_new(j, "status",
                            json_string(w->maint   ? "maint"
                                        : w->drain ? "drain"
                                                   : "up"));
    return j;
}

char *gate_report_json(const char *service, const struct told *w, uint64_t age_ns,
                       uint64_t max_age_ns, const struct tally_state *now)
{
    json_t *j = json_pack(
        "{s:s, s:o, s:f, s:f, s:b, s:{s:s, s:I, s:I, s:b}}", "service", service, "report",
        said_json(w), "age_seconds", (double)(age_ns / NS_PER_MS) / 1000.0, "max_age_seconds",
        (double)(max_age_ns / NS_PER_MS) / 1000.0, "stale", (int)(age_ns > max_age_ns), "server",
        "users_from", users_from_name(now->from), "users", (json_int_t)now->users, "weight",
        (json_int_t)now->weight, "users_stale", (int)now->stale);
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(j);
    return text;
}
