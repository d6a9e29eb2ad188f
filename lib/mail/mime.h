/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime.h - the tree of parts of a message (RFC 2045, RFC 2046), over bytes that stay where they are
 *
 * The message is one span with CRLF or LF line ends; a part borrows from it, so
 * the span must outlive the tree. Parsing never fails: what is broken is given the
 * meaning under which a reader sees most of it, as the comments below say. Work
 * is linear in the message (times the number of open boundaries at lines that
 * begin with "--").
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/pace.h"
#include "base/str.h"

enum mime_kind {
    MIME_LEAF,
    MIME_MULTIPART, /* has at least one child */
    MIME_MESSAGE,   /* message/rfc822 or message/global (RFC 6532), not transfer-encoded; its only child is the message inside */
};

#define MIME_NONE UINT32_MAX /* "no part" as an index */

/* A node: the message itself is node 0; nodes stand in the order of their first byte. */
struct mime_part {
    struct span header;          /* all header lines and the empty line after them */
    struct span body;            /* without the line end that belongs to the next delimiter */
    struct span type,
        subtype; /* as written, or the default (text/plain; message/rfc822 in a digest) */
    struct span
        content_type; /* value of the Content-Type field, folded; empty when a default is used */
    uint32_t lines;              /* line ends in body */
    uint32_t parent, first_child, next; /* indices or MIME_NONE; next: the following sibling */
    uint16_t depth;              /* 0: the message itself */
    uint8_t kind;                /* enum mime_kind */
};

struct mime {
    struct mime_part *parts;
    size_t len, cap;
};

#define MIME_INIT ((struct mime){ NULL, 0, 0 })

/*
 * Parse a message.
 *
 * max_depth   nodes deeper than this are not looked into: they are leaves application/octet-stream
 * max_parts   when so many nodes exist, the rest of the enclosing multipart stays in the last of
 * them
 * pace        asked on the way; stopped, the tree is of what was read so far
 *
 * A multipart without boundary, or in which no delimiter line is found, is a leaf
 * text/plain (RFC 2045 section 5.2: what is not understood is plain text).
 * A delimiter of an outer multipart ends all inner ones that were left open.
 */
void mime_parse(struct span message, size_t max_depth, size_t max_parts, struct pace *pace, struct mime *ret);
void mime_done(struct mime *m);

/* ---- fields of one part ---- */

/*
 * The next field of a header section, as header_next(), but a line that is no
 * field does not end it: it is skipped. Returns false at the end.
 */
struct header_field;
bool mime_field_next(struct span *header, struct header_field *ret);

/* The first field of that name; false if none. */
bool mime_field_find(struct span header, const char *name, struct span *ret_value);

/*
 * Take the first token of a structured value off its front ("text" of "text/plain; ...",
 * "attachment", "base64"), comments and white space around it skipped. Empty when there is none.
 */
struct span mime_token(struct span *value);

/*
 * Take "type/subtype" off the front of a Content-Type value. False, and nothing is
 * taken, when it is malformed (RFC 2045 section 5.1).
 */
bool mime_type(struct span *value, struct span *ret_type, struct span *ret_subtype);

/*
 * The next "; name=value" of what stands after the first token. value is reset
 * and gets the unquoted, unfolded text. What is no parameter is skipped. A value that is
 * not quoted ends at ';' or white space before a comment, so that a name with
 * blanks, as some programs write it, is whole. Returns false at the end.
 */
bool mime_param(struct span *in, struct span *ret_name, struct str *value);
bool mime_param_find(struct span in, const char *name, struct str *value);

/* ---- content ---- */

enum mime_encoding { MIME_IDENTITY, MIME_BASE64, MIME_QUOTED_PRINTABLE, MIME_UNKNOWN };

/* Content-Transfer-Encoding of a part; MIME_IDENTITY for 7bit, 8bit, binary and when there is none.
 */
enum mime_encoding mime_encoding(const struct mime_part *part);

/* Undo a transfer encoding, leniently (RFC 2045 sections 6.7, 6.8): wrong bytes are skipped
 * (base64) or kept (quoted-printable). Appends. MIME_UNKNOWN appends nothing. */
void mime_decode(struct span body, enum mime_encoding encoding, struct pace *pace, struct str *ret);

#endif
