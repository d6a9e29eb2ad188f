/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_return.h - RETURN options of SEARCH and SORT, and the ESEARCH answer
 *
 * RFC 4731 (MIN, MAX, ALL, COUNT), RFC 5182 (SAVE), RFC 9394 and RFC 5267 section 4.4 (PARTIAL),
 * RFC 5267 section 3 (for SORT).
 */
#ifndef IMAPD_SEARCH_RETURN_H
#define IMAPD_SEARCH_RETURN_H

#include "command.h"

/* "1:100" or "-1:-100": positions in a result, from its front or its end; 0: none given */
struct partial {
    uint32_t from, to;      /* ascending */
    bool from_end;
    bool swapped;           /* the client has named the greater one first, and gets its range back as it was */
};
bool parse_partial(struct parse *p, struct partial *ret);
/* The half-open range of indices of n results that it means. */
void partial_range(const struct partial *p, size_t n, size_t *ret_from, size_t *ret_to);

struct search_return {
    unsigned want;          /* 0: the old form of the answer */
    struct partial partial;
};

/* ["RETURN" SP "(" [option *(SP option)] ")" SP] */
bool parse_search_return(struct parse *p, struct search_return *ret);

/* IMAP4rev2 has no old form (RFC 9051 section 6.4.4): ALL, when nothing was asked for. */
void search_return_default(struct search_return *r);

/* The command has been answered already. NO: what "$" stood for counts no more (RFC 5182 section 2.1). */
void search_return_refused(struct imap *s, const struct search_return *r);

/* Keep and send what was found, sequence numbers in the order of the result: ESEARCH, or the old form under the name
 * of the command ("SEARCH"). modseq: with MODSEQ (RFC 7162 section 3.1.5 and 3.1.6). */
void search_return_answer(struct imap *s, const char *command, const struct search_return *r, const struct seqs *found,
                          bool modseq);

/* The highest modseq of the messages; and the number by which the client knows one. */
uint64_t search_modseq(struct imap *s, const uint32_t *seqs, size_t n);
uint32_t search_number(const struct imap *s, uint32_t seq);

#endif
