/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.h - BODY[section]<partial>: which bytes of a message are meant (RFC 3501 section 6.4.5)
 */
#ifndef IMAPD_SECTION_H
#define IMAPD_SECTION_H

#include "message.h"
#include "parse.h"

enum section_text {
    SECTION_WHOLE,          /* "1.2", or the whole message */
    SECTION_HEADER,
    SECTION_FIELDS,         /* HEADER.FIELDS (...) */
    SECTION_FIELDS_NOT,
    SECTION_TEXT,
    SECTION_MIME,
};

struct section {
    enum section_text text;
    struct span part;       /* "1.2"; empty: the message itself */
    struct span *fields;
    size_t n_fields, cap_fields;
    bool binary;            /* BINARY[...]: a part with its transfer encoding undone (RFC 3516) */
    bool partial;
    uint64_t offset, count;
    struct str label;       /* how the answer names it: "BODY[1.2]<0>" */
};
#define SECTION_INIT ((struct section){ .text = SECTION_WHOLE, .label = STR_INIT })
void section_done(struct section *s);

/* section ["<" number "." nz-number ">"], from its "[" on; with at most max_fields names of header fields. */
bool parse_section(struct parse *p, size_t max_fields, struct section *ret);

/* The same after "BINARY", "BINARY.PEEK" or "BINARY.SIZE": only numbers in the brackets. */
bool parse_binary_section(struct parse *p, struct section *ret);

/* Is the message's header enough to answer it? */
bool section_in_header(const struct section *s);

/* Chosen fields of the header, all of which are kept in the index (kept.h); and their text from
 * there. */
bool section_is_kept(const struct section *s);
struct span section_of_kept(const struct section *s, struct span header, struct str *scratch);

/* Is the part of a BINARY section encoded in a way that cannot be undone? */
bool section_is_unknown(const struct section *s, const struct mime *m);

/*
 * The bytes of a section.
 *
 * scratch   holds them where they do not stand in one piece
 * ret       points into m or scratch
 *
 * Returns 1; 0: there is no such part; -errno of reading.
 */
int section_content(const struct section *s, struct message *m, struct str *scratch,
                    struct span *ret);

#endif
