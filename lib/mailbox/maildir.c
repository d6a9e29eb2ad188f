/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir.c - create a Maildir, deliver into it, read from it
 *
 * Runs in: local, virtual (on helper threads, as the mailbox owner), imapd, pop3d. The directory
 * belongs to the user, who may have put anything there.
 */
#include "mailbox/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mailbox/lf.h"
#include "mailbox/spool.h"

enum { TMP_SECONDS = 36 * 3600 };

/* mkdir -p, private to the user; the parents of a virtual mailbox may be missing as well */
static int make_directories(struct str *path)
{
    if (mkdir(str_cstr(path), 0700) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return -errno;
    for (char *p = path->data + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        bool made = mkdir(path->data, 0700) == 0 || errno == EEXIST;
        int error = errno;
        *p = '/';
        if (!made)
            return -error;
    }
    return mkdir(path->data, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

int maildir_create(const char *maildir)
{
    /* cur and new come last: what sees them may take the Maildir for complete. */
    static const char *const subs[] = { "tmp", "new", "cur" };
    _cleanup_(str_free) struct str path = STR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        maildir_path(&path, maildir, subs[i], NULL);
        int r = make_directories(&path);
        if (r < 0)
            return r;
    }
    return 0;
}

void maildir_sweep(const char *maildir)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    DIR *d = opendir(maildir_path(&path, maildir, "tmp", NULL));
    int64_t old = clock_real() - TMP_SECONDS;
    struct stat st;

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' && stat(maildir_path(&path, maildir, "tmp", e->d_name), &st) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtime < old && st.st_ctime < old)
            unlink(path.data);
    closedir(d);
}

static int deliver(const char *maildir, const struct maildir_save *m, struct str *ret_name)
{
    _cleanup_(spool_done) struct spool s = SPOOL_INIT;
    int r = spool_write(maildir, m, SPOOL_SOURCE_KEPT, &s);

    if (r < 0)
        return r;
    if (m->flags == 0 && !(m->keywords && *m->keywords)) {
        r = spool_place(&s, maildir, "new", str_cstr(&s.base));
    } else {
        _cleanup_(str_free) struct str file = STR_INIT;

        maildir_name_make(str_span(&s.base), m->flags, m->keywords, &file);
        r = spool_place(&s, maildir, "cur", str_cstr(&file));
    }
    if (r < 0)
        return r;
    str_set(ret_name, str_span(&s.base));
    return 0;
}

int maildir_deliver(const char *maildir, const struct maildir_save *m, struct str *ret_name)
{
    int r = deliver(maildir, m, ret_name);

    if (r != -ENOENT)
        return r;
    r = maildir_create(maildir);
    if (r < 0)
        return r;
    return deliver(maildir, m, ret_name);
}

int maildir_read_crlf(int fd, uint64_t max, struct str *ret)
{
    struct stat st;
    size_t start = ret->len;

    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size > max)
        return -EFBIG;
    str_reserve(ret, (size_t)st.st_size + (size_t)st.st_size / 32 + 64);
    for (;;) {
        /* One byte more than the size that is expected, so that the end needs no read of its own. */
        str_reserve(ret, 4096);
        ssize_t n = pread(fd, ret->data + ret->len, ret->cap - ret->len - 1, (off_t)(ret->len - start));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            ret->len += (size_t)n;
        if (ret->len - start > max)
            return -EFBIG;
        if (n == 0 || (n > 0 && ret->len - start == (uint64_t)st.st_size))
            break;
    }
    ret->data[ret->len] = '\0';
    lf_expand(ret, start);
    return 0;
}
