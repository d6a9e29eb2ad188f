/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_tree.c - THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (RFC 5256 section 3)
 *
 * Nodes are numbers: messages first, then dummies. Nothing recurses, for a thread may be as
 * deep as a mailbox is long. Instead of moving subtrees about as the RFC describes it, each message
 * looks for its final parent, and children are put under their parents in the order of dates,
 * which makes each set of siblings sorted.
 *
 * Runs in: imapd (facts are from hostile content). Logs nothing.
 */
#include "thread_tree.h"

#include <assert.h>
#include <stdlib.h>

#include "base/chars.h"
#include "base/hash.h"
#include "base/mem.h"

#define NONE      UINT32_MAX
#define DEPTH_MAX 1000

struct node {
    const struct thread_mail *mail;     /* NULL: dummy */
    uint32_t parent;
    uint32_t first_child, last_child, next;
    uint32_t links;                     /* how many name it as their parent */
};

struct tree {
    struct node *nodes;
    size_t len, cap;
    uint32_t first_root, last_root;     /* after tree_arrange() */
};

static uint32_t add_node(struct tree *t, const struct thread_mail *mail)
{
    MEM_GROW(t->nodes, t->len, t->cap);
    t->nodes[t->len] = (struct node){ mail, NONE, NONE, NONE, NONE, 0 };
    return (uint32_t)t->len++;
}

/* ---- ids ---- */

bool thread_next_id(struct span *ids, struct span *ret)
{
    ptrdiff_t end = span_chr(*ids, '>');

    if (end < 0)
        return false;
    *ret = span_first(*ids, (size_t)end + 1);
    *ids = span_from(*ids, (size_t)end + 1);
    return true;
}

void thread_ids(struct span value, size_t max, struct str *ret)
{
    size_t start = ret->len, n = 0;
    ptrdiff_t open;

    while ((open = span_chr(value, '<')) >= 0) {
        size_t from = ret->len;
        ptrdiff_t end = span_chr(value = span_from(value, (size_t)open), '>');

        if (end < 0)
            break;
        for (ptrdiff_t i = 0; i <= end; i++)
            if (!char_is(value.ptr[i], CHAR_CTL) && value.ptr[i] != ' ')
                str_add_char(ret, value.ptr[i]);
        value = span_from(value, (size_t)end + 1);
        if (ret->len - from == 2)
            str_truncate(ret, from);
        else
            n++;
    }
    /* The nearest ancestors are the last. */
    struct span all = span_from(str_span(ret), start), id;

    while (n > max && thread_next_id(&all, &id))
        n--;
    if (all.len < ret->len - start) {
        memmove(ret->data + start, all.ptr, all.len);
        str_truncate(ret, start + all.len);
    }
}

/* ---- from parents to an ordered tree ---- */

struct order {
    uint32_t node;
    const struct thread_mail *mail;
};

