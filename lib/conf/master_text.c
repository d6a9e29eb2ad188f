/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master_text.c - entries of master.cf as words
 *
 * Runs in: postconf; on the administrator's text. Logs nothing.
 */
#include "conf/master_text.h"

#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "conf/internal.h"

enum { LINE_WIDTH = 80, INDENT = 4 };

static const char blanks[] = " \t\r\n";

const char *const master_field_names[MASTER_FIELDS] = {
    "service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command",
};

static const size_t columns[MASTER_FIELDS] = { 0, 11, 17, 25, 33, 41, 49, 57 };

/* ---- words ---- */

static void insert_arg(struct master_entry *e, size_t at, struct span word)
{
    MEM_GROW(e->args, e->n_args, e->cap_args);
    memmove(&e->args[at + 1], &e->args[at], (e->n_args - at) * sizeof e->args[0]);
    e->args[at] = mem_dup_span(word);
    e->n_args++;
}

static void remove_arg(struct master_entry *e, size_t at)
{
    free(e->args[at]);
    e->n_args--;
    memmove(&e->args[at], &e->args[at + 1], (e->n_args - at) * sizeof e->args[0]);
}

/* "name = value" becomes "name=value" */
static void add_setting(struct master_entry *e, struct span word)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct span value = word;
    struct span name = span_cut(&value, '=');

    str_add(&text, span_trim(name));
    if (name.len < word.len) {
        str_add_char(&text, '=');
        str_add(&text, span_trim(value));
    }
    insert_arg(e, e->n_args, str_span(&text));
}

static void parse_args(struct master_entry *e, struct span rest)
{
    struct span word;
    bool setting = false;

    while (span_word(&rest, blanks, &word)) {
        if (setting) {
            add_setting(e, word);
            setting = false;
        } else if (word.len > 2 && span_starts(word, span_of("-o"))) {
            insert_arg(e, e->n_args, span_of("-o"));
            add_setting(e, span_from(word, 2));
        } else {
            setting = span_eq_str(word, "-o");
            insert_arg(e, e->n_args, word);
        }
    }
}

int master_entry_parse(struct span line, struct master_entry *ret)
{
    struct span words[MASTER_FIELDS];

    for (size_t i = 0; i < MASTER_FIELDS; i++)
        if (!span_word(&line, blanks, &words[i]))
            return -EINVAL;
    *ret = (struct master_entry){ .args = NULL };
    for (size_t i = 0; i < MASTER_FIELDS; i++)
        ret->fields[i] = mem_dup_span(words[i]);
    parse_args(ret, line);
    return 0;
}

void master_entry_done(struct master_entry *e)
{
    for (size_t i = 0; i < MASTER_FIELDS; i++)
        free(e->fields[i]);
    for (size_t i = 0; i < e->n_args; i++)
        free(e->args[i]);
    free(e->args);
}

int master_text_parse(struct span text, const char *path, struct master_text *ret, struct str *err)
{
    _cleanup_(master_text_done) struct master_text m = { 0 };
    _cleanup_(str_free) struct str line = STR_INIT;
    struct conf_lines lines = { text, 0 };
    int number = 0;

    while (conf_next_line(&lines, &line, &number)) {
        MEM_GROW(m.entries, m.len, m.cap);
        if (master_entry_parse(str_span(&line), &m.entries[m.len]) < 0) {
            str_addf(err, "%s, line %d: expected eight fields: service type private unprivileged "
                          "chroot wakeup maxproc command", path, number);
            return -EINVAL;
        }
        m.len++;
    }
    *ret = TAKE(m, ((struct master_text){ 0 }));
    return 0;
}

void master_text_done(struct master_text *m)
{
    for (size_t i = 0; i < m->len; i++)
        master_entry_done(&m->entries[i]);
    free(m->entries);
}

/* ---- layout ---- */

/* In braces when it would not come back as one word. */
static void add_word(struct str *out, const char *word)
{
    struct span s = span_of(word), first;
    bool whole = span_word(&s, blanks, &first) && first.len == strlen(word);

    str_addf(out, whole ? "%s" : "{%s}", word);
}

