/* cache_script.c - recognising a script by what it says. */
#include "role/gate/cache_script.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX 512

/* Without blanks, with one kind of quote. The first is in Redis's own manual and in most libraries,
 * the others are variants of it. */
static const char *const known_texts[] = {
    "ifredis.call('get',KEYS[1])==ARGV[1]thenreturnredis.call('del',KEYS[1])elsereturn0end",
    "ifredis.call('get',KEYS[1])==ARGV[1]thenredis.call('del',KEYS[1])return1elsereturn0end",
    "localtoken=redis.call('get',KEYS[1])ifnottokenortoken~=ARGV[1]thenreturn0end"
    "redis.call('del',KEYS[1])return1",
};

/* phpredis sends this digest before it ever sends the text. */
static const char known_digest[] = "b70c2384248f88e6b75b9f89241a180f856ad852";

static size_t normalize(struct slice text, char out[TEXT_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (isspace((unsigned char)c) || c == ';')
            continue;
        if (len == TEXT_MAX - 1)
            return 0;
        out[len++] = c == '"' ? '\'' : c;
    }
    out[len] = '\0';
    return len;
}

static bool is_known(const char *text)
{
    for (size_t i = 0; i < sizeof known_texts / sizeof known_texts[0]; i++)
        if (strcasecmp(text, known_texts[i]) == 0)
            return true;
    return false;
}

static void digest_of(struct slice text, char out[CACHE_SCRIPT_DIGEST + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)text.at, text.len, raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[CACHE_SCRIPT_DIGEST] = '\0';
}

bool cache_script_digest(const struct cache_scripts *s, struct slice digest)
{
    if (digest.len != CACHE_SCRIPT_DIGEST)
        return false;
    if (strncasecmp(digest.at, known_digest, CACHE_SCRIPT_DIGEST) == 0)
        return true;
    for (size_t i = 0; i < s->count; i++)
        if (strncasecmp(digest.at, s->digests[i], CACHE_SCRIPT_DIGEST) == 0)
            return true;
    return false;
}

bool cache_script_text(struct cache_scripts *s, struct slice text,
                       char digest[CACHE_SCRIPT_DIGEST + 1])
{
    char plain[TEXT_MAX];
    if (normalize(text, plain) == 0 || !is_known(plain))
        return false;
    digest_of(text, digest);
    if (!cache_script_digest(s, (struct slice){digest, CACHE_SCRIPT_DIGEST}) &&
        s->count < CACHE_SCRIPTS_MAX)
        memcpy(s->digests[s->count++], digest, CACHE_SCRIPT_DIGEST);
    return true;
}
