/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cidr.h - networks: "192.0.2.0/24", "2001:db8::/32", with or without brackets around the address
 */
#ifndef TABLE_CIDR_H
#define TABLE_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/str.h"

struct cidr {
    uint8_t bytes[16];              /* network order; IPv4: the first four */
    uint8_t size;                   /* 4 or 16 */
    uint8_t bits;                   /* of the prefix; 8 * size for one address */
};

/* One address, no prefix; "::ffff:192.0.2.1" becomes IPv4. */
bool cidr_parse_address(struct span text, struct cidr *ret);

/* An address or a network. 0, or -EINVAL with a text added to err that says what is wrong. */
int cidr_parse(struct span text, struct cidr *ret, struct str *err);

bool cidr_has(const struct cidr *network, const struct cidr *address);

#endif
