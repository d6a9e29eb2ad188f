/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h - the grammar of IMAP commands (RFC 3501 section 9), one rule a function
 *
 * A command is one span that holds its literals in place ("{5}" CRLF and five
 * bytes). Each function takes its rule off the front and returns true; or
 * returns false, and the command is refused (how much was taken is then
 * undefined). Results borrow from the command or from p: both live until parse_done().
 */
#ifndef IMAPD_PARSE_H
#define IMAPD_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct parse {
    struct span in;         /* what is left */
    bool utf8;              /* mailbox names are UTF-8, not modified UTF-7, and what is quoted has to be */
    struct span mailbox;    /* the last mailbox name, as the client has given it */
    char **owned;           /* strings that needed unescaping */
    size_t n_owned, cap_owned;
};

void parse_init(struct parse *p, struct span command);
void parse_done(struct parse *p);

bool parse_char(struct parse *p, char c);       /* "(" with the blanks that some write behind it */
/* One blank; more are tolerated. False before ")", where there is to be none: those that there are have been taken. */
bool parse_sp(struct parse *p);
/* Is nothing left but blanks? Takes nothing. */
bool parse_end(struct parse *p);
/* 1*<any ASTRING-CHAR except "+"> */
bool parse_tag(struct parse *p, struct span *ret);
/* 1*ATOM-CHAR */
bool parse_atom(struct parse *p, struct span *ret);
/* 1*(ALPHA / DIGIT / "."): names of FETCH items */
bool parse_name(struct parse *p, struct span *ret);
/* This atom, in any case; else nothing is taken. */
bool parse_word(struct parse *p, const char *word);
/* quoted / literal */
bool parse_string(struct parse *p, struct span *ret);
/* 1*ASTRING-CHAR / string */
bool parse_astring(struct parse *p, struct span *ret);
/* string / nil, which is a NULL ptr */
bool parse_nstring(struct parse *p, struct span *ret);
/* 1*list-char / string */
bool parse_list_mailbox(struct parse *p, struct span *ret);
/* Digits, at most max. */
bool parse_number(struct parse *p, uint64_t max, uint64_t *ret);
/* Hand a string over to p, with which it lives. */
struct span parse_keep(struct parse *p, struct str *take);
/* The characters of a sequence-set; see seqset.h. */
bool parse_set(struct parse *p, struct span *ret);

/*
 * Does the line end in a literal's announcement, "{n}" or "{n+}" (RFC 7888)? Then *ret_size (UINT64_MAX: that many or
 * more), *ret_sync (the client waits for a "+") and *ret_rest, the line without it, are set.
 */
bool parse_literal_spec(struct span line, struct span *ret_rest, uint64_t *ret_size, bool *ret_sync);

#endif
