/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_print.c - one setting as the options ask for it
 *
 * Runs in: postconf.
 */
#include <stdio.h>

#include "base/log.h"
#include "cli/postconf.h"

enum { LINE_WIDTH = 80, INDENT = 4 };

static const char blanks[] = " \t\r\n";

void postconf_value(const struct postconf *p, const char *raw, struct str *ret)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    str_reset(ret);
    if (!p->expand) {
        str_add_str(ret, raw);
    } else if (conf_expand(p->conf, span_of(raw), ret, &err) < 0) {
        log_warn("%s", str_cstr(&err));
        str_reset(ret);
        str_add_str(ret, raw);
    }
}

/* Words with one blank between them; with -f no line becomes longer than 80 where it can be helped. */
static void add_words(const struct postconf *p, struct span text, struct str *out)
{
    size_t line = 0;

    for (bool first = true; text.len > 0; first = false) {
        struct span word = span_cut_any(&text, blanks);

        while (word.len == 0 && text.len > 0)
            word = span_cut_any(&text, blanks);
        if (word.len == 0)
            break;
        if (!first && p->fold && line + 1 + word.len > LINE_WIDTH) {
            str_addf(out, "\n%*s", INDENT, "");
            line = INDENT;
        } else if (!first) {
            str_add_char(out, ' ');
            line++;
        }
        str_add(out, word);
        line += word.len;
    }
}

static void print_json(const char *name, struct span value)
{
    _cleanup_(str_free) struct str out = STR_INIT, flat = STR_INIT;

    add_words(&(struct postconf){ .fold = false }, value, &flat);
    str_add_char(&out, '{');
    str_add_json(&out, span_of(name));
    str_add_str(&out, ": ");
    str_add_json(&out, str_span(&flat));
    str_add_char(&out, '}');
    puts(str_cstr(&out));
}

void postconf_print(const struct postconf *p, const char *name, struct span value)
{
    _cleanup_(str_free) struct str text = STR_INIT, out = STR_INIT;

    if (p->json) {
        print_json(name, value);
        return;
    }
    if (!p->hide_names)
        str_add_str(&text, name);
    if (!p->hide_names && !p->hide_values)
        str_add_str(&text, " = ");
    if (!p->hide_values)
        str_add(&text, value);
    add_words(p, str_span(&text), &out);
    puts(str_cstr(&out));
}
