/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_edit.c - changes that filters ask for
 *
 * A new body is kept aside until its filter has come to its end: half of one is worse than the old one. A
 * change that makes no sense (no address, no name of a field) is warned of and left out.
 *
 * Runs in: cleanup. Filters have read hostile mail, so nothing they send leaves its place: a value stays in its
 * field, and a body has CRLF lines.
 */
#include "cleanup/filter_edit.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/xtext.h"

#define LOG_TEXT_MAX 256

static int ignore(const struct message *m, const char *what, struct span text)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    str_add_escaped(&shown, text, LOG_TEXT_MAX, STR_UTF8);
    log_warn("%s: milter asks for %s \"%s\": ignored", m->env.id, what, str_cstr(&shown));
    return 0;
}

/* "<a@b>" or "a@b" */
static int parse_address(struct span text, struct str *ret)
{
    struct span rest = span_trim(text);
    const unsigned flags = ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_LENIENT | ADDRESS_NODOMAIN;
    int r = address_parse_path(&rest, flags, SUBMIT_ADDRESS_MAX, ret);

    return r == 0 && span_trim(rest).len > 0 ? -EINVAL : r;
}

/* ---- recipients ---- */

/* "NEVER" or a list of the others (RFC 3461 section 4.1); 0: malformed */
static uint32_t parse_notify(struct span list)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } names[] = {
        { "NEVER", DSN_NEVER }, { "SUCCESS", DSN_SUCCESS }, { "FAILURE", DSN_FAILURE }, { "DELAY", DSN_DELAY },
    };
    uint32_t bits = 0;

    while (list.len > 0) {
        struct span word = span_cut(&list, ',');

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (span_eq_nocase_str(word, names[i].name))
                bits |= names[i].bit;
    }
    return bits;
}

static void take_rcpt_args(const struct message *m, struct span args, struct submit_rcpt *rcpt)
{
    struct span word;

    while (span_word(&args, " \t", &word)) {
        struct span value = word;
        struct span name = span_cut(&value, '=');
        bool ok = false;

        if (span_eq_nocase_str(name, "NOTIFY")) {
            rcpt->dsn_notify = parse_notify(value);
            ok = rcpt->dsn_notify != 0;
        } else if (span_eq_nocase_str(name, "ORCPT")) {
            str_reset(&rcpt->dsn_orcpt);
            ok = xtext_decode(value, &rcpt->dsn_orcpt) == 0 && span_chr(str_span(&rcpt->dsn_orcpt), ';') > 0;
            if (!ok)
                str_reset(&rcpt->dsn_orcpt);
        }
        if (!ok)
            ignore(m, "the recipient's parameter", word);
    }
}

static int add_rcpt(struct message *m, struct span address, struct span args)
{
    _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = { 0 };

    if (parse_address(address, &rcpt.address) < 0 || rcpt.address.len == 0)
        return ignore(m, "the recipient", address);
    take_rcpt_args(m, args, &rcpt);
    message_add_rcpt(m, &rcpt);
    return 0;
}

static int delete_rcpt(struct message *m, struct span address)
{
    _cleanup_(str_free) struct str bare = STR_INIT;

    if (parse_address(address, &bare) < 0)
        return ignore(m, "deleting the recipient", address);
    recipients_remove(&m->rcpts, str_span(&bare));
    return 0;
}

static int change_sender(struct message *m, struct span address, struct span args)
{
    _cleanup_(str_free) struct str bare = STR_INIT;

    if (parse_address(address, &bare) < 0)
        return ignore(m, "the sender", address);
    if (args.len > 0)
        ignore(m, "the sender's parameters", args);
    str_set(&m->submit.sender, str_span(&bare));
    m->env.sender = (char *)str_cstr(&m->submit.sender);
    return 0;
}

/* ---- the body ---- */

