/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock.c - which files a process can reach at all, whatever its uid may do
 *
 * Every right of the file system that the kernel knows is refused but those
 * below the directories of the sandbox and the files of open tables. Rules
 * hold on to the files themselves: a table that was replaced by rename is
 * another file, which master opens for us (reopen.c).
 *
 * By system call, as the C library has no wrappers; the constants are the kernel's
 * (linux/landlock.h), given here because build machines have old headers.
 *
 * Runs in: every daemon, once, at start.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/mem.h"
#include "table/table.h"

enum {
    LL_EXECUTE = 1 << 0,
    LL_WRITE_FILE = 1 << 1,
    LL_READ_FILE = 1 << 2,
    LL_READ_DIR = 1 << 3,
    LL_MAKE_CHAR = 1 << 6,
    LL_MAKE_BLOCK = 1 << 11,
    LL_TRUNCATE = 1 << 14,
    LL_IOCTL_DEV = 1 << 15,
    LL_NEVER = LL_EXECUTE | LL_MAKE_CHAR | LL_MAKE_BLOCK | LL_IOCTL_DEV,
    LL_ONLY_FILES = LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE,
    LL_READ = LL_READ_FILE | LL_READ_DIR,
};
enum { LL_VERSION_FLAG = 1, LL_PATH_BENEATH = 1 };

/* All rights of the file system by ABI version, from 1 on. */
static const uint64_t rights_by_abi[] = { 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff };

/* From ABI 6 on: no abstract Unix sockets and no signals to processes outside the sandbox. */
enum { LL_SCOPE_ABI = 6, LL_SCOPES = 3 };

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct path_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

struct rules {
    int fd;
    uint64_t handled;
};

static int create_ruleset(int abi, uint64_t *ret_handled)
{
    size_t n = ARRAY_LEN(rights_by_abi);
    struct ruleset_attr attr = { .fs = rights_by_abi[(size_t)abi < n ? (size_t)abi - 1 : n - 1] };
    size_t size = sizeof attr.fs;

    if (abi >= LL_SCOPE_ABI) {
        attr.scoped = LL_SCOPES;
        size = sizeof attr;
    }
    *ret_handled = attr.fs;
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

/* allow - what does not exist needs no rule */
static void allow(const struct rules *rules, const char *path, uint64_t rights)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (!S_ISDIR(st.st_mode))
        rights &= LL_ONLY_FILES;
    struct path_attr attr = { rights & rules->handled, fd };
    if (syscall(SYS_landlock_add_rule, rules->fd, LL_PATH_BENEATH, &attr, 0) < 0)
        log_warn_errno(-errno, "%s: cannot be allowed in the sandbox", path);
}

static void allow_table(const char *path, void *arg)
{
    allow(arg, path, LL_READ_FILE);
}

/* allow_list - the directories of a sandbox; "$name" is expanded, an empty result skipped */
static void allow_list(const struct running *rd, const struct rules *rules, const char *const *list,
                       uint64_t rights)
{
    for (size_t i = 0; i < ARRAY_LEN(rd->sv.daemon->sandbox.read) && list[i]; i++) {
        _cleanup_(str_free) struct str path = STR_INIT, err = STR_INIT;

        if (conf_expand(rd->sv.conf, span_of(list[i]), &path, &err) < 0)
            log_fatal("%s: %s", list[i], str_cstr(&err));
        if (path.len > 0)
            allow(rules, str_cstr(&path), rights);
    }
}

/* Name service: its settings, its modules, the caches of those who answer. */
static const char *const nss_paths[] = {
    "/etc", "/usr", "/lib", "/lib64", "/run/nscd", "/run/systemd", "/run/resolvconf", "/run/NetworkManager",
    "/var/lib/sss", "/var/lib/extrausers", "/var/lib/misc", "/dev/null", "/dev/urandom",
};

int landlock_prepare(struct running *rd)
{
    const struct sandbox *box = &rd->sv.daemon->sandbox;
    struct rules rules = { .fd = -1 };

    if (rd->sandbox_flags & SANDBOX_ALL_FILES)
        return -1;
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION_FLAG);
    if (abi <= 0) {
        log_info("this kernel has no Landlock: file access is limited by the user's rights only");
        return -1;
    }
    rules.fd = create_ruleset((int)abi, &rules.handled);
    if (rules.fd < 0)
        log_fatal("cannot make a Landlock ruleset: %m");
    allow_list(rd, &rules, box->read, LL_READ);
    allow_list(rd, &rules, box->write, ~(uint64_t)LL_NEVER);
    table_foreach_path(allow_table, &rules);
    for (size_t i = 0; rd->sandbox_flags & SANDBOX_NSS && i < ARRAY_LEN(nss_paths); i++)
        allow(&rules, nss_paths[i], LL_READ);
    return rules.fd;
}

void landlock_apply(int ruleset_fd)
{
    if (ruleset_fd < 0)
        return;
    if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
        log_fatal("cannot enter the Landlock sandbox: %m");
    close(ruleset_fd);
}
