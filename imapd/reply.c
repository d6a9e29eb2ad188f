/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c - answers and their strings (RFC 3501 section 4.3, section 9 "string")
 *
 * Runs in: imapd.
 */
#include "reply.h"

#include <errno.h>
#include <stdarg.h>

#include "base/chars.h"
#include "base/log.h"
#include "late_names.h"

void imap_write(struct imap *s, struct span bytes)
{
    s->stats.out += bytes.len;
    late_names_before(s, bytes.len);
    stream_write(s->client, bytes);
}

void imap_puts(struct imap *s, const char *text)
{
    imap_write(s, span_of(text));
}

void imap_printf(struct imap *s, const char *fmt, ...)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&line, fmt, ap);
    va_end(ap);
    imap_write(s, str_span(&line));
}

static void set_reply(struct imap *s, const char *status, const char *fmt, va_list ap)
{
    s->reply_status = status;
    str_reset(&s->reply_text);
    str_vaddf(&s->reply_text, fmt, ap);
}

int reply_ok(struct imap *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_reply(s, "OK", fmt, ap);
    va_end(ap);
    return 0;
}

int reply_no(struct imap *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_reply(s, "NO", fmt, ap);
    va_end(ap);
    return 0;
}

int reply_bad(struct imap *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_reply(s, "BAD", fmt, ap);
    va_end(ap);
    return 0;
}

/* What the session knows came of an index that is not to be believed, and is not what the next one will be told. */
static int reply_damaged(struct imap *s, const char *what)
{
    log_warn("%s: %s failed: the index is damaged, or was put aside; closing the session", s->log_name, what);
    imap_puts(s, "* BYE [UNAVAILABLE] The mail's index was damaged and is made anew, please connect again.\r\n");
    s->state = IMAP_LOGOUT;
    return reply_no(s, "[UNAVAILABLE] %s failed.", what);
}

int reply_errno(struct imap *s, int r, const char *what)
{
    static const struct {
        int error;
        const char *text;
    } known[] = {
        { -ENOENT,       "[NONEXISTENT] No such mailbox." },
        { -EEXIST,       "[ALREADYEXISTS] The mailbox exists already." },
        { -EINVAL,       "[CANNOT] This mailbox name is not allowed." },
        { -EILSEQ,       "[CANNOT] This mailbox name is not allowed." },
        { -ENAMETOOLONG, "[CANNOT] The mailbox name is too long: a folder's name has at most 255 bytes." },
        { -ENOTEMPTY,    "[CANNOT] Something that is no mailbox has this name." },
        { -ENOTDIR,      "[CANNOT] Something that is no mailbox has this name." },
        { -EPERM,        "[CANNOT] This cannot be done to INBOX." },
        { -EACCES,       "[NOPERM] Permission denied." },
        { -EROFS,        "[NOPERM] The mailbox is read-only." },
        { -ENOSPC,       "[OVERQUOTA] No space is left." },
        { -EDQUOT,       "[OVERQUOTA] The quota is used up." },
        { -EFBIG,        "[TOOBIG] The message is too large." },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].error == r)
            return reply_no(s, "%s", known[i].text);
    if (r == -EBADMSG)
        return reply_damaged(s, what);
    log_warn_errno(r, "imap: %s failed", what);
    return reply_no(s, "[SERVERBUG] %s failed.", what);
}

/* quoted: no CR, LF, NUL and no 8-bit characters */
static bool can_quote(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (char_is(text.ptr[i], CHAR_CTL | CHAR_HIGH))
            return false;
    return true;
}

static void put_quoted(struct str *out, struct span text)
{
    size_t done = 0;

    str_reserve(out, text.len + 2);
    str_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '"' && text.ptr[i] != '\\')
            continue;
        str_add(out, span_make(text.ptr + done, i - done));
        str_add_char(out, '\\');
        done = i;
    }
    str_add(out, span_from(text, done));
    str_add_char(out, '"');
}

static void put_literal(struct str *out, struct span text)
{
    _cleanup_(str_free) struct str clean = STR_INIT;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != '\0')
            str_add_char(&clean, text.ptr[i]);
    str_addf(out, "{%zu}\r\n", clean.len);
    str_add(out, str_span(&clean));
}

void put_utf8_quoted(struct str *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (char_is(text.ptr[i], CHAR_CTL) && !char_is(text.ptr[i], CHAR_HIGH)) {
            put_literal(out, text);
            return;
        }
    }
    put_quoted(out, text);
}

void put_string(struct str *out, struct span text)
{
    if (can_quote(text))
        put_quoted(out, text);
    else
        put_literal(out, text);
}

void put_nstring(struct str *out, struct span text)
{
    if (text.ptr)
        put_string(out, text);
    else
        str_add_str(out, "NIL");
}

void put_astring(struct str *out, struct span text)
{
    static const struct span specials = SPAN("(){ %*\"\\");
    bool atom = text.len > 0 && !span_eq_nocase_str(text, "NIL") && can_quote(text);

    for (size_t i = 0; atom && i < text.len; i++)
        atom = span_chr(specials, text.ptr[i]) < 0;
    if (atom)
        str_add(out, text);
    else
        put_string(out, text);
}
