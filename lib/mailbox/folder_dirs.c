/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder_dirs.c - the directories new/ and cur/ of a mailbox: when they changed last, and where a file is
 *
 * Runs in: imapd, pop3d, as the mailbox owner. File names are anybody's.
 */
#include "mailbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "mailbox/spool.h"

enum { TICK_NS = 20 * 1000 * 1000 }; /* longer than a tick of the file system's clock */

/* ---- stamps ---- */

uint64_t folder_stamp(const struct folder *f, const char *sub)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    if (stat(maildir_path(&path, f->path.data, sub, NULL), &st) < 0)
        return 0;
    return (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

uint64_t folder_settled(uint64_t stamp)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return stamp + TICK_NS < ns ? stamp : 0;
}

struct touch folder_touch_begin(const struct folder *f, const struct index_mailbox *mb)
{
    return (struct touch){ mb->cur_stamp != 0 && folder_stamp(f, "cur") == mb->cur_stamp };
}

void folder_touch_end(const struct folder *f, struct touch t, struct index_mailbox *mb)
{
    if (!t.known)
        return;
    mb->cur_stamp = folder_stamp(f, "cur");
    if (mb->touched == INDEX_SETTLED)
        mb->touched = INDEX_TOUCHED;
}

/* ---- one file ---- */

const char *folder_sub(const struct index_message *m)
{
    return m->in_new ? "new" : "cur";
}

int folder_find_file(const struct folder *f, struct span base, struct str *file, bool *in_new)
{
    static const char *const subs[] = { "new", "cur" };
    _cleanup_(str_free) struct str path = STR_INIT;
    int found = 0;

    for (size_t i = 0; i < ARRAY_LEN(subs) && !found; i++) {
        DIR *d = opendir(maildir_path(&path, f->path.data, subs[i], NULL));

        if (!d)
            return -errno;
        for (struct dirent *e; !found && (e = readdir(d));) {
            struct span rest = span_of(e->d_name);

            if (span_eq(span_cut(&rest, ':'), base)) {
                str_set(file, span_of(e->d_name));
                *in_new = i == 0;
                found = 1;
            }
        }
        closedir(d);
    }
    return found;
}
