/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.c - the pass over the header section of a message
 *
 * A field is whole when a byte behind it is known that does not continue it, so
 * the last one seen waits for the next piece. In the common case the section lies in the first
 * piece and nothing is copied but to the output. The section's size is bounded: a message of ten
 * megabytes of fields is stored like any other, but not looked through.
 *
 * Runs in: cleanup. Input is hostile. Logs nothing.
 */
#include "cleanup/headers.h"

#include <errno.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"

enum known_flags {
    ADDRESSES = 1 << 0, /* holds an address list that local mail may give in short form */
    RCPT = 1 << 1,      /* sendmail -t takes recipients from it */
    RESENT = 1 << 2,
};

static const struct known {
    struct span name;
    unsigned seen, flags;
} known[] = {
    {SPAN("Received"),                    HEADER_RECEIVED,                          0                        },
    {SPAN("Message-ID"),                  HEADER_MESSAGE_ID,                        0                        },
    {SPAN("Date"),                        HEADER_DATE,                              0                        },
    {SPAN("From"),                        HEADER_FROM,                              ADDRESSES                },
    {SPAN("To"),                          0,                                        ADDRESSES | RCPT         },
    {SPAN("Cc"),                          0,                                        ADDRESSES | RCPT         },
    {SPAN("Bcc"),                         0,                                        ADDRESSES | RCPT         },
    {SPAN("Sender"),                      0,                                        ADDRESSES                },
    {SPAN("Reply-To"),                    0,                                        ADDRESSES                },
    {SPAN("Errors-To"),                   0,                                        ADDRESSES                },
    {SPAN("Return-Receipt-To"),           0,                                        ADDRESSES                },
    {SPAN("Disposition-Notification-To"), 0,                                        ADDRESSES                },
    {SPAN("Mail-Followup-To"),            0,                                        ADDRESSES                },
    {SPAN("Resent-Message-ID"),           HEADER_RESENT | HEADER_RESENT_MESSAGE_ID, RESENT                   },
    {SPAN("Resent-Date"),                 HEADER_RESENT | HEADER_RESENT_DATE,       RESENT                   },
    {SPAN("Resent-From"),                 HEADER_RESENT | HEADER_RESENT_FROM,       ADDRESSES | RESENT       },
    {SPAN("Resent-To"),                   HEADER_RESENT,                            ADDRESSES | RCPT | RESENT},
    {SPAN("Resent-Cc"),                   HEADER_RESENT,                            ADDRESSES | RCPT | RESENT},
    {SPAN("Resent-Bcc"),                  HEADER_RESENT,                            ADDRESSES | RCPT | RESENT},
    {SPAN("Resent-Sender"),               HEADER_RESENT,                            ADDRESSES | RESENT       },
    {SPAN("Resent-Reply-To"),             HEADER_RESENT,                            ADDRESSES | RESENT       },
};

static const struct known *known_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (span_eq_nocase(known[i].name, name))
            return &known[i];
    return NULL;
}

void header_rules_parse_drop(const char *list, struct header_rules *rules)
{
    struct span in = span_of(list), word;
    size_t cap = 0;

    rules->drop = NULL;
    rules->n_drop = 0;
    while (span_word(&in, ", \t\r\n", &word)) {
        MEM_GROW(rules->drop, rules->n_drop, cap);
        rules->drop[rules->n_drop++] = word;
    }
}

static bool is_dropped(const struct header_rules *rules, struct span name)
{
    for (size_t i = 0; i < rules->n_drop; i++)
        if (span_eq_nocase(rules->drop[i], name))
            return true;
    return false;
}

void header_pass_init(struct header_pass *p, const struct header_rules *rules, struct str *out)
{
    *p = (struct header_pass){.rules = rules, .out = out};
}

