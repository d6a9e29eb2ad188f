/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - what notifications say to people: bounce_template_file (bounce(5))
 *
 *     # comment
 *     failure_template = <<EOF
 *     Charset: us-ascii
 *     From: MAILER-DAEMON (Mail Delivery System)
 *     Subject: Undelivered Mail Returned to Sender
 *     Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *     text with $name, ${name} and $$
 *     EOF
 *
 * A header field that is not given keeps its default. Beside the parameters of main.cf the text may use
 * delay_warning_time and maximal_queue_lifetime with _seconds, _minutes, _hours, _days or _weeks appended.
 */
#ifndef MAIL_TEMPLATE_H
#define MAIL_TEMPLATE_H

#include "conf/conf.h"

#define TEMPLATE_FILE_MAX 262144

enum template_kind { TEMPLATE_FAILURE, TEMPLATE_DELAY, TEMPLATE_SUCCESS, TEMPLATE_VERIFY, TEMPLATE_KINDS };

struct template {
    struct str charset, from, subject;
    struct str postmaster_subject;  /* empty: there are no copies of this kind */
    struct str text;                /* lines that end with LF; not expanded */
};

struct templates {
    struct template of[TEMPLATE_KINDS];
};

/* "failure", "delay", "success", "verify" */
const char *template_name(enum template_kind kind);

/* The built-in ones. */
void templates_init(struct templates *t);
void templates_done(struct templates *t);

/*
 * Replace those that a file's text gives. One that is wrong leaves the built-in one in its place, and a line in
 * *problems ("line 7: ..."), LF behind it. How many problems there were.
 */
size_t templates_parse(struct templates *t, struct span text, struct str *problems);

/* The text with its $names expanded, lines with LF; appended. 0, or -EINVAL with *err. */
int template_expand(const struct template *t, const struct conf *c, const struct params *p, struct str *ret,
                    struct str *err);

/*
 * Read bounce_template_file (path; "": none) into *ret and expand every text in place. What is wrong costs a line
 * in *problems, and the built-in text is used. *ret is always set.
 */
void templates_load(const char *path, const struct conf *c, const struct params *p, struct templates *ret,
                    struct str *problems);
/* The same without expanding. */
void templates_read(const char *path, struct templates *ret, struct str *problems);

#endif
