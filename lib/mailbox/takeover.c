/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover.c - UID lists and keywords of Dovecot and Courier
 *
 *     3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1        dovecot-uidlist: header,
 *     25006 W2481 S2443 :1276528487.M364837P9451.host,S=1355        UID, extensions, file name
 *
 *     1 1275660208 25022                                            its version 1, and courierimapuiddb
 *     25006 1276528487.M364837P9451.host,S=1355
 *
 * Runs in: imapd, pop3d, as the mailbox owner. The files may hold anything.
 */
#include "mailbox/takeover.h"

#include <dirent.h>
#include <errno.h>

#include "mailbox/internal.h"
#include "mailbox/spool.h"

#define COURIER_KEYWORDS "courierimapkeywords"
enum { LIST_MAX = 256 << 20, KEYWORD_LIST_MAX = 16 << 20, KEYWORD_FILE_MAX = 64 << 10 };

void takeover_done(struct takeover *t)
{
    hash_done(&t->by_base);
    free(t->messages);
    str_free(&t->text);
}

/* "V1275660208 N25022 G...", in any order */
static bool header_3(struct span line, struct takeover *t)
{
    struct span word;

    while (span_word(&line, " ", &word)) {
        struct span number = span_from(word, 1);
        if (word.ptr[0] == 'V' && span_u32(number, UINT32_MAX, &t->uidvalidity) < 0)
            return false;
        if (word.ptr[0] == 'N' && span_u32(number, UINT32_MAX, &t->uidnext) < 0)
            return false;
    }
    return true;
}

/* "1275660208 25022" */
static bool header_1(struct span line, struct takeover *t)
{
    struct span validity = span_cut(&line, ' ');

    return span_u32(validity, UINT32_MAX, &t->uidvalidity) == 0 &&
           span_u32(span_cut(&line, ' '), UINT32_MAX, &t->uidnext) == 0;
}

/* "W2481 S2443 P4bd2d5e2 :name": the name, and what else is told of size and POP3 unique-id */
static bool entry_3(struct span rest, struct span *ret_name, struct takeover_message *m)
{
    while (rest.len > 0 && rest.ptr[0] != ':') {
        struct span word = span_cut(&rest, ' ');
        if (word.len > 0 && word.ptr[0] == 'W' && span_u64(span_from(word, 1), INT64_MAX, &m->vsize) < 0)
            m->vsize = 0;
        if (word.len > 0 && word.ptr[0] == 'P')
            m->pop3_uidl = span_from(word, 1);
    }
    *ret_name = rest;
    return span_take(ret_name, ':');
}

static void add_entry(struct takeover *t, struct span line, bool version_3)
{
    struct takeover_message m = { .uid = 0 };
    struct span name;

    if (span_u32(span_cut(&line, ' '), UINT32_MAX - 1, &m.uid) < 0 || m.uid == 0)
        return;
    name = line;
    if (version_3 && !entry_3(line, &name, &m))
        return;
    m.node.key = span_cut(&name, ':');
    /* UIDs ascend; one that does not belongs to a line that was damaged. */
    if (m.node.key.len == 0 || (t->len > 0 && m.uid <= t->messages[t->len - 1].uid))
        return;
    MEM_GROW(t->messages, t->len, t->cap);
    t->messages[t->len++] = m;
}

bool takeover_parse(struct span text, struct takeover *ret)
{
    struct takeover t = { .by_base = HASH_INIT };
    struct span line = span_cut(&text, '\n'), version = span_cut(&line, ' ');
    bool version_3 = span_eq_str(version, "3");

    if (!(version_3 ? header_3(line, &t) : span_eq_str(version, "1") && header_1(line, &t)) || t.uidvalidity == 0)
        return false;
    while (text.len > 0)
        add_entry(&t, span_cut(&text, '\n'), version_3);
    if (t.uidnext == 0)
        t.uidnext = 1;
    if (t.len > 0 && t.messages[t.len - 1].uid >= t.uidnext)
        t.uidnext = t.messages[t.len - 1].uid + 1;
    for (size_t i = 0; i < t.len; i++)      /* not before: the array has moved while it grew */
        if (!hash_get(&t.by_base, t.messages[i].node.key))
            hash_put(&t.by_base, &t.messages[i].node);
    *ret = t;
    return true;
}

