/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bcc.h - copies that the administrator wants: always_bcc, sender_bcc_maps, recipient_bcc_maps
 */
#ifndef CLEANUP_BCC_H
#define CLEANUP_BCC_H

#include "io/fiber.h"
#include "table/table.h"

struct message;
struct params;
struct submit_rcpt;

/* NULL: the parameter is empty. */
struct bcc_tables {
    struct maps *sender, *recipient;
};

/* 0, or negative with *err, which names the parameter. */
int bcc_open(const struct params *p, struct bcc_tables *ret, struct str *err);

/* The envelope is complete: add the copies that always_bcc and the sender ask for. */
MAY_WAIT void bcc_of_message(struct message *m);
/* A recipient has come, as yet unexpanded. */
MAY_WAIT void bcc_of_rcpt(struct message *m, const struct submit_rcpt *rcpt);

#endif
