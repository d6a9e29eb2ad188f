/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_item.c - the items of FETCH, and how each is written
 *
 * RFC 3501 section 6.4.5; BINARY RFC 3516, MODSEQ RFC 7162, EMAILID and THREADID RFC 8474, SAVEDATE RFC 8514,
 * PREVIEW RFC 8970.
 *
 * Runs in: imapd (content is hostile).
 */
#include "fetch.h"

#include <inttypes.h>

#include "base/mem.h"
#include "bodystructure.h"
#include "flags.h"
#include "mail/date.h"
#include "reply.h"
#include "thread_id.h"

void fetch_put_flags(struct imap *s, struct fetch *f, const struct fetch_item *i,
                           const struct mail_entry *e)
{
    (void)i;
    str_add_str(&f->line, "FLAGS (");
    put_flags(&f->line, s->mb, e, s->rev2 ? FLAGS_NO_RECENT : FLAGS_RECENT);
    str_add_char(&f->line, ')');
}

void fetch_put_uid(struct imap *s, struct fetch *f, const struct fetch_item *i,
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

void fetch_put_modseq(struct imap *s, struct fetch *f, const struct fetch_item *i,
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
    put_bodystructure(&f->line, mime, BODY_BASIC, (size_t)s->params->header_address_token_limit,
                      f->message.pace);
}

static void count_bytes(struct imap *s, const struct section *section, size_t n)
{
    bool header = section->text != SECTION_WHOLE && section->text != SECTION_TEXT;

    *(header ? &s->stats.hdr_count : &s->stats.body_count) += 1;
    *(header ? &s->stats.hdr_bytes : &s->stats.body_bytes) += n;
}

/* A literal may not hold NUL (RFC 3501 section 9, CHAR8), and clients stumble over it; files of other programs do
 * hold it. Lengths stay what they are. */
static void write_without_nul(struct imap *s, struct span content)
{
    ptrdiff_t at;

    while ((at = span_chr(content, '\0')) >= 0) {
        imap_write(s, span_first(content, (size_t)at));
        imap_write(s, (struct span)SPAN("\200"));
        content = span_from(content, (size_t)at + 1);
    }
    imap_write(s, content);
}

/* A literal8 only where it is needed: there are clients that ask for BINARY and do not know it. */
static void put_literal(struct imap *s, struct fetch *f, const struct fetch_item *i,
                        struct span content)
{
    bool has_nul = i->section.binary && span_chr(content, '\0') >= 0;

    str_addf(&f->line, " %s{%zu}\r\n", has_nul ? "~" : "", content.len);
    imap_write(s, str_span(&f->line));
    str_reset(&f->line);
    if (has_nul)
        imap_write(s, content);
    else
        write_without_nul(s, content);
    count_bytes(s, &i->section, content.len);
}

static void put_section(struct imap *s, struct fetch *f, const struct fetch_item *i,
                        const struct mail_entry *e)
{
    struct span content;

    (void)e;
    str_add(&f->line, str_span(&i->section.label));
    int r = section_content(&i->section, &f->message, &f->scratch, &content);

    if (r > 0)
        put_literal(s, f, i, content);
    else if (r == 0)
        str_add_str(&f->line, " NIL"); /* negative: nobody waits for it, or its time is over (fetch.c) */
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

static void put_thread_id(struct imap *s, struct fetch *f, const struct fetch_item *i,
                          const struct mail_entry *e)
{
    (void)s;
    (void)i;
    (void)e;
    str_add_str(&f->line, "THREADID (");
    thread_id_add(kept(f, KEPT_HEADER)->header, &f->line);
    str_add_char(&f->line, ')');
}

static void put_kept_fields(struct imap *s, struct fetch *f, const struct fetch_item *i,
                            const struct mail_entry *e)
{
    (void)e;
    str_add(&f->line, str_span(&i->section.label));
    put_literal(s, f, i, section_of_kept(&i->section, kept(f, KEPT_HEADER)->header, &f->scratch));
}

/* ---- the table ---- */

static const struct fetch_row rows[] = {
    { "BODY",          put_body,          FETCH_MIME,   0,              SECTION_WHOLE },
    { "BODYSTRUCTURE", put_structure,     FETCH_INDEX,  KEPT_STRUCTURE, SECTION_WHOLE },
    { "EMAILID",       put_email_id,      FETCH_INDEX,  KEPT_EMAIL_ID,  SECTION_WHOLE },
    { "ENVELOPE",      put_envelope_item, FETCH_INDEX,  KEPT_HEADER,    SECTION_WHOLE },
    { "FLAGS",         fetch_put_flags,   FETCH_INDEX,  0,              SECTION_WHOLE },
    { "INTERNALDATE",  put_internaldate,  FETCH_INDEX,  0,              SECTION_WHOLE },
    { "MODSEQ",        fetch_put_modseq,  FETCH_INDEX,  0,              SECTION_WHOLE },
    { "PREVIEW",       put_preview,       FETCH_INDEX,  KEPT_PREVIEW,   SECTION_WHOLE },
    { "RFC822",        put_section,       FETCH_ALL,    0,              SECTION_WHOLE },
    { "RFC822.HEADER", put_section,       FETCH_HEADER, 0,              SECTION_HEADER },
    { "RFC822.SIZE",   put_size,          FETCH_SIZE,   0,              SECTION_WHOLE },
    { "RFC822.TEXT",   put_section,       FETCH_ALL,    0,              SECTION_TEXT },
    { "SAVEDATE",      put_save_date,     FETCH_INDEX,  0,              SECTION_WHOLE },
    { "THREADID",      put_thread_id,     FETCH_INDEX,  KEPT_HEADER,    SECTION_WHOLE },
    { "UID",           fetch_put_uid,     FETCH_INDEX,  0,              SECTION_WHOLE },
};
/* BODY[...], by how far it has to be read */
const struct fetch_row
    fetch_section_in_kept = { "BODY", put_kept_fields, FETCH_INDEX, KEPT_HEADER, SECTION_WHOLE },
    fetch_section_in_head = { "BODY", put_section, FETCH_HEADER, 0, SECTION_WHOLE },
    fetch_section_of_all = { "BODY", put_section, FETCH_ALL, 0, SECTION_WHOLE },
    fetch_section_of_part = { "BODY", put_section, FETCH_MIME, 0, SECTION_WHOLE },
    fetch_binary_size = { "BINARY.SIZE", put_binary_size, FETCH_MIME, 0, SECTION_WHOLE },
    fetch_lazy_preview = { "PREVIEW", put_preview, FETCH_INDEX, KEPT_IF_THERE, SECTION_WHOLE };

const struct fetch_row *fetch_row_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_eq_nocase_str(name, rows[i].name))
            return &rows[i];
    return NULL;
}

struct fetch_item *fetch_add(struct fetch *f, const struct fetch_row *row)
{
    MEM_GROW(f->items, f->len, f->cap);
    f->items[f->len] = (struct fetch_item){ .row = row, .section = SECTION_INIT };
    f->has_uid |= row->put == fetch_put_uid;
    f->has_flags |= row->put == fetch_put_flags;
    f->has_modseq |= row->put == fetch_put_modseq;
    f->has_size |= row->put == put_size;
    f->want |= row->want;
    if (row->need > f->need)
        f->need = row->need;
    return &f->items[f->len++];
}
