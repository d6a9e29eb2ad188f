/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail_args.h - the parameters of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2)
 */
#ifndef SMTPD_MAIL_ARGS_H
#define SMTPD_MAIL_ARGS_H

#include "base/str.h"
#include "ipc/msg_submit.h"

enum {
    ARG_SIZE   = 1 << 0,            /* RFC 1870 */
    ARG_BODY   = 1 << 1,            /* RFC 6152, RFC 3030 */
    ARG_UTF8   = 1 << 2,            /* RFC 6531 */
    ARG_RET    = 1 << 3,            /* RFC 3461 section 4.3 */
    ARG_ENVID  = 1 << 4,            /* RFC 3461 section 4.4 */
    ARG_AUTH   = 1 << 5,            /* RFC 4954 section 5 */
    ARG_NOTIFY = 1 << 6,            /* RFC 3461 section 4.1 */
    ARG_ORCPT  = 1 << 7,            /* RFC 3461 section 4.2 */
};

struct mail_args {
    unsigned seen;                  /* ARG_... */
    uint64_t size;
    bool eight_bit;                 /* BODY=8BITMIME, or BINARYMIME: it is stored as text of 8 bits */
    bool binary;                    /* BODY=BINARYMIME */
    enum dsn_ret ret;
    struct str envid;               /* decoded */
    struct str auth;                /* decoded; "<>": unknown sender */
};

struct rcpt_args {
    unsigned seen;
    uint32_t notify;                /* enum dsn_notify */
    struct str orcpt;               /* "rfc822;ann@example.com", decoded */
};

/*
 * Parse the parameters that follow the address, separated by blanks.
 *
 * ret       written on success only; release with *_args_done()
 * ret_bad   on failure the parameter's name as the client wrote it
 *
 * Returns 0, -ENOTSUP: no such parameter (reply 555), -EINVAL: a malformed value or one
 * given twice (reply 501).
 */
int mail_args_parse(struct span in, struct mail_args *ret, struct span *ret_bad);
int rcpt_args_parse(struct span in, struct rcpt_args *ret, struct span *ret_bad);

void mail_args_done(struct mail_args *a);
void rcpt_args_done(struct rcpt_args *a);

#endif
