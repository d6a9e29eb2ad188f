/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served.c - the tables that callers may ask, and what they are answered
 *
 * Runs in: proxymap. Table names and keys come from processes that talk to strangers:
 * only a name that stands in the list word for word is looked at.
 */
#include "base/mem.h"
#include "proxymap/proxymap.h"
#include "table/lines.h"

enum { ANSWER_VALUE_MAX = 65536 };  /* as map_answer says */

static struct served_table *find(const struct served *s, struct span name)
{
    for (size_t i = 0; i < s->len; i++)
        if (span_eq_str(name, s->items[i].name))
            return &s->items[i];
    return NULL;
}

static void add(struct served *s, struct span name, void (*failed)(const char *text))
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct served_table item = { .name = mem_dup_span(name) };

    if (table_open(name, &item.table, &err) < 0)
        failed(str_cstr(&err));
    MEM_GROW(s->items, s->len, s->cap);
    s->items[s->len++] = item;
}

void served_open(struct served *s, const char *list, void (*failed)(const char *text))
{
    struct span rest = span_of(list), word;

    while (lines_list_word(&rest, &word))
        if (span_take_nocase(&word, "proxy:") && !find(s, word))
            add(s, word, failed);
}

void served_done(struct served *s)
{
    for (size_t i = 0; i < s->len; i++) {
        table_free(s->items[i].table);
        free(s->items[i].name);
    }
    free(s->items);
}

static enum map_status status_of(int r, const struct str *value)
{
    if (r == 0)
        return MAP_NOT_FOUND;
    return r > 0 && value->len <= ANSWER_VALUE_MAX ? MAP_FOUND : MAP_TEMPORARY;
}

void served_answer(struct served *s, const struct map_query *query, struct map_answer *answer)
{
    struct served_table *item = find(s, str_span(&query->table));

    if (!item)
        answer->status = MAP_REFUSED;
    else if (!item->table)
        answer->status = MAP_TEMPORARY;
    else
        answer->status = status_of(table_get(item->table, str_span(&query->key), &answer->value),
                                   &answer->value);
    if (answer->status != MAP_FOUND)
        str_reset(&answer->value);
}
