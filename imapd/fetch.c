/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - FETCH (RFC 3501 section 6.4.5; MODSEQ, CHANGEDSINCE and VANISHED RFC 7162)
 *
 * Items are looked up once, and the greatest need among them decides how far a
 * message's file is read: not at all for flags, UIDs, dates and sizes, which
 * are in the index, and for what is kept there of the content (kept.h). A file is
 * opened once, and before the first byte of its answer is written, for an answer
 * cannot be taken back.
 *
 * Runs in: imapd (input and content are hostile).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bodystructure.h"
#include "command.h"
#include "flags.h"
#include "mail/date.h"
#include "message.h"
#include "reply.h"
#include "search_return.h"
#include "search_run.h"
#include "section.h"
#include "seqset.h"
#include "untagged.h"

enum need { NEED_INDEX, NEED_SIZE, NEED_HEADER, NEED_ALL, NEED_MIME };

struct fetch_item {
    const struct fetch_row *row;
    struct section section;
};

struct fetch {
    struct fetch_item *items;
    size_t len, cap, max_items;
    enum need need;
    unsigned want;              /* enum message_want */
    bool sets_seen;
    bool has_uid, has_flags, has_modseq, has_binary;
    uint64_t changed_since;
    bool vanished;              /* VANISHED: name those that are gone, too */
    struct partial partial;     /* PARTIAL: only these of the messages named */
    /* while it runs */
    struct message message;
    uint32_t seq;
    struct str line, scratch;
    bool expunged;              /* a message's file was gone */
};

typedef void put_item(struct imap *s, struct fetch *f, const struct fetch_item *i,
                      const struct mail_entry *e);
static put_item put_flags_item, put_uid, put_internaldate, put_size, put_modseq, put_envelope_item,
    put_body, put_structure, put_section, put_kept_fields, put_binary_size, put_preview, put_save_date,
    put_email_id, put_thread_id;

static const struct fetch_row {
    const char *name;
    put_item *put;
    enum need need;
    unsigned want;              /* enum message_want */
    enum section_text section;  /* of RFC822.x, which are sections under another name */
} rows[] = {
    { "BODY",           put_body,          NEED_MIME,   0,              SECTION_WHOLE },
    { "BODYSTRUCTURE",  put_structure,     NEED_INDEX,  KEPT_STRUCTURE, SECTION_WHOLE },
    { "EMAILID",        put_email_id,      NEED_INDEX,  KEPT_EMAIL_ID,  SECTION_WHOLE },
    { "ENVELOPE",       put_envelope_item, NEED_INDEX,  KEPT_HEADER,    SECTION_WHOLE },
    { "FLAGS",          put_flags_item,    NEED_INDEX,  0,              SECTION_WHOLE },
    { "INTERNALDATE",   put_internaldate,  NEED_INDEX,  0,              SECTION_WHOLE },
    { "MODSEQ",         put_modseq,        NEED_INDEX,  0,              SECTION_WHOLE },
    { "PREVIEW",        put_preview,       NEED_INDEX,  KEPT_PREVIEW,   SECTION_WHOLE },
    { "RFC822",         put_section,       NEED_ALL,    0,              SECTION_WHOLE },
    { "RFC822.HEADER",  put_section,       NEED_HEADER, 0,              SECTION_HEADER },
    { "RFC822.SIZE",    put_size,          NEED_SIZE,   0,              SECTION_WHOLE },
    { "RFC822.TEXT",    put_section,       NEED_ALL,    0,              SECTION_TEXT },
    { "SAVEDATE",       put_save_date,     NEED_INDEX,  0,              SECTION_WHOLE },
    { "THREADID",       put_thread_id,     NEED_INDEX,  0,              SECTION_WHOLE },
    { "UID",            put_uid,           NEED_INDEX,  0,              SECTION_WHOLE },
};
/* BODY[...], by how far it has to be read */
static const struct fetch_row
    section_in_kept = { "BODY", put_kept_fields, NEED_INDEX, KEPT_HEADER, SECTION_WHOLE },
    section_in_head = { "BODY", put_section, NEED_HEADER, 0, SECTION_WHOLE },
    section_of_all = { "BODY", put_section, NEED_ALL, 0, SECTION_WHOLE },
    section_of_part = { "BODY", put_section, NEED_MIME, 0, SECTION_WHOLE },
    binary_size = { "BINARY.SIZE", put_binary_size, NEED_MIME, 0, SECTION_WHOLE },
    lazy_preview = { "PREVIEW", put_preview, NEED_INDEX, KEPT_IF_THERE, SECTION_WHOLE };

