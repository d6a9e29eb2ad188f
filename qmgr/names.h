/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - texts that many messages share, kept once and counted: domains, reasons of deferrals
 *
 * A text has a number as long as somebody holds a reference. 0 is no text.
 */
#ifndef QMGR_NAMES_H
#define QMGR_NAMES_H

#include "base/hash.h"

struct names {
    struct hash by_text;
    struct name **items; /* by number; NULL: not in use */
    size_t len, cap;
    uint32_t *spare; /* numbers not in use */
    size_t n_spare, cap_spare;
};

#define NAMES_INIT ((struct names){ .by_text = HASH_INIT })

void names_done(struct names *n);

/* The text's number, with one reference more; for names_put(). */
uint32_t names_get(struct names *n, struct span text);
/* The same without a reference; 0: nobody has this text. */
uint32_t names_find(const struct names *n, struct span text);
/* One reference less; 0 is allowed. */
void names_put(struct names *n, uint32_t number);
/* Valid as long as a reference is held. */
struct span names_text(const struct names *n, uint32_t number);

#endif
