/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.h - handing a notice to cleanup
 */
#ifndef BOUNCE_SUBMIT_H
#define BOUNCE_SUBMIT_H

#include "bounce/compose.h"
#include "ipc/ipc.h"

/*
 * Submit the notice, with the original message (or its header) read from fd, to the sender of the message it
 * is about. 0: *ret is cleanup's answer, which may be a refusal; else negative: cleanup could not be reached, or
 * fd not be read.
 */
MAY_WAIT
int notice_submit(struct ipc_pool *cleanup, const struct notice *n, int fd,
                  struct submit_result *ret);

#endif