static const struct {
    const char *name, *items;
} macros[] = {
    { "ALL",  "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE" },
    { "FAST", "FLAGS INTERNALDATE RFC822.SIZE" },
    { "FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY" },
};

static void fetch_done(struct fetch *f)
{
    for (size_t i = 0; i < f->len; i++)
        section_done(&f->items[i].section);
    free(f->items);
    message_done(&f->message);
    str_free(&f->line);
    str_free(&f->scratch);
}

/* ---- grammar ---- */

static struct fetch_item *add_item(struct fetch *f, const struct fetch_row *row)
{
    MEM_GROW(f->items, f->len, f->cap);
    f->items[f->len] = (struct fetch_item){ .row = row, .section = SECTION_INIT };
    f->has_uid |= row->put == put_uid;
    f->has_flags |= row->put == put_flags_item;
    f->has_modseq |= row->put == put_modseq;
    f->want |= row->want;
    if (row->need > f->need)
        f->need = row->need;
    return &f->items[f->len++];
}

/* An item by its name, "RFC822.TEXT" */
static bool add_named(struct fetch *f, struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!span_eq_nocase_str(name, rows[i].name))
            continue;

        struct fetch_item *item = add_item(f, &rows[i]);

        item->section.text = rows[i].section;
        str_add_str(&item->section.label, rows[i].name);
        f->sets_seen |= rows[i].put == put_section && rows[i].need == NEED_ALL;
        return true;
    }
    return false;
}

/* "BODY[...]" and "BODY.PEEK[...]" */
static bool parse_body_section(struct parse *p, struct fetch *f, struct span name)
{
    bool peek = span_eq_nocase_str(name, "BODY.PEEK");
    struct section section = SECTION_INIT;

    if ((!peek && !span_eq_nocase_str(name, "BODY")) || !parse_section(p, &section)) {
        section_done(&section);
        return false;
    }

    const struct fetch_row *row = section.part.len > 0          ? &section_of_part
                                  : section_is_kept(&section)   ? &section_in_kept
                                  : section_in_header(&section) ? &section_in_head
                                                                : &section_of_all;

    add_item(f, row)->section = section;
    f->sets_seen |= !peek;
    return true;
}

/* "BINARY[...]", "BINARY.PEEK[...]", "BINARY.SIZE[...]" (RFC 3516 section 4) */
static bool parse_binary(struct parse *p, struct fetch *f, struct span name)
{
    bool is_size = span_eq_nocase_str(name, "BINARY.SIZE");
    bool sets_seen = span_eq_nocase_str(name, "BINARY");
    struct section section = SECTION_INIT;

    if ((!is_size && !sets_seen && !span_eq_nocase_str(name, "BINARY.PEEK")) ||
        !parse_binary_section(p, &section) || (is_size && section.partial)) {
        section_done(&section);
        return false;
    }
    add_item(f, is_size ? &binary_size : &section_of_part)->section = section;
    f->sets_seen |= sets_seen;
    f->has_binary = true;
    return true;
}

/* "PREVIEW" with its modifier " (LAZY)" (RFC 8970 section 3.1) */
static bool parse_lazy(struct parse *p)
{
    struct span save = p->in;

    if (parse_sp(p) && parse_char(p, '(')) {
        if (parse_word(p, "LAZY") && parse_char(p, ')'))
            return true;
    }
    p->in = save;
    return false;
}

