/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_check.c - read a whole index: is it sound?
 *
 * With a damaged list of free pages LMDB makes writes that cannot succeed, which look like a full or a broken disk, or writes over
 * pages that are in use, the list's own among them; with damaged order, look-ups find nothing. So the file is read here as
 * LMDB 0.9 lays it out, and not through LMDB, which trusts it:
 *
 *     pages 0, 1   meta: magic, version, ..., size of the map, two trees (free pages, then records), last page, transaction
 *     branch       head, an array of offsets, and by each a node: a page below, and a key that all keys there reach
 *     leaf         the same; a node is a key and a value, or the number of the first page of a long value
 *
 * Both trees are walked, with all keys in order, and each page has to be of one use: a tree's, a long value's, or free.
 * That no page is without use is not asked for: it harms nobody. Values have checksums and are not looked at here.
 *
 * Leaves are nearly all of the file. Without them the check takes 0.1 ms for 50,000 messages, and still finds what would have LMDB write over
 * pages that are in use; so each session does that much before its first write. Long values are not known then: those are notes, and made anew when
 * they are spoiled.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. The file may hold anything.
 */
#include "mailbox/index_parts.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/mem.h"

enum {
    META_MAGIC = 16, META_MAP_SIZE = 32, META_TREES = 40, META_LAST_PAGE = 136, META_TXN = 144, META_SIZE = 152,
    TREE_FLAGS = 4, TREE_DEPTH = 6, TREE_BRANCH = 8, TREE_LEAF = 16, TREE_LONG = 24, TREE_ENTRIES = 32, TREE_ROOT = 40, TREE_SIZE = 48,
    PAGE_FLAGS = 10, PAGE_LOWER = 12, PAGE_UPPER = 14, PAGE_COUNT = 12, PAGE_HEAD = 16,
    NODE_FLAGS = 4, NODE_KEY_LEN = 6, NODE_HEAD = 8,
    IS_BRANCH = 1, IS_LEAF = 2, IS_LONG = 4, IS_META = 8,
    NODE_IS_LONG = 1,
    KEYS_ARE_NUMBERS = 8,   /* flag of a tree */
    DEPTH_MAX = 32,         /* LMDB's own limit */
    KEY_MAX = 511,
    PAGE_SIZE_MIN = 512, PAGE_SIZE_MAX = 32768,
    ADDRESS_BITS = 46,      /* no address space has more; the map of a sound file is far from it */
    UNWRITTEN_MAX = 131072, /* pages at the end that a transaction took and gave back; so many it can have */
};
#define MAGIC   0xBEEFC0DEu
#define VERSION 1u
#define NO_PAGE UINT64_MAX

struct check {
    int fd;
    size_t page_size;
    uint64_t pages;
    bool leaves;            /* of records are read, too */
    unsigned char *used;    /* a byte for each page: something is there, or it is on a list of free ones */
    struct str free;        /* what the lists name, 8 bytes each */
};

struct tree {
    bool of_lists;          /* of free pages: keys are numbers of transactions, values lists; else both are bytes */
    uint64_t branch, leaf, in_long, entries;
    struct str floor;       /* the key before; */
    bool floor_open;        /* that of a branch, which the next key of a leaf may equal */
};

static void check_done(struct check *c)
{
    free(c->used);
    str_free(&c->free);
}

static void tree_done(struct tree *t)
{
    str_free(&t->floor);
}

/* ---- numbers and pages ---- */

/* Little-endian, as LMDB writes them on the machines that we have; elsewhere an index in doubt is made anew */
static inline uint64_t number(const char *p, unsigned width)
{
    uint64_t n = 0;

    memcpy(&n, p, width);
    return le64toh(n);
}

static int read_at(const struct check *c, uint64_t page, char *ret, size_t n)
{
    ssize_t got = pread(c->fd, ret, n, (off_t)(page * c->page_size));

    return got < 0 ? -errno : (size_t)got == n ? 0 : -EBADMSG;
}

/* Other flags than those of its kind LMDB has only for pages that it has not written. */
static bool is_page(const char *head, uint64_t page, unsigned kind)
{
    return number(head, 8) == page && number(head + PAGE_FLAGS, 2) == kind;
}

static int use_pages(struct check *c, uint64_t first, uint64_t n)
{
    if (first < 2 || first >= c->pages || n > c->pages - first)
        return -EBADMSG;
    for (uint64_t i = first; i < first + n; i++)
        if (c->used[i]++)
            return -EBADMSG;
    return 0;
}

/* ---- trees ---- */

static int compare_keys(const struct tree *t, struct span a, struct span b)
{
    if (t->of_lists) {
        uint64_t x = number(a.ptr, 8), y = number(b.ptr, 8);

        return x < y ? -1 : x > y;
    }
    int r = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return r != 0 ? r : a.len < b.len ? -1 : a.len > b.len;
}

