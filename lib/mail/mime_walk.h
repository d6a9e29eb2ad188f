/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_walk.h - a message as it streams by: its header fields, its parts, its lines
 *
 * mime.h builds the tree of a message that is in memory; this walks a message of any size in one
 * pass with bounded memory, for those who check or change it on its way. What comes out, in order
 * and put together, is what went in. Parsing never fails; what is broken is body text.
 */
#ifndef MAIL_MIME_WALK_H
#define MAIL_MIME_WALK_H

#include "base/str.h"

/* Whose field: header_checks, mime_header_checks, nested_header_checks of Postfix */
enum mime_walk_class {
    MIME_WALK_PRIMARY, /* of the message itself, but for those of MIME */
    MIME_WALK_MIME,    /* MIME-Version, Content-*, anywhere; every field of a part of a multipart */
    MIME_WALK_NESTED,  /* of a message within, but for those of MIME */
    MIME_WALK_OVERLONG, /* (part of) a field longer than MIME_WALK_FIELD_MAX, to be passed on as it
                           is */
};

enum mime_walk_encoding { MIME_WALK_7BIT, MIME_WALK_8BIT, MIME_WALK_BINARY, MIME_WALK_ENCODED };

/* What the header section that has just ended says of what follows */
struct mime_walk_entity {
    enum mime_walk_encoding encoding;
    bool composite;             /* multipart or message: it has parts of its own */
    bool text;                  /* text/ or nothing said */
};

enum { MIME_WALK_FIELD_MAX = 102400, MIME_WALK_LINE_MAX = 65536, MIME_WALK_DEPTH_MAX = 50 };

/* Spans are valid during the call. Lines have their line end; a line longer than MIME_WALK_LINE_MAX
 * comes in pieces, only the last with it. */
struct mime_walk_events {
    void (*field)(void *arg, enum mime_walk_class class, struct span raw);
    /* empty_line: as it is; empty when a section ended without */
    void (*end_header)(void *arg, const struct mime_walk_entity *entity, struct span empty_line);
    void (*body)(void *arg, struct span line);
    /* A delimiter line of a multipart: the entity before it is over */
    void (*delimiter)(void *arg, struct span line);
};

struct mime_walk_level {
    char *boundary;             /* NULL: a message within, which has none */
    bool digest;
};

struct mime_walk {
    const struct mime_walk_events *events;
    void *arg;
    struct str pending;         /* a line that is not whole yet */
    struct str field;           /* a field that may go on */
    bool binary;                /* set after init: lines of bodies and delimiters end with CRLF only (RFC 3030) */
    bool in_header, mid_line, after_cr, overlong;
    enum mime_walk_class class; /* of the present header section's fields that are not MIME's */
    struct mime_walk_entity entity;
    struct str content_type;    /* value of the section's field */
    struct mime_walk_level levels[MIME_WALK_DEPTH_MAX];
    size_t depth;
};

void mime_walk_init(struct mime_walk *w, const struct mime_walk_events *events, void *arg);
void mime_walk_feed(struct mime_walk *w, struct span bytes);
void mime_walk_finish(struct mime_walk *w);
void mime_walk_done(struct mime_walk *w);

#endif
