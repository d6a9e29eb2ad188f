/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ehlo.c - what a server announces in its answer to EHLO or LHLO
 *
 * RFC 5321 section 4.1.1.1. "AUTH=PLAIN" is how some servers said it before RFC 2554.
 *
 * Runs in: smtp. Every byte is hostile; what is kept is bounded.
 */
#include "base/mem.h"
#include "smtp/smtp.h"

enum { ARGUMENTS_MAX = 512 };

void ehlo_reset(struct ehlo *e)
{
    e->features = 0;
    e->size_limit = 0;
    e->mail_max = e->rcpt_max = 0;
    str_reset(&e->auth);
    str_reset(&e->xforward);
}

void ehlo_done(struct ehlo *e)
{
    str_free(&e->auth);
    str_free(&e->xforward);
}

static void note_size(struct ehlo *e, struct span arguments)
{
    span_u64(arguments, INT64_MAX, &e->size_limit);
}

static void add_words(struct str *s, struct span words)
{
    if (s->len > 0)
        str_add_char(s, ' ');
    str_add(s, span_first(words, ARGUMENTS_MAX));
    if (s->len > ARGUMENTS_MAX)
        str_truncate(s, ARGUMENTS_MAX);
}

static void note_auth(struct ehlo *e, struct span arguments)
{
    add_words(&e->auth, arguments);
}

static void note_xforward(struct ehlo *e, struct span arguments)
{
    add_words(&e->xforward, arguments);
}

/* RFC 9422 section 3: a limit that is no number, or zero, is no limit. */
static void note_limits(struct ehlo *e, struct span arguments)
{
    const struct {
        const char *name;
        uint32_t *limit;
    } limits[] = { { "MAILMAX", &e->mail_max }, { "RCPTMAX", &e->rcpt_max } };
    struct span word;

    while (span_word(&arguments, " ", &word)) {
        struct span name = span_cut(&word, '=');
        for (size_t i = 0; i < ARRAY_LEN(limits); i++)
            if (span_eq_nocase_str(name, limits[i].name))
                span_u32(word, UINT32_MAX, limits[i].limit);
    }
}

static bool has_word(struct span list, struct span wanted)
{
    struct span word;

    while (span_word(&list, ", \t\r\n", &word))
        if (span_eq_nocase(word, wanted))
            return true;
    return false;
}

void ehlo_note_line(struct ehlo *e, struct span line, struct span discard)
{
    static const struct {
        struct span keyword;
        unsigned feature;
        void (*note)(struct ehlo *e, struct span arguments);
    } known[] = {
        { SPAN("PIPELINING"), FEATURE_PIPELINING, NULL },
        { SPAN("8BITMIME"), FEATURE_8BITMIME, NULL },
        { SPAN("SIZE"), FEATURE_SIZE, note_size },
        { SPAN("STARTTLS"), FEATURE_STARTTLS, NULL },
        { SPAN("SMTPUTF8"), FEATURE_SMTPUTF8, NULL },
        { SPAN("DSN"), FEATURE_DSN, NULL },
        { SPAN("CHUNKING"), FEATURE_CHUNKING, NULL },
        { SPAN("ENHANCEDSTATUSCODES"), FEATURE_ENHANCED, NULL },
        { SPAN("AUTH"), FEATURE_AUTH, note_auth },
        { SPAN("XFORWARD"), FEATURE_XFORWARD, note_xforward },
        { SPAN("LIMITS"), FEATURE_LIMITS, note_limits },
    };
    struct span rest = line;
    struct span keyword =
        span_starts_nocase(line, span_of("AUTH=")) ? span_cut(&rest, '=') : span_cut(&rest, ' ');

    if (has_word(discard, keyword))
        return;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (span_eq_nocase(keyword, known[i].keyword)) {
            e->features |= known[i].feature;
            if (known[i].note)
                known[i].note(e, rest);
        }
}
