/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expand.h - $name in the texts of replies: default_rbl_reply, rbl_reply_maps, smtpd_reject_footer
 */
#ifndef SMTPD_EXPAND_H
#define SMTPD_EXPAND_H

#include "smtpd/smtpd.h"

/* A name that only one text knows, with its value, which is fit for a reply. */
struct expand_value {
    const char *name;
    struct span value;
};

/*
 * Append the template, with $name, ${name}, ${name?text if it is set} and ${name:text if not} replaced.
 * Every text knows client, client_address, client_name, client_port, helo_name, recipient, sender,
 * server_name, sasl_username, localtime; others are added by `more` (n of them). An unknown name is empty.
 */
void expand_reply(const struct smtpd *s, struct span template, const struct expand_value *more, size_t n,
                  struct str *ret);

#endif
