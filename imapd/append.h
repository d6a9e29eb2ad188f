/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.h - recognising the message of an APPEND or REPLACE before it is read
 */
#ifndef IMAPD_APPEND_H
#define IMAPD_APPEND_H

#include <stdbool.h>

#include "base/span.h"

/* Is a literal that stands after `before` (the command up to there) the message of an APPEND or
 * REPLACE? */
bool append_is_message(struct span before);

#endif
