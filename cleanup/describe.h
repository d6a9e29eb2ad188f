/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - whose message it is, in a log line about its content
 */
#ifndef CLEANUP_DESCRIBE_H
#define CLEANUP_DESCRIBE_H

struct message;
struct str;

/* "name[address]", or "local" */
void describe_client(const struct message *m, struct str *ret);
/* " from=<a> to=<b> proto=ESMTP helo=<c>" */
void describe_envelope(const struct message *m, struct str *ret);

#endif
