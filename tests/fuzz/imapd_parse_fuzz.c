/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd_parse_fuzz.c - the grammar of commands: every rule on every input
 */
#include <assert.h>

#include "imapd/append.h"
#include "imapd/flags.h"
#include "imapd/mailbox_name.h"
#include "imapd/parse.h"
#include "imapd/section.h"
#include "imapd/seqset.h"

static void use_set(struct span text)
{
    _cleanup_(seqset_done) struct seqset set = SEQSET_INIT;

    if (seqset_parse(text, &set) < 0)
        return;
    seqset_resolve(&set, 100);
    assert(set.len > 0 && seqset_max(&set) > 0);
    for (size_t i = 0; i < set.len; i++)
        assert(set.items[i].from <= set.items[i].to && seqset_has(&set, set.items[i].to));
}

static void use_rules(struct span in)
{
    static bool (*const rules[])(struct parse * p, struct span * ret) = {
        parse_tag,     parse_atom,    parse_name,         parse_string,
        parse_astring, parse_nstring, parse_list_mailbox, parse_set,
    };
    _cleanup_(str_free) struct str name = STR_INIT;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        _cleanup_(parse_done) struct parse p;
        struct span got = SPAN_NULL;

        parse_init(&p, in);
        if (rules[i](&p, &got) && mailbox_name_decode(got, NAMES_UTF7, &name) == 0)
            mailbox_name_matches(str_span(&name), got);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make(data, size), rest;
    _cleanup_(parse_done) struct parse p = { .in = SPAN_NULL };
    _cleanup_(parse_done) struct parse q = { .in = SPAN_NULL };
    struct section section = SECTION_INIT;
    struct flag_list flags = FLAG_LIST_INIT;
    uint64_t literal;
    bool sync;

    use_rules(in);
    use_set(in);
    append_is_message(in);
    parse_literal_spec(in, &rest, &literal, &sync);
    parse_init(&p, in);
    parse_section(&p, 50, &section);
    section_done(&section);
    parse_init(&q, in);
    parse_flag_list(&q, &flags);
    flag_list_done(&flags);
    return 0;
}
