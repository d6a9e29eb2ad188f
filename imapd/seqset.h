/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seqset.h - sequence sets "2,4:7,9,12:*" (RFC 3501 section 9)
 */
#ifndef IMAPD_SEQSET_H
#define IMAPD_SEQSET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct seqrange {
    uint32_t from, to; /* from <= to once resolved; SEQ_STAR until then */
};

struct seqset {
    struct seqrange *items;
    size_t len, cap;
};

#define SEQSET_INIT ((struct seqset){ NULL, 0, 0 })
#define SEQ_STAR    0u /* "*": no number can be 0 */

/* Parse all of text. 0, or -EINVAL. The set is given back with seqset_done() in either case. */
int seqset_parse(struct span text, struct seqset *ret);
void seqset_done(struct seqset *s);

/* One number more; to be resolved again before it is asked. */
void seqset_add(struct seqset *s, uint32_t n);
/* from NULL: empty */
void seqset_copy(const struct seqset *from, struct seqset *ret);

/* Give "*" its value, order, merge. Afterwards the ranges ascend and do not touch. */
void seqset_resolve(struct seqset *s, uint32_t star);

/* Both of a resolved set: is n in it; the greatest member (0 when empty). */
bool seqset_has(const struct seqset *s, uint32_t n);
uint32_t seqset_max(const struct seqset *s);

/* Write numbers as a set, "1:3,7": append n. Runs of
 * ascending numbers become ranges; other orders stay as they are (SORT). Start with *last
 * = 0 and end with seqset_print_end(). */
struct seqset_printer {
    struct str *out;
    uint32_t first, last;
};
void seqset_print(struct seqset_printer *p, uint32_t n);
void seqset_print_range(struct seqset_printer *p, uint32_t from, uint32_t to);
void seqset_print_end(struct seqset_printer *p);

#endif
