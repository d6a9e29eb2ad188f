/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict.h - the lists of restrictions that main.cf names, and their evaluation at RCPT TO
 *
 * A list is resolved at start, so a name that is not known stops the start. Its
 * items are asked in order; the first that permits or refuses decides.
 */
#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "base/str.h"
#include "io/fiber.h"

struct smtpd;
struct restriction;

struct restriction_list {
    const struct restriction **items;
    size_t len, cap;
};

/* Resolve the names in `text`, separated by blanks or commas. 0, or -EINVAL with *err, which suggests
 * the nearest name that exists. ret must be zeroed. */
int restrictions_parse(const char *text, struct restriction_list *ret, struct str *err);
void restrictions_done(struct restriction_list *l);

/* Does the list hold a restriction that stops strangers from relaying? */
bool restrictions_guard_relay(const struct restriction_list *l);

enum verdict { VERDICT_NONE, VERDICT_PERMIT, VERDICT_REFUSED };

/* Ask all about the client, the sender and the recipient s->rcpt. VERDICT_REFUSED: logged and answered. */
MAY_WAIT enum verdict restrictions_run(struct smtpd *s, const struct restriction_list *l);

/* Refuse a recipient of ours that does not exist (reject_unlisted_recipient). */
MAY_WAIT enum verdict restrict_unlisted_recipient(struct smtpd *s);

#endif
