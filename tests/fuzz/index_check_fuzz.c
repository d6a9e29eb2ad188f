/* SPDX-License-Identifier: Apache-2.0 */
/* index_check_fuzz.c - reading a whole index, with small pages; where there are none, two sound meta pages are put in front */
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mailbox/index_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGE = 256, META_TREES = 40, TREE_SIZE = 48 };

static void put(unsigned char *at, uint64_t n, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (unsigned char)(n >> (8 * i));
}

/* The first byte of the input says how deep both trees are; their roots are the first pages of the rest. */
static void make_meta(unsigned char *page, unsigned number, unsigned depths, size_t pages)
{
    memset(page, 0, PAGE);
    put(page, number, 8);
    put(page + 10, 8, 2);
    put(page + 16, 0xBEEFC0DE, 4);
    put(page + 20, 1, 4);
    put(page + META_TREES, PAGE, 4);
    put(page + META_TREES + 4, 8, 2);
    for (unsigned i = 0; i < 2; i++) {
        unsigned depth = depths >> (2 * i) & 3;

        put(page + META_TREES + i * TREE_SIZE + 6, depth, 2);
        put(page + META_TREES + i * TREE_SIZE + 40, depth ? 2 + i : UINT64_MAX, 8);
    }
    put(page + META_TREES + 2 * TREE_SIZE, pages - 1, 8);
    put(page + 144, number, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("index", MFD_CLOEXEC);
    unsigned char meta[2 * PAGE];

    if (size == 0)
        return 0;
    make_meta(meta, 0, data[0], 2 + size / PAGE);
    make_meta(meta + PAGE, 1, data[0], 2 + size / PAGE);
    if (fd < 0 || (data[0] < 128 && write(fd, meta, sizeof meta) != sizeof meta) || write(fd, data + 1, size - 1) != (ssize_t)size - 1)
        abort();
    index_check_file(fd, PAGE);
    return 0;
}
