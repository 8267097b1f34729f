/* client_hello_fuzz.c - hellos: what was decided stays decided, whatever comes after it. */
#include "core/tcp/client_hello.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[CLIENT_HELLO_NAME_MAX + 1], before[CLIENT_HELLO_NAME_MAX + 1];
    enum client_hello e = client_hello_name(data, size, name);
    CHECK((e == CLIENT_HELLO_NAMED) == (name[0] != '\0'));
    CHECK(strlen(name) <= CLIENT_HELLO_NAME_MAX);
    CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") == strlen(name));
    CHECK(e != CLIENT_HELLO_MORE || size < CLIENT_HELLO_MAX);
    size_t less = size < 64 ? size : size - 64;
    for (size_t part = less; part < size; part++) {
        enum client_hello p = client_hello_name(data, part, before);
        CHECK(p == CLIENT_HELLO_MORE || (p == e && strcmp(name, before) == 0));
    }
    return 0;
}
