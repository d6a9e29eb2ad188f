/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interfaces.h - the addresses by which this system is reached
 */
#ifndef MAIL_INTERFACES_H
#define MAIL_INTERFACES_H

#include "base/own.h"
#include "conf/conf.h"
#include "io/socket.h"

struct interfaces;

/*
 * Resolve the host names and addresses of a list like inet_interfaces, and add them ("all": every
 * address of this system; "loopback-only"). Names that cannot be looked up are passed over. 0 or
 * -errno.
 */
int interfaces_add(struct interfaces *i, const char *list);
struct interfaces *interfaces_new(void);    /* empty */
void interfaces_free(struct interfaces *i); /* NULL is allowed */
DEFINE_CLEANUP(struct interfaces, interfaces_free);

/* Is the address, whatever its port, in the list? */
bool interfaces_have(const struct interfaces *i, const union sockaddr_any *addr);

#endif