/* Keys are met in order: those of leaves, and before the pages below a branch that branch's. */
static int next_key(struct tree *t, struct span key, bool of_branch)
{
    if (key.len == 0 || key.len > KEY_MAX || (t->of_lists && key.len != 8))
        return -EBADMSG;
    if (t->floor.len > 0) {
        int order = compare_keys(t, key, str_span(&t->floor));

        if (order < 0 || (order == 0 && (of_branch || !t->floor_open)))
            return -EBADMSG;
    }
    str_set(&t->floor, key);
    t->floor_open = of_branch;
    return 0;
}

static int walk(struct check *c, struct tree *t, uint64_t page, unsigned depth);

/* Numbers of pages after their count, the greatest first */
static int free_list(struct check *c, struct span list)
{
    uint64_t before = NO_PAGE, n = list.len < 8 ? NO_PAGE : number(list.ptr, 8);

    if (n > list.len / 8 - 1)
        return -EBADMSG;
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t page = number(list.ptr + 8 * i, 8);

        if (page >= before)
            return -EBADMSG;
        before = page;
    }
    str_add(&c->free, span_make(list.ptr + 8, 8 * n));
    return 0;
}

static int long_value(struct check *c, struct tree *t, uint64_t page, size_t len)
{
    uint64_t n = (len + PAGE_HEAD + c->page_size - 1) / c->page_size;
    char head[PAGE_HEAD];
    int r = use_pages(c, page, n);

    t->in_long += n;
    if (r == 0)
        r = read_at(c, page, head, sizeof head);
    if (r == 0 && (!is_page(head, page, IS_LONG) || number(head + PAGE_COUNT, 4) != n))
        return -EBADMSG;
    if (r < 0 || !t->of_lists)
        return r;
    _cleanup_free_ char *bytes = mem_calloc(n, c->page_size);
    r = read_at(c, page, bytes, PAGE_HEAD + len);
    return r < 0 ? r : free_list(c, span_make(bytes + PAGE_HEAD, len));
}

static int branch_node(struct check *c, struct tree *t, struct span node, bool first, unsigned depth)
{
    size_t key_len = number(node.ptr + NODE_KEY_LEN, 2);
    uint64_t below = number(node.ptr, 4) | number(node.ptr + NODE_FLAGS, 2) << 32;

    if (key_len > node.len - NODE_HEAD)
        return -EBADMSG;
    int r = first ? 0 : next_key(t, span_make(node.ptr + NODE_HEAD, key_len), true); /* the first one's is not used */
    return r < 0 ? r : walk(c, t, below, depth - 1);
}

static int leaf_node(struct check *c, struct tree *t, struct span node)
{
    size_t key_len = number(node.ptr + NODE_KEY_LEN, 2), len = number(node.ptr, 4);
    unsigned flags = (unsigned)number(node.ptr + NODE_FLAGS, 2);

    t->entries++;
    if (flags & ~(unsigned)NODE_IS_LONG || key_len > node.len - NODE_HEAD)
        return -EBADMSG;
    struct span value = span_from(node, NODE_HEAD + key_len);
    if (value.len < (flags ? 8 : len))
        return -EBADMSG;
    int r = next_key(t, span_make(node.ptr + NODE_HEAD, key_len), false);
    if (r == 0 && flags)
        return long_value(c, t, number(value.ptr, 8), len);
    return r < 0 || !t->of_lists ? r : free_list(c, span_make(value.ptr, len));
}

/* depth: of the tree from here to its leaves, which is the same everywhere */
static int walk(struct check *c, struct tree *t, uint64_t page, unsigned depth)
{
    bool branch = depth > 1;
    int r = use_pages(c, page, 1);

    *(branch ? &t->branch : &t->leaf) += 1;
    if (r < 0 || (!branch && !t->of_lists && !c->leaves))
        return r;
    _cleanup_free_ char *bytes = mem_calloc(1, c->page_size);
    r = read_at(c, page, bytes, c->page_size);
    if (r < 0)
        return r;
    size_t lower = number(bytes + PAGE_LOWER, 2), upper = number(bytes + PAGE_UPPER, 2);
    if (!is_page(bytes, page, branch ? IS_BRANCH : IS_LEAF) || lower <= PAGE_HEAD || lower % 2 != 0 || lower > upper ||
        upper > c->page_size)
        return -EBADMSG;
    for (size_t i = PAGE_HEAD; i < lower && r == 0; i += 2) {
        size_t at = number(bytes + i, 2);

        if (at < upper || at + NODE_HEAD > c->page_size)
            return -EBADMSG;
        struct span node = span_make(bytes + at, c->page_size - at);
        r = branch ? branch_node(c, t, node, i == PAGE_HEAD, depth) : leaf_node(c, t, node);
    }
    return r;
}

