/* The node's folder on disk, and the farm's key file. */
#include "node/state.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_FILE_MAX 65536
#define STATE_PATH_MAX (sizeof(((struct state *)0)->path) + 16)

static int read_identity(struct state *s, const char *file)
{
    char *text;
    size_t len;
    int err = io_read_file(file, STATE_FILE_MAX, &text, &len);
    if (err == STEAD_E_NOT_FOUND) {
        io_random(&s->node, sizeof(s->node));
        return STEAD_OK;
    }
    if (err)
        return err;
    int got = sscanf(text, "id=%" SCNx64 "\nboot=%" SCNu64, &s->node, &s->boot);
    mem_free(text);
    return got == 2 && s->node != 0 ? STEAD_OK : STEAD_E_PARSE;
}

int state_open(const char *path, struct state *s)
{
    char file[STATE_PATH_MAX], text[128];
    *s = (struct state){.lock_fd = -1};
    if ((size_t)snprintf(s->path, sizeof(s->path), "%s", path) >= sizeof(s->path))
        return STEAD_E_TOO_LARGE;
    int err = io_make_dirs(path);
    if (err)
        return err;
    snprintf(file, sizeof(file), "%s/lock", path);
    if ((err = io_lock_file(file, &s->lock_fd)))
        return err;
    snprintf(file, sizeof(file), "%s/node", path);
    if ((err = read_identity(s, file)))
        goto locked;
    s->boot++;
    while (s->inc == 0)
        io_random(&s->inc, sizeof(s->inc));
    int n = snprintf(text, sizeof(text), "id=%016" PRIx64 "\nboot=%" PRIu64 "\n", s->node, s->boot);
    if ((err = io_write_file(file, text, (size_t)n, 0600)))
        goto locked;
    return STEAD_OK;
locked:
    state_close(s);
    return err;
}

void state_close(struct state *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
}

int state_save_addresses(const struct state *s, const struct addr *addrs, size_t count)
{
    char file[STATE_PATH_MAX], one[ADDR_TEXT_MAX];
    char *text = mem_alloc(count * (ADDR_TEXT_MAX + 1) + 1);
    if (!text)
        return STEAD_E_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(one) + 1, "%s\n", addr_format(&addrs[i], one));
    snprintf(file, sizeof(file), "%s/peers", s->path);
    int err = io_write_file(file, text, len, 0600);
    mem_free(text);
    return err;
}

size_t state_load_addresses(const struct state *s, struct addr *out, size_t max)
{
    char file[STATE_PATH_MAX], *text, *save;
    size_t len, count = 0;
    snprintf(file, sizeof(file), "%s/peers", s->path);
    if (io_read_file(file, STATE_FILE_MAX, &text, &len))
        return 0;
    for (char *line = strtok_r(text, "\n", &save); line && count < max;
         line = strtok_r(NULL, "\n", &save))
        if (addr_parse(line, 0, &out[count]))
            count++;
    mem_free(text);
    return count;
}

int state_save_maint(const struct state *s, bool maint)
{
    static const char text[] = "taken out by an operator; stead maint --off ends it\n";
    char file[STATE_PATH_MAX];
    snprintf(file, sizeof(file), "%s/maint", s->path);
    if (maint)
        return io_write_file(file, text, sizeof(text) - 1, 0600);
    return unlink(file) == 0 || errno == ENOENT ? STEAD_OK : io_error(errno);
}

bool state_load_maint(const struct state *s)
{
    char file[STATE_PATH_MAX];
    snprintf(file, sizeof(file), "%s/maint", s->path);
    return access(file, F_OK) == 0;
}

int key_make(const char *path)
{
    uint8_t key[32];
    char text[66];
    io_random(key, sizeof(key));
    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    text[64] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? STEAD_E_EXISTS : io_error(errno);
    int err = write(fd, text, 65) == 65 && fsync(fd) == 0 ? STEAD_OK : STEAD_E_IO;
    close(fd);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    return err;
}