static bool is_setting(const struct master_entry *e, size_t i)
{
    return strcmp(e->args[i], "-o") == 0 && i + 1 < e->n_args;
}

static void add_break(struct str *out, size_t *line_from)
{
    str_add_char(out, '\n');
    *line_from = out->len;
    str_addf(out, "%*s", INDENT, "");
}

static void print_args(const struct master_entry *e, enum master_layout layout, size_t line_from,
                       struct str *out)
{
    bool after_setting = false;

    for (size_t i = 0; i < e->n_args; i++) {
        bool setting = is_setting(e, i);
        bool full = out->len - line_from + 1 + strlen(e->args[i]) >= LINE_WIDTH;

        if (layout == MASTER_FOLDED && (setting || after_setting || full))
            add_break(out, &line_from);
        else
            str_add_char(out, ' ');
        if (setting) {
            str_add_str(out, "-o ");
            i++;
        }
        add_word(out, e->args[i]);
        after_setting = setting;
    }
}

void master_entry_print(const struct master_entry *e, enum master_layout layout, struct str *out)
{
    size_t from = out->len;

    for (size_t i = 0; i < MASTER_FIELDS; i++) {
        size_t at = out->len - from;

        if (i > 0)
            str_addf(out, "%*s", at < columns[i] ? (int)(columns[i] - at) : 1, "");
        add_word(out, e->fields[i]);
    }
    print_args(e, layout, from, out);
}

void master_entry_command(const struct master_entry *e, struct str *out)
{
    add_word(out, e->fields[MASTER_COMMAND]);
    print_args(e, MASTER_ONE_LINE, out->len, out);
}

/* ---- changes ---- */

void master_entry_set_field(struct master_entry *e, enum master_field field, struct span value)
{
    free(e->fields[field]);
    e->fields[field] = mem_dup_span(value);
}

int master_entry_set_command(struct master_entry *e, struct span command)
{
    struct span program;

    if (!span_word(&command, blanks, &program))
        return -EINVAL;
    master_entry_set_field(e, MASTER_COMMAND, program);
    while (e->n_args > 0)
        remove_arg(e, e->n_args - 1);
    parse_args(e, command);
    return 0;
}

/* Index of the "-o" before the last "name=...", or -1 */
static ptrdiff_t find_option(const struct master_entry *e, struct span name)
{
    ptrdiff_t found = -1;

    for (size_t i = 0; i < e->n_args; i++) {
        if (!is_setting(e, i))
            continue;
        struct span setting = span_of(e->args[i + 1]);

        if (span_eq(span_cut(&setting, '='), name))
            found = (ptrdiff_t)i;
        i++;
    }
    return found;
}

const char *master_entry_option(const struct master_entry *e, struct span name)
{
    ptrdiff_t at = find_option(e, name);
    const char *equals = at < 0 ? NULL : strchr(e->args[at + 1], '=');

    return equals ? equals + 1 : NULL;
}

static size_t behind_last_option(const struct master_entry *e)
{
    size_t at = 0;

    for (size_t i = 0; i < e->n_args; i++) {
        if (is_setting(e, i)) {
            i++;
            at = i + 1;
        }
    }
    return at;
}

void master_entry_set_option(struct master_entry *e, struct span name, struct span value)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    ptrdiff_t at = find_option(e, name);

    str_add(&text, name);
    str_add_char(&text, '=');
    str_add(&text, value);
    if (at < 0) {
        size_t end = behind_last_option(e);

        insert_arg(e, end, span_of("-o"));
        insert_arg(e, end + 1, str_span(&text));
        return;
    }
    free(e->args[at + 1]);
    e->args[at + 1] = str_take(&text);
}

bool master_entry_remove_option(struct master_entry *e, struct span name)
{
    ptrdiff_t at;
    bool removed = false;

    while ((at = find_option(e, name)) >= 0) {
        remove_arg(e, (size_t)at + 1);
        remove_arg(e, (size_t)at);
        removed = true;
    }
    return removed;
}
