/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - notify_classes: of which trouble the postmaster is told by mail
 */
#ifndef MAIL_NOTIFY_H
#define MAIL_NOTIFY_H

#include "base/str.h"

enum notify_class {
    NOTIFY_BOUNCE   = 1 << 0, /* mail that was returned; its header. Means 2bounce as well. */
    NOTIFY_2BOUNCE  = 1 << 1, /* reports that could not be delivered themselves */
    NOTIFY_DATA     = 1 << 2, /* sessions in which a critical file was not available */
    NOTIFY_DELAY    = 1 << 3, /* mail that is late; its header */
    NOTIFY_POLICY   = 1 << 4, /* sessions in which a request was refused by policy */
    NOTIFY_PROTOCOL = 1 << 5, /* sessions with errors of protocol */
    NOTIFY_RESOURCE = 1 << 6, /* sessions in which mail was not taken for want of a resource */
    NOTIFY_SOFTWARE = 1 << 7, /* the same for trouble with our own programs */
};

/* The classes of a list separated by blanks or commas, as a set of bits. 0, or -EINVAL: *err names the word. */
int notify_classes_parse(struct span list, unsigned *ret, struct str *err);

#endif
