/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.c - the bytes of a message as they leave
 *
 * Content in a queue file has CRLF lines, so only "LF ." needs a look for DATA (RFC 5321
 * section 4.5.2); memchr finds the LFs. A bare CR becomes a blank (cleanup_replace_stray_cr_lf): a
 * next hop that takes it for a line end could be made to see an end of DATA of the author's making.
 * Mailboxes here get the message as it came. A line longer than smtp_line_length_limit is broken,
 * since RFC 5321 section 4.5.3.1.6 lets servers refuse or cut it.
 *
 * Runs in: smtp.
 */
#include <errno.h>

#include "mail/idna.h"
#include "queue/facts.h"
#include "smtp/rewrite.h"

enum { PIECE = 64 << 10 };

static void add_break(struct content_state *s, struct str *ret)
{
    str_add_str(ret, "\r\n ");
    s->column = 1;
}

/* Bytes of one line without CR and LF */
static void add_text(struct span text, struct content_state *s, struct str *ret)
{
    if (s->stuff && s->column == 0 && text.len > 0 && text.ptr[0] == '.')
        str_add_char(ret, '.');
    while (s->line_max > 0 && s->column + text.len > s->line_max) {
        size_t n = s->line_max - s->column;
        str_add(ret, span_first(text, n));
        add_break(s, ret);
        text = span_from(text, n);
    }
    str_add(ret, text);
    s->column += text.len;
}

/* A CR that was held back, now that the byte behind it is known */
static void add_cr(char next, struct content_state *s, struct str *ret)
{
    s->cr = false;
    if (next == '\n') {
        str_add_char(ret, '\r');
        return;
    }
    if (s->line_max > 0 && s->column >= s->line_max)
        add_break(s, ret);
    str_add_char(ret, s->keep_bare_cr ? '\r' : ' ');
    s->column++;
}

/* One line, or a part of one */
static void add_line(struct span line, struct content_state *s, struct str *ret)
{
    while (line.len > 0) {
        if (s->cr)
            add_cr(line.ptr[0], s, ret);
        ptrdiff_t cr = span_chr(line, '\r');
        size_t n = cr < 0 ? line.len : (size_t)cr;
        bool ends = cr < 0 && line.ptr[n - 1] == '\n';
        add_text(span_first(line, n - ends), s, ret);
        if (ends) {
            str_add_char(ret, '\n');
            s->column = 0;
        }
        line = span_from(line, n);
        s->cr = line.len > 0;
        line = span_from(line, 1);
    }
}

void content_clean(struct span bytes, struct content_state *s, struct str *ret)
{
    while (bytes.len > 0) {
        ptrdiff_t lf = span_chr(bytes, '\n');
        size_t n = lf < 0 ? bytes.len : (size_t)lf + 1;
        add_line(span_first(bytes, n), s, ret);
        bytes = span_from(bytes, n);
    }
}

bool content_is_clean(struct span bytes, bool keep_bare_cr, size_t line_max)
{
    struct queue_facts f = { 0 };

    queue_facts_add(&f, bytes);
    queue_facts_end(&f);
    return (keep_bare_cr || !f.bare_cr) && (line_max == 0 || f.longest_line <= line_max);
}

/* ---- from the file ---- */

static struct content_state state_for(const struct delivery *d)
{
    const struct params *p = d->client->params;

    return (struct content_state){ .keep_bare_cr = !p->cleanup_replace_stray_cr_lf,
                                   .line_max = (size_t)p->smtp_line_length_limit };
}

/* The next at most PIECE bytes. 1, 0 at the end, or -errno. */
static int read_piece(const struct delivery *d, uint64_t *done, struct str *ret)
{
    const struct deliver *m = &d->request;
    uint64_t left = m->content_size - *done;
    size_t want = left < PIECE ? (size_t)left : PIECE;

    if (want == 0)
        return 0;
    str_reset(ret);
    str_reserve(ret, want);
    ssize_t n = pread(d->fd, ret->data, want, (off_t)(m->content_offset + *done));
    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    str_advance(ret, (size_t)n);
    *done += (uint64_t)n;
    return 1;
}

/* The content, changed where it has to be (rewrite.h), in pieces */
struct source {
    const struct delivery *d;
    bool rewrites, ended;
    struct rewrite rewrite;
    struct str piece, changed;
    uint64_t done;
};

static void source_init(struct source *s, struct delivery *d, struct connection *k)
{
    *s = (struct source){ .d = d, .rewrites = rewrite_needed(d, k) };
    if (s->rewrites)
        rewrite_init(&s->rewrite, d, k, &s->changed);
}

static void source_done(struct source *s)
{
    if (s->rewrites)
        rewrite_done(&s->rewrite);
    str_free(&s->piece);
    str_free(&s->changed);
}

/* The next piece: 1 and *ret, valid until the next call; 0 at the end; or negative. */
static int source_next(struct source *s, struct span *ret)
{
    if (s->ended)
        return 0;
    int r = read_piece(s->d, &s->done, &s->piece);

    if (!s->rewrites || r < 0) {
        *ret = str_span(&s->piece);
        return r;
    }
    str_reset(&s->changed);
    s->ended = r == 0;
    r = s->ended ? rewrite_finish(&s->rewrite) : rewrite_feed(&s->rewrite, str_span(&s->piece));
    *ret = str_span(&s->changed);
    return r < 0 ? r : 1;
}

int content_load(struct delivery *d, struct connection *k, struct str *ret)
{
    struct content_state state = state_for(d);
    _cleanup_(source_done) struct source s;
    struct span bytes;
    int r;

    source_init(&s, d, k);
    while ((r = source_next(&s, &bytes)) > 0) {
        if (!s.rewrites && s.done == d->request.content_size && ret->len == 0 &&
            content_is_clean(bytes, state.keep_bare_cr, state.line_max)) {
            *ret = TAKE(s.piece, STR_INIT);
            return 0;
        }
        content_clean(bytes, &state, ret);
    }
    return r;
}

bool content_goes_as_it_is(const struct delivery *d, const struct connection *k)
{
    struct content_state state = state_for(d);
    struct queue_facts f;

    return !rewrite_needed(d, k) && queue_facts_read(d->fd, &f) == 0 &&
           (state.keep_bare_cr || !f.bare_cr) &&
           (state.line_max == 0 || f.longest_line <= state.line_max);
}

int content_send(struct delivery *d, struct connection *k, bool *ends_line)
{
    struct content_state state = state_for(d);
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(source_done) struct source s;
    struct span bytes;
    int r = 0;

    source_init(&s, d, k);
    state.stuff = true;
    while (stream_error(k->stream) == 0 && (r = source_next(&s, &bytes)) > 0) {
        str_reset(&out);
        content_clean(bytes, &state, &out);
        stream_write(k->stream, str_span(&out));
    }
    *ends_line = state.column == 0 && !state.cr;
    return r < 0 ? r : 0;
}

int content_header_is_ascii(const struct delivery *d)
{
    const struct span end = SPAN("\r\n\r\n");
    _cleanup_(str_free) struct str piece = STR_INIT;
    uint64_t done = 0;
    bool over = false;
    int r;

    while (!over && (r = read_piece(d, &done, &piece)) > 0) {
        ptrdiff_t n = span_find(str_span(&piece), end);
        over = n >= 0;
        if (!idna_is_ascii(over ? span_first(str_span(&piece), (size_t)n) : str_span(&piece)))
            return 0;
    }
    return over || r == 0 ? 1 : r;
}
