/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_lmtp.c - lmtp: takes messages from qmgr to a mail store (RFC 2033)
 *
 * The smtp program under another name: LHLO instead of EHLO, a reply for each recipient after the
 * end of the content, no MX, Unix sockets as next hops. Parameters: lmtp_*, each with the meaning
 * of smtp_*. Sandbox: that of smtp.
 */
#include "smtp/session.h"
#include "smtp/smtp.h"

int main(int argc, char **argv)
{
    static const struct daemon lmtp = {
        .name = "lmtp",
        .client = CONF_LMTP,
        .sandbox = {.user = RUN_AS_NET,
                    .flags = SANDBOX_INET_CLIENT,
                    .read = {"$lmtp_tls_CApath", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
                             "/usr/lib/ssl", "/usr/share/ca-certificates",
                             "/usr/local/share/ca-certificates",
                             "$lmtp_tls_trust_anchor_directory"}},
        .start = lmtp_start,
        .session = smtp_session,
        .reread = smtp_tls_reread,
    };
    return daemon_main(&lmtp, argc, argv);
}
