/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir_name.c - the parts of a Maildir file name
 *
 * "base:2,FLAGS": the base identifies the message for as long as it exists, what follows the colon
 * changes with its flags. Dovecot's ",S=size,W=size" belong to the base. Other programs
 * write names too, so that anything is a name: unknown letters are ignored.
 *
 * Runs in: local, virtual, imapd, pop3d. Names come from the mailbox owner's directory.
 */
#include "mailbox/maildir.h"

#include "base/chars.h"
#include "base/mem.h"

static const struct {
    char letter;
    unsigned flag;
} letters[] = {
    /* in the order of a name */
    { 'D', MAIL_DRAFT },   { 'F', MAIL_FLAGGED }, { 'P', MAIL_PASSED },
    { 'R', MAIL_ANSWERED }, { 'S', MAIL_SEEN },    { 'T', MAIL_DELETED },
};

/* ",S=1234" somewhere in the base: the number, 0 if there is none */
static uint64_t size_field(struct span base, const char *field)
{
    ptrdiff_t at = span_find(base, span_of(field));
    uint64_t n = 0;

    if (at < 0)
        return 0;
    struct span rest = span_from(base, (size_t)at + strlen(field));
    struct span digits = span_cut(&rest, ',');

    return span_u64(digits, INT64_MAX, &n) == 0 ? n : 0;
}

static unsigned flag_of(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(letters); i++)
        if (letters[i].letter == letter)
            return letters[i].flag;
    return 0;
}

static void parse_letters(struct span text, struct maildir_name *ret)
{
    bool seen[26] = { false };
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == ',')
            break; /* Dovecot's experimental extensions follow */
        if (char_is(c, CHAR_LOWER))
            seen[c - 'a'] = true;
        else
            ret->flags |= flag_of(c);
    }
    for (int i = 0; i < 26; i++)
        if (seen[i])
            ret->keywords[n++] = (char)('a' + i);
}

void maildir_name_parse(struct span file, struct maildir_name *ret)
{
    struct span rest = file;

    memset(ret, 0, sizeof *ret);
    ret->base = span_cut(&rest, ':');
    ret->size = size_field(ret->base, ",S=");
    ret->vsize = size_field(ret->base, ",W=");
    if (span_take(&rest, '2') && span_take(&rest, ','))
        parse_letters(rest, ret);
}

void maildir_name_make(struct span base, unsigned flags, const char *keywords, struct str *ret)
{
    str_set(ret, base);
    str_add_str(ret, ":2,");
    for (size_t i = 0; i < ARRAY_LEN(letters); i++)
        if (flags & letters[i].flag)
            str_add_char(ret, letters[i].letter);
    if (keywords)
        str_add_str(ret, keywords);
}