int takeover_load(const char *folder_path, struct takeover *ret)
{
    static const char *const files[] = { "dovecot-uidlist", "courierimapuiddb" };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;
        int r = read_file(maildir_path(&path, folder_path, files[i], NULL), LIST_MAX, &text);

        if (r < 0 && r != -ENOENT && r != -EFBIG && r != -ELOOP)
            return r;
        if (r == 0 && takeover_parse(str_span(&text), ret)) {
            ret->text = TAKE(text, STR_INIT);
            return 1;
        }
    }
    return 0;
}

const struct takeover_message *takeover_find(const struct takeover *t, struct span base)
{
    return HASH_ENTRY(hash_get(&t->by_base, base), struct takeover_message, node);
}

/*
 * ---- Courier's keywords ----
 *
 *     courierimapkeywords/:list          names, an empty line, then "base:0 3" with their numbers
 *     courierimapkeywords/.598452.base   a message's names as they were changed later, a line each
 *     courierimapkeywords/base           the same, later still
 */

void takeover_courier_parse(struct span text, struct takeover *t, struct str *names)
{
    int bit_of[KEYWORDS_LETTERS];
    uint32_t n = 0, number;

    while (text.len > 0) {
        struct span name = span_cut(&text, '\n');
        bool added = false;

        if (name.len == 0)
            break;
        if (n < KEYWORDS_LETTERS)
            bit_of[n++] = keywords_bit(names, name, &added);
    }
    while (text.len > 0 && n > 0) {
        struct span numbers = span_cut(&text, '\n'), base = span_cut(&numbers, ':'), word;
        struct takeover_message *m = HASH_ENTRY(hash_get(&t->by_base, base), struct takeover_message, node);

        while (m && span_word(&numbers, " ", &word))
            if (span_u32(word, n - 1, &number) == 0 && bit_of[number] >= 0 && bit_of[number] < KEYWORDS_LETTERS)
                m->keywords |= (uint64_t)1 << bit_of[number];
    }
}

/* Whose keywords a file has, and how late they are. NULL: none of ours. */
static struct takeover_message *keywords_owner(const struct takeover *t, struct span file, uint64_t *ret_age)
{
    struct span base = file;

    *ret_age = UINT64_MAX;
    if (span_take(&base, '.') && span_u64(span_cut(&base, '.'), UINT64_MAX - 1, ret_age) < 0)
        return NULL;
    return HASH_ENTRY(hash_get(&t->by_base, base), struct takeover_message, node);
}

static void read_keywords(struct span text, struct takeover_message *m, struct str *names)
{
    m->keywords = 0;
    while (text.len > 0) {
        struct span name = span_cut(&text, '\n');
        bool added = false;
        int bit = name.len > 0 ? keywords_bit(names, name, &added) : -1;

        if (bit >= 0 && bit < KEYWORDS_LETTERS)
            m->keywords |= (uint64_t)1 << bit;
    }
}

static void read_keyword_files(const char *folder_path, struct takeover *t, struct str *names)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;
    DIR *d = opendir(maildir_path(&path, folder_path, COURIER_KEYWORDS, NULL));

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        uint64_t age;
        struct takeover_message *m = keywords_owner(t, span_of(e->d_name), &age);

        if (!m || age < m->keywords_age)
            continue;
        if (read_file(maildir_path(&path, folder_path, COURIER_KEYWORDS, e->d_name), KEYWORD_FILE_MAX, &text) < 0)
            continue;
        m->keywords_age = age;
        read_keywords(str_span(&text), m, names);
    }
    closedir(d);
}

void takeover_courier_keywords(const char *folder_path, struct takeover *t, struct str *names)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;

    maildir_path(&path, folder_path, COURIER_KEYWORDS, ":list");
    if (read_file(path.data, KEYWORD_LIST_MAX, &text) == 0)
        takeover_courier_parse(str_span(&text), t, names);
    read_keyword_files(folder_path, t, names);
}
