/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - telling qmgr that there is a new message
 *
 * A courtesy: qmgr looks through new/ when it starts. So what cannot be sent is dropped, and nobody
 * waits for it.
 */
#ifndef CLEANUP_NOTIFY_H
#define CLEANUP_NOTIFY_H

#include <stdbool.h>

#include "base/str.h"
#include "ipc/ipc.h"

struct notify {
    const char *service; /* qmgr's name in master.cf */
    struct ipc *qmgr;    /* kept; NULL when there is none */
    struct str ids;      /* to be sent, each with its NUL */
    bool sending;        /* a fiber is on its way */
};

/*
 * Connect before there is anything to tell: from the end of the connection qmgr knows that this process
 * is gone, and looks for what it could not tell any more.
 */
MAY_WAIT void notify_open(struct notify *n);

/* Have the id sent soon; ids of one burst go out together. Does not wait. */
void notify_new_message(struct notify *n, const char *id);

#endif
