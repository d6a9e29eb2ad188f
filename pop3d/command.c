/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - the commands of the TRANSACTION state
 *
 * RFC 1939 sections 5 and 7, RFC 2449 (CAPA), RFC 6856 (UTF8: messages go out as they are; LANG). Answers are only buffered here: pipelined commands
 * are answered with one write.
 *
 * Runs in: pop3d. Lines are the client's.
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/pop3_lang.h"
#include "pop3d/pop3.h"
#include "sasl/offer.h"

enum arguments { NONE, NUMBER_OR_NONE, NUMBER, NUMBER_AND_LINES, LANGUAGE_OR_NONE };

/* What a handler gets: a number of an existing message that is not deleted, 0 if none was given */
struct arguments_given {
    uint32_t number;
    uint64_t lines;
    struct span language;
};

static void bad(struct pop3 *s, const char *text)
{
    s->bad_commands++;
    stream_printf(s->client, "-ERR %s\r\n", text);
    if (s->bad_commands >= s->bad_limit) {
        stream_puts(s->client, "-ERR Too many bad commands.\r\n");
        s->failed = true;
    }
}

/* ---- handlers ---- */

/* USER and SASL as before the sign-in, although they have had their use: RFC 2449 sections 6.2 and 6.3 allow no difference. */
static void cmd_capa(struct pop3 *s, const struct arguments_given *a)
{
    _cleanup_(str_free) struct str offer = STR_INIT;

    (void)a;
    stream_puts(s->client, "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\nEXPIRE NEVER\r\n"
                           "IMPLEMENTATION Postern\r\n");
    if (s->mechanisms) {
        sasl_offer(s->mechanisms, s->tls, " ", &offer);
        stream_printf(s->client, "USER\r\nSASL%s\r\n", str_cstr(&offer));
    }
    stream_puts(s->client, ".\r\n");
}

static void cmd_stat(struct pop3 *s, const struct arguments_given *a)
{
    const struct maildrop *d = &s->drop;

    (void)a;
    stream_printf(s->client, "+OK %u %llu\r\n", d->count - d->n_deleted,
                  (unsigned long long)(d->size - d->deleted_size));
}

static void add_listing(struct pop3 *s, uint32_t number, bool uidl)
{
    if (uidl) {
        _cleanup_(str_free) struct str id = STR_INIT;
        maildrop_uidl(&s->drop, number, s->uidl_format, &id);
        stream_printf(s->client, "%u %s\r\n", number, str_cstr(&id));
    } else {
        stream_printf(s->client, "%u %llu\r\n", number, (unsigned long long)maildrop_size(&s->drop, number));
    }
}

static void list(struct pop3 *s, uint32_t number, bool uidl)
{
    if (number > 0) {
        stream_puts(s->client, "+OK ");
        add_listing(s, number, uidl);
        return;
    }
    stream_printf(s->client, "+OK %u messages:\r\n", s->drop.count - s->drop.n_deleted);
    for (uint32_t i = 1; i <= s->drop.count; i++)
        if (!maildrop_is_deleted(&s->drop, i))
            add_listing(s, i, uidl);
    stream_puts(s->client, ".\r\n");
}

static void cmd_list(struct pop3 *s, const struct arguments_given *a)
{
    list(s, a->number, false);
}

static void cmd_uidl(struct pop3 *s, const struct arguments_given *a)
{
    list(s, a->number, true);
}

/* The number of bytes sent, 0 if it failed; the client has its answer */
static uint64_t send_message(struct pop3 *s, uint32_t number, uint64_t lines)
{
    _cleanup_close_ int fd = maildrop_read(&s->drop, number);

    if (fd < 0) {
        if (fd != -ENOENT)
            log_warn_errno(fd, "cannot read message %u", number);
        stream_puts(s->client, fd == -ENOENT ? "-ERR The message is gone: another session has removed it.\r\n"
                                             : "-ERR [SYS/TEMP] The message cannot be read now.\r\n");
        return 0;
    }
    if (lines == UINT64_MAX)
        stream_printf(s->client, "+OK %llu octets\r\n", (unsigned long long)maildrop_size(&s->drop, number));
    else
        stream_puts(s->client, "+OK\r\n");
    int64_t sent = retrieve(s->client, fd, lines);
    if (sent < 0) {
        log_warn_errno((int)sent, "cannot read message %u", number);
        s->failed = true;
        return 0;
    }
    return (uint64_t)sent;
}

