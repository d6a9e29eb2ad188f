/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_content.c - a message from standard input, as it is to be stored
 *
 * All of it is read before anybody is connected to: what writes to our pipe may be a job that takes
 * hours, and no server shall wait for it.
 *
 * Runs in: sendmail, as the calling user.
 */
#include "cli/sendmail_content.h"

#include <errno.h>
#include <stdlib.h>

#include "base/chars.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"

static struct span chomp(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return span_make(line, len);
}

static bool is_mailbox_from(struct span line)
{
    while (span_take(&line, '>'))
        ;
    return span_starts(line, span_of("From "));
}

static int add_line(struct str *ret, struct span line, uint64_t max)
{
    if (max > 0 && ret->len + line.len + 2 > max)
        return -EMSGSIZE;
    str_add(ret, line);
    str_add_str(ret, "\r\n");
    return 0;
}

int content_read(FILE *in, enum content_form form, uint64_t max, struct str *ret)
{
    _cleanup_free_ char *buf = NULL;
    size_t cap = 0;
    ssize_t n;
    int result = 0;

    while ((n = getline(&buf, &cap, in)) >= 0) {
        struct span line = chomp(buf, (size_t)n);

        if (form != CONTENT_PLAIN && span_eq_str(line, "."))
            return result;
        if (form == CONTENT_SMTP)
            span_take(&line, '.');
        else if (ret->len == 0 && is_mailbox_from(line))
            continue;
        if (result == 0)
            result = add_line(ret, line, max);
        if (result < 0 && form != CONTENT_SMTP)
            return result;
    }
    if (ferror(in))
        return errno ? -errno : -EIO;
    return form == CONTENT_SMTP ? -ENODATA : result;
}

bool content_is_8bit(struct span content)
{
    for (size_t i = 0; i < content.len; i++)
        if (char_is(content.ptr[i], CHAR_HIGH))
            return true;
    return false;
}

/* A phrase (RFC 5322 section 3.2.5): as it is, quoted, or encoded (RFC 2047) */
static void add_phrase(struct str *s, struct span name)
{
    bool plain = true;

    if (content_is_8bit(name)) {
        str_add_str(s, "=?utf-8?B?");
        str_add_base64(s, name);
        str_add_str(s, "?=");
        return;
    }
    for (size_t i = 0; i < name.len; i++)
        plain &= char_is(name.ptr[i], CHAR_ATEXT) || name.ptr[i] == ' ';
    if (plain) {
        str_add(s, name);
        return;
    }
    str_add_char(s, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            str_add_char(s, '\\');
        str_add_char(s, char_is(name.ptr[i], CHAR_CTL) ? ' ' : name.ptr[i]);
    }
    str_add_char(s, '"');
}

void content_add_from(struct str *content, struct span full_name, struct span sender)
{
    _cleanup_(str_free) struct str with = STR_INIT;
    struct span unused, first = str_span(content);
    struct header_field f;

    if (full_name.len == 0 || sender.len == 0 || header_find(str_span(content), "From", &unused))
        return;
    str_add_str(&with, "From: ");
    add_phrase(&with, full_name);
    str_add_str(&with, " <");
    address_quote(&with, sender);
    str_add_str(&with, ">\r\n");
    if (header_next(&first, SIZE_MAX, &f) == 0 && first.len == content->len)
        str_add_str(&with, "\r\n"); /* no header at all: ours needs its end */
    str_add(&with, str_span(content));
    str_set(content, str_span(&with));
}
