/* The embedded engine: LMDB, one file. A change is written beside what it replaces and becomes
 * visible by one page at the end, so the file is whole whenever its writer dies. Only one thread of
 * one process has it open, by a lock on the file itself: LMDB's own lock file is not needed. */
#include "store/engine.h"

#include "base/mem.h"
#include "stead/error.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_MODE 0600
#define RESERVE_PART 8 /* of the largest size */
#define CHECK_S 600    /* the child that reads a file is ended after */

struct engine_lmdb {
    struct engine engine; /* first */
    MDB_env *env;
    MDB_dbi dbi;
    int lock_fd;
    uint64_t bytes_max;
};

static int error_of(int err)
{
    switch (err) {
    case 0:
        return STEAD_OK;
    case MDB_NOTFOUND:
        return STEAD_E_ABSENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return STEAD_E_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_VALSIZE:
    case EINVAL:
        return STEAD_E_PARSE;
    case EACCES:
    case EPERM:
    case EROFS:
        return STEAD_E_DENIED;
    case ENOMEM:
        return STEAD_E_NOMEM;
    case EEXIST:
        return STEAD_E_EXISTS;
    default:
        return STEAD_E_IO;
    }
}

static struct engine_lmdb *lmdb_of(struct engine *e)
{
    return (struct engine_lmdb *)(void *)e;
}

static MDB_val name_val(const uint8_t *name)
{
    return (MDB_val){ENGINE_NAME_BYTES, (void *)(uintptr_t)name};
}

static int put_all(struct engine_lmdb *l, const struct engine_put *puts, size_t count)
{
    MDB_txn *txn;
    int err = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (err)
        return err;
    for (size_t i = 0; i < count && !err; i++) {
        MDB_val name = name_val(puts[i].name);
        MDB_val value = {puts[i].len, (void *)(uintptr_t)puts[i].bytes};
        if (puts[i].bytes)
            err = mdb_put(txn, l->dbi, &name, &value, 0);
        else if ((err = mdb_del(txn, l->dbi, &name, NULL)) == MDB_NOTFOUND)
            err = 0;
    }
    if (err) {
        mdb_txn_abort(txn);
        return err;
    }
    return mdb_txn_commit(txn);
}

static bool only_removes(const struct engine_put *puts, size_t count)
{
    size_t i = 0;
    while (i < count && !puts[i].bytes)
        i++;
    return i == count;
}

/* LMDB has one word for a write that was cut short: EIO. Is it the disk that has no room? */
static bool disk_is_full(const struct engine_lmdb *l)
{
    struct statvfs disk;
    return fstatvfs(l->lock_fd, &disk) == 0 &&
           disk.f_bavail < ENGINE_VALUE_MAX / (disk.f_frsize ? disk.f_frsize : 1);
}

/* What goes needs pages, too, until it is gone: a full file gets some beyond its limit for that. */
static int lmdb_put(struct engine *e, const struct engine_put *puts, size_t count)
{
    struct engine_lmdb *l = lmdb_of(e);
    int err = put_all(l, puts, count);
    if (err == EIO && disk_is_full(l))
        err = ENOSPC;
    if (err != MDB_MAP_FULL || !only_removes(puts, count))
        return error_of(err);
    err = mdb_env_set_mapsize(l->env, (size_t)(l->bytes_max + l->bytes_max / RESERVE_PART));
    if (!err)
        err = put_all(l, puts, count);
    int back = mdb_env_set_mapsize(l->env, (size_t)l->bytes_max);
    return error_of(err ? err : back);
}

static int lmdb_get(struct engine *e, const uint8_t name[ENGINE_NAME_BYTES], engine_take *take,
                    void *context)
{
    struct engine_lmdb *l = lmdb_of(e);
    MDB_txn *txn;
    MDB_val key = name_val(name), value;
    int err = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (err)
        return error_of(err);
    err = mdb_get(txn, l->dbi, &key, &value);
    if (!err)
        take(context, name, value.mv_data, value.mv_size);
    mdb_txn_abort(txn);
    return error_of(err);
}

static int walk_from(MDB_cursor *cursor, const uint8_t *after, engine_take *take, void *context)
{
    MDB_val key = {0}, value;
    if (after)
        key = name_val(after);
    int err = mdb_cursor_get(cursor, &key, &value, after ? MDB_SET_RANGE : MDB_FIRST);
    if (!err && after && key.mv_size == ENGINE_NAME_BYTES &&
        memcmp(key.mv_data, after, ENGINE_NAME_BYTES) == 0)
        err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    for (; !err; err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (key.mv_size != ENGINE_NAME_BYTES)
            return MDB_INVALID;
        if (!take(context, key.mv_data, value.mv_data, value.mv_size))
            return 0;
    }
    return err == MDB_NOTFOUND ? 0 : err;
}

