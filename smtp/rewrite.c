/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.c - header and body checks, generic addresses, and 8-bit text for servers without
 * 8BITMIME
 *
 * One pass over the message (mail/mime_walk.h). Conversion follows RFC 6152 section 3 and RFC 2045:
 * a part that says it is 8bit or binary becomes quoted-printable if it is text, else base64;
 * composite parts become 7bit. A message without such a word goes out as it is, since nobody could
 * tell what its bytes mean. Checks do what header_checks(5) allows a client: it cannot reject any
 * more.
 *
 * Runs in: smtp. Content is hostile, tables are not.
 */
#include "smtp/rewrite.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/checks.h"
#include "mail/mime_encode.h"

enum { LOG_TEXT_MAX = 200, BODY_LINE_MAX = 2048 };

static bool must_downgrade(const struct delivery *d, const struct connection *k)
{
    return d->request.flags & SUBMIT_8BIT && !(k->ehlo.features & FEATURE_8BITMIME) &&
           !d->client->params->disable_mime_output_conversion;
}

bool rewrite_needed(const struct delivery *d, const struct connection *k)
{
    const struct smtp_client *c = d->client;
    const struct maps *const tables[] = {c->tables.generic, c->tables.header_checks,
                                         c->tables.mime_header_checks,
                                         c->tables.nested_header_checks, c->tables.body_checks};

    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (!maps_empty(tables[i]))
            return true;
    return must_downgrade(d, k);
}

/* ---- checks ---- */

static void log_check(const struct rewrite *w, const struct check_result *c, const char *where,
                      struct span text)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "%s: %s: %s ", w->d->request.queue_id, c->name, where);
    str_add_escaped(&line, span_trim(text), LOG_TEXT_MAX, STR_UTF8);
    if (c->text.len > 0)
        str_addf(&line, ": " SPAN_FMT, SPAN_ARG(c->text));
    log_info("%s", str_cstr(&line));
}

static void add_checked_line(struct rewrite *w, struct span text)
{
    str_add(w->out, text);
    str_add_str(w->out, "\r\n");
}

/* True: `text` is still to be sent; else it was dropped or replaced. where: "header", "body" ...
 * for the log. */
static bool check(struct rewrite *w, struct maps *maps, const char *where, struct span text)
{
    _cleanup_(check_result_done) struct check_result c = { .action = CHECK_NONE };
    int r = check_text(maps, text, &c);

    if (r == -EINVAL) {
        log_warn("%s: smtp checks: unknown or unsupported action: %s", w->d->request.queue_id,
                 str_cstr(&c.value));
        return true;
    }
    if (r < 0) {
        w->error = r;
        return true;
    }
    if (c.name)
        log_check(w, &c, where, text);
    switch (c.action) {
    case CHECK_IGNORE:
    case CHECK_STRIP:
        return false;
    case CHECK_REPLACE:
        add_checked_line(w, c.text);
        return false;
    case CHECK_PREPEND:
        add_checked_line(w, c.text);
        return true;
    case CHECK_BCC:
    case CHECK_DISCARD:
    case CHECK_FILTER:
    case CHECK_HOLD:
    case CHECK_PASS:
    case CHECK_REDIRECT:
    case CHECK_REJECT:
        log_warn("%s: smtp checks: %s is for cleanup only", w->d->request.queue_id, c.name);
        return true;
    case CHECK_NONE:
    case CHECK_INFO:
    case CHECK_WARN:
        return true;
    }
    return true;
}

/* ---- header ---- */

static bool holds_addresses(struct span name)
{
    static const char *const names[] = {"From",
                                        "Sender",
                                        "Reply-To",
                                        "To",
                                        "Cc",
                                        "Bcc",
                                        "Return-Path",
                                        "Errors-To",
                                        "Return-Receipt-To",
                                        "Disposition-Notification-To"};

    span_take_nocase(&name, "Resent-");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq_nocase_str(name, names[i]))
            return true;
    return false;
}

static int map_one(struct span in, struct str *out, void *arg)
{
    struct rewrite *w = arg;
    int r = generic_map(w->d->client, in, out);

    if (r < 0)
        w->error = r;
    return r > 0;
}

/* The field with its addresses as smtp_generic_maps wants them */
static void add_mapped(struct rewrite *w, struct span raw)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct span rest = raw, name = span_cut(&rest, ':');

    if (maps_empty(w->d->client->tables.generic) || !holds_addresses(span_trim(name)) ||
        header_addresses_rewrite(rest, map_one, w, &value) <= 0) {
        str_add(w->out, raw);
        return;
    }
    str_add(w->out, name);
    str_add_char(w->out, ':');
    str_add(w->out, str_span(&value));
    if (value.len == 0 || value.data[value.len - 1] != '\n')
        str_add_str(w->out, "\r\n");
}

