/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.h - handing a notice to cleanup
 */
#ifndef BOUNCE_SUBMIT_H
#define BOUNCE_SUBMIT_H

#include "bounce/compose.h"
#include "ipc/ipc.h"

/* Append the header section of the message reported on, as far as it lies within bounce_size_limit. 0 or -errno. */
int notice_read_header(const struct notice *n, int fd, struct str *ret);

/*
 * Submit the notice, with the original message (or its header) read from fd, to n->to. postmaster_sender: the
 * envelope sender unless it goes to the sender of the message, which gets it from <>. 0: *ret is cleanup's answer, which may be a refusal; else negative: cleanup could not be reached, or
 * fd not be read.
 */
MAY_WAIT
int notice_submit(struct ipc_pool *cleanup, const struct notice *n, struct span postmaster_sender, int fd,
                  struct submit_result *ret);

#endif
