/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.h - the one look that cleanup takes at a message: its header section, field by field
 *
 * Content may be fed in pieces cut anywhere. Fields go to `out` as they came, but for those that
 * the rules drop or rewrite; nothing is refused for being broken, and after the section ends no
 * byte is looked at.
 */
#ifndef CLEANUP_HEADERS_H
#define CLEANUP_HEADERS_H

#include "base/str.h"

/* Fields that cleanup knows by name; RESENT_ ones are RFC 5322 section 3.6.6. */
enum header_seen {
    HEADER_RECEIVED = 1 << 0,
    HEADER_MESSAGE_ID = 1 << 1,
    HEADER_DATE = 1 << 2,
    HEADER_FROM = 1 << 3,
    HEADER_RESENT = 1 << 4, /* any Resent- field */
    HEADER_RESENT_MESSAGE_ID = 1 << 5,
    HEADER_RESENT_DATE = 1 << 6,
    HEADER_RESENT_FROM = 1 << 7,
};

/* The settings, one set per process. */
struct header_rules {
    struct span *drop; /* names of fields to leave out (message_drop_headers) */
    size_t n_drop;
    size_t field_max;   /* header_size_limit: a longer field passes without a look at its value */
    size_t section_max; /* header_section_limit: what follows passes as body */
    size_t extract_max; /* extract_recipient_limit */
    int (*complete)(struct span in, struct str *out, void *arg); /* an address; 1 if changed */
    void *arg;
};

/* "bcc, content-length" -> rules->drop, whose texts point into list. Free drop. */
void header_rules_parse_drop(const char *list, struct header_rules *rules);

enum header_end {
    HEADER_GOES_ON,
    HEADER_END_EMPTY_LINE, /* the rest begins with the empty line */
    HEADER_END_BODY,       /* by a line that is no field: an empty line is missing */
    HEADER_END_INPUT,      /* no body follows */
    HEADER_END_LIMIT,      /* section_max: the rest may well be more fields */
};

struct header_pass {
    const struct header_rules *rules;
    bool rewrite, extract; /* SUBMIT_REWRITE, SUBMIT_EXTRACT */
    struct str *out;
    /* what was found: */
    enum header_end end;
    unsigned seen;                            /* enum header_seen */
    unsigned received;                        /* how many Received fields */
    struct str message_id, resent_message_id; /* value of the first, unfolded */
    char **rcpts, **resent_rcpts;             /* extracted; external form */
    size_t n_rcpts, cap_rcpts, n_resent_rcpts, cap_resent_rcpts;
    bool too_many_rcpts;
    /* between two pieces: */
    struct str pending; /* begins with a field that may not be whole */
    size_t looked_at;   /* bytes of fields */
};

void header_pass_init(struct header_pass *p, const struct header_rules *rules, struct str *out);
void header_pass_done(struct header_pass *p);

/* Look at the next piece. rest: when the section has ended (p->end says how), the bytes that follow
 * it, valid until the next call; else empty. Must not be called again after the end. */
void header_pass_feed(struct header_pass *p, struct span bytes, struct span *rest);
/* The input is over while the section still went on: what is pending is looked at as it is. */
void header_pass_finish(struct header_pass *p, struct span *rest);

#endif
