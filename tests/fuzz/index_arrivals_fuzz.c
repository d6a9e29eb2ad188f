/* SPDX-License-Identifier: Apache-2.0 */
/* index_arrivals_fuzz.c - the file of arrivals as it lies on disk; once more with sums and numbers that are right, so that the rest is looked at */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "mailbox/index_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SUM = 4, NAME_LEN_AT = 4, UID_AT = 8, MODSEQ_AT = 20, RECORD = 52 };

static uint32_t sum(const char *at, size_t size)
{
    return htole32(record_sum(span_make(at + SUM, size - SUM)));
}

/* Of the head, and of the records as far as there are whole ones */
static void make_right(char *bytes, size_t size)
{
    struct arrivals_head head;
    uint32_t n = 0;
    uint16_t name_len;

    if (size < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    head.sum = sum(bytes, sizeof head);
    memcpy(bytes, &head, sizeof head);
    for (size_t at = sizeof head; at + RECORD <= size; at += RECORD + le16toh(name_len)) {
        uint32_t uid = htole32(le32toh(head.uidnext) + n);
        uint64_t modseq = htole64(le64toh(head.highestmodseq) + 1 + n++);

        memcpy(&name_len, bytes + at + NAME_LEN_AT, sizeof name_len);
        if (size - at - RECORD < le16toh(name_len))
            return;
        memcpy(bytes + at + UID_AT, &uid, sizeof uid);
        memcpy(bytes + at + MODSEQ_AT, &modseq, sizeof modseq);
        uint32_t own = head.sum ^ sum(bytes + at, RECORD + le16toh(name_len));
        memcpy(bytes + at, &own, sizeof own);
    }
}

static void read_all(const char *bytes, size_t size)
{
    struct index_arrivals *a = mem_new(struct index_arrivals);

    a->fd = memfd_create("arrivals", MFD_CLOEXEC);
    assert(a->fd >= 0 && write(a->fd, bytes, size) == (ssize_t)size);
    if (arrivals_read(a) > 0) {
        assert(a->len <= INDEX_ARRIVALS_MAX && a->end <= size);
        for (uint32_t i = 0; i < a->len; i++)
            assert(a->items[i].message.uid == le32toh(a->head.uidnext) + i &&
                   record_is_file_name(a->items[i].message.file));
    }
    arrivals_close(a);
    free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *copy = mem_calloc(size + 1, 1);

    memcpy(copy, data, size);
    read_all(copy, size);
    make_right(copy, size);
    read_all(copy, size);
    return 0;
}
