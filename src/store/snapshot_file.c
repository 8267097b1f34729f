/* A snapshot's file as a stream of boxes (snapshot_file.h). */
#include "store/snapshot_file.h"

#include "base/mem.h"
#include "base/wire.h"
#include "stead/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0600
#define MARK_BYTES 8
#define HEAD_BYTES (MARK_BYTES + 4)
#define BOX_HEAD_BYTES (ENGINE_NAME_BYTES + 4)
#define PART ".part"

static const uint8_t mark[MARK_BYTES] = {'S', 'T', 'E', 'A', 'D', 'S', 'N', 'P'};

static int fails(struct snapshot_file *f, int err, const char *why)
{
    f->why = why;
    return err;
}

static int error_of(struct snapshot_file *f, int number, const char *why)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return fails(f, STEAD_E_FULL, "the disk is full");
    case ENOENT:
    case ENOTDIR:
        return fails(f, STEAD_E_NOT_FOUND, "there is no such file or folder");
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return fails(f, STEAD_E_DENIED, "the node may not");
    case ENOMEM:
        return fails(f, STEAD_E_NOMEM, "no memory");
    default:
        return fails(f, STEAD_E_IO, why);
    }
}

static bool sum_begin(struct snapshot_file *f)
{
    if (!f->sum)
        f->sum = EVP_MD_CTX_new();
    return f->sum && EVP_DigestInit_ex(f->sum, EVP_sha256(), NULL) == 1;
}

/* -- written -- */

static int put_bytes(struct snapshot_file *f, const void *bytes, size_t len)
{
    if (fwrite(bytes, 1, len, f->file) != len)
        return error_of(f, errno, "it cannot be written");
    if (EVP_DigestUpdate(f->sum, bytes, len) != 1)
        return fails(f, STEAD_E_NOMEM, "no memory");
    f->bytes += len;
    return STEAD_OK;
}

static int put_box(struct snapshot_file *f, const struct sealed *s)
{
    uint8_t head[BOX_HEAD_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, head, sizeof(head));
    wire_put_bytes(&w, s->name, ENGINE_NAME_BYTES);
    wire_put_u32(&w, (uint32_t)s->len);
    int err = put_bytes(f, head, sizeof(head));
    return err ? err : put_bytes(f, s->bytes, s->len);
}

/* What stands there may be replaced only if it is a snapshot: whoever asks may mistype a name. */
static int may_replace(struct snapshot_file *f)
{
    uint8_t got[MARK_BYTES];
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? STEAD_OK : error_of(f, errno, "it cannot be read");
    bool is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
              (st.st_size == 0 ||
               (read(fd, got, sizeof(got)) == sizeof(got) && memcmp(got, mark, sizeof(got)) == 0));
    close(fd);
    return is ? STEAD_OK : fails(f, STEAD_E_EXISTS, "what stands there is no snapshot");
}

static int open_part(struct snapshot_file *f)
{
    if (unlink(f->temporary) && errno != ENOENT)
        return error_of(f, errno, "it cannot be written");
    int fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_of(f, errno, "it cannot be written");
    f->file = fdopen(fd, "wb");
    if (f->file)
        return STEAD_OK;
    close(fd);
    return fails(f, STEAD_E_NOMEM, "no memory");
}

int snapshot_create(struct snapshot_file *f, const char *path, const struct repository_keys *k,
                    uint64_t time_ms)
{
    uint8_t head[HEAD_BYTES];
    struct sealed time = {0};
    struct wire_writer w;
    *f = (struct snapshot_file){.path = mem_strdup(path)};
    size_t room = strlen(path) + sizeof(PART);
    f->temporary = mem_alloc(room);
    if (!f->path || !f->temporary || !sum_begin(f))
        return fails(f, STEAD_E_NOMEM, "no memory");
    snprintf(f->temporary, room, "%s" PART, path);
    int err = may_replace(f);
    if (!err)
        err = open_part(f);
    if (err)
        return err;
    wire_writer_init(&w, head, sizeof(head));
    wire_put_bytes(&w, mark, sizeof(mark));
    wire_put_u32(&w, SNAPSHOT_VERSION);
    err = put_bytes(f, head, sizeof(head));
    if (!err && repository_seal_time(k, time_ms, &time))
        err = fails(f, STEAD_E_NOMEM, "no memory");
    if (!err)
        err = put_box(f, &time);
    mem_free(time.bytes);
    return err;
}

int snapshot_put(struct snapshot_file *f, const struct sealed *s)
{
    int err = put_box(f, s);
    f->records += err == STEAD_OK;
    return err;
}

/* The new name, too, is there after a power cut. */
static int sync_folder(struct snapshot_file *f)
{
    char *slash = strrchr(f->temporary, '/');
    if (!slash)
        return STEAD_OK;
    slash[slash == f->temporary ? 1 : 0] = '\0';
    int fd = open(f->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) ? errno : 0;
    if (fd >= 0)
        close(fd);
    return err ? error_of(f, err, "its folder cannot be brought to disk") : STEAD_OK;
}

static int put_end(struct snapshot_file *f, const struct repository_keys *k)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    struct sealed end = {0};
    if (EVP_DigestFinal_ex(f->sum, sum, NULL) != 1 ||
        repository_seal_end(k, f->records, sum, &end) || !sum_begin(f))
        return fails(f, STEAD_E_NOMEM, "no memory");
    int err = put_box(f, &end);
    mem_free(end.bytes);
    return err;
}

