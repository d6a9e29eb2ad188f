/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_templates.c - postconf -b and -t: the texts of notifications, as senders see them and as they are written
 *
 * An operand names a template file that is not in use yet; "" shows the built-in texts. What is wrong with it
 * goes to stderr, and the built-in text is shown in its place, as bounce(8) would use it.
 *
 * Runs in: postconf.
 */
#include <stdio.h>

#include "base/log.h"
#include "cli/postconf.h"
#include "mail/template.h"

static void print_field(const char *name, struct str *value)
{
    if (value->len > 0)
        printf("%s: %s\n", name, str_cstr(value));
}

static void print_raw(struct templates *t)
{
    for (unsigned i = 0; i < TEMPLATE_KINDS; i++) {
        struct template *one = &t->of[i];

        printf("%s%s_template = <<EOF\n", i > 0 ? "\n" : "", template_name(i));
        print_field("Charset", &one->charset);
        print_field("From", &one->from);
        print_field("Subject", &one->subject);
        print_field("Postmaster-Subject", &one->postmaster_subject);
        printf("\n%sEOF\n", str_cstr(&one->text));
    }
}

static void print_expanded(struct templates *t)
{
    for (unsigned i = 0; i < TEMPLATE_KINDS; i++)
        printf("%sexpanded_%s_text = <<EOF\n%sEOF\n", i > 0 ? "\n" : "", template_name(i),
               str_cstr(&t->of[i].text));
}

int postconf_templates_show(struct postconf *p)
{
    _cleanup_(params_free_ptr_) struct params *params = NULL;
    _cleanup_(str_free) struct str problems = STR_INIT, err = STR_INIT;
    _cleanup_(templates_done) struct templates t;

    if (p->n_operands > 1)
        log_fatal("-b and -t take one file name");
    postconf_load(p);
    if (conf_params(p->conf, &params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    const char *path = p->n_operands > 0 ? p->operands[0] : params->bounce_template_file;

    if (p->subject == ABOUT_TEMPLATES)
        templates_read(path, &t, &problems);
    else
        templates_load(path, p->conf, params, &t, &problems);
    for (struct span rest = str_span(&problems), line; rest.len > 0;) {
        line = span_cut(&rest, '\n');
        log_warn("%s, " SPAN_FMT, path, SPAN_ARG(line));
    }
    if (p->subject == ABOUT_TEMPLATES)
        print_raw(&t);
    else
        print_expanded(&t);
    return 0;
}
