/* privileges.c - from root to a user, and from many capabilities to few. */
#include "node/privileges.h"

#include "base/log.h"
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1ull << (capability))
#define PASSWD_BYTES 16384
#define STATE_FILES_MAX 1024 /* far more than a node makes */

struct identity {
    uid_t uid;
    gid_t gid;
};

static int fail(int err, const char *what, const char *detail)
{
    fprintf(stderr, "stead: user: %s: %s\n", what, detail);
    return err;
}

uint64_t privileges_needed(const struct config *c)
{
    bool in_line = c->in_line.present;
    for (size_t i = 0; i < c->server_count; i++)
        in_line |= c->servers[i].tcp.address.family != 0;
    return in_line ? BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) : 0;
}

static int find_user(const char *name, struct identity *out)
{
    char bytes[PASSWD_BYTES];
    struct passwd p, *found = NULL;
    int err = getpwnam_r(name, &p, bytes, sizeof(bytes), &found);
    if (err)
        return fail(io_error(err), name, io_error_text(err));
    if (!found)
        return fail(STEAD_E_CONFIG, name, "there is no such user");
    *out = (struct identity){p.pw_uid, p.pw_gid};
    return STEAD_OK;
}

/* The folder and the files in it; a link is not followed. */
static int give_folder(const char *path, const struct identity *to)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int err = dir && fchown(fd, to->uid, to->gid) == 0 ? STEAD_OK : io_error(errno);
    struct dirent *e;
    for (unsigned n = 0; !err && n < STATE_FILES_MAX && (e = readdir(dir)); n++) {
        struct stat st;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
            st.st_nlink != 1)
            continue;
        if (fchownat(fd, e->d_name, to->uid, to->gid, AT_SYMLINK_NOFOLLOW))
            err = io_error(errno);
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return err;
}

static int give_files(const struct config *c, const struct identity *to, const char *const *files,
                      size_t count)
{
    int err = give_folder(c->top.state, to);
    if (err)
        return fail(err, c->top.state, stead_error_text(err));
    for (size_t i = 0; i < count; i++)
        if (lchown(files[i], to->uid, to->gid))
            return fail(io_error(errno), files[i], io_error_text(errno));
    return STEAD_OK;
}

static int set_capabilities(uint64_t kept)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &head, data))
        return io_error(errno);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t keep = (uint32_t)(kept >> (32 * i)) & data[i].permitted;
        data[i] = (struct __user_cap_data_struct){keep, keep, keep};
    }
    if (syscall(SYS_capset, &head, data))
        return io_error(errno);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        return io_error(errno);
    for (unsigned cap = 0; cap < 64; cap++)
        if (kept >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
            log_warn("privileges", "capability=%u why=\"it is not held\"", cap);
    return STEAD_OK;
}

/* Dumps are forbidden by the kernel after a change of identity; who wants them says so again. */
static int become(const struct config *c, const struct identity *to)
{
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || initgroups(c->top.user, to->gid) ||
        setresgid(to->gid, to->gid, to->gid) || setresuid(to->uid, to->uid, to->uid))
        return fail(io_error(errno), c->top.user, io_error_text(errno));
    if (c->top.core_dumps && prctl(PR_SET_DUMPABLE, 1))
        log_warn("core-dumps", "error=%s", io_error_text(errno));
    return STEAD_OK;
}

int privileges_drop(const struct config *c, const char *const *files, size_t count)
{
    struct identity to;
    bool root = geteuid() == 0, named = *c->top.user != '\0';
    if (root && !named)
        return STEAD_OK;
    int err = named ? find_user(c->top.user, &to) : STEAD_OK;
    if (!err && named && !root && to.uid != geteuid())
        return fail(STEAD_E_DENIED, c->top.user, "only root can become another user");
    if (!err && root)
        err = give_files(c, &to, files, count);
    if (!err && root)
        err = become(c, &to);
    if (!err && (err = set_capabilities(privileges_needed(c))))
        fail(err, "capabilities", stead_error_text(err));
    if (!err)
        log_info("privileges", "uid=%u capabilities=%" PRIx64, (unsigned)geteuid(),
                 privileges_needed(c));
    return err;
}
