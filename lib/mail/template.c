/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c - what notifications say to people: bounce_template_file (bounce(5))
 *
 * A mistake in the file must not stop mail, nor silence reports: the template it is in falls back to the built-in
 * one, which is written in the file's own syntax below and read by the same parser.
 *
 * Runs in: bounce and postconf, at start, on the administrator's text. Logs nothing.
 */
#include "mail/template.h"

#include <errno.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/file.h"
#include "base/mem.h"

#define LINE_MAX_BYTES 998 /* RFC 5322 section 2.1.1 */

static const char builtin[] =
    "failure_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Undelivered Mail Returned to Sender\n"
    "Postmaster-Subject: Postmaster Copy: Undelivered Mail\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Your message could not be delivered to one or more recipients. The reason\n"
    "for each of them stands below; your message is attached.\n"
    "\n"
    "For further help, please write to postmaster and include this report. You\n"
    "may remove your own text from the attached message.\n"
    "\n"
    "                   The mail system\n"
    "EOF\n"
    "delay_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Delayed Mail (still being retried)\n"
    "Postmaster-Subject: Postmaster Warning: Delayed Mail\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "####################################################################\n"
    "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
    "####################################################################\n"
    "\n"
    "Your message has been waiting for more than $delay_warning_time_hours hour(s), and could not\n"
    "be delivered to the recipients below so far. It stays in the queue and will\n"
    "be tried again until it is $maximal_queue_lifetime_days day(s) old.\n"
    "\n"
    "For further help, please write to postmaster and include this report.\n"
    "\n"
    "                   The mail system\n"
    "EOF\n"
    "success_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Successful Mail Delivery Report\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Your message was delivered to the recipients below. Where it was handed to\n"
    "a system that does not confirm deliveries you will hear no more of it.\n"
    "\n"
    "                   The mail system\n"
    "EOF\n"
    "verify_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Mail Delivery Status Report\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Here is the delivery status report that you asked for.\n"
    "\n"
    "                   The mail system\n"
    "EOF\n";

static const char *const names[TEMPLATE_KINDS] = {
    [TEMPLATE_FAILURE] = "failure",
    [TEMPLATE_DELAY] = "delay",
    [TEMPLATE_SUCCESS] = "success",
    [TEMPLATE_VERIFY] = "verify",
};

const char *template_name(enum template_kind kind)
{
    return names[kind];
}

/* ---- life ---- */

static void template_done(struct template *t)
{
    str_free(&t->charset);
    str_free(&t->from);
    str_free(&t->subject);
    str_free(&t->postmaster_subject);
    str_free(&t->text);
}

static void template_copy(struct template *to, const struct template *from)
{
    str_set(&to->charset, str_span(&from->charset));
    str_set(&to->from, str_span(&from->from));
    str_set(&to->subject, str_span(&from->subject));
    str_set(&to->postmaster_subject, str_span(&from->postmaster_subject));
    str_set(&to->text, str_span(&from->text));
}

void templates_done(struct templates *t)
{
    for (size_t i = 0; i < TEMPLATE_KINDS; i++)
        template_done(&t->of[i]);
}

void templates_init(struct templates *t)
{
    _cleanup_(str_free) struct str problems = STR_INIT;

    *t = (struct templates){ 0 };
    templates_parse(t, span_of(builtin), &problems);
}

/* ---- parsing ---- */

struct reader {
    struct span rest;
    unsigned line;
    struct str *problems;
    size_t n_problems;
};

static bool next_line(struct reader *r, struct span *ret)
{
    if (r->rest.len == 0)
        return false;
    *ret = span_cut(&r->rest, '\n');
    if (ret->len > 0 && ret->ptr[ret->len - 1] == '\r')
        ret->len--;
    r->line++;
    return true;
}

/* Always false, for the caller to pass on. */
static bool problem(struct reader *r, unsigned line, const char *what)
{
    str_addf(r->problems, "line %u: %s\n", line, what);
    r->n_problems++;
    return false;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 128)
            return false;
    return true;
}

static struct str *field_of(struct template *t, struct span name)
{
    const struct {
        const char *name;
        struct str *value;
    } fields[] = {
        { "Charset", &t->charset },
        { "From", &t->from },
        { "Subject", &t->subject },
        { "Postmaster-Subject", &t->postmaster_subject },
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (span_eq_nocase_str(name, fields[i].name))
            return fields[i].value;
    return NULL;
}

static bool printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || (unsigned char)s.ptr[i] >= 127)
            return false;
    return true;
}

