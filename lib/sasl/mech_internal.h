/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mech_internal.h - between the table of mechanisms and those that have a file of their own
 */
#ifndef SASL_MECH_INTERNAL_H
#define SASL_MECH_INTERNAL_H

#include "sasl/mech.h"

struct sasl_mech {
    const char *name;
    const char *secret;     /* the scheme whose stored secret it needs; NULL: it brings a password */
    int (*step)(struct sasl_exchange *x, struct span data, struct str *challenge);
};

MAY_WAIT int scram_step(struct sasl_exchange *x, struct span data, struct str *challenge);
void scram_end(struct sasl_exchange *x);

#endif