static int add_body(struct filter *f, struct span bytes)
{
    _cleanup_(str_free) struct str lines = STR_INIT;

    f->replacing = true;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] == '\n' && f->last != '\r')
            str_add_char(&lines, '\r');
        f->last = bytes.ptr[i];
        str_add_char(&lines, f->last);
    }
    return spool_add(&f->next, str_span(&lines));
}

int filter_edited(void *arg, bool complete)
{
    struct message *m = arg;
    struct filter *f = m->filter;
    int r = 0;

    if (f->replacing && complete) {
        if (f->last && f->last != '\n')
            r = spool_add(&f->next, span_of("\r\n"));
        spool_done(&f->body);
        f->body = f->next;
        f->next = SPOOL_INIT(f->body.dirfd);
    }
    spool_done(&f->next);
    f->replacing = false;
    f->last = '\0';
    return r;
}

/* ---- the header ---- */

enum place { AT_END, AT_INDEX, IN_PLACE };

static int set_header(struct message *m, enum place place, uint32_t number, struct span name, struct span value,
                      enum fields_blank blank)
{
    struct fields *f = &m->filter->fields;
    int r = place == AT_END     ? fields_add(f, name, value, blank)
            : place == AT_INDEX ? fields_insert(f, number, name, value, blank)
                                : fields_change(f, number, name, value, blank);

    return r == -EINVAL ? ignore(m, "the header", name) : r;
}

/* milter_header_checks may leave it out, or make another field of it. */
static int set_checked_header(struct message *m, enum place place, const struct milter_reply *c,
                              enum fields_blank blank)
{
    _cleanup_(str_free) struct str raw = STR_INIT, checked = STR_INIT;
    struct header_field h;
    struct span rest;
    int r = 0;

    if (!m->c->checks.milter_header)
        return set_header(m, place, c->number, c->text, c->text2, blank);
    str_add(&raw, c->text);
    str_add_str(&raw, blank == FIELDS_VERBATIM ? ":" : ": ");
    str_add(&raw, c->text2);
    str_add_str(&raw, "\r\n");
    inspect_field(m, INSPECT_FILTERS_FIELD, str_span(&raw), &checked);
    rest = str_span(&checked);
    while (r == 0 && rest.len > 0 && header_next(&rest, SIZE_MAX, &h) != 0)
        r = set_header(m, place, c->number, h.name, h.value, FIELDS_VERBATIM);
    return r;
}

/* ---- the table ---- */

int filter_edit(void *arg, const struct milter_reply *c, bool verbatim)
{
    struct message *m = arg;
    enum fields_blank blank = verbatim ? FIELDS_VERBATIM : FIELDS_ADD_BLANK;

    switch (c->kind) {
    case MILTER_R_ADDRCPT:
    case MILTER_R_ADDRCPT_PAR:
        return add_rcpt(m, c->text, c->text2);
    case MILTER_R_DELRCPT:
        return delete_rcpt(m, c->text);
    case MILTER_R_CHGFROM:
        return change_sender(m, c->text, c->text2);
    case MILTER_R_REPLBODY:
        return add_body(m->filter, c->text);
    case MILTER_R_ADDHEADER:
        return set_checked_header(m, AT_END, c, blank);
    case MILTER_R_INSHEADER:
        return set_checked_header(m, AT_INDEX, c, blank);
    case MILTER_R_CHGHEADER:
        if (c->text2.len > 0)
            return set_checked_header(m, IN_PLACE, c, blank);
        fields_delete(&m->filter->fields, c->number, c->text);
        return 0;
    case MILTER_R_QUARANTINE:
    case MILTER_R_ACCEPT:
    case MILTER_R_CONTINUE:
    case MILTER_R_DISCARD:
    case MILTER_R_REJECT:
    case MILTER_R_TEMPFAIL:
    case MILTER_R_REPLYCODE:
    case MILTER_R_SKIP:
    case MILTER_R_SHUTDOWN:
    case MILTER_R_CONN_FAIL:
    case MILTER_R_PROGRESS:
        break;
    }
    return -EINVAL; /* no change: the caller knows these */
}