static bool parse_item(struct parse *p, struct fetch *f)
{
    struct span name;

    if (f->len == f->max_items || !parse_name(p, &name))
        return false;
    if (p->in.len > 0 && p->in.ptr[0] == '[')
        return span_starts_nocase(name, (struct span)SPAN("BINARY")) ? parse_binary(p, f, name) :
                                                                       parse_body_section(p, f, name);
    if (span_eq_nocase_str(name, "PREVIEW") && parse_lazy(p)) {
        add_item(f, &lazy_preview);
        return true;
    }
    return add_named(f, name);
}

static bool parse_macro(struct parse *p, struct fetch *f)
{
    for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
        if (parse_word(p, macros[i].name)) {
            struct span items = span_of(macros[i].items), name;

            while (span_word(&items, " ", &name))
                add_named(f, name);
            return true;
        }
    }
    return false;
}

/* One of CHANGEDSINCE and VANISHED (RFC 7162), PARTIAL (RFC 9394) */
static bool parse_modifier(struct parse *p, struct fetch *f)
{
    if (parse_word(p, "VANISHED")) {
        f->vanished = true;
        return true;
    }
    if (parse_word(p, "PARTIAL"))
        return f->partial.from == 0 && parse_sp(p) && parse_partial(p, &f->partial);
    return parse_word(p, "CHANGEDSINCE") && parse_sp(p) &&
           parse_number(p, INT64_MAX, &f->changed_since);
}

/* fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")" (RFC 4466 section 2.4) */
static bool parse_modifiers(struct parse *p, struct fetch *f)
{
    if (parse_end(p))
        return true;
    if (!parse_sp(p) || !parse_char(p, '('))
        return false;
    do
        if (!parse_modifier(p, f))
            return false;
    while (parse_sp(p));
    if (!parse_char(p, ')') || !parse_end(p) || (f->vanished && f->changed_since == 0))
        return false;
    if (f->changed_since > 0 && !f->has_modseq)
        add_named(f, span_of("MODSEQ"));
    return true;
}

static bool parse_fetch(struct parse *p, struct fetch *f)
{
    if (!parse_sp(p))
        return false;
    if (parse_char(p, '(')) {
        do
            if (!parse_macro(p, f) && !parse_item(p, f))
                return false;
        while (parse_sp(p));
        if (!parse_char(p, ')'))
            return false;
    } else if (!parse_macro(p, f) && !parse_item(p, f)) {
        return false;
    }
    return parse_modifiers(p, f);
}

/* ---- items ---- */

static void put_flags_item(struct imap *s, struct fetch *f, const struct fetch_item *i,
                           const struct mail_entry *e)
{
    (void)i;
    str_add_str(&f->line, "FLAGS (");
    put_flags(&f->line, s->mb, e, s->rev2 ? FLAGS_NO_RECENT : FLAGS_RECENT);
    str_add_char(&f->line, ')');
}

static void put_uid(struct imap *s, struct fetch *f, const struct fetch_item *i,
                    const struct mail_entry *e)
{
    (void)s;
    (void)i;
    str_add_str(&f->line, "UID ");
    str_add_u64(&f->line, e->uid);
}

static void put_internaldate(struct imap *s, struct fetch *f, const struct fetch_item *i,
                             const struct mail_entry *e)
{
    (void)s;
    (void)i;
    str_add_str(&f->line, "INTERNALDATE \"");
    date_imap(&f->line, e->received);
    str_add_char(&f->line, '"');
}

static void put_size(struct imap *s, struct fetch *f, const struct fetch_item *i,
                     const struct mail_entry *e)
{
    (void)s;
    (void)i;
    str_add_str(&f->line, "RFC822.SIZE ");
    str_add_u64(&f->line, e->vsize);
}

static void put_modseq(struct imap *s, struct fetch *f, const struct fetch_item *i,
                       const struct mail_entry *e)
{
    (void)s;
    (void)i;
    str_addf(&f->line, "MODSEQ (%" PRIu64 ")", e->modseq);
}

