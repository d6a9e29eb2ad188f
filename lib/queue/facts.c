/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.c - what the writer of a queue file has seen of its content
 *
 * Runs in: cleanup, postdrop (content is hostile), smtp.
 */
#include "queue/facts.h"

#include <errno.h>
#include <sys/stat.h>

#include "queue/format.h"

#define KNOWN   (UINT32_C(1) << 31)
#define BARE_CR (UINT32_C(1) << 30)

static void end_line(struct queue_facts *f)
{
    if (f->column > f->longest_line)
        f->longest_line = f->column;
    f->column = 0;
}

/* Bytes of one line; its LF, if it is there, is the last */
static void add_part(struct queue_facts *f, struct span part)
{
    bool ends = part.ptr[part.len - 1] == '\n';
    struct span text = span_first(part, part.len - ends);

    if (f->cr && text.len > 0)
        f->bare_cr = true;
    if (text.len > 0)
        f->cr = text.ptr[text.len - 1] == '\r';
    if (text.len > 1 && memchr(text.ptr, '\r', text.len - 1))
        f->bare_cr = true;
    f->column += text.len;
    if (!ends)
        return;
    f->column -= f->cr;
    f->cr = false;
    end_line(f);
}

void queue_facts_add(struct queue_facts *f, struct span bytes)
{
    while (bytes.len > 0) {
        ptrdiff_t lf = span_chr(bytes, '\n');
        size_t n = lf < 0 ? bytes.len : (size_t)lf + 1;

        add_part(f, span_first(bytes, n));
        bytes = span_from(bytes, n);
    }
}

void queue_facts_end(struct queue_facts *f)
{
    f->bare_cr |= f->cr;
    f->cr = false;
    end_line(f);
}

uint32_t queue_facts_pack(const struct queue_facts *f)
{
    size_t line = f->longest_line < QUEUE_FACTS_LINE_MAX ? f->longest_line : QUEUE_FACTS_LINE_MAX;

    return KNOWN | (f->bare_cr ? BARE_CR : 0) | (uint32_t)line;
}

bool queue_facts_unpack(uint32_t packed, struct queue_facts *ret)
{
    if (!(packed & KNOWN))
        return false;
    *ret = (struct queue_facts){.longest_line = packed & QUEUE_FACTS_LINE_MAX,
                                .bare_cr = packed & BARE_CR};
    return true;
}

int queue_facts_read(int fd, struct queue_facts *ret)
{
    char bytes[QUEUE_HEADER_SIZE];
    struct queue_header header;
    ssize_t n = queue_pread(fd, bytes, sizeof bytes, 0);
    struct stat sb;

    if (n < 0 || fstat(fd, &sb) < 0)
        return n < 0 ? (int)n : -errno;
    if (queue_header_get(span_make(bytes, (size_t)n), (uint64_t)sb.st_size, &header))
        return -EBADMSG;
    return queue_facts_unpack(header.facts, ret) ? 0 : -ENODATA;
}