static bool token(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!char_is(s.ptr[i], CHAR_ALNUM) && !strchr("-_.", s.ptr[i]))
            return false;
    return s.len > 0;
}

/* The header fields, up to an empty line. A template may begin with that line at once. */
static bool parse_fields(struct reader *r, struct span *body, struct template *t)
{
    struct reader in = { .rest = *body, .line = r->line };
    struct span line;

    while (next_line(&in, &line) && line.len > 0) {
        struct span value = line, name = span_cut(&value, ':');
        struct str *field = field_of(t, span_trim(name));

        value = span_trim(value);
        if (name.len == line.len || !field)
            return problem(r, in.line, "expected Charset:, From:, Subject:, Postmaster-Subject: or an empty line");
        if (value.len == 0 || !printable(value) || line.len > LINE_MAX_BYTES)
            return problem(r, in.line, "a header field needs a value, one line of printable ASCII");
        if (field == &t->charset && !token(value))
            return problem(r, in.line, "not the name of a character set");
        str_set(field, value);
    }
    *body = in.rest;
    r->line = in.line;
    return true;
}

static bool parse_text(struct reader *r, struct span body, struct template *t)
{
    struct reader in = { .rest = body, .line = r->line };
    struct span line;

    if (span_chr(body, '\0') >= 0)
        return problem(r, r->line, "the text holds a NUL byte");
    if (!is_ascii(body) && span_eq_nocase_str(str_span(&t->charset), "us-ascii"))
        return problem(r, r->line, "the text is not ASCII: Charset: must name its character set");
    str_reset(&t->text);
    while (next_line(&in, &line)) {
        if (line.len > LINE_MAX_BYTES)
            return problem(r, in.line, "the line is longer than mail allows");
        str_add(&t->text, line);
        str_add_char(&t->text, '\n');
    }
    return true;
}

/* The lines up to the end word. */
static bool read_body(struct reader *r, struct span word, struct span *ret)
{
    unsigned first = r->line;
    const char *start = r->rest.ptr;
    struct span line;

    while (next_line(r, &line)) {
        if (!span_eq(line, word))
            continue;
        *ret = span_make(start, (size_t)(line.ptr - start));
        return true;
    }
    return problem(r, first, "the template has no end: its end word is missing");
}

static void parse_template(struct reader *r, struct template *t, struct span body, unsigned line)
{
    _cleanup_(template_done) struct template fresh = { 0 };
    struct reader in = { .line = line, .problems = r->problems };

    template_copy(&fresh, t);
    if (parse_fields(&in, &body, &fresh) && parse_text(&in, body, &fresh))
        template_copy(t, &fresh);
    r->n_problems += in.n_problems;
}

static struct template *find(struct templates *t, struct span name)
{
    for (size_t i = 0; i < TEMPLATE_KINDS; i++) {
        struct span prefix = span_of(names[i]);

        if (span_starts(name, prefix) && span_eq_str(span_from(name, prefix.len), "_template"))
            return &t->of[i];
    }
    return NULL;
}

size_t templates_parse(struct templates *t, struct span text, struct str *problems)
{
    struct reader r = { .rest = text, .problems = problems };
    struct span line;

    while (next_line(&r, &line)) {
        struct span value = line, name, body;

        if (span_trim(line).len == 0 || line.ptr[0] == '#')
            continue;
        name = span_trim(span_cut(&value, '='));
        value = span_trim(value);
        if (!span_starts(value, span_of("<<")) || span_trim(span_from(value, 2)).len == 0) {
            problem(&r, r.line, "expected NAME_template = <<EOF");
            continue;
        }
        struct template *one = find(t, name);
        unsigned first = r.line;

        if (!one)
            problem(&r, first, "expected failure_template, delay_template, success_template or verify_template");
        if (!read_body(&r, span_trim(span_from(value, 2)), &body))
            break;
        if (one)
            parse_template(&r, one, body, first);
    }
    return r.n_problems;
}

/* ---- expansion ---- */

