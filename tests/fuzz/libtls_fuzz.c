/* libtls_fuzz.c - what libstead-tls reads: keys and values as a node answers, and what of a
 * client's hello asks for a session. The first byte says which. */
#include "base/mem.h"
#include "fuzz_check.h"
#include "libtls/attached.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keys(const char *text, size_t len)
{
    static struct keyset_keys k;
    int err = keyset_parse(text, len, &k);
    CHECK(err == STEAD_OK || err == STEAD_E_PARSE);
    CHECK((err == STEAD_OK) == (k.count > 0) && k.count <= KEYSET_MAX);
    for (size_t i = 0; i < k.count; i++)
        CHECK(k.key[i].seals_from_s < k.key[i].seals_until_s &&
              k.key[i].seals_until_s <= k.key[i].opens_until_s);
}

/* What is read can be said again, and is the same. */
static void value(const char *text, size_t len)
{
    size_t n = 0, again_len = 0;
    bool local;
    uint8_t *v = kept_value(text, len, &n, &local), *again;
    if (!v)
        return;
    CHECK(n < len && v[n] == 0);
    char *body = n <= SESSION_BYTES_MAX ? kept_body(v, n, 1) : NULL;
    if (body) {
        again = kept_value(body, strlen(body), &again_len, &local);
        CHECK(again && again_len == n && memcmp(again, v, n) == 0 && !local);
        mem_free(again);
    }
    kept_body_free(body);
    mem_free(v);
}

static void hello(bool tls13, const uint8_t *data, size_t size)
{
    uint8_t id[SESSION_ID_BYTES];
    bool once = false;
    if (size < 2 || size - 2 < (size_t)data[0] + data[1])
        return;
    size_t versions = data[0], old = data[1], psk_len = size - 2 - versions - old;
    const uint8_t *at = data + 2, *psk = at + versions + old;
    bool found = hello_parts(tls13, at, versions, psk, psk_len, at + versions, old, id, &once);
    CHECK(!once || (tls13 && memmem(at, versions, "\x03\x04", 2)));
    if (found && once)
        CHECK(psk_len >= 4 + SESSION_ID_BYTES && memcmp(id, psk + 4, SESSION_ID_BYTES) == 0);
    if (found && !once)
        CHECK(old == SESSION_ID_BYTES && memcmp(id, at + versions, SESSION_ID_BYTES) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] == 'k')
        keys(text, size - 1);
    else if (data[0] == 'v')
        value(text, size - 1);
    else
        hello(data[0] & 1, data + 1, size - 1);
    return 0;
}
