/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.c - SEARCH (RFC 3501 section 6.4.4, RFC 9051 section 6.4.4), with RETURN (search_return.h)
 *
 * Runs in: imapd (input and content are hostile).
 */
#include "search.h"

#include "command.h"
#include "reply.h"
#include "search_return.h"
#include "search_run.h"

/* ["CHARSET" SP astring SP] */
static bool parse_charset(struct parse *p, struct span *ret)
{
    if (!parse_word(p, "CHARSET"))
        return true;
    return parse_sp(p) && parse_astring(p, ret) && ret->len > 0 && parse_sp(p);
}

int cmd_search(struct imap *s, struct parse *p)
{
    _cleanup_(search_done) struct search q = SEARCH_INIT;
    _cleanup_(seqs_done) struct seqs found = SEQS_INIT;
    struct search_return want = { 0 };
    struct span charset = SPAN_NULL;

    if (!parse_sp(p) || !parse_search_return(p, &want) || !parse_charset(p, &charset))
        return reply_bad(s, "RETURN options or search keys are malformed.");
    if (s->rev2)
        search_return_default(&want);
    if (!search_program(s, p, charset, &q)) {
        search_return_refused(s, &want);
        return 0;
    }

    int r = search_run(s, &q, &found);

    if (r < 0) {
        r = search_failed(s, r, "Searching");
        search_return_refused(s, &want);
        return r;
    }
    search_return_answer(s, "SEARCH", &want, &found, q.has_modseq);
    return reply_ok(s, "Search completed.");
}