/* What is kept cannot fail any more: load() has seen to it. */
static const struct kept *kept(struct fetch *f, unsigned want)
{
    const struct kept *k;

    message_kept(&f->message, want, &k);
    return k;
}

static void put_envelope_item(struct imap *s, struct fetch *f, const struct fetch_item *i,
                              const struct mail_entry *e)
{
    (void)s;
    (void)i;
    (void)e;
    str_add_str(&f->line, "ENVELOPE ");
    str_add(&f->line, kept(f, KEPT_HEADER)->envelope);
}

static void put_structure(struct imap *s, struct fetch *f, const struct fetch_item *i,
                          const struct mail_entry *e)
{
    (void)s;
    (void)i;
    (void)e;
    str_add_str(&f->line, "BODYSTRUCTURE ");
    str_add(&f->line, kept(f, KEPT_STRUCTURE)->structure);
}

static void put_body(struct imap *s, struct fetch *f, const struct fetch_item *i,
                     const struct mail_entry *e)
{
    const struct mime *mime;

    (void)i;
    (void)e;
    message_mime(&f->message, &mime);
    str_add_str(&f->line, "BODY ");
    put_bodystructure(&f->line, mime, BODY_BASIC, (size_t)s->params->header_address_token_limit);
}

static void count_bytes(struct imap *s, const struct section *section, size_t n)
{
    bool header = section->text != SECTION_WHOLE && section->text != SECTION_TEXT;

    *(header ? &s->stats.hdr_count : &s->stats.body_count) += 1;
    *(header ? &s->stats.hdr_bytes : &s->stats.body_bytes) += n;
}

/* A literal8 only where it is needed: there are clients that ask for BINARY and do not know it. */
static void put_literal(struct imap *s, struct fetch *f, const struct fetch_item *i,
                        struct span content)
{
    bool has_nul = i->section.binary && span_chr(content, '\0') >= 0;

    str_addf(&f->line, " %s{%zu}\r\n", has_nul ? "~" : "", content.len);
    imap_write(s, str_span(&f->line));
    str_reset(&f->line);
    imap_write(s, content);
    count_bytes(s, &i->section, content.len);
}

static void put_section(struct imap *s, struct fetch *f, const struct fetch_item *i,
                        const struct mail_entry *e)
{
    struct span content;

    (void)e;
    str_add(&f->line, str_span(&i->section.label));
    if (section_content(&i->section, &f->message, &f->scratch, &content) <= 0)
        str_add_str(&f->line, " NIL");
    else
        put_literal(s, f, i, content);
}

/* Without the brackets' partial: how many bytes BINARY would give (RFC 3516 section 4.3) */
static void put_binary_size(struct imap *s, struct fetch *f, const struct fetch_item *i,
                            const struct mail_entry *e)
{
    struct span content;

    (void)s;
    (void)e;
    if (section_content(&i->section, &f->message, &f->scratch, &content) <= 0)
        content.len = 0;
    str_addf(&f->line, "BINARY.SIZE[%.*s] %zu", SPAN_ARG(i->section.part), content.len);
}

static void put_preview(struct imap *s, struct fetch *f, const struct fetch_item *i,
                        const struct mail_entry *e)
{
    (void)s;
    (void)e;
    str_add_str(&f->line, "PREVIEW ");
    put_nstring(&f->line, kept(f, i->row->want)->preview);
}

static void put_save_date(struct imap *s, struct fetch *f, const struct fetch_item *i,
                          const struct mail_entry *e)
{
    int64_t seconds;

    (void)i;
    (void)e;
    str_add_str(&f->line, "SAVEDATE ");
    if (message_save_date(s->mb, f->seq, &seconds)) {
        str_add_char(&f->line, '"');
        date_imap(&f->line, seconds);
        str_add_char(&f->line, '"');
    } else {
        str_add_str(&f->line, "NIL");
    }
}

