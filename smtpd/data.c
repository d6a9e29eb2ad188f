/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.c - DATA: the content, up to the one true end
 *
 * RFC 5321 section 4.1.1.4. Once 354 is said, everything up to CR LF . CR LF is
 * content, also after a failure, or content would be taken for commands.
 *
 * Runs in: smtpd (input is hostile). Logs nothing.
 */
#include "smtpd/command.h"
#include "smtpd/filter.h"
#include "smtpd/reply.h"
#include "smtpd/submit.h"

/* Read to the end of the content; 0, or the stream's error */
static int read_content(struct smtpd *s)
{
    int found = 0;

    while (!found) {
        struct span in;
        int r = stream_peek(s->client, &in);

        if (r < 0)
            return r;

        size_t before = in.len;

        found = dotstuff_feed(&s->message.parser, &in, &s->message.held);
        stream_consume(s->client, before - in.len);
        submit_content(s);
    }
    return 0;
}

void cmd_data(struct smtpd *s, struct span args)
{
    (void)args;
    if (s->mail.binary) { /* RFC 3030 section 3 */
        reply(s, "503 5.5.1 Error: need BDAT, not DATA, for BODY=BINARYMIME");
        return;
    }
    if (s->n_rcpts == 0) {
        reply(s, "%d 5.5.1 Error: no valid recipients", s->sv->params->smtpd_lmtp_mode ? 503 : 554);
        return;
    }
    if (restrict_data(s) == VERDICT_REFUSED || filter_data(s) == VERDICT_REFUSED)
        return;
    reply(s, "354 End data with <CR><LF>.<CR><LF>");
    submit_begin(s, 0);
    s->in_content = true;
    if (read_content(s) < 0)
        return; /* the session ends with the stream's error */
    s->in_content = false;
    s->where = "END-OF-MESSAGE";
    s->copies = submit_replies(s);
    submit_end(s, "250 2.0.0 Ok:");
    s->copies = 0;
}
