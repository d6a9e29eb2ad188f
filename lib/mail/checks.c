/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checks.c - header_checks(5), body_checks(5): tables whose results are actions
 *
 * Runs in: smtp (and whoever checks content). What is looked up is hostile, the tables are not.
 * Logs nothing.
 */
#include "mail/checks.h"

#include <errno.h>

#include "base/mem.h"

int check_action_parse(struct span value, struct check_result *ret)
{
    static const struct {
        const char *word;
        enum check_action action;
        const char *name;
    } actions[] = {
        { "BCC", CHECK_BCC, "bcc" },             { "DISCARD", CHECK_DISCARD, "discard" },
        { "DUNNO", CHECK_NONE, NULL },           { "FILTER", CHECK_FILTER, "filter" },
        { "HOLD", CHECK_HOLD, "hold" },          { "IGNORE", CHECK_IGNORE, NULL },
        { "INFO", CHECK_INFO, "info" },          { "OK", CHECK_NONE, NULL },
        { "PASS", CHECK_PASS, "pass" },          { "PREPEND", CHECK_PREPEND, "prepend" },
        { "REDIRECT", CHECK_REDIRECT, "redirect" }, { "REJECT", CHECK_REJECT, "reject" },
        { "REPLACE", CHECK_REPLACE, "replace" }, { "STRIP", CHECK_STRIP, "strip" },
        { "WARN", CHECK_WARN, "warning" },
    };
    struct span text = span_skip_ws(value);
    struct span word = span_cut_any(&text, " \t");

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (span_eq_nocase_str(word, actions[i].word)) {
            ret->action = actions[i].action;
            ret->name = actions[i].name;
            ret->text = span_skip_ws(text);
            return 0;
        }
    return -EINVAL;
}

/* The form that patterns are written for: LF between the lines of a field, none at the end */
static void add_key(struct span text, struct str *ret)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    while (text.len > 0) {
        struct span line = span_cut(&text, '\n');
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        str_add(ret, line);
        if (text.len > 0)
            str_add_char(ret, '\n');
    }
}

int check_text(struct maps *maps, struct span text, struct check_result *ret)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    ret->action = CHECK_NONE;
    ret->name = NULL;
    ret->text = SPAN_NULL;
    str_reset(&ret->value);
    if (maps_empty(maps))
        return 0;
    add_key(text, &key);
    int r = maps_get(maps, str_span(&key), &ret->value);
    return r <= 0 ? r : check_action_parse(str_span(&ret->value), ret);
}

void check_result_done(struct check_result *r)
{
    str_free(&r->value);
}
