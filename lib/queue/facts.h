/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what the writer of a queue file has seen of its content, so that nobody needs to look
 * again
 *
 * One u32 of the file's header (format.h): the longest line's bytes without its line end (cut at
 * LINE_MAX), whether a CR without LF occurs, and that these facts are known. A next hop that takes
 * content as it is gets it by sendfile then.
 */
#ifndef QUEUE_FACTS_H
#define QUEUE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { QUEUE_FACTS_LINE_MAX = (1 << 30) - 1 };

struct queue_facts {
    size_t longest_line;
    bool bare_cr;
    size_t column;          /* bytes of the line that goes on */
    bool cr;                /* the last byte was a CR */
};

/* Look at content in pieces cut anywhere; *f is zeroed before the first. _end is called once, after
 * the last. */
void queue_facts_add(struct queue_facts *f, struct span bytes);
void queue_facts_end(struct queue_facts *f);

/* The u32 of the header, and back: false when it says nothing (files of older versions). */
uint32_t queue_facts_pack(const struct queue_facts *f);
bool queue_facts_unpack(uint32_t packed, struct queue_facts *ret);

/* From an open queue file. 0, -ENODATA: not known, -EBADMSG, or another -errno. */
int queue_facts_read(int fd, struct queue_facts *ret);

#endif
