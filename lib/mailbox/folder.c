/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.c - mailbox names and their directories (Maildir++)
 *
 * "A/B" is the directory ".A.B" inside the INBOX Maildir; each part is written in modified UTF-7.
 * A dot within a part is written in Base64 too, so that it cannot be taken for the
 * separator, and a part ".." is no way out of the Maildir.
 *
 * Runs in: imapd, pop3d. Names come from the client and from the directory.
 */
#include "mailbox/maildir.h"

#include <errno.h>

#include "base/own.h"
#include "base/utf8.h"
#include "mailbox/mutf7.h"

#define DIR_NAME_MAX 255 /* NAME_MAX of Linux file systems */

int maildir_folder_dir(struct span mailbox, struct str *ret)
{
    _cleanup_(str_free) struct str dir = STR_INIT;
    bool first = true;

    if (span_eq_nocase_str(mailbox, "INBOX")) {
        str_reset(ret);
        return 0;
    }
    do {
        bool more = span_chr(mailbox, '/') >= 0;
        struct span part = span_cut(&mailbox, '/');

        if (part.len == 0 || (more && mailbox.len == 0))
            return -EINVAL;
        str_add_char(&dir, '.');
        if (first && span_eq_nocase_str(part, "INBOX"))
            str_add_str(&dir, "INBOX");
        else if (mutf7_encode(part, ".", &dir) < 0)
            return -EINVAL;
        first = false;
    } while (mailbox.len > 0);
    if (dir.len > DIR_NAME_MAX)
        return -ENAMETOOLONG;
    str_set(ret, str_span(&dir));
    return 0;
}

int maildir_folder_dir_of_utf8(struct span dir, struct str *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT, decoded = STR_INIT;
    struct span rest = dir;
    bool foreign = false;

    if (!span_take(&rest, '.') || !utf8_valid(rest))
        return -EINVAL;
    while (rest.len > 0) {
        struct span part = span_cut(&rest, '.');

        foreign |= mutf7_decode(part, &decoded) < 0;
        if (name.len > 0)
            str_add_char(&name, '/');
        str_add(&name, part);
    }
    return foreign ? maildir_folder_dir(str_span(&name), ret) : -EINVAL;
}

int maildir_folder_name(struct span dir, struct str *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT, again = STR_INIT;
    struct span rest = dir;

    if (dir.len == 0) {
        str_set(ret, span_of("INBOX"));
        return 0;
    }
    if (!span_take(&rest, '.') || rest.len == 0)
        return -EINVAL;
    while (rest.len > 0) {
        struct span part = span_cut(&rest, '.');

        if (name.len > 0)
            str_add_char(&name, '/');
        if (mutf7_decode(part, &name) < 0)
            return -EINVAL;
    }
    /* A directory whose name is not the one that we would give it could never be opened. */
    if (maildir_folder_dir(str_span(&name), &again) < 0 || !span_eq(str_span(&again), dir))
        return -EINVAL;
    str_set(ret, str_span(&name));
    return 0;
}