static bool is_8bit_encoding(const struct rewrite *w, struct span raw)
{
    return w->downgrade && span_starts_nocase(raw, span_of("Content-Transfer-Encoding")) &&
           (w->walk.entity.encoding == MIME_WALK_8BIT ||
            w->walk.entity.encoding == MIME_WALK_BINARY);
}

static void on_field(void *arg, enum mime_walk_class class, struct span raw)
{
    struct rewrite *w = arg;
    const struct smtp_client *c = w->d->client;
    const struct {
        struct maps *maps;
        const char *where;
    } checks[] = {
        [MIME_WALK_PRIMARY] = { c->tables.header_checks, "header" },
        [MIME_WALK_MIME] = { c->tables.mime_header_checks, "mime-header" },
        [MIME_WALK_NESTED] = { c->tables.nested_header_checks, "nested-header" },
    };

    if (class == MIME_WALK_OVERLONG) {
        str_add(w->out, raw);
        return;
    }
    if (is_8bit_encoding(w, raw)) {
        w->dropped_encoding = true;
        return;
    }
    if (!check(w, checks[class].maps, checks[class].where, raw))
        return;
    if (class == MIME_WALK_PRIMARY)
        add_mapped(w, raw);
    else
        str_add(w->out, raw);
}

static void on_end_header(void *arg, const struct mime_walk_entity *entity, struct span empty_line)
{
    static const char *const encodings[] = { "7bit", "quoted-printable", "base64" };
    struct rewrite *w = arg;

    w->body = REWRITE_AS_IT_IS;
    if (w->dropped_encoding) {
        if (!entity->composite)
            w->body = entity->text ? REWRITE_QUOTED : REWRITE_BASE64;
        str_addf(w->out, "Content-Transfer-Encoding: %s\r\n", encodings[w->body]);
    }
    w->dropped_encoding = false;
    w->column = 0;
    str_add(w->out, empty_line);
}

/* ---- body ---- */

/* A body line, which the checks let pass */
static void add_body(struct rewrite *w, struct span line)
{
    switch (w->body) {
    case REWRITE_AS_IT_IS:
        str_add(w->out, line);
        return;
    case REWRITE_QUOTED:
        mime_encode_quoted(line, &w->column, w->out);
        return;
    case REWRITE_BASE64:
        str_add(&w->line, line);
        mime_encode_base64(&w->line, false, w->out);
        return;
    }
}

static void on_body(void *arg, struct span line)
{
    struct rewrite *w = arg;
    struct maps *checks = w->d->client->tables.body_checks;

    if (maps_empty(checks) || line.len > BODY_LINE_MAX || check(w, checks, "body", line))
        add_body(w, line);
}

/* The part that was encoded is over. A delimiter's line end is that of the encoded text. */
static void end_body(struct rewrite *w, bool before_delimiter)
{
    if (w->body == REWRITE_BASE64) {
        if (before_delimiter && w->line.len >= 2 &&
            span_ends_nocase(str_span(&w->line), span_of("\r\n")))
            str_truncate(&w->line, w->line.len - 2);
        mime_encode_base64(&w->line, true, w->out);
    }
    w->body = REWRITE_AS_IT_IS;
    str_reset(&w->line);
}

static void on_delimiter(void *arg, struct span line)
{
    struct rewrite *w = arg;

    end_body(w, true);
    str_add(w->out, line);
}

/* ---- the pass ---- */

void rewrite_init(struct rewrite *w, struct delivery *d, struct connection *k, struct str *out)
{
    static const struct mime_walk_events events = {on_field, on_end_header, on_body, on_delimiter};

    *w = (struct rewrite){ .d = d, .k = k, .out = out, .downgrade = must_downgrade(d, k) };
    mime_walk_init(&w->walk, &events, w);
}

int rewrite_feed(struct rewrite *w, struct span bytes)
{
    mime_walk_feed(&w->walk, bytes);
    return w->error;
}

int rewrite_finish(struct rewrite *w)
{
    mime_walk_finish(&w->walk);
    end_body(w, false);
    return w->error;
}

void rewrite_done(struct rewrite *w)
{
    mime_walk_done(&w->walk);
    str_free(&w->line);
}
