/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyword.c - names of a mailbox's keywords, their bits, and their letters in file names
 *
 * The first 26 have a letter each, as Dovecot gives them, and are written to its file dovecot-keywords
 * ("0 $Forwarded"); the others are kept in the index alone.
 *
 * Runs in: imapd, pop3d. Names come from the client, and from a file that any program may have written.
 */
#include "mailbox/internal.h"

#include <errno.h>

#include "base/chars.h"
#include "mailbox/spool.h"

#define KEYWORD_FILE     "dovecot-keywords"

size_t keywords_count(struct span names)
{
    size_t n = 0;

    for (size_t i = 0; i < names.len; i++)
        n += names.ptr[i] == '\0';
    return n < KEYWORDS_MAX ? n : KEYWORDS_MAX;
}

const char *keywords_name(struct span names, size_t i)
{
    const char *p = names.ptr;

    while (i-- > 0)
        p += strlen(p) + 1;
    return p;
}

/* flag-keyword = atom, RFC 3501 section 9 */
static bool is_atom(struct span name)
{
    if (name.len == 0 || name.len > KEYWORD_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (char_is(name.ptr[i], CHAR_CTL | CHAR_HIGH) || strchr("(){ %*\"\\]", name.ptr[i]))
            return false;
    return true;
}

int keywords_bit(struct str *names, struct span name, bool *added)
{
    size_t n = keywords_count(str_span(names));

    for (size_t i = 0; i < n; i++)
        if (span_eq_nocase_str(name, keywords_name(str_span(names), i)))
            return (int)i;
    if (!is_atom(name))
        return -EINVAL;
    if (n == KEYWORDS_MAX)
        return -EOVERFLOW;
    str_add(names, name);
    str_add_char(names, '\0');
    *added = true;
    return (int)n;
}

void keywords_letters(uint64_t bits, char ret[static 27])
{
    for (int i = 0; i < KEYWORDS_LETTERS; i++)
        if (bits >> i & 1)
            *ret++ = (char)('a' + i);
    *ret = '\0';
}

uint64_t keywords_bits(const char *letters)
{
    uint64_t bits = 0;

    for (; *letters; letters++)
        bits |= (uint64_t)1 << (*letters - 'a');
    return bits;
}

void keywords_file_read(const char *folder_path, struct str *names)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;

    str_reset(names);
    if (read_file(maildir_path(&path, folder_path, KEYWORD_FILE, NULL), 65536, &text) < 0)
        return;
    for (struct span rest = str_span(&text); rest.len > 0;) {
        struct span line = span_cut(&rest, '\n');
        struct span number = span_cut(&line, ' ');
        uint32_t n;
        bool added = false;

        /* A gap would give the letters after it the wrong names. */
        if (span_u32(number, KEYWORDS_LETTERS - 1, &n) < 0 || n != keywords_count(str_span(names)) ||
            keywords_bit(names, line, &added) < 0 || !added)
            return;
    }
}

int keywords_file_write(const char *folder_path, struct span names)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;
    size_t n = keywords_count(names);

    for (size_t i = 0; i < n && i < KEYWORDS_LETTERS; i++)
        str_addf(&text, "%zu %s\n", i, keywords_name(names, i));
    return write_file(maildir_path(&path, folder_path, KEYWORD_FILE, NULL), str_span(&text));
}
