/* gate_login.c - the body of a login made into the body of a new record of kind auth. */
#include "role/gate/gate_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_MAX_S 3153600000.0 /* a hundred years */

static json_t *seconds(int64_t s)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, s);
    return json_string(text);
}

/* ["pwd", "otp"] as "pwd otp". */
static bool put_methods(json_t *fields, const json_t *methods)
{
    char text[256] = "";
    size_t i, len = 0;
    const json_t *method;
    if (!methods)
        return true;
    if (!json_is_array(methods))
        return false;
    json_array_foreach(methods, i, method)
    {
        const char *word = json_string_value(method);
        if (!word || !*word || strpbrk(word, " ,") || len + strlen(word) + 2 > sizeof text)
            return false;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", word);
    }
    return json_object_set_new(fields, "methods", json_string(text)) == 0;
}

static bool put_claims(json_t *fields, json_t *claims)
{
    const char *name;
    json_t *value;
    if (!claims)
        return true;
    if (!json_is_object(claims))
        return false;
    json_object_foreach(claims, name, value)
    {
        char field[FIELD_NAME_MAX + 1];
        if (!json_is_string(value) ||
            (size_t)snprintf(field, sizeof field, "claim.%s", name) >= sizeof field ||
            json_object_set(fields, field, value) != 0)
            return false;
    }
    return true;
}

/* An absolute end, beside the life that every use renews. */
static bool put_end(json_t *fields, const json_t *expires_in, int64_t now_s)
{
    double s = json_number_value(expires_in);
    if (!expires_in)
        return true;
    return json_is_number(expires_in) && s >= 1 && s <= EXPIRES_MAX_S &&
           json_object_set_new(fields, "expires", seconds(now_s + (int64_t)s)) == 0;
}

static const char *check_names(json_t *root)
{
    static const char *const known[] = {"user", "methods", "claims", "expires_in", "ttl"};
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        size_t i = 0, count = sizeof known / sizeof *known;
        while (i < count && strcmp(known[i], name) != 0)
            i++;
        if (i == count)
            return "a login has user, methods, claims, expires_in and ttl";
    }
    return NULL;
}

static const char *fill(json_t *root, json_t *form, json_t *fields, int64_t now_s)
{
    json_t *user = json_object_get(root, "user"), *ttl = json_object_get(root, "ttl");
    const char *wrong = check_names(root);
    if (wrong)
        return wrong;
    if (json_string_length(user) == 0)
        return "user is a text";
    if (!put_methods(fields, json_object_get(root, "methods")))
        return "methods is a list of words";
    if (!put_claims(fields, json_object_get(root, "claims")))
        return "claims is an object of texts";
    if (!put_end(fields, json_object_get(root, "expires_in"), now_s))
        return "expires_in is a number of seconds";
    json_object_set(fields, "user", user);
    json_object_set_new(fields, "issued", seconds(now_s));
    if (ttl)
        json_object_set(form, "ttl", ttl);
    return NULL;
}

char *gate_login_form(const char *body, size_t len, int64_t now_s, const char **why)
{
    *why = "the body is no JSON object";
    json_t *root =
        gate_json_bounded(body, len) ? json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    json_t *form = json_object(), *fields = json_object();
    json_object_set_new(form, "fields", fields);
    *why = fill(root, form, fields, now_s);
    char *text = *why ? NULL : json_dumps(form, JSON_COMPACT);
    if (!*why && !text)
        *why = "there is no memory";
    json_decref(form);
    json_decref(root);
    return text;
}
