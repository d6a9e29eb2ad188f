/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.h - a search program: parsed once, asked for each message
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "mailbox/account.h"
#include "message.h"
#include "parse.h"
#include "seqset.h"

enum search_kind {
    SEARCH_AND,         /* of the children; without any: all messages */
    SEARCH_OR,          /* of two children */
    SEARCH_FLAG,        /* flag */
    SEARCH_KEYWORD,     /* text: name */
    SEARCH_RECENT,
    SEARCH_NEW,         /* recent and not seen */
    SEARCH_SEQ,         /* set */
    SEARCH_UID,         /* set */
    SEARCH_LARGER,      /* number */
    SEARCH_SMALLER,
    SEARCH_MODSEQ,      /* number: at least */
    SEARCH_BEFORE,      /* number: day, of INTERNALDATE */
    SEARCH_ON,
    SEARCH_SINCE,
    SEARCH_OLDER,       /* number: the moment, seconds since the epoch */
    SEARCH_YOUNGER,
    SEARCH_SAVEDBEFORE, /* number: day, of the moment when it came into the mailbox */
    SEARCH_SAVEDON,
    SEARCH_SAVEDSINCE,
    SEARCH_EMAILID,     /* text */
    SEARCH_THREADID,    /* text */
    SEARCH_SENTBEFORE,  /* number: day, of the Date field */
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_HEADER,      /* field, text */
    SEARCH_BODY,        /* text */
    SEARCH_TEXT,        /* text */
};

#define SEARCH_NONE UINT32_MAX

/* Node 0 is the root. Spans borrow from the parse. */
struct search_node {
    enum search_kind kind;
    bool negate;
    uint32_t first_child, next;
    uint32_t flag;
    uint64_t number;
    struct span field, text;
    struct seqset set;
};

struct search {
    struct search_node *nodes;
    size_t len, cap;
    bool has_modseq, has_size;
    bool has_numbers;       /* sequence numbers */
    bool has_email_id;
    bool has_kept;          /* asks for header fields that are kept in the index */
};
#define SEARCH_INIT ((struct search){ .nodes = NULL })
void search_done(struct search *q);

/* What keys are read with */
struct search_context {
    const struct mailbox *mb;       /* gives "*" its value; may be NULL (tests) */
    const struct seqset *saved;     /* UIDs that "$" stands for; NULL: none */
    struct span charset;            /* of the texts; empty: UTF-8 */
    size_t max_depth;               /* how deep parentheses, NOT and OR may nest */
    size_t max_keys;
};

/* search-key *(SP search-key), all that is left of p. */
bool parse_search(struct parse *p, const struct search_context *c, struct search *ret);

/* Does the message match? Its file is opened and read only as far as needed. 1, 0 or -errno
 * (-ENOENT: expunged meanwhile). */
int search_match(const struct search *q, uint32_t seq, struct message *m);

#endif
