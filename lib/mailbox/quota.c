/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.c - the file "maildirsize" of Maildir++
 *
 * Lines are appended with one write() each, so deliveries need no lock. A line that comes while
 * the file is counted anew is lost; that is the format's own way, and the next count sees the message.
 *
 * Runs in: local, virtual (on helper threads, as the mailbox owner), imapd, pop3d. The file is the user's:
 * whatever it holds is taken as numbers or not at all.
 */
#include "mailbox/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/mem.h"
#include "mailbox/internal.h"
#include "mailbox/spool.h"

#define FILE_NAME  "maildirsize"
#define RULE_NAME  "postern-quota-rule"
#define FILE_MAX   5120
#define STALE_S    (15 * 60)

/* ---- the file ---- */

int quota_limits_parse(struct span text, struct quota_limits *ret)
{
    struct quota_limits limits = { 0, 0 };

    text = span_trim(text);
    if (text.len == 0)
        return -EINVAL;
    while (text.len > 0) {
        struct span item = span_trim(span_cut(&text, ','));
        char unit = item.len > 0 ? item.ptr[item.len - 1] : 'S';
        uint64_t *limit = unit == 'C' ? &limits.messages : &limits.bytes;

        if (unit == 'S' || unit == 'C')
            item.len -= item.len > 0;
        if (span_u64(item, INT64_MAX, limit) < 0)
            return -EINVAL;
    }
    *ret = limits;
    return 0;
}

/* A number and perhaps its unit: 1G. `unit` is what it has without. */
static bool parse_size(struct span text, uint64_t unit, uint64_t *ret)
{
    static const char units[] = "BkMGT";
    uint64_t n;
    char last = text.len > 0 ? text.ptr[text.len - 1] : '0';

    for (size_t i = 0; i < sizeof units - 1; i++) {
        if (char_lower(last) != char_lower(units[i]))
            continue;
        unit = (uint64_t)1 << 10 * i;
        text.len--;
    }
    return span_u64(text, INT64_MAX / unit, &n) == 0 && (*ret = n * unit, true);
}

int quota_rule_parse(struct span rule, struct quota_limits *ret)
{
    static const struct {
        const char *name;
        uint64_t unit;
        size_t limit;
    } items[] = {
        { "storage", 1024, offsetof(struct quota_limits, bytes) },
        { "bytes", 1, offsetof(struct quota_limits, bytes) },
        { "messages", 1, offsetof(struct quota_limits, messages) },
    };
    struct quota_limits limits = { 0, 0 };

    if (!span_eq_str(span_cut(&rule, ':'), "*") || rule.len == 0)
        return -EINVAL;
    while (rule.len > 0) {
        struct span value = span_cut(&rule, ':'), name = span_cut(&value, '=');
        size_t i = 0;

        while (i < ARRAY_LEN(items) && !span_eq_str(name, items[i].name))
            i++;
        if (i == ARRAY_LEN(items) ||
            !parse_size(value, items[i].unit, (uint64_t *)((char *)&limits + items[i].limit)))
            return -EINVAL;
    }
    *ret = limits;
    return 0;
}

/* The sum of all lines below the first; what is no line of two numbers counts nothing */
static void add_lines(struct span text, struct quota *q)
{
    int64_t bytes = 0, messages = 0, b, m;
    struct span word;

    while (text.len > 0) {
        struct span line = span_cut(&text, '\n');

        if (!span_word(&line, " \t", &word) || span_i64(word, &b) < 0 || !span_word(&line, " \t", &word) ||
            span_i64(word, &m) < 0)
            continue;
        q->lines++;
        if (__builtin_add_overflow(bytes, b, &bytes) || __builtin_add_overflow(messages, m, &messages))
            bytes = messages = 0;
    }
    q->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    q->messages = messages > 0 ? (uint64_t)messages : 0;
}

static int write_quota(const char *maildir, const struct quota *q)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;

    if (q->limits.bytes > 0 || q->limits.messages == 0)
        str_addf(&text, "%" PRIu64 "S", q->limits.bytes);
    if (q->limits.messages > 0)
        str_addf(&text, "%s%" PRIu64 "C", text.len > 0 ? "," : "", q->limits.messages);
    str_addf(&text, "\n%" PRIu64 " %" PRIu64 "\n", q->bytes, q->messages);
    return write_file(maildir_path(&path, maildir, FILE_NAME, NULL), str_span(&text));
}

/* ---- counting ---- */

static void count_directory(const char *path, struct quota *q)
{
    DIR *d = opendir(path);
    struct stat st;

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        struct maildir_name name;

        if (e->d_name[0] == '.')
            continue;
        maildir_name_parse(span_of(e->d_name), &name);
        if (name.size == 0 && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            name.size = (uint64_t)st.st_size;
        q->bytes += name.size;
        q->messages++;
    }
    closedir(d);
}

