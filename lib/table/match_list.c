/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match_list.c - lists of names, addresses and networks
 *
 * The first item that matches decides; "!item" decides for "no". "/file" stands for the
 * items in that file, read once when the list is opened.
 *
 * Runs in: every program that has such a parameter; what is matched is hostile.
 */
#include <errno.h>

#include "base/mem.h"
#include "table/cidr.h"
#include "table/lines.h"
#include "table/table.h"
#include "table/type.h"

enum {
    FILE_NESTING_MAX = 10, /* a file that names a file */
    FILE_BYTES_MAX = 16 << 20,
};

enum item_type { ITEM_TEXT, ITEM_TABLE, ITEM_NETWORK };

struct item {
    enum item_type type;
    bool negate;
    char *text;
    struct table *table;
    struct cidr network;
};

struct match_list {
    enum match_kind kind;
    struct item *items;
    size_t len, cap;
};

void match_list_free(struct match_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->len; i++) {
        free(l->items[i].text);
        table_free(l->items[i].table);
    }
    free(l->items);
    free(l);
}

/* ---- opening ---- */

static int add_items(struct match_list *l, struct span list, bool negate, int depth,
                     struct str *err);

static int add_file(struct match_list *l, struct span name, bool negate, int depth, struct str *err)
{
    _cleanup_free_ char *path = mem_dup_span(name);
    _cleanup_(str_free) struct str text = STR_INIT;
    struct span line;

    if (depth == FILE_NESTING_MAX) {
        str_reset(err);
        str_addf(err, "%s: more than %d files within files", path, FILE_NESTING_MAX);
        return -ELOOP;
    }
    int r = lines_read_file(path, FILE_BYTES_MAX, &text, err);
    if (r < 0)
        return r;
    _cleanup_(lines_done) struct lines lines = LINES_INIT(str_span(&text));

    while (lines_next(&lines, &line)) {
        r = add_items(l, line, negate, depth + 1, err);
        if (r < 0) {
            _cleanup_(str_free) struct str why = STR_INIT;

            str_set(&why, str_span(err));
            return lines_error(err, path, lines.number, "%s", str_cstr(&why));
        }
    }
    return 0;
}

/* In a list of clients an item is a network if it looks like one; else it is a host name. */
static int parse_network(struct item *item, struct span word, struct str *err)
{
    if (!cidr_parse_address(word, &item->network) && word.ptr[0] != '[' && span_chr(word, '/') < 0)
        return 0;
    str_reset(err);
    int r = cidr_parse(word, &item->network, err);
    if (r == 0)
        item->type = ITEM_NETWORK;
    return r;
}

/* "[2001:db8::]/32" is no table although it holds a colon. */
static int parse_item(enum match_kind kind, struct item *item, struct span word, struct str *err)
{
    item->text = mem_dup_span(word);
    if (kind == MATCH_HOST_ADDR && word.ptr[0] == '[')
        return parse_network(item, word, err);
    if (span_chr(word, ':') >= 0 && word.ptr[0] != '[') {
        item->type = ITEM_TABLE;
        return table_open(word, &item->table, err);
    }
    return kind == MATCH_HOST_ADDR ? parse_network(item, word, err) : 0;
}

static int add_item(struct match_list *l, struct span word, bool negate, int depth, struct str *err)
{
    while (span_take(&word, '!'))
        negate = !negate;
    if (word.len == 0 || memchr(word.ptr, '\0', word.len)) {
        str_reset(err);
        str_add_str(err, "nothing behind '!'");
        return -EINVAL;
    }
    if (word.ptr[0] == '/')
        return add_file(l, word, negate, depth, err);
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len] = (struct item){.type = ITEM_TEXT, .negate = negate};
    return parse_item(l->kind, &l->items[l->len++], word, err);
}

static int add_items(struct match_list *l, struct span list, bool negate, int depth,
                     struct str *err)
{
    struct span word;

