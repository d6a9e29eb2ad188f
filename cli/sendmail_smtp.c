/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_smtp.c - a small SMTP server on standard input and output (sendmail -bs)
 *
 * For mail programs that speak SMTP to a child process. It only submits, as the user who runs it,
 * the way that sendmail without -bs does: no relay question arises, and no service is started. RFC
 * 5321 with SIZE, 8BITMIME, PIPELINING and enhanced status codes.
 *
 * Runs in: sendmail, as the calling user.
 */
#include "cli/sendmail_smtp.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/sendmail_content.h"
#include "mail/address.h"

#define LINE_MAX_BYTES 4096

enum state { GREETED = 1 << 0, MAIL = 1 << 1, RCPT = 1 << 2, ANY = GREETED | MAIL | RCPT };

struct dialogue {
    struct submission *s;
    FILE *in, *out;
    enum state state;
    bool quit;
};

static void reply(struct dialogue *d, const char *text)
{
    fprintf(d->out, "%s\r\n", text);
}

static void reset(struct dialogue *d)
{
    submission_reset(d->s);
    d->state = GREETED;
}

static void cmd_helo(struct dialogue *d, struct span args)
{
    (void)args;
    reset(d);
    fprintf(d->out, "250 %s\r\n", d->s->params->myhostname);
}

static void cmd_ehlo(struct dialogue *d, struct span args)
{
    (void)args;
    reset(d);
    fprintf(
        d->out,
        "250-%s\r\n250-PIPELINING\r\n250-SIZE %lld\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n",
        d->s->params->myhostname, (long long)d->s->params->message_size_limit);
}

/* SIZE=n within the limit, BODY=; false after a reply */
static bool check_mail_args(struct dialogue *d, struct span args)
{
    int64_t limit = d->s->params->message_size_limit;
    struct span word;
    uint64_t size;

    while (span_word(&args, " ", &word)) {
        struct span name = span_cut(&word, '=');

        if (span_eq_nocase_str(name, "BODY"))
            continue;
        if (!span_eq_nocase_str(name, "SIZE") || span_u64(word, INT64_MAX, &size) < 0) {
            reply(d, "555 5.5.4 Unsupported option");
            return false;
        }
        if (limit > 0 && size > (uint64_t)limit) {
            reply(d, "552 5.3.4 Message size exceeds fixed limit");
            return false;
        }
    }
    return true;
}

static void cmd_mail(struct dialogue *d, struct span args)
{
    unsigned flags = ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_LENIENT | ADDRESS_NODOMAIN;

    args = span_skip_ws(args);
    if (!span_take_nocase(&args, "FROM:") ||
        address_parse_path(&args, flags, SUBMIT_ADDRESS_MAX, &d->s->submit.sender) < 0) {
        reply(d, "501 5.5.4 Syntax: MAIL FROM:<address>");
        return;
    }
    if (!check_mail_args(d, args))
        return;
    d->state = MAIL;
    reply(d, "250 2.1.0 Ok");
}

static void cmd_rcpt(struct dialogue *d, struct span args)
{
    unsigned flags = ADDRESS_UTF8 | ADDRESS_LENIENT | ADDRESS_NODOMAIN;
    struct submission *s = d->s;
    struct submit_rcpt rcpt = {0};

    args = span_skip_ws(args);
    if (!span_take_nocase(&args, "TO:") ||
        address_parse_path(&args, flags, SUBMIT_ADDRESS_MAX, &rcpt.address) < 0 ||
        rcpt.address.len == 0 || span_trim(args).len > 0) {
        str_free(&rcpt.address);
        reply(d, "501 5.5.4 Syntax: RCPT TO:<address>");
        return;
    }
    if (s->n_rcpts >= (size_t)s->params->smtpd_recipient_limit) {
        str_free(&rcpt.address);
        reply(d, "452 4.5.3 Error: too many recipients");
        return;
    }
    MEM_GROW(s->rcpts, s->n_rcpts, s->cap_rcpts);
    s->rcpts[s->n_rcpts++] = rcpt;
    d->state = RCPT;
    reply(d, "250 2.1.5 Ok");
}

