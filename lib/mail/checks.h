/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checks.h - header_checks(5), body_checks(5): tables whose results are actions
 */
#ifndef MAIL_CHECKS_H
#define MAIL_CHECKS_H

#include "table/table.h"

enum check_action {
    CHECK_NONE, /* nothing matched, DUNNO, or an action that is not known */
    CHECK_BCC,
    CHECK_DISCARD,
    CHECK_FILTER,
    CHECK_HOLD,
    CHECK_IGNORE,
    CHECK_INFO,
    CHECK_PREPEND,
    CHECK_PASS,
    CHECK_REDIRECT,
    CHECK_REJECT,
    CHECK_REPLACE,
    CHECK_STRIP,
    CHECK_WARN,
};

struct check_result {
    enum check_action action;
    const char *name; /* in the log: "reject", "warning", "strip" ...; NULL with CHECK_NONE */
    struct str value;           /* of the table */
    struct span text;           /* what stands behind the action; points into value */
};

/* "REPLACE X: y" -> action and text. CHECK_NONE is 0 and DUNNO, -EINVAL: no such action. */
int check_action_parse(struct span value, struct check_result *ret);

/*
 * Look a header field (all its lines, without the last line end; CRs are left out) or a body line
 * up. *ret is reset first; check_result_done() frees it. 0, or negative: a temporary failure.
 * -EINVAL: *ret->value is no action.
 */
MAY_WAIT int check_text(struct maps *maps, struct span text, struct check_result *ret);
void check_result_done(struct check_result *r);

#endif