/* RFC 8474 section 5.1 */
static void put_email_id(struct imap *s, struct fetch *f, const struct fetch_item *i,
                         const struct mail_entry *e)
{
    (void)s;
    (void)i;
    (void)e;
    str_addf(&f->line, "EMAILID (M%.*s)", SPAN_ARG(kept(f, KEPT_EMAIL_ID)->email_id));
}

/* RFC 8474 section 5.2: threads have no name here, which is NIL */
static void put_thread_id(struct imap *s, struct fetch *f, const struct fetch_item *i,
                          const struct mail_entry *e)
{
    (void)s;
    (void)i;
    (void)e;
    str_add_str(&f->line, "THREADID NIL");
}

static void put_kept_fields(struct imap *s, struct fetch *f, const struct fetch_item *i,
                            const struct mail_entry *e)
{
    (void)e;
    str_add(&f->line, str_span(&i->section.label));
    put_literal(s, f, i, section_of_kept(&i->section, kept(f, KEPT_HEADER)->header, &f->scratch));
}

/* ---- messages ---- */

/* Read the file as far as any item will want it, if at all; afterwards no item can fail. */
static int load(struct fetch *f, uint32_t seq)
{
    const struct kept *k;
    const struct mime *mime;
    struct span bytes;
    int r = 0;

    if (f->want == 0 && f->need <= NEED_SIZE)
        return 0;
    message_open(&f->message, seq);
    if (f->want != 0)
        r = message_kept(&f->message, f->want, &k);
    if (r < 0 || f->need <= NEED_SIZE)
        return r;
    if (f->need == NEED_HEADER)
        return message_header(&f->message, &bytes);
    if (f->need == NEED_ALL)
        return message_all(&f->message, &bytes);
    r = message_mime(&f->message, &mime);
    for (size_t i = 0; r == 0 && f->has_binary && i < f->len; i++)
        if (section_is_unknown(&f->items[i].section, mime))
            r = -ENOTSUP;
    return r;
}

/* now_seen: this FETCH has set \Seen, which the client has to learn */
static int fetch_message(struct imap *s, struct fetch *f, uint32_t seq, bool now_seen)
{
    const struct mail_entry *e = mailbox_entry(s->mb, seq);
    int r = load(f, seq);

    f->seq = seq;
    if (r < 0)
        return r;
    str_reset(&f->line);
    str_addf(&f->line, "* %" PRIu32 " FETCH (", seq);
    if (s->uid && !f->has_uid) {
        put_uid(s, f, NULL, e);
        str_add_char(&f->line, ' ');
    }
    for (size_t i = 0; i < f->len; i++) {
        if (i > 0)
            str_add_char(&f->line, ' ');
        f->items[i].row->put(s, f, &f->items[i], e);
    }
    if (now_seen && !f->has_flags) {
        str_add_char(&f->line, ' ');
        put_flags_item(s, f, NULL, e);
    }
    if (now_seen && s->condstore && !f->has_modseq) {
        str_add_char(&f->line, ' ');
        put_modseq(s, f, NULL, e);
    }
    str_add_str(&f->line, ")\r\n");
    imap_write(s, str_span(&f->line));
    return stream_error(s->client);
}

/* Set \Seen on those that have it not; ret: those, in order. One transaction, before the first
 * answer. */
static int mark_seen(struct imap *s, const struct seqs *seqs, struct seqs *ret)
{
    for (size_t i = 0; i < seqs->len; i++) {
        const struct mail_entry *e = mailbox_entry(s->mb, seqs->items[i]);

        if (!(e->flags & MAIL_SEEN) && !e->expunged)
            seqs_add(ret, seqs->items[i]);
    }
    if (ret->len == 0)
        return 0;
    return mailbox_store(s->mb, ret->items, ret->len, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL,
                         NULL);
}

static void keep_changed(const struct mailbox *mb, struct seqs *seqs, uint64_t changed_since)
{
    size_t n = 0;

    for (size_t i = 0; i < seqs->len; i++)
        if (mailbox_entry(mb, seqs->items[i])->modseq > changed_since)
            seqs->items[n++] = seqs->items[i];
    seqs->len = n;
}