static void cmd_retr(struct pop3 *s, const struct arguments_given *a)
{
    s->n_retr++;
    uint64_t sent = send_message(s, a->number, UINT64_MAX);
    if (sent > 0)
        maildrop_retrieved(&s->drop, a->number);
    s->retr_bytes += sent;
}

static void cmd_top(struct pop3 *s, const struct arguments_given *a)
{
    s->n_top++;
    s->top_bytes += send_message(s, a->number, a->lines);
}

static void cmd_dele(struct pop3 *s, const struct arguments_given *a)
{
    maildrop_delete(&s->drop, a->number);
    stream_puts(s->client, "+OK Marked to be deleted.\r\n");
}

static void cmd_lang(struct pop3 *s, const struct arguments_given *a)
{
    stream_puts(s->client, pop3_lang_answer(a->language));
}

static void cmd_noop(struct pop3 *s, const struct arguments_given *a)
{
    (void)a;
    stream_puts(s->client, "+OK\r\n");
}

static void cmd_rset(struct pop3 *s, const struct arguments_given *a)
{
    (void)a;
    maildrop_reset(&s->drop);
    stream_puts(s->client, "+OK\r\n");
}

static void cmd_quit(struct pop3 *s, const struct arguments_given *a)
{
    (void)a;
    s->quit = true; /* session.c enters the UPDATE state */
}

/* ---- the table ---- */

static const struct command {
    struct span name;
    enum arguments arguments;
    void (*run)(struct pop3 *s, const struct arguments_given *a);
} commands[] = {
    { SPAN("CAPA"), NONE, cmd_capa },
    { SPAN("DELE"), NUMBER, cmd_dele },
    { SPAN("LANG"), LANGUAGE_OR_NONE, cmd_lang },
    { SPAN("LIST"), NUMBER_OR_NONE, cmd_list },
    { SPAN("NOOP"), NONE, cmd_noop },
    { SPAN("QUIT"), NONE, cmd_quit },
    { SPAN("RETR"), NUMBER, cmd_retr },
    { SPAN("RSET"), NONE, cmd_rset },
    { SPAN("STAT"), NONE, cmd_stat },
    { SPAN("TOP"), NUMBER_AND_LINES, cmd_top },
    { SPAN("UIDL"), NUMBER_OR_NONE, cmd_uidl },
};

static const struct command *command_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (span_eq_nocase(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/* NULL when the arguments are good, else what is wrong with them */
static const char *parse_arguments(const struct pop3 *s, enum arguments kind, struct span text,
                                   struct arguments_given *ret)
{
    text = span_trim(text);
    if (kind == LANGUAGE_OR_NONE) {
        ret->language = text;
        return NULL;
    }
    if (kind == NONE || (kind == NUMBER_OR_NONE && text.len == 0))
        return text.len == 0 ? NULL : "No argument is wanted.";
    if (span_u32(span_cut(&text, ' '), UINT32_MAX, &ret->number) < 0)
        return "A message number is wanted.";
    if (kind == NUMBER_AND_LINES) {
        if (span_u64(span_cut(&text, ' '), UINT32_MAX, &ret->lines) < 0)
            return "A number of lines is wanted.";
    }
    if (text.len > 0)
        return "Too many arguments.";
    if (ret->number == 0 || ret->number > s->drop.count)
        return "There is no such message.";
    if (maildrop_is_deleted(&s->drop, ret->number))
        return "The message is deleted.";
    return NULL;
}

void pop3_command(struct pop3 *s, struct span line)
{
    struct arguments_given a = { 0 };
    const struct command *cmd = command_find(span_cut(&line, ' '));

    if (!cmd) {
        bad(s, "Unknown command.");
        return;
    }
    const char *wrong = parse_arguments(s, cmd->arguments, line, &a);
    if (wrong) {
        bad(s, wrong);
        return;
    }
    s->bad_commands = 0;
    cmd->run(s, &a);
}