/* As the meta page describes it */
static int check_tree(struct check *c, struct tree *t, const char *meta)
{
    uint64_t root = number(meta + TREE_ROOT, 8);
    unsigned depth = (unsigned)number(meta + TREE_DEPTH, 2), flags = (unsigned)number(meta + TREE_FLAGS, 2);

    if (flags != (t->of_lists ? KEYS_ARE_NUMBERS : 0) || depth > DEPTH_MAX || (depth == 0) != (root == NO_PAGE))
        return -EBADMSG;
    int r = depth > 0 ? walk(c, t, root, depth) : 0;
    if (r < 0)
        return r;
    if (t->branch != number(meta + TREE_BRANCH, 8) || t->leaf != number(meta + TREE_LEAF, 8))
        return -EBADMSG;
    if (!t->of_lists && !c->leaves)
        return 0;
    return t->in_long == number(meta + TREE_LONG, 8) && t->entries == number(meta + TREE_ENTRIES, 8) ? 0 : -EBADMSG;
}

/* ---- the file ---- */

static bool is_meta(const char *bytes, uint64_t page)
{
    return is_page(bytes, page, IS_META) && number(bytes + META_MAGIC, 4) == MAGIC && number(bytes + META_MAGIC + 4, 4) == VERSION;
}

static int read_meta(const struct check *c, uint64_t page, char ret[static META_SIZE])
{
    int r = read_at(c, page, ret, META_SIZE);

    return r < 0 ? r : is_meta(ret, page) && number(ret + META_TREES, 4) == c->page_size ? 0 : -EBADMSG;
}

static int read_newer_meta(const struct check *c, char ret[static META_SIZE])
{
    char other[META_SIZE];
    int r = read_meta(c, 0, ret);

    if (r == 0)
        r = read_meta(c, 1, other);
    if (r == 0 && number(other + META_TXN, 8) > number(ret + META_TXN, 8))
        memcpy(ret, other, META_SIZE);
    return r;
}

/* After both trees: a page of a list is not free, wherever it is named. */
static int use_free_pages(struct check *c)
{
    int r = 0;

    for (size_t at = 0; at < c->free.len && r == 0; at += 8)
        r = use_pages(c, number(c->free.data + at, 8), 1);
    return r;
}

static int check_trees(struct check *c, const char *meta)
{
    _cleanup_(tree_done) struct tree records = { .floor = STR_INIT }, lists = { .of_lists = true, .floor = STR_INIT };
    int r = check_tree(c, &records, meta + META_TREES + TREE_SIZE);

    if (r == 0)
        r = check_tree(c, &lists, meta + META_TREES);
    /* The last list is of the last transaction, or an older one. */
    if (r == 0 && lists.floor.len > 0 && number(lists.floor.data, 8) > number(meta + META_TXN, 8))
        return -EBADMSG;
    return r < 0 ? r : use_free_pages(c);
}

static int check(int fd, size_t page_size, bool leaves)
{
    _cleanup_(check_done) struct check c = { .fd = fd, .page_size = page_size, .leaves = leaves, .free = STR_INIT };
    char meta[META_SIZE];
    struct stat st;
    int r = read_newer_meta(&c, meta);

    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    c.pages = number(meta + META_LAST_PAGE, 8) + 1;
    if (c.pages < 2 || c.pages > (uint64_t)st.st_size / page_size + UNWRITTEN_MAX)
        return -EBADMSG;
    c.used = mem_calloc(c.pages, 1);
    return check_trees(&c, meta);
}

/* The size of pages is in both meta pages; so that the second is found, as LMDB does, the first one is believed. */
int index_check_header(int fd)
{
    struct check c = { .fd = fd, .page_size = 0 };
    char meta[META_SIZE];

    for (uint64_t page = 0; page < 2; page++) {
        int r = read_at(&c, page, meta, META_SIZE);

        if (r < 0)
            return r;
        uint64_t size = number(meta + META_TREES, 4);
        if (!is_meta(meta, page) || size < PAGE_SIZE_MIN || size > PAGE_SIZE_MAX || (size & (size - 1)) != 0 ||
            (page > 0 && size != c.page_size) || number(meta + META_MAP_SIZE, 8) >> ADDRESS_BITS != 0 ||
            number(meta + META_LAST_PAGE, 8) > ((uint64_t)1 << ADDRESS_BITS) / size)
            return -EBADMSG;
        c.page_size = size;
    }
    return 0;
}

int index_check_file(int fd, size_t page_size)
{
    return check(fd, page_size, true);
}

static int check_index(struct index_txn *t, bool leaves)
{
    MDB_env *env = mdb_txn_env(t->txn);
    MDB_stat stat;
    int fd;

    mdb_env_stat(env, &stat);
    int rc = mdb_env_get_fd(env, &fd);
    return rc != MDB_SUCCESS ? index_errno(rc) : check(fd, stat.ms_psize, leaves);
}

int index_check(struct index_txn *t)
{
    return check_index(t, true);
}

int index_check_branches(struct index_txn *t)
{
    return check_index(t, false);
}
