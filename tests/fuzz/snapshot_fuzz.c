/* snapshot_fuzz.c - a snapshot's file of any bytes: it ends, and only what the farm's key has
 * sealed is taken for whole. */
#include "fuzz_check.h"
#include "stead/error.h"
#include "store/snapshot_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct repository_keys keys;
    struct snapshot_file f;
    uint8_t name[ENGINE_NAME_BYTES];
    char path[64];
    uint64_t time_ms;
    size_t len;
    memset(&keys, 0, sizeof(keys));
    memset(keys.names, 5, sizeof(keys.names));
    static struct box_ring ring;
    uint8_t key[TOKEN_KEY_BYTES];
    memset(key, 5, sizeof key);
    box_ring_set(&ring, (const uint8_t(*)[TOKEN_KEY_BYTES]) & key, 1);
    keys.values = &ring;
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int err = snapshot_open(&f, path, &keys, &time_ms);
    while (!err)
        err = snapshot_next(&f, &keys, name, &len);
    CHECK(err == STEAD_E_ABSENT || (err == STEAD_E_PARSE && f.why) ||
          (err == STEAD_E_UNSUPPORTED && f.why));
    CHECK(err != STEAD_E_ABSENT || f.bytes == size);
    snapshot_close(&f);
    close(fd);
    return 0;
}
