/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - read a message file in pieces, as the client shall see it, or not at all
 *
 * What clients ask of every message is kept in the index (kept.h), made when it is asked for the
 * first time and written down for many messages at once. Most commands want the header only, which
 * is in the first piece; an attachment behind it is then never read. Line ends become CRLF on the
 * way (Maildir stores LF).
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <unistd.h>

#include "base/mem.h"
#include "bodystructure.h"
#include "envelope.h"
#include "mailbox/lf.h"
#include "preview.h"

#define FIRST_PIECE (16 * 1024)
#define PIECE       (1024 * 1024)
#define KEEP_MAX    (256 * 1024)
#define NOTES_MAX   (1024 * 1024)

void message_init(struct message *m, struct mailbox *mb, struct message_limits limits, struct pace *pace)
{
    *m = (struct message){ .mb = mb, .fd = -1, .data = STR_INIT, .mime = MIME_INIT, .limits = limits, .pace = pace };
}

/* ---- notes in the index ---- */

/* Limits shape what is made; records made under others do not count. */
static uint32_t limits_number(const struct message_limits *l)
{
    return (uint32_t)(l->mime_depth << 24 ^ l->mime_parts << 12 ^ l->addresses);
}

/* A failure costs time, not truth: they will be made again. */
static void write_notes(struct message *m)
{
    if (m->n_notes > 0)
        mailbox_note_put(m->mb, m->notes, m->n_notes);
    for (size_t i = 0; i < m->n_notes; i++)
        str_free(&m->notes[i].bytes);
    m->n_notes = m->notes_bytes = 0;
}

static void add_note(struct message *m)
{
    if (m->record.len > KEPT_MAX)
        return;
    MEM_GROW(m->notes, m->n_notes, m->cap_notes);
    struct mailbox_note *note = &m->notes[m->n_notes++];

    *note = (struct mailbox_note){mailbox_entry(m->mb, m->seq)->uid, STR_INIT};
    str_add(&note->bytes, str_span(&m->record));
    m->notes_bytes += m->record.len;
    if (m->notes_bytes > NOTES_MAX)
        write_notes(m);
}

/* ---- the file ---- */

static void forget(struct message *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
    mime_done(&m->mime);
    m->parsed = m->complete = m->looked_up = false;
    m->kept = (struct kept){ .envelope = SPAN_NULL };
    m->header_len = SIZE_MAX;
    if (m->data.cap > KEEP_MAX)
        str_free(&m->data);
    else
        str_reset(&m->data);
}

void message_done(struct message *m)
{
    write_notes(m);
    free(m->notes);
    forget(m);
    str_free(&m->data);
    str_free(&m->record);
}

void message_open(struct message *m, uint32_t seq)
{
    forget(m);
    m->seq = seq;
}

/* Read up to `size` bytes more. A short count is the end of a regular file. */
static int read_piece(struct message *m, size_t size)
{
    size_t from = m->data.len, got = 0;

    if (!pace_on(m->pace, size))
        return pace_error(m->pace);
    if (m->fd < 0) {
        m->fd = mailbox_open_message(m->mb, m->seq);
        if (m->fd < 0)
            return m->fd;
    }
    str_reserve(&m->data, size);
    while (got < size) {
        ssize_t n = read(m->fd, m->data.data + from + got, size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        got += (size_t)n;
        if (n == 0 || got < size) {
            m->complete = true;
            close(m->fd);
            m->fd = -1;
            break;
        }
    }
    m->data.len += got;
    m->data.data[m->data.len] = '\0';
    /* A CR at the end of the last piece belongs to a LF at the front of this one. */
    lf_expand(&m->data, from > 0 && m->data.data[from - 1] == '\r' ? from - 1 : from);
    return 0;
}

/* Look for the end of the header in what was not looked at yet. */
static void find_header_end(struct message *m, size_t from)
{
    static const struct span empty_line = SPAN("\r\n\r\n");
    struct span all = str_span(&m->data);

    if (span_starts(all, (struct span)SPAN("\r\n"))) {
        m->header_len = 2;
        return;
    }
    from = from > 3 ? from - 3 : 0;

    ptrdiff_t at = span_find(span_from(all, from), empty_line);

    if (at >= 0)
        m->header_len = from + (size_t)at + empty_line.len;
    else if (m->complete)
        m->header_len = all.len;
}

int message_header(struct message *m, struct span *ret)
{
    while (m->header_len == SIZE_MAX) {
        size_t before = m->data.len;

        if (!m->complete) {
            int r = read_piece(m, before == 0 ? FIRST_PIECE : PIECE);

            if (r < 0)
                return r;
        }
        find_header_end(m, before);
    }
    *ret = span_first(str_span(&m->data), m->header_len);
    return 0;
}

int message_all(struct message *m, struct span *ret)
{
    int r = message_header(m, ret);

    while (r == 0 && !m->complete)
        r = read_piece(m, PIECE);
    *ret = str_span(&m->data);
    return r;
}

int message_mime(struct message *m, const struct mime **ret)
{
    struct span all;
    int r = message_all(m, &all);

    if (r < 0)
        return r;
    if (!m->parsed)
        mime_parse(all, m->limits.mime_depth, m->limits.mime_parts, m->pace, &m->mime);
    m->parsed = true;
    *ret = &m->mime;
    return pace_error(m->pace);
}

/* ---- what is kept ---- */

static bool has(const struct kept *k, unsigned want)
{
    return (!(want & KEPT_HEADER) || k->envelope.ptr) &&
           (!(want & KEPT_STRUCTURE) || k->structure.ptr) &&
           (!(want & KEPT_PREVIEW) || k->preview.ptr) && (!(want & KEPT_EMAIL_ID) || k->email_id.ptr);
}

/* The same for the same bytes, wherever they are copied (RFC 8474 section 5.1): half of their SHA-256 */
static void make_email_id(struct span content, struct pace *pace, struct str *ret)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx h;

    sha256_init(&h);
    while (content.len > 0 && pace_on(pace, PIECE)) {
        struct span piece = span_first(content, PIECE);

        sha256_update(&h, piece.len, (const uint8_t *)piece.ptr);
        content = span_from(content, piece.len);
    }
    sha256_digest(&h, sizeof digest, digest);
    str_add_hex(ret, span_make(digest, sizeof digest / 2));
}