static void submit_and_reply(struct dialogue *d)
{
    struct submit_result res;

    if (content_is_8bit(str_span(&d->s->content)))
        d->s->submit.flags |= SUBMIT_8BIT;
    submission_send(d->s, &res);
    switch ((enum submit_status)res.status) {
    case SUBMIT_OK:
        fprintf(d->out, "250 2.0.0 Ok: queued as %s\r\n", res.queue_id);
        break;
    case SUBMIT_TEMPORARY:
        fprintf(d->out, "451 %s %s\r\n", res.dsn, res.text);
        break;
    case SUBMIT_PERMANENT:
        fprintf(d->out, "554 %s %s\r\n", res.dsn, res.text);
        break;
    }
}

static void cmd_data(struct dialogue *d, struct span args)
{
    (void)args;
    reply(d, "354 End data with <CR><LF>.<CR><LF>");
    fflush(d->out);
    int r = content_read(d->in, CONTENT_SMTP, (uint64_t)d->s->params->message_size_limit,
                         &d->s->content);

    if (r == 0)
        submit_and_reply(d);
    else if (r == -EMSGSIZE)
        reply(d, "552 5.3.4 Error: message file too big");
    else
        d->quit = true;
    reset(d);
}

static void cmd_rset(struct dialogue *d, struct span args)
{
    (void)args;
    reset(d);
    reply(d, "250 2.0.0 Ok");
}

static void cmd_noop(struct dialogue *d, struct span args)
{
    (void)args;
    reply(d, "250 2.0.0 Ok");
}

static void cmd_vrfy(struct dialogue *d, struct span args)
{
    (void)args;
    reply(d, "252 2.0.0 Cannot VRFY; try RCPT");
}

static void cmd_quit(struct dialogue *d, struct span args)
{
    (void)args;
    reply(d, "221 2.0.0 Bye");
    d->quit = true;
}

static const struct command {
    struct span name;
    unsigned allowed; /* states it may be given in */
    void (*run)(struct dialogue *d, struct span args);
} commands[] = {
    {SPAN("HELO"), ANY,         cmd_helo},
    {SPAN("EHLO"), ANY,         cmd_ehlo},
    {SPAN("MAIL"), GREETED,     cmd_mail},
    {SPAN("RCPT"), MAIL | RCPT, cmd_rcpt},
    {SPAN("DATA"), RCPT,        cmd_data},
    {SPAN("RSET"), ANY,         cmd_rset},
    {SPAN("NOOP"), ANY,         cmd_noop},
    {SPAN("VRFY"), ANY,         cmd_vrfy},
    {SPAN("QUIT"), ANY,         cmd_quit},
};

static void run_command(struct dialogue *d, struct span line)
{
    struct span name = span_cut(&line, ' ');

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!span_eq_nocase(commands[i].name, name))
            continue;
        if (commands[i].allowed & d->state)
            commands[i].run(d, line);
        else
            reply(d, "503 5.5.1 Error: bad sequence of commands");
        return;
    }
    reply(d, "502 5.5.2 Error: command not recognized");
}

void sendmail_smtp(struct submission *s, FILE *in, FILE *out)
{
    struct dialogue d = {.s = s, .in = in, .out = out, .state = GREETED};
    _cleanup_free_ char *buf = NULL;
    size_t cap = 0;
    ssize_t n;

    fprintf(out, "220 %s ESMTP %s\r\n", s->params->myhostname, s->params->mail_name);
    while (!d.quit && fflush(out) == 0 && (n = getline(&buf, &cap, in)) >= 0) {
        struct span line = span_trim(span_make(buf, (size_t)n));

        if (line.len > LINE_MAX_BYTES)
            reply(&d, "500 5.5.2 Error: line too long");
        else
            run_command(&d, line);
    }
    fflush(out);
}
