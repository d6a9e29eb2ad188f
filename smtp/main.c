/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - smtp: takes messages from qmgr to their next hop
 *
 * Parameters: smtp_*; relayhost reaches it as the nexthop qmgr has chosen.
 * Sandbox: user net_owner; DNS, remote hosts and the descriptors it is handed; reads its lookup
 * tables, the certificates of authorities, which OpenSSL looks up by name, and the system's host
 * table where smtp_host_lookup wants it; writes no file.
 */
#include "smtp/session.h"
#include "smtp/smtp.h"

int main(int argc, char **argv)
{
    static const struct daemon smtp = {
        .name = "smtp",
        .sandbox = {.user = RUN_AS_NET,
                    .flags = SANDBOX_INET_CLIENT,
                    .read = {"$smtp_tls_CApath", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
                             "/usr/lib/ssl", "/usr/share/ca-certificates",
                             "/usr/local/share/ca-certificates",
                             "$smtp_tls_trust_anchor_directory"}},
        .start = smtp_start,
        .session = smtp_session,
        .reread = smtp_tls_reread,
    };
    return daemon_main(&smtp, argc, argv);
}