static void free_list(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void header_pass_done(struct header_pass *p)
{
    str_free(&p->message_id);
    str_free(&p->resent_message_id);
    str_free(&p->pending);
    free_list(p->rcpts, p->n_rcpts);
    free_list(p->resent_rcpts, p->n_resent_rcpts);
    *p = (struct header_pass){0};
}

/* ---- one field ---- */

static void add_rcpt(struct header_pass *p, const struct known *k, char *address)
{
    if (k->flags & RESENT) {
        MEM_GROW(p->resent_rcpts, p->n_resent_rcpts, p->cap_resent_rcpts);
        p->resent_rcpts[p->n_resent_rcpts++] = address;
    } else {
        MEM_GROW(p->rcpts, p->n_rcpts, p->cap_rcpts);
        p->rcpts[p->n_rcpts++] = address;
    }
}

static void extract(struct header_pass *p, const struct known *k, struct span value)
{
    _cleanup_(header_addresses_done) struct header_address_list list = {0};
    size_t max = p->rules->extract_max - p->n_rcpts - p->n_resent_rcpts;

    header_addresses_parse(value, max + 1, &list);
    for (size_t i = 0; i < list.len; i++) {
        const struct header_address *a = &list.items[i];
        _cleanup_(str_free) struct str address = STR_INIT;

        if (a->kind != HDR_ADDR_MAILBOX)
            continue;
        if (i >= max) {
            p->too_many_rcpts = true;
            return;
        }
        str_add(&address, str_span(&a->mailbox));
        if (a->host.len > 0) {
            str_add_char(&address, '@');
            str_add(&address, str_span(&a->host));
        }
        if (span_chr(str_span(&address), '\0') < 0)
            add_rcpt(p, k, str_take(&address));
    }
}

static void remember_message_id(struct str *id, struct span value)
{
    if (id->len > 0)
        return;
    header_unfold(value, id);
    struct span trimmed = span_trim(str_span(id));

    str_set(id, trimmed);
}

/* The field with its addresses completed, the rest of it as it was. */
static bool add_completed(struct header_pass *p, const struct header_field *f)
{
    _cleanup_(str_free) struct str value = STR_INIT;

    if (header_addresses_rewrite(f->value, p->rules->complete, p->rules->arg, &value) != 1)
        return false;
    size_t value_at = (size_t)(f->value.ptr - f->raw.ptr);

    str_add(p->out, span_first(f->raw, value_at));
    str_add(p->out, str_span(&value));
    str_add(p->out, span_from(f->raw, value_at + f->value.len));
    return true;
}

static void take_field(struct header_pass *p, const struct header_field *f, bool whole)
{
    const struct known *k = known_find(f->name);

    if (k) {
        p->seen |= k->seen;
        p->received += k->seen == HEADER_RECEIVED;
        if (k->seen & HEADER_MESSAGE_ID)
            remember_message_id(&p->message_id, f->value);
        if (k->seen & HEADER_RESENT_MESSAGE_ID)
            remember_message_id(&p->resent_message_id, f->value);
        if ((k->flags & RCPT) && p->extract && whole)
            extract(p, k, f->value);
    }
    if (is_dropped(p->rules, f->name))
        return;
    if (k && (k->flags & ADDRESSES) && p->rewrite && whole && add_completed(p, f))
        return;
    str_add(p->out, f->raw);
}

/* ---- the section ---- */

/*
 * Take what is whole off the front of *in. final: there is no more input, so all
 * of it is whole. Sets p->end at the end of the section; *in is then what follows it.
 */
static void take_fields(struct header_pass *p, struct span *in, bool final)
{
    while (in->len > 0) {
        struct header_field f;
        struct span after = *in;
        int r = header_next(&after, p->rules->field_max, &f);

        if (r == 0) {
            if (!final && span_chr(*in, '\n') < 0)
                return;
            p->end = after.len < in->len ? HEADER_END_EMPTY_LINE : HEADER_END_BODY;
            return;
        }
        if (after.len == 0 && !final)
            return;
        p->looked_at += in->len - after.len;
        if (p->looked_at > p->rules->section_max) {
            p->end = HEADER_END_LIMIT;
            return;
        }
        take_field(p, &f, r != -EMSGSIZE);
        *in = after;
    }
    if (final)
        p->end = HEADER_END_INPUT;
}

static void check_section_size(struct header_pass *p, struct span in)
{
    if (p->end == HEADER_GOES_ON && p->looked_at + in.len > p->rules->section_max)
        p->end = HEADER_END_LIMIT;
}

void header_pass_feed(struct header_pass *p, struct span bytes, struct span *rest)
{
    bool direct = p->pending.len == 0;
    struct span in = bytes;

    if (!direct) {
        str_add(&p->pending, bytes);
        in = str_span(&p->pending);
    }
    take_fields(p, &in, false);
    check_section_size(p, in);
    if (p->end != HEADER_GOES_ON) {
        *rest = in;
        return;
    }
    str_set(&p->pending, in);
    *rest = SPAN_NULL;
}

void header_pass_finish(struct header_pass *p, struct span *rest)
{
    struct span in = str_span(&p->pending);

    take_fields(p, &in, true);
    *rest = in;
}
