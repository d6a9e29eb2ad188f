/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirs.c - the queue's directories and the instance lock
 *
 * Who may enter which directory is a part of the privilege model: private/ is
 * master's alone, so that a process reaches only the sockets it was handed.
 *
 * Runs in: master, as root, before any server.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "master/master.h"

enum { LOCK_PAUSE_MS = 20, LOCK_TRIES = 500 };

enum owner { OWNER_ROOT, OWNER_MAIL, OWNER_MAIL_DROP };

static const struct {
    const char *name;
    mode_t mode;
    enum owner owner;
} queue_dirs[] = {
    { "pid",      0755, OWNER_ROOT      },
    { "private",  0700, OWNER_ROOT      },
    { "public",   0755, OWNER_ROOT      },
    { "tmp",      0700, OWNER_MAIL      },
    { "new",      0700, OWNER_MAIL      },
    { "cur",      0700, OWNER_MAIL      },
    { "hold",     0700, OWNER_MAIL      },
    { "corrupt",  0700, OWNER_MAIL      },
    { "maildrop", 0730, OWNER_MAIL_DROP },
};

struct ids {
    uid_t uid;
    gid_t gid;
};

/* ids_of - the accounts exist: settings_check() */
static struct ids ids_of(const struct params *p, enum owner owner)
{
    struct ids ids = { 0, 0 };
    const struct passwd *pw;
    const struct group *gr;

    if (owner == OWNER_ROOT)
        return ids;
    pw = getpwnam(p->mail_owner);
    if (pw)
        ids = (struct ids){ pw->pw_uid, pw->pw_gid };
    gr = owner == OWNER_MAIL_DROP ? getgrnam(p->setgid_group) : NULL;
    if (gr)
        ids.gid = gr->gr_gid;
    return ids;
}

static int complain(struct str *err, const char *path)
{
    int error = errno;

    str_addf(err, "%s: %s", path, strerror(error));
    return -error;
}

/* make_dir - ids NULL: owned by whoever we are */
static int make_dir(const char *path, mode_t mode, const struct ids *ids, struct str *err)
{
    struct stat st;

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return complain(err, path);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return complain(err, path);
    if (ids && (st.st_uid != ids->uid || st.st_gid != ids->gid) && fchown(fd, ids->uid, ids->gid) < 0)
        return complain(err, path);
    if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
        return complain(err, path);
    return 0;
}

/* make_open - a directory that everybody may enter; one that is there is the administrator's */
static int make_open(const char *path)
{
    if (mkdir(path, 0755) < 0)
        return errno == EEXIST ? 0 : -1;
    return chmod(path, 0755);   /* whatever our umask is */
}

/* make_parents - of the queue directory, as mkdir -p */
static void make_parents(const char *path)
{
    _cleanup_free_ char *copy = mem_strdup(path);

    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        make_open(copy);
        *slash = '/';
    }
}

int dirs_make(const struct params *params, bool single_user, struct str *err)
{
    const struct ids mail = ids_of(params, OWNER_MAIL);

    make_parents(params->queue_directory);
    make_parents(params->data_directory);
    int r = make_dir(params->data_directory, 0700, single_user ? NULL : &mail, err);
    if (r < 0)
        return r;
    if (make_open(params->queue_directory) < 0)
        return complain(err, params->queue_directory);
    /* Sockets are bound by relative paths: the system allows only 107 bytes of them. */
    if (chdir(params->queue_directory) < 0)
        return complain(err, params->queue_directory);
    for (size_t i = 0; i < ARRAY_LEN(queue_dirs); i++) {
        const struct ids ids = ids_of(params, queue_dirs[i].owner);

        r = make_dir(queue_dirs[i].name, queue_dirs[i].mode, single_user ? NULL : &ids, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int lock_instance(int *ret_fd, struct str *err)
{
    static const char path[] = "pid/master.pid";
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return complain(err, path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;

        str_add_str(err, error == EWOULDBLOCK ? "the Postern mail system is already running"
                                              : strerror(error));
        return -error;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/*
 * The servers that must be alone (qmgr) inherit this lock. If master was killed they end within the grace time of
 * a stop, and until then a new master does not start a second one.
 */
int lock_singles(int *ret_fd, struct str *err)
{
    static const char path[] = "pid/single.lock";
    const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return complain(err, path);
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (i == LOCK_TRIES) {
            str_add_str(err, "a server of an earlier run does not end");
            return -EBUSY;
        }
        nanosleep(&pause, NULL);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

void lock_write(int fd, const char *outcome)
{
    char text[128];
    int len = snprintf(text, sizeof text, "%d\n%s\n", (int)getpid(), outcome);

    /* In one write, so that a reader sees the old text or the new one. */
    if (pwrite(fd, text, (size_t)len, 0) < 0 || ftruncate(fd, len) < 0)
        return;                 /* the lock counts; the text is for people */
}
