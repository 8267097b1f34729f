/* gate_identity.c - a login told to a web server. */
#include "role/gate/gate_identity.h"

#include "base/slice.h"

#include <stdio.h>
#include <string.h>

#define CLAIM "claim."
#define CLAIM_LEN (sizeof CLAIM - 1)

static struct slice value_of(const struct record *r, const char *name)
{
    const struct field *f = record_get(r, name, strlen(name));
    return f ? (struct slice){(const char *)field_value(f), f->value_len} : (struct slice){NULL, 0};
}

/* Of a field that is no number, or too large: 0, which has passed. */
static int64_t seconds_of(struct slice value)
{
    int64_t n = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9' || i >= 15)
            return 0;
        n = n * 10 + (value.at[i] - '0');
    }
    return n;
}

static bool is_divider(char c)
{
    return c == ' ' || c == ',';
}

static bool has_word(struct slice list, const char *word)
{
    size_t len = strlen(word), at = 0;
    while (at < list.len) {
        size_t end = at;
        while (end < list.len && !is_divider(list.at[end]))
            end++;
        if (end - at == len && memcmp(list.at + at, word, len) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

static bool has_claim(const struct record *r, const char *need)
{
    char name[CLAIM_LEN + IDENTITY_NEED_MAX];
    size_t len = strcspn(need, ":");
    if (need[len] != ':')
        return false;
    snprintf(name, sizeof name, CLAIM "%.*s", (int)len, need);
    struct slice claim = value_of(r, name);
    return claim.at && (slice_is(claim, need + len + 1) || has_word(claim, need + len + 1));
}

int identity_check(const struct record *r, const struct identity_need *need, int64_t now_s)
{
    struct slice user = value_of(r, "user"), expires = value_of(r, "expires");
    if (user.len == 0 || (expires.at && seconds_of(expires) <= now_s))
        return 401;
    if ((need->user[0] && !slice_is(user, need->user)) ||
        (need->claim[0] && !has_claim(r, need->claim)))
        return 403;
    return 200;
}

/* -- headers -- */

struct lines {
    char *at;
    size_t len;
    unsigned left_out;
};

static bool may_stand(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '%';
}

static void put_line(struct lines *l, const char *name, size_t name_len, const char *prefix,
                     struct slice value)
{
    size_t need = strlen(prefix) + name_len + 4 + 3 * value.len + 1;
    if (need > IDENTITY_HEADERS_MAX - l->len) {
        l->left_out++;
        return;
    }
    char *at = stpcpy(l->at + l->len, prefix);
    at = stpcpy(mempcpy(at, name, name_len), ": ");
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (may_stand(c)) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[c >> 4];
            *at++ = "0123456789ABCDEF"[c & 15];
        }
    }
    at = stpcpy(at, "\r\n");
    l->len = (size_t)(at - l->at);
}

static void put(struct lines *l, const char *name, struct slice value)
{
    if (value.at)
        put_line(l, name, strlen(name), "", value);
}

/* A claim's name in a header: letters, digits and '-'. */
static bool name_may_stand(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-'))
            return false;
    }
    return len > 0;
}

static void put_claims(struct lines *l, const struct record *r)
{
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct field *f = r->fields[i];
        const char *name = (const char *)field_name(f);
        if (f->removed || f->name_len <= CLAIM_LEN || memcmp(name, CLAIM, CLAIM_LEN) != 0 ||
            !name_may_stand(name + CLAIM_LEN, f->name_len - CLAIM_LEN))
            continue;
        put_line(l, name + CLAIM_LEN, f->name_len - CLAIM_LEN, "Stead-Claim-",
                 (struct slice){(const char *)field_value(f), f->value_len});
    }
}

unsigned identity_headers(const struct record *r, char out[IDENTITY_HEADERS_MAX])
{
    struct lines l = {.at = out};
    out[0] = '\0';
    put(&l, "Remote-User", value_of(r, "user"));
    put(&l, "X-Auth-Request-User", value_of(r, "user"));
    put(&l, "Remote-Groups", value_of(r, CLAIM "groups"));
    put(&l, "Remote-Name", value_of(r, CLAIM "name"));
    put(&l, "Remote-Email", value_of(r, CLAIM "email"));
    put(&l, "Stead-Auth-Methods", value_of(r, "methods"));
    put(&l, "Stead-Auth-Expires", value_of(r, "expires"));
    put_claims(&l, r);
    return l.left_out;
}
