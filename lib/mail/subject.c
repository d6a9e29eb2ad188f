/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject.c - base subject extraction (RFC 5256 section 2.1, grammar in section 5)
 *
 * The grammar is ambiguous, so the RFC gives a procedure; the numbers below are its steps. Each
 * step takes bytes off one end. A blob is looked for between brackets in one pass, and one that was
 * in vain is not looked for again at the same place, so the work is linear but for subjects that
 * are nothing but blobs.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "mail/subject.h"

/* The grammar has no bound for blobs before one "re:"; nobody writes more, and each is looked at again. */
#define BLOBS_MAX 32

static struct span skip_blanks(struct span s)
{
    while (s.len > 0 && s.ptr[0] == ' ')
        s = span_from(s, 1);
    return s;
}

/* Step 1: tabs and continuations are blanks, several blanks one. */
static void single_blanks(struct span in, struct str *ret)
{
    bool blank = false;

    str_reset(ret);
    str_reserve(ret, in.len);
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';

        if (!is_blank || !blank)
            str_add_char(ret, is_blank ? ' ' : c);
        blank = is_blank;
    }
}

/* Step 2: subj-trailer = "(fwd)" / WSP */
static bool take_trailers(struct span *s)
{
    static const struct span fwd = SPAN("(fwd)");
    bool forwarded = false;

    for (;;) {
        if (s->len > 0 && s->ptr[s->len - 1] == ' ') {
            s->len--;
        } else if (span_ends_nocase(*s, fwd)) {
            s->len -= fwd.len;
            forwarded = true;
        } else {
            return forwarded;
        }
    }
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP */
static bool take_blob(struct span *s)
{
    if (s->len == 0 || s->ptr[0] != '[')
        return false;
    for (size_t i = 1; i < s->len && s->ptr[i] != '['; i++) {
        if (s->ptr[i] == ']') {
            *s = skip_blanks(span_from(*s, i + 1));
            return true;
        }
    }
    return false;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool take_refwd(struct span *s)
{
    struct span rest = *s;

    if (!span_take_nocase(&rest, "re")) {
        if (!span_take_nocase(&rest, "fw"))
            return false;
        span_take_nocase(&rest, "d");
    }
    rest = skip_blanks(rest);
    take_blob(&rest);
    if (!span_take(&rest, ':'))
        return false;
    *s = rest;
    return true;
}

/* Step 3: subj-leader = (*subj-blob subj-refwd) / WSP */
static bool take_leader(struct span *s, bool *is_reply)
{
    struct span rest = *s;

    if (span_take(s, ' '))
        return true;
    for (int blobs = 0; blobs < BLOBS_MAX && take_blob(&rest); blobs++)
        continue;
    if (!take_refwd(&rest))
        return false;
    *is_reply = true;
    *s = rest;
    return true;
}

/* Step 4: a blob, unless nothing would be left. */
static bool take_outer_blob(struct span *s)
{
    struct span rest = *s;

    if (!take_blob(&rest) || rest.len == 0)
        return false;
    *s = rest;
    return true;
}

/* Step 6: subj-fwd = subj-fwd-hdr subject subj-fwd-trl, "[fwd:" and "]" */
static bool take_forward(struct span *s)
{
    struct span rest = *s;

    if (rest.len == 0 || rest.ptr[rest.len - 1] != ']' || !span_take_nocase(&rest, "[fwd:"))
        return false;
    rest.len--;
    *s = rest;
    return true;
}

bool subject_base(struct span subject, struct str *ret)
{
    struct span s;
    bool is_reply = false;

    single_blanks(subject, ret);
    s = str_span(ret);
    do {
        is_reply |= take_trailers(&s);
        while (take_leader(&s, &is_reply) || take_outer_blob(&s))
            continue;
    } while (take_forward(&s) && (is_reply = true));
    str_set(ret, s);
    return is_reply;
}