/* "delay_warning_time_hours": a time in that unit, rounded down. False: another name. */
static bool time_value(const struct params *p, struct span name, int64_t *ret)
{
    const struct {
        const char *name;
        int64_t seconds;
    } times[] = {
        { "delay_warning_time_", p->delay_warning_time },
        { "maximal_queue_lifetime_", p->maximal_queue_lifetime },
    };
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = { { "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 }, { "days", 86400 }, { "weeks", 604800 } };

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct span prefix = span_of(times[i].name);

        if (!span_starts(name, prefix))
            continue;
        for (size_t j = 0; j < ARRAY_LEN(units); j++)
            if (span_eq_str(span_from(name, prefix.len), units[j].name)) {
                *ret = times[i].seconds / units[j].seconds;
                return true;
            }
    }
    return false;
}

/* The name after a '$' at the front of s, and how many bytes "$name" or "${name}" takes. 0: it is no plain name. */
static size_t plain_name(struct span s, struct span *ret)
{
    size_t i = 1, start;
    char close = i < s.len && s.ptr[i] == '{' ? '}' : i < s.len && s.ptr[i] == '(' ? ')' : '\0';

    start = i += close != '\0';
    while (i < s.len && (char_is(s.ptr[i], CHAR_ALNUM) || s.ptr[i] == '_'))
        i++;
    *ret = span_make(s.ptr + start, i - start);
    if (close && (i == s.len || s.ptr[i] != close))
        return 0;
    return i + (close != '\0');
}

/* Put in the times; all else is for conf_expand(). */
static void expand_times(const struct params *p, struct span in, struct str *ret)
{
    while (in.len > 0) {
        size_t skip = 1;
        struct span name;
        int64_t value;

        if (in.ptr[0] == '$' && in.len > 1 && in.ptr[1] == '$') {
            skip = 2;
        } else if (in.ptr[0] == '$') {
            size_t n = plain_name(in, &name);

            if (n > 0 && time_value(p, name, &value)) {
                str_addf(ret, "%lld", (long long)value);
                in = span_from(in, n);
                continue;
            }
        }
        str_add(ret, span_first(in, skip));
        in = span_from(in, skip);
    }
}

int template_expand(const struct template *t, const struct conf *c, const struct params *p, struct str *ret,
                    struct str *err)
{
    _cleanup_(str_free) struct str timed = STR_INIT, text = STR_INIT;

    expand_times(p, str_span(&t->text), &timed);
    int r = conf_expand(c, str_span(&timed), &text, err);

    if (r == 0)
        str_add(ret, str_span(&text));
    return r < 0 ? -EINVAL : 0;
}

/* ---- files ---- */

static int read_file(const char *path, struct str *ret)
{
    _cleanup_close_ int fd = file_open(path);
    ssize_t n;

    if (fd < 0)
        return fd;
    str_reserve(ret, TEMPLATE_FILE_MAX + 1);
    while ((n = read(fd, ret->data + ret->len, TEMPLATE_FILE_MAX + 1 - ret->len)) > 0)
        str_advance(ret, (size_t)n);
    if (n < 0)
        return -errno;
    return ret->len > TEMPLATE_FILE_MAX ? -EFBIG : 0;
}

void templates_read(const char *path, struct templates *ret, struct str *problems)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    templates_init(ret);
    if (!*path)
        return;
    int r = read_file(path, &text);

    if (r < 0)
        str_addf(problems, "cannot read it: %s\n", strerror(-r));
    else
        templates_parse(ret, str_span(&text), problems);
}

static void expand_in_place(struct template *t, const struct conf *c, const struct params *p,
                            const struct template *fallback, const char *name, struct str *problems)
{
    _cleanup_(str_free) struct str text = STR_INIT, err = STR_INIT;

    if (template_expand(t, c, p, &text, &err) < 0) {
        str_addf(problems, "%s_template: %s\n", name, str_cstr(&err));
        template_copy(t, fallback);
        str_reset(&err);
        template_expand(t, c, p, &text, &err);
    }
    str_set(&t->text, str_span(&text));
}

void templates_load(const char *path, const struct conf *c, const struct params *p, struct templates *ret,
                    struct str *problems)
{
    _cleanup_(templates_done) struct templates fallback;

    templates_init(&fallback);
    templates_read(path, ret, problems);
    for (size_t i = 0; i < TEMPLATE_KINDS; i++)
        expand_in_place(&ret->of[i], c, p, &fallback.of[i], names[i], problems);
}
