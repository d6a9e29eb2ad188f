/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dotstuff.h - message content as it arrives in DATA or BDAT, to CRLF lines as they are stored
 */
#ifndef SMTPD_DOTSTUFF_H
#define SMTPD_DOTSTUFF_H

#include "base/str.h"

enum dotstuff_flags {
    DOTSTUFF_BDAT      = 1 << 0,    /* no dots: the end is told by a count */
};

struct dotstuff {
    unsigned flags;
    enum dotstuff_state {
        DOTSTUFF_LINE,              /* at the start of a line */
        DOTSTUFF_BARE_LINE,         /* at the start of what follows a bare LF */
        DOTSTUFF_DOT,               /* CR LF . seen */
        DOTSTUFF_DOT_CR,            /* CR LF . CR seen */
        DOTSTUFF_TEXT,              /* within a line */
        DOTSTUFF_CR,                /* within a line, and a CR that is not yet written */
        DOTSTUFF_END,
    } state;
    bool bare_lf, bare_cr;          /* one without the other has been seen */
};

void dotstuff_init(struct dotstuff *d, unsigned flags);

/*
 * Take content off the front of *in and append it to out, dot-stuffing undone
 * a bare LF written as CRLF and a bare CR kept. The input may be cut anywhere.
 *
 * Returns 1: CR LF . CR LF found, *in is what follows it; 0: all of *in taken, more is needed.
 */
int dotstuff_feed(struct dotstuff *d, struct span *in, struct str *out);

/* End of BDAT content: completes a last line that has no CRLF. */
void dotstuff_finish(struct dotstuff *d, struct str *out);

#endif