static void count_folder(const char *folder, struct quota *q)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    count_directory(maildir_path(&path, folder, "new", NULL), q);
    count_directory(maildir_path(&path, folder, "cur", NULL), q);
}

/* Count all folders and write it down. */
static int count_all(const char *maildir, const struct quota_limits *limits, struct quota *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    DIR *d = opendir(maildir);

    if (!d)
        return -errno;
    *ret = (struct quota){ .limits = *limits };
    count_folder(maildir, ret);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            count_folder(maildir_path(&path, maildir, e->d_name, NULL), ret);
    closedir(d);
    return write_quota(maildir, ret);
}

/* ---- what others call ---- */

int quota_load(const char *maildir, struct quota *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;
    int r = read_file(maildir_path(&path, maildir, FILE_NAME, NULL), 16 * FILE_MAX, &text);
    struct span rest = str_span(&text), first = span_cut(&rest, '\n');
    struct quota q;

    if (r < 0 && r != -EFBIG)
        return r;
    if (quota_limits_parse(first, &q.limits) < 0)
        return -ENOENT; /* no limits that anybody could mean */
    q.lines = 0;
    add_lines(rest, &q);
    if (q.lines == 0 || r == -EFBIG || text.len > FILE_MAX) {
        struct quota_limits limits = q.limits;

        r = count_all(maildir, &limits, &q);
        if (r < 0)
            return r;
    }
    *ret = q;
    return 0;
}

static int set_limits(const char *maildir, const struct quota_limits *limits, bool by_tables)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;
    struct quota q;
    int r = quota_load(maildir, &q);

    if (r == 0 && q.limits.bytes == limits->bytes && q.limits.messages == limits->messages)
        return 0;
    if (r < 0 && r != -ENOENT)
        return r;
    /* Not access(), which asks for the process and not for a thread that delivers. */
    if (by_tables && stat(maildir_path(&path, maildir, RULE_NAME, NULL), &st) == 0)
        return 0;
    return count_all(maildir, limits, &q);
}

int quota_set(const char *maildir, const struct quota_limits *limits)
{
    return set_limits(maildir, limits, true);
}

int quota_set_rule(const char *maildir, struct span rule)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct quota_limits limits;

    maildir_path(&path, maildir, RULE_NAME, NULL);
    if (rule.len == 0) {
        if (unlink(path.data) == 0)
            unlink(maildir_path(&path, maildir, FILE_NAME, NULL));
        return 0;
    }
    if (quota_rule_parse(rule, &limits) < 0)
        return -EINVAL;

    _cleanup_close_ int fd = open(path.data, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd < 0 ? -errno : set_limits(maildir, &limits, false);
}

/* Would it be more than there may be? What frees more than it takes is always allowed. */
static bool is_over(const struct quota *q, int64_t bytes, int64_t messages)
{
    return (q->limits.bytes > 0 && bytes > 0 && q->bytes + (uint64_t)bytes > q->limits.bytes) ||
           (q->limits.messages > 0 && messages > 0 && q->messages + (uint64_t)messages > q->limits.messages);
}

/* May the file be wrong? It has not just been counted. */
static bool is_stale(const char *maildir, const struct quota *q)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    return q->lines > 1 || (stat(maildir_path(&path, maildir, FILE_NAME, NULL), &st) == 0 &&
                            st.st_mtime + STALE_S < clock_real());
}

int quota_check(const char *maildir, int64_t bytes, int64_t messages)
{
    struct quota q;
    int r = quota_load(maildir, &q);

    if (r == -ENOENT)
        return 1;
    if (r == 0 && is_over(&q, bytes, messages) && is_stale(maildir, &q)) {
        struct quota_limits limits = q.limits;

        r = count_all(maildir, &limits, &q);
    }
    if (r < 0)
        return r;
    return is_over(&q, bytes, messages) ? -EDQUOT : 0;
}

void quota_add(const char *maildir, int64_t bytes, int64_t messages)
{
    _cleanup_(str_free) struct str path = STR_INIT, line = STR_INIT;
    _cleanup_close_ int fd = -1;
    ssize_t n;

    if (bytes == 0 && messages == 0)
        return;
    fd = open(maildir_path(&path, maildir, FILE_NAME, NULL), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    str_addf(&line, "%" PRId64 " %" PRId64 "\n", bytes, messages);
    n = write(fd, line.data, line.len);
    (void)n;
}

void quota_gone(const char *maildir, const char *folder)
{
    struct quota q, gone = { .bytes = 0 };

    if (quota_load(maildir, &q) < 0)
        return;
    count_folder(folder, &gone);
    quota_add(maildir, -(int64_t)gone.bytes, -(int64_t)gone.messages);
}
