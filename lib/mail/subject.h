/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject.h - the base subject, by which messages are sorted and threaded (RFC 5256 section 2.1)
 */
#ifndef MAIL_SUBJECT_H
#define MAIL_SUBJECT_H

#include "base/str.h"

/*
 * The subject without "Re:", "Fwd:", "[list]", "(fwd)" and the like.
 *
 * subject    decoded text, as header_decode() gives it
 * ret        reset first; blanks are single
 *
 * Returns true if something was taken off that says "reply or forward".
 */
bool subject_base(struct span subject, struct str *ret);

#endif
