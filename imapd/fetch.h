/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - a FETCH command: what it asks for (fetch_parse.c), the items (fetch_item.c), the answers (fetch.c)
 */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H

#include "command.h"
#include "message.h"
#include "search_return.h"
#include "section.h"

/* How far a message's file has to be read */
enum fetch_need { FETCH_INDEX, FETCH_SIZE, FETCH_HEADER, FETCH_ALL, FETCH_MIME };

struct fetch_item {
    const struct fetch_row *row;
    struct section section;
};

struct fetch {
    struct fetch_item *items;
    size_t len, cap, max_items;
    enum fetch_need need;
    unsigned want;              /* enum message_want */
    bool sets_seen;
    bool has_uid, has_flags, has_modseq, has_size, has_binary;
    bool has_changed_since;     /* 0 is a value as well: clients ask so that know none yet */
    uint64_t changed_since;
    bool vanished;              /* VANISHED: name those that are gone, too */
    struct partial partial;     /* PARTIAL: only these of the messages named */
    /* while it runs */
    struct message message;
    uint32_t seq;
    struct str line, scratch;
    bool expunged;              /* a message's file was gone */
};

typedef void fetch_put(struct imap *s, struct fetch *f, const struct fetch_item *i, const struct mail_entry *e);

/* An item of the grammar: by its name; or BODY[...] and its like, by how far they have to be read */
struct fetch_row {
    const char *name;
    fetch_put *put;             /* to f->line; what it needs has been read, so it cannot fail */
    enum fetch_need need;
    unsigned want;              /* enum message_want */
    enum section_text section;  /* of RFC822.x, which are sections under another name */
};
extern const struct fetch_row fetch_section_in_kept, fetch_section_in_head, fetch_section_of_all, fetch_section_of_part,
    fetch_binary_size, fetch_lazy_preview;

/* By name, "RFC822.TEXT"; NULL: none. */
const struct fetch_row *fetch_row_find(struct span name);
/* One more; its section may be set afterwards. */
struct fetch_item *fetch_add(struct fetch *f, const struct fetch_row *row);

/* Those that are also put unasked */
fetch_put fetch_put_uid, fetch_put_flags, fetch_put_modseq;

/* SP (item / macro / "(" item *(SP item) ")") [SP modifiers]; f->max_items is set. */
bool fetch_parse(struct parse *p, struct fetch *f);

#endif