    while (lines_list_word(&list, &word)) {
        int r = add_item(l, word, negate, depth, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int match_list_open(const char *list, enum match_kind kind, struct match_list **ret,
                    struct str *err)
{
    _cleanup_(match_list_free_ptr_) struct match_list *l = mem_new(struct match_list);

    l->kind = kind;
    int r = add_items(l, span_of(list), false, 0, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

int match_list_open_named(const char *parameter, const char *list, enum match_kind kind, struct match_list **ret,
                          struct str *err)
{
    _cleanup_(str_free) struct str why = STR_INIT;
    int r = match_list_open(list, kind, ret, &why);

    if (r < 0) {
        conf_blame(parameter, err);
        str_add(err, str_span(&why));
    }
    return r;
}

int match_list_open_settings(const struct match_setting *settings, size_t n, struct str *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = match_list_open_named(settings[i].name, settings[i].list, settings[i].kind, settings[i].ret, err);
    return r;
}

/* ---- matching ---- */

struct subject {
    struct span name;    /* or the text of the other kinds; empty: none */
    struct span address; /* HOST_ADDR */
    bool has_address;
    struct cidr parsed;
    struct str value; /* scratch */
};

/* "example.com" also means what is below it; ".example.com" always only that. */
static bool name_within(struct span name, const char *pattern)
{
    size_t n = strlen(pattern);

    if (name.len <= n)
        return span_eq_nocase_str(name, pattern);
    struct span tail = span_from(name, name.len - n);

    return span_eq_nocase_str(tail, pattern) &&
           (pattern[0] == '.' || name.ptr[name.len - n - 1] == '.');
}

/* user@domain; @domain and domain for every user of it */
static bool address_matches(struct span address, const char *pattern)
{
    const char *domain = pattern[0] == '@' ? pattern + 1 : pattern;
    ptrdiff_t at = span_rchr(address, '@');

    if (span_eq_nocase_str(address, pattern))
        return true;
    return at >= 0 && span_eq_nocase_str(span_from(address, (size_t)at + 1), domain);
}

static bool text_matches(enum match_kind kind, const char *pattern, const struct subject *s)
{
    switch (kind) {
    case MATCH_DOMAIN:
        return span_eq_nocase_str(s->name, pattern);
    case MATCH_DOMAIN_PARENTS:
    case MATCH_HOST_ADDR:
        return s->name.len > 0 && name_within(s->name, pattern);
    case MATCH_ADDRESS:
        return address_matches(s->name, pattern);
    }
    return false;
}

/* The name, then its parent domains */
static int table_has_name(struct table *t, struct subject *s)
{
    struct span rest = s->name;
    ptrdiff_t dot;
    int r = table_get(t, rest, &s->value);

    if (table_is_pattern(t))
        return r;
    while (r == 0 && (dot = span_chr(rest, '.')) >= 0) {
        rest = span_from(rest, (size_t)dot + 1);
        r = table_get(t, rest, &s->value);
    }
    return r;
}

static int table_has_address(struct table *t, struct subject *s)
{
    ptrdiff_t at = span_rchr(s->name, '@');
    int r = table_get(t, s->name, &s->value);

    if (r != 0 || at < 0 || table_is_pattern(t))
        return r;
    return table_get(t, span_from(s->name, (size_t)at), &s->value);
}

static int table_matches(enum match_kind kind, struct table *t, struct subject *s)
{
    int r = 0;

    switch (kind) {
    case MATCH_DOMAIN:
        return table_get(t, s->name, &s->value);
    case MATCH_DOMAIN_PARENTS:
        return table_has_name(t, s);
    case MATCH_ADDRESS:
        return table_has_address(t, s);
    case MATCH_HOST_ADDR:
        if (s->name.len > 0)
            r = table_has_name(t, s);
        if (r == 0 && s->has_address)
            r = table_get(t, s->address, &s->value);
        return r;
    }
    return 0;
}

static int item_matches(const struct match_list *l, const struct item *item, struct subject *s)
{
    switch (item->type) {
    case ITEM_TEXT:
        return text_matches(l->kind, item->text, s);
    case ITEM_TABLE:
        return table_matches(l->kind, item->table, s);
    case ITEM_NETWORK:
        return s->has_address && cidr_has(&item->network, &s->parsed);
    }
    return 0;
}

static int match(struct match_list *l, struct subject *s)
{
    int r = 0;

    for (size_t i = 0; i < l->len && r == 0; i++) {
        r = item_matches(l, &l->items[i], s);
        if (r > 0 && l->items[i].negate)
            r = 0, i = l->len;
    }
    str_free(&s->value);
    return r > 0 ? 1 : r;
}

int match_list_has_client(struct match_list *l, struct span name, struct span addr)
{
    struct subject s = {.name = name, .address = addr};

    if (span_eq_nocase_str(name, "unknown"))
        s.name = SPAN_NULL;
    s.has_address = cidr_parse_address(addr, &s.parsed);
    return match(l, &s);
}

int match_list_has(struct match_list *l, struct span text)
{
    struct subject s = {.name = text};

    if (l->kind == MATCH_HOST_ADDR && cidr_parse_address(text, &s.parsed))
        return match_list_has_client(l, SPAN_NULL, text);
    return match(l, &s);
}