/* What a record is made of, before it is one */
struct making {
    struct str envelope, fields, structure, preview, email_id;
};

static void making_done(struct making *k)
{
    str_free(&k->envelope);
    str_free(&k->fields);
    str_free(&k->structure);
    str_free(&k->preview);
    str_free(&k->email_id);
}

/* Parts that need more than the header; what was there already is carried over. */
static int make_parts(struct message *m, unsigned want, struct making *k)
{
    const struct mime *mime = NULL;
    int r = 0;

    if (want & (KEPT_STRUCTURE | KEPT_PREVIEW | KEPT_EMAIL_ID))
        r = message_mime(m, &mime);
    if (r < 0)
        return r;
    if (want & KEPT_STRUCTURE && !m->kept.structure.ptr)
        put_bodystructure(&k->structure, mime, BODY_EXTENDED, m->limits.addresses, m->pace);
    else
        str_add(&k->structure, m->kept.structure);
    if (want & KEPT_PREVIEW && !m->kept.preview.ptr)
        preview_make(mime, &k->preview);
    else
        str_add(&k->preview, m->kept.preview);
    if (want & KEPT_EMAIL_ID && !m->kept.email_id.ptr)
        make_email_id(str_span(&m->data), m->pace, &k->email_id);
    else
        str_add(&k->email_id, m->kept.email_id);
    return pace_error(m->pace);
}

static int make_record(struct message *m, unsigned want)
{
    _cleanup_(making_done) struct making k = { STR_INIT, STR_INIT, STR_INIT, STR_INIT, STR_INIT };
    struct span header;
    int r = message_header(m, &header);

    if (r == 0)
        r = make_parts(m, want, &k);
    if (r < 0)
        return r;
    header = span_first(str_span(&m->data), m->header_len);
    put_envelope(&k.envelope, header, m->limits.addresses);
    kept_header(header, &k.fields);

    struct kept made = { str_span(&k.envelope), str_span(&k.fields), str_span(&k.structure), SPAN_NULL,
                         str_span(&k.email_id) };
    uint32_t limits = limits_number(&m->limits);

    if (want & KEPT_PREVIEW || m->kept.preview.ptr)
        made.preview = span_of(str_cstr(&k.preview));
    kept_encode(&made, limits, &m->record);
    r = kept_decode(str_span(&m->record), limits, &m->kept);
    if (r == 0)
        add_note(m);
    return r;
}

int message_kept(struct message *m, unsigned want, const struct kept **ret)
{
    int r = 0;

    if (!m->looked_up && mailbox_note_get(m->mb, m->seq, &m->record) == 0)
        kept_decode(str_span(&m->record), limits_number(&m->limits), &m->kept);
    m->looked_up = true;
    if (!has(&m->kept, want))
        r = make_record(m, want);
    *ret = &m->kept;
    return r;
}

bool message_save_date(struct mailbox *mb, uint32_t seq, int64_t *ret)
{
    _cleanup_(str_free) struct str base = STR_INIT;
    uint64_t seconds;

    if (mailbox_file_base(mb, seq, &base) < 0)
        return false;

    struct span rest = str_span(&base);

    if (span_u64(span_cut(&rest, '.'), UINT32_MAX, &seconds) < 0)
        return false;
    *ret = (int64_t)seconds;
    return true;
}