static int by_date(const void *a, const void *b)
{
    const struct thread_mail *x = ((const struct order *)a)->mail,
                             *y = ((const struct order *)b)->mail;

    if (x->date != y->date)
        return x->date < y->date ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The messages (the first n nodes) by sent date. The caller's to free. */
static struct order *order_by_date(const struct tree *t, size_t n)
{
    struct order *order = mem_new_n(struct order, n + 1);

    for (size_t i = 0; i < n; i++)
        order[i] = (struct order){ (uint32_t)i, t->nodes[i].mail };
    if (n > 1)
        qsort(order, n, sizeof *order, by_date);
    return order;
}

static void append(struct tree *t, uint32_t *first, uint32_t *last, uint32_t node)
{
    t->nodes[node].next = NONE;
    if (*first == NONE)
        *first = node;
    else
        t->nodes[*last].next = node;
    *last = node;
}

/* Steps 4 and 6: children below their parents, all by date; a dummy has the date of its first child. */
static void tree_arrange(struct tree *t, const struct order *order, size_t n)
{
    t->first_root = t->last_root = NONE;
    for (size_t i = 0; i < t->len; i++)
        t->nodes[i].first_child = t->nodes[i].last_child = NONE;
    for (size_t i = 0; i < n; i++) {
        uint32_t node = order[i].node, parent = t->nodes[node].parent;

        if (parent == NONE) {
            append(t, &t->first_root, &t->last_root, node);
            continue;
        }
        if (!t->nodes[parent].mail && t->nodes[parent].first_child == NONE)
            append(t, &t->first_root, &t->last_root, parent);
        append(t, &t->nodes[parent].first_child, &t->nodes[parent].last_child, node);
    }
}

/* ---- the answer ---- */

struct printer {
    const struct tree *t;
    struct str *out;
    uint32_t *open;         /* next sibling of each thread whose parenthesis is open */
    size_t len, cap;
};

static void open_thread(struct printer *p, uint32_t next)
{
    MEM_GROW(p->open, p->len, p->cap);
    p->open[p->len++] = next;
    str_add_char(p->out, '(');
}

/* Close what has ended; the sibling to go on with, in a parenthesis of its own, or NONE. */
static uint32_t close_threads(struct printer *p)
{
    while (p->len > 0) {
        uint32_t next = p->open[--p->len];

        str_add_char(p->out, ')');
        if (next != NONE) {
            open_thread(p, p->t->nodes[next].next);
            return next;
        }
    }
    return NONE;
}

/* thread-list of section 5: a message and its only child stand side by side, several children in parentheses */
static void tree_print(const struct tree *t, struct str *out)
{
    struct printer p = { .t = t, .out = out };
    uint32_t node = t->first_root;

    if (node != NONE)
        open_thread(&p, t->nodes[node].next);
    while (node != NONE) {
        const struct node *n = &t->nodes[node];
        uint32_t child = n->first_child;

        if (n->mail)
            str_add_u64(out, n->mail->number);
        if (n->mail && child != NONE)
            str_add_char(out, ' ');
        if (child == NONE)
            child = close_threads(&p);
        else if (t->nodes[child].next != NONE)
            open_thread(&p, t->nodes[child].next);
        node = child;
    }
    free(p.open);
}

/* ---- ORDEREDSUBJECT ---- */

static int by_subject(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    int order = span_cmp(x->mail->subject, y->mail->subject);

    return order != 0 ? order : by_date(a, b);
}

void thread_ordered_subject(const struct thread_mail *mails, size_t n, struct str *ret)
{
    struct tree t = { 0 };
    uint32_t head = NONE;

    for (size_t i = 0; i < n; i++)
        add_node(&t, &mails[i]);
    _cleanup_free_ struct order *order = order_by_date(&t, n);
    if (n > 1)
        qsort(order, n, sizeof *order, by_subject);
    for (size_t i = 0; i < n; i++) {
        if (head != NONE && span_eq(t.nodes[head].mail->subject, order[i].mail->subject))
            t.nodes[order[i].node].parent = head;
        else
            head = order[i].node;
    }
    if (n > 1)
        qsort(order, n, sizeof *order, by_date);
    tree_arrange(&t, order, n);
    tree_print(&t, ret);
    free(t.nodes);
}

/* ---- REFERENCES ---- */

struct name {
    struct hash_node node;  /* key: a Message-ID, or a subject */
    uint32_t is;
};

struct names {
    struct hash hash;
    struct name *items;     /* as many as there can be: they do not move */
    size_t len;
};

static struct name *name_find(struct names *l, struct span key)
{
    return HASH_ENTRY(hash_get(&l->hash, key), struct name, node);
}

static void name_add(struct names *l, struct span key, uint32_t is)
{
    struct name *name = &l->items[l->len++];

    name->node.key = key;
    name->is = is;
    hash_put(&l->hash, &name->node);
}

static void names_done(struct names *l)
{
    hash_done(&l->hash);
    free(l->items);
}

/* Is `node` an ancestor of `of`, or the same? One without children is nobody's, which is nearly always the case.
 * What is deeper than DEPTH_MAX gets no more links: forged references shall not cost the square of their number. */
static bool is_ancestor(const struct tree *t, uint32_t node, uint32_t of)
{
    if (t->nodes[node].links == 0)
        return node == of;
    for (int depth = 0; of != NONE && of != node; depth++) {
        if (depth == DEPTH_MAX)
            return true;
        of = t->nodes[of].parent;
    }
    return of != NONE;
}

static void set_parent(struct tree *t, uint32_t node, uint32_t parent)
{
    if (t->nodes[node].parent != NONE)
        t->nodes[t->nodes[node].parent].links--;
    t->nodes[node].parent = parent;
    if (parent != NONE)
        t->nodes[parent].links++;
}

/* Step 1: nodes for all ids, and the links between them */
static void link_mail(struct tree *t, struct names *ids, uint32_t node)
{
    struct span rest = t->nodes[node].mail->references, id;
    uint32_t parent = NONE;

    while (thread_next_id(&rest, &id)) {
        struct name *known = name_find(ids, id);
        uint32_t ref = known ? known->is : add_node(t, NULL);

        if (!known)
            name_add(ids, id, ref);
        if (parent != NONE && t->nodes[ref].parent == NONE && !is_ancestor(t, ref, parent))
            set_parent(t, ref, parent);
        parent = ref;
    }
    set_parent(t, node, NONE);
    if (parent != NONE && !is_ancestor(t, node, parent))
        set_parent(t, node, parent);
}

static size_t count_ids(const struct thread_mail *mails, size_t n)
{
    size_t count = n;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < mails[i].references.len; k++)
            count += mails[i].references.ptr[k] == '>';
    return count;
}

