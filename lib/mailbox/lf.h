/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lf.h - CRLF lines to the LF lines of a Maildir file, and back
 *
 * CR LF becomes LF, except that CR CR LF stays as it is; back, a LF that has no CR before it becomes
 * CR LF. So whatever has CRLF line ends comes back byte for byte, stray CRs included.
 */
#ifndef MAILBOX_LF_H
#define MAILBOX_LF_H

#include <stdbool.h>

#include "base/str.h"

struct lf_writer {
    bool held;      /* a CR came last and waits for what follows it */
    bool after_cr;  /* the byte before `held` (or before the next one) is a CR */
    uint64_t size;  /* bytes given out */
    uint64_t vsize; /* bytes that a reader will see */
};

/*
 * Convert the next piece. Gives at most in.len + 1 bytes to out, and returns how many. out may overlap
 * `in` if it begins at least one byte before it. At the end call lf_finish, which gives 0 or 1 byte.
 */
size_t lf_feed(struct lf_writer *w, struct span in, char *out);
size_t lf_finish(struct lf_writer *w, char *out);

/* Turn the bytes of s from `from` on to CRLF line ends, in place. */
void lf_expand(struct str *s, size_t from);

/* How many bytes lf_expand would add. *after_cr: did the bytes before end in CR; updated. */
size_t lf_bare(struct span bytes, bool *after_cr);

#endif
