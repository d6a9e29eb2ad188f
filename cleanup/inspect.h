/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h - header_checks and body_checks: what the administrator's tables say of a message's lines
 *
 * A pass in front of all others, as the message came; only where a table is set. What it lets out is what the rest
 * of cleanup sees.
 */
#ifndef CLEANUP_INSPECT_H
#define CLEANUP_INSPECT_H

#include "mail/mime_walk.h"
#include "table/table.h"

struct message;
struct params;

/* NULL: the parameter is empty. */
struct inspect_tables {
    struct maps *header, *mime_header, *nested_header, *body, *milter_header;
};

/* 0, or negative with *err, which names the parameter. */
int inspect_open(const struct params *p, struct inspect_tables *ret, struct str *err);

struct inspect {
    struct message *message;
    struct mime_walk walk;
    struct str out;         /* what is let through */
    uint64_t body_left;     /* bytes of this segment that are still looked at */
    bool over;              /* PASS, or the message has failed: the rest goes through as it is */
};

/* The submit has come: is it to be inspected? Then m->inspect is set. */
void inspect_begin(struct message *m);
void inspect_free(struct inspect *in);

/* The next bytes, or the end: what is let through, valid until the next call. */
MAY_WAIT struct span inspect_feed(struct inspect *in, struct span bytes);
MAY_WAIT struct span inspect_finish(struct inspect *in);

/* A field of our own, or of a mail filter ("milter-header"): appended to ret as far as it is let through. */
enum inspect_whose { INSPECT_OUR_FIELD, INSPECT_FILTERS_FIELD };
MAY_WAIT void inspect_field(struct message *m, enum inspect_whose whose, struct span raw, struct str *ret);

#endif