static void link_all(struct tree *t, const struct thread_mail *mails, size_t n)
{
    struct names ids = { .hash = HASH_INIT, .items = mem_new_n(struct name, count_ids(mails, n) + 1) };

    for (size_t i = 0; i < n; i++)
        add_node(t, &mails[i]);
    for (size_t i = 0; i < n; i++) /* of two with one id, the first has it */
        if (mails[i].id.len > 0 && !name_find(&ids, mails[i].id))
            name_add(&ids, mails[i].id, (uint32_t)i);
    for (size_t i = 0; i < n; i++)
        link_mail(t, &ids, (uint32_t)i);
    names_done(&ids);
}

/*
 * Steps 2 and 3: the nearest message above, or the topmost dummy, with the way shortened for those that
 * come after. A dummy with one child is nothing; it gives its place to the child.
 */
static void prune(struct tree *t, size_t n)
{
    for (size_t i = 0; i < t->len; i++)
        t->nodes[i].links = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t top = t->nodes[i].parent, step = top;

        while (top != NONE && !t->nodes[top].mail && t->nodes[top].parent != NONE)
            top = t->nodes[top].parent;
        while (step != top && step != NONE) {
            uint32_t above = t->nodes[step].parent;

            t->nodes[step].parent = top;
            step = above;
        }
        t->nodes[i].parent = top;
        if (top != NONE)
            t->nodes[top].links++;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t parent = t->nodes[i].parent;

        if (parent != NONE && !t->nodes[parent].mail && t->nodes[parent].links == 1)
            t->nodes[i].parent = NONE;
    }
}

/* The message that stands for a root: itself, or a dummy's first child */
static const struct thread_mail *head_of(const struct tree *t, uint32_t root)
{
    return t->nodes[root].mail ? t->nodes[root].mail : t->nodes[t->nodes[root].first_child].mail;
}

/* Step 5B: which root has a subject to itself */
static void note_subject(const struct tree *t, struct names *subjects, uint32_t root)
{
    const struct thread_mail *head = head_of(t, root);
    struct name *known;

    if (head->subject.len == 0)
        return;
    known = name_find(subjects, head->subject);
    if (!known)
        name_add(subjects, head->subject, root);
    else if (t->nodes[known->is].mail &&
             (!t->nodes[root].mail || (t->nodes[known->is].mail->is_reply && !head->is_reply)))
        known->is = root;
}

/* Step 5C: put a root under, or beside, the one that has its subject. */
static void merge(struct tree *t, struct name *subject, uint32_t root)
{
    uint32_t other = subject->is;

    if (!t->nodes[other].mail && !t->nodes[root].mail) {
        for (uint32_t c = t->nodes[root].first_child; c != NONE; c = t->nodes[c].next)
            t->nodes[c].parent = other;
    } else if (!t->nodes[other].mail ||
               (t->nodes[root].mail->is_reply && !t->nodes[other].mail->is_reply)) {
        t->nodes[root].parent = other;
    } else {
        subject->is = add_node(t, NULL);
        t->nodes[root].parent = t->nodes[other].parent = subject->is;
    }
}

static void merge_subjects(struct tree *t, size_t n)
{
    struct names subjects = { .hash = HASH_INIT, .items = mem_new_n(struct name, n + 1) };

    for (uint32_t root = t->first_root; root != NONE; root = t->nodes[root].next)
        note_subject(t, &subjects, root);
    for (uint32_t root = t->first_root; root != NONE; root = t->nodes[root].next) {
        const struct thread_mail *head = head_of(t, root);
        struct name *subject = head->subject.len > 0 ? name_find(&subjects, head->subject) : NULL;

        if (subject && subject->is != root && t->nodes[root].parent == NONE)
            merge(t, subject, root);
    }
    names_done(&subjects);
}

void thread_references(const struct thread_mail *mails, size_t n, struct str *ret)
{
    struct tree t = { 0 };

    assert(n < NONE / 2);
    link_all(&t, mails, n);
    prune(&t, n);
    _cleanup_free_ struct order *order = order_by_date(&t, n);
    tree_arrange(&t, order, n);
    merge_subjects(&t, n);
    tree_arrange(&t, order, n);
    tree_print(&t, ret);
    free(t.nodes);
}