static int lmdb_walk(struct engine *e, const uint8_t *after, engine_take *take, void *context)
{
    struct engine_lmdb *l = lmdb_of(e);
    MDB_txn *txn;
    MDB_cursor *cursor;
    int err = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (err)
        return error_of(err);
    err = mdb_cursor_open(txn, l->dbi, &cursor);
    if (!err) {
        err = walk_from(cursor, after, take, context);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return error_of(err);
}

static int lmdb_snapshot(struct engine *e, const char *path)
{
    struct engine_lmdb *l = lmdb_of(e);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_of(errno);
    int err = mdb_env_copyfd2(l->env, fd, MDB_CP_COMPACT);
    if (!err && fsync(fd))
        err = errno;
    if (close(fd) && !err)
        err = errno;
    if (err)
        unlink(path);
    return error_of(err);
}

static int lmdb_stats(struct engine *e, struct engine_stats *out)
{
    struct engine_lmdb *l = lmdb_of(e);
    struct stat file;
    MDB_stat st;
    int err = mdb_env_stat(l->env, &st);
    if (!err && fstat(l->lock_fd, &file))
        err = errno;
    *out = (struct engine_stats){0};
    if (!err)
        *out = (struct engine_stats){.records = st.ms_entries, .bytes = (uint64_t)file.st_size};
    return error_of(err);
}

static void lmdb_close(struct engine *e)
{
    struct engine_lmdb *l = lmdb_of(e);
    if (l->env)
        mdb_env_close(l->env);
    if (l->lock_fd >= 0)
        close(l->lock_fd);
    mem_free(l);
}

static const struct engine_calls lmdb_calls = {.put = lmdb_put,
                                               .get = lmdb_get,
                                               .walk = lmdb_walk,
                                               .snapshot = lmdb_snapshot,
                                               .stats = lmdb_stats,
                                               .close = lmdb_close};

static int lock_file(const char *path, int *fd)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (*fd < 0)
        return error_of(errno);
    if (flock(*fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? STEAD_E_IN_USE : error_of(errno);
    return STEAD_OK;
}

static int open_env(struct engine_lmdb *l, const char *path, uint64_t bytes_max, unsigned flags)
{
    int err = mdb_env_create(&l->env);
    if (!err)
        err = mdb_env_set_mapsize(l->env, (size_t)bytes_max);
    if (!err)
        err = mdb_env_open(l->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NORDAHEAD | flags,
                           FILE_MODE);
    return err;
}

static int open_records(struct engine_lmdb *l)
{
    MDB_txn *txn;
    int err = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (err)
        return err;
    err = mdb_dbi_open(txn, NULL, 0, &l->dbi);
    if (err)
        mdb_txn_abort(txn);
    return err ? err : mdb_txn_commit(txn);
}

/* -- is it whole? -- */

#define FREE_PAGES 0u /* LMDB's own list of them */
#define PAGE_STEP 4096

static void child_ends(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    _exit(1);
}

static int read_all(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    volatile uint8_t sum = 0;
    int err = mdb_cursor_open(txn, dbi, &cursor);
    if (err)
        return err;
    while (!(err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        for (size_t at = 0; at < value.mv_size; at += PAGE_STEP)
            sum = (uint8_t)(sum + ((const uint8_t *)value.mv_data)[at] +
                            ((const uint8_t *)value.mv_data)[value.mv_size - 1]);
    mdb_cursor_close(cursor);
    return err == MDB_NOTFOUND ? 0 : err;
}

static int read_file(struct engine_lmdb *l)
{
    MDB_txn *txn;
    mdb_env_set_assert(l->env, child_ends);
    int err = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (!err && !(err = mdb_dbi_open(txn, NULL, 0, &l->dbi)) && !(err = read_all(txn, FREE_PAGES)))
        err = read_all(txn, l->dbi);
    return err;
}

static void read_as_child(const char *path, uint64_t bytes_max)
{
    struct engine_lmdb l = {0};
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    prctl(PR_SET_DUMPABLE, 0);
    alarm(CHECK_S);
    int err = open_env(&l, path, bytes_max, MDB_RDONLY);
    if (!err)
        err = read_file(&l);
    _exit(err != 0);
}

/* LMDB trusts its pages: one that is not there or not what it should be may end the process. So
 * another one looks first. */
static int check(struct engine_lmdb *l, const char *path, uint64_t bytes_max)
{
    struct stat file;
    int status;
    if (fstat(l->lock_fd, &file))
        return error_of(errno);
    if (file.st_size == 0)
        return STEAD_OK;
    pid_t child = fork();
    if (child < 0)
        return error_of(errno);
    if (child == 0)
        read_as_child(path, bytes_max);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return error_of(errno);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? STEAD_OK : STEAD_E_PARSE;
}

int engine_lmdb_open(const char *path, uint64_t bytes_max, struct engine **out)
{
    struct engine_lmdb *l = mem_alloc(sizeof(*l));
    if (!l)
        return STEAD_E_NOMEM;
    l->engine.calls = &lmdb_calls;
    l->lock_fd = -1;
    l->bytes_max = bytes_max;
    int err = lock_file(path, &l->lock_fd);
    if (!err)
        err = check(l, path, bytes_max);
    if (!err)
        err = error_of(open_env(l, path, bytes_max, 0));
    if (!err)
        err = error_of(open_records(l));
    if (err) {
        lmdb_close(&l->engine);
        return err;
    }
    *out = &l->engine;
    return STEAD_OK;
}