int snapshot_finish(struct snapshot_file *f, const struct repository_keys *k)
{
    int err = put_end(f, k);
    if (!err && (fflush(f->file) || fsync(fileno(f->file))))
        err = error_of(f, errno, "it cannot be brought to disk");
    FILE *file = f->file;
    f->file = NULL;
    if (fclose(file) && !err)
        err = error_of(f, errno, "it cannot be written");
    if (!err && rename(f->temporary, f->path))
        err = error_of(f, errno, "it cannot be given its name");
    if (err) {
        unlink(f->temporary);
        return err;
    }
    err = sync_folder(f);
    mem_free(f->temporary);
    f->temporary = NULL;
    return err;
}

/* -- read -- */

#define DAMAGED "it is damaged or cut"

static int get_bytes(struct snapshot_file *f, void *out, size_t len)
{
    errno = 0;
    if (fread(out, 1, len, f->file) != len)
        return ferror(f->file) ? error_of(f, errno, "it cannot be read")
                               : fails(f, STEAD_E_PARSE, DAMAGED);
    if (EVP_DigestUpdate(f->sum, out, len) != 1)
        return fails(f, STEAD_E_NOMEM, "no memory");
    f->bytes += len;
    return STEAD_OK;
}

static int get_box(struct snapshot_file *f, uint8_t name[ENGINE_NAME_BYTES], size_t *len,
                   uint8_t sum[EVP_MAX_MD_SIZE])
{
    uint8_t head[BOX_HEAD_BYTES];
    struct wire_reader r;
    EVP_MD_CTX *before = EVP_MD_CTX_new();
    /* The end tells the sum of all before it. */
    bool summed = before && EVP_MD_CTX_copy_ex(before, f->sum) == 1 &&
                  EVP_DigestFinal_ex(before, sum, NULL) == 1;
    EVP_MD_CTX_free(before);
    if (!summed)
        return fails(f, STEAD_E_NOMEM, "no memory");
    int err = get_bytes(f, head, sizeof(head));
    if (err)
        return err;
    memcpy(name, head, ENGINE_NAME_BYTES);
    wire_reader_init(&r, head + ENGINE_NAME_BYTES, 4);
    *len = wire_u32(&r);
    if (*len > ENGINE_VALUE_MAX)
        return fails(f, STEAD_E_PARSE, DAMAGED);
    return get_bytes(f, f->box, *len);
}

static int get_head(struct snapshot_file *f, const struct repository_keys *k, uint64_t *time_ms)
{
    uint8_t head[HEAD_BYTES], name[ENGINE_NAME_BYTES], sum[EVP_MAX_MD_SIZE];
    struct wire_reader r;
    size_t len;
    f->records = f->bytes = 0;
    if (!sum_begin(f))
        return fails(f, STEAD_E_NOMEM, "no memory");
    int err = get_bytes(f, head, sizeof(head));
    if ((err == STEAD_OK || err == STEAD_E_PARSE) && (err || memcmp(head, mark, sizeof(mark)) != 0))
        return fails(f, STEAD_E_PARSE, "it is no snapshot");
    if (err)
        return err;
    wire_reader_init(&r, head + MARK_BYTES, 4);
    if (wire_u32(&r) != SNAPSHOT_VERSION)
        return fails(f, STEAD_E_UNSUPPORTED, "it is of another version of this program");
    err = get_box(f, name, &len, sum);
    if (err)
        return err;
    err = repository_is_time(name) ? repository_open_time(k, f->box, len, time_ms) : STEAD_E_PARSE;
    return err == STEAD_E_PARSE ? fails(f, err, "it is of another farm's key, or damaged")
           : err                ? fails(f, err, "no memory")
                                : STEAD_OK;
}

int snapshot_open(struct snapshot_file *f, const char *path, const struct repository_keys *k,
                  uint64_t *time_ms)
{
    struct stat st;
    *f = (struct snapshot_file){.path = mem_strdup(path), .box = mem_alloc(ENGINE_VALUE_MAX)};
    if (!f->path || !f->box)
        return fails(f, STEAD_E_NOMEM, "no memory");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_of(f, errno, "it cannot be read");
    f->file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "rb") : NULL;
    if (!f->file) {
        close(fd);
        return fails(f, STEAD_E_PARSE, "it is no file");
    }
    return get_head(f, k, time_ms);
}

static int check_end(struct snapshot_file *f, const struct repository_keys *k, size_t len,
                     const uint8_t *sum)
{
    uint8_t told[REPOSITORY_SUM_BYTES];
    uint64_t count;
    int err = repository_open_end(k, f->box, len, &count, told);
    if (err == STEAD_E_NOMEM)
        return fails(f, err, "no memory");
    if (err || count != f->records || memcmp(told, sum, sizeof(told)) != 0 || fgetc(f->file) != EOF)
        return fails(f, STEAD_E_PARSE, DAMAGED);
    return STEAD_E_ABSENT;
}

int snapshot_next(struct snapshot_file *f, const struct repository_keys *k,
                  uint8_t name[ENGINE_NAME_BYTES], size_t *len)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    int err = get_box(f, name, len, sum);
    if (err)
        return err;
    if (repository_is_end(name))
        return check_end(f, k, *len, sum);
    f->records++;
    return STEAD_OK;
}

int snapshot_rewind(struct snapshot_file *f, const struct repository_keys *k)
{
    uint64_t time_ms;
    rewind(f->file);
    return get_head(f, k, &time_ms);
}

void snapshot_close(struct snapshot_file *f)
{
    if (f->file && f->temporary)
        unlink(f->temporary);
    if (f->file)
        fclose(f->file);
    EVP_MD_CTX_free(f->sum);
    mem_free(f->temporary);
    mem_free(f->path);
    mem_free(f->box);
    *f = (struct snapshot_file){0};
}