/* RFC 9394 section 3.3: after CHANGEDSINCE has chosen */
static void keep_partial(const struct partial *p, struct seqs *seqs)
{
    size_t from, to;

    partial_range(p, seqs->len, &from, &to);
    memmove(seqs->items, seqs->items + from, (to - from) * sizeof *seqs->items);
    seqs->len = to - from;
}

/* Sizes that the file names do not tell are measured first. */
static int measure(struct imap *s, const struct seqs *seqs)
{
    return mailbox_measure(s->mb, seqs->items[0], seqs->items[seqs->len - 1]);
}

static int fetch_messages(struct imap *s, struct fetch *f, const struct seqs *seqs)
{
    _cleanup_(seqs_done) struct seqs seen = SEQS_INIT;
    bool has_size = false;
    int r = 0;

    for (size_t i = 0; i < f->len; i++)
        has_size |= f->items[i].row->put == put_size;
    if (has_size)
        r = measure(s, seqs);
    if (r == 0 && f->sets_seen && !mailbox_read_only(s->mb))
        r = mark_seen(s, seqs, &seen);
    if (r < 0)
        return reply_errno(s, r, "Reading the mailbox");
    untagged_new_keywords(s);
    for (size_t i = 0, n = 0; i < seqs->len; i++) {
        bool now_seen = n < seen.len && seen.items[n] == seqs->items[i];

        n += now_seen;
        r = fetch_message(s, f, seqs->items[i], now_seen);
        if (r < 0 && stream_error(s->client) < 0)
            return r;
        if (r == -ENOENT)
            f->expunged = true;
        else if (r == -ENOTSUP)
            return reply_no(s, "[UNKNOWN-CTE] This transfer encoding is not known.");
        else if (r < 0)
            return reply_errno(s, r, "Reading a message");
    }
    if (f->expunged)
        return reply_no(s, "[EXPUNGEISSUED] Some of the messages are gone.");
    return reply_ok(s, "Fetch completed.");
}

/* Of the UIDs that the command names, those that are gone (RFC 7162 section 3.2.6) */
static int tell_vanished(struct imap *s, uint64_t since, struct span arguments)
{
    _cleanup_(seqset_done) struct seqset set = SEQSET_INIT;
    struct span rest = span_trim(arguments);

    if (seqset_parse(span_cut(&rest, ' '), &set) < 0)
        return -EINVAL;
    seqset_resolve(&set, mailbox_uidnext(s->mb));
    return untagged_vanished(s, since, &set);
}

int cmd_fetch(struct imap *s, struct parse *p)
{
    _cleanup_(fetch_done) struct fetch f = { .line = STR_INIT,
                                                 .scratch = STR_INIT,
                                                 .max_items = (size_t)s->params->imap_fetch_item_limit };
    _cleanup_(seqs_done) struct seqs seqs = SEQS_INIT;
    struct span arguments = p->in;

    message_init(&f.message, s->mb, imap_message_limits(s));
    if (!parse_messages(s, p, &seqs) || !parse_fetch(p, &f))
        return reply_bad(s, "Messages that exist and at most %zu items are expected.", f.max_items);
    if (f.has_modseq)
        untagged_condstore(s);
    if (f.vanished && (!s->uid || !s->qresync))
        return reply_bad(s, "VANISHED is for UID FETCH, after QRESYNC was enabled.");
    if (f.partial.from > 0 && !s->uid)
        return reply_bad(s, "PARTIAL is for UID FETCH.");
    int r = f.vanished ? tell_vanished(s, f.changed_since, arguments) : 0;
    if (r < 0)
        return reply_errno(s, r, "Reading what has changed");
    if (f.changed_since > 0)
        keep_changed(s->mb, &seqs, f.changed_since);
    if (f.partial.from > 0)
        keep_partial(&f.partial, &seqs);
    if (seqs.len == 0)
        return reply_ok(s, "Fetch completed.");
    return fetch_messages(s, &f, &seqs);
}
