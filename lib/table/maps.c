/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.c - lists of tables, and the search for an address in them
 *
 * Runs in: every program that reads tables; addresses are hostile.
 */
#include "table/table.h"

#include "base/chars.h"
#include "base/mem.h"
#include "table/lines.h"

struct maps {
    struct table **tables;
    size_t len, cap;
};

int maps_open(const char *list, struct maps **ret, struct str *err)
{
    _cleanup_(maps_free_ptr_) struct maps *m = mem_new(struct maps);
    struct span rest = span_of(list), word;

    while (lines_list_word(&rest, &word)) {
        struct table *t;
        int r = table_open(word, &t, err);

        if (r < 0)
            return r;
        MEM_GROW(m->tables, m->len, m->cap);
        m->tables[m->len++] = t;
    }
    *ret = TAKE_PTR(m);
    return 0;
}

int maps_open_named(const char *parameter, const char *list, struct maps **ret, struct str *err)
{
    _cleanup_(str_free) struct str why = STR_INIT;

    *ret = NULL;
    int r = *list ? maps_open(list, ret, &why) : 0;
    if (r < 0) {
        conf_blame(parameter, err);
        str_add(err, str_span(&why));
    }
    return r;
}

int maps_open_settings(const struct maps_setting *settings, size_t n, struct str *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = maps_open_named(settings[i].name, settings[i].list, settings[i].ret, err);
    return r;
}

void maps_free(struct maps *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->len; i++)
        table_free(m->tables[i]);
    free(m->tables);
    free(m);
}

char *maps_path(const char *list, const char *type)
{
    struct span rest = span_of(list), word;

    while (span_word(&rest, " \t\r\n,", &word)) {
        struct span path = word;
        if (span_eq_str(span_cut(&path, ':'), type))
            return mem_dup_span(path);
    }
    return NULL;
}

bool maps_empty(const struct maps *m)
{
    return !m || m->len == 0;
}

int maps_get(struct maps *m, struct span key, struct str *value)
{
    for (size_t i = 0; m && i < m->len; i++) {
        int r = table_get(m->tables[i], key, value);

        if (r != 0)
            return r;
    }
    return 0;
}

/* A key that is a part of what is looked for: a pattern meant for the whole must not see it. */
static int get_part(struct maps *m, struct span key, struct str *value)
{
    for (size_t i = 0; i < m->len; i++) {
        int r = table_is_pattern(m->tables[i]) ? 0 : table_get(m->tables[i], key, value);

        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- addresses ---- */

static const char *const never_split[] = {"mailer-daemon", "postmaster", "double-bounce"};

/* owner-list and list-request are addresses of lists, not of extensions */
static bool is_list_helper(struct span local, char delimiter)
{
    return delimiter == '-' && (span_starts_nocase(local, span_of("owner-")) ||
                                span_ends_nocase(local, span_of("-request")));
}

/* How many bytes of local are the user; all of them when there is no extension. */
static size_t user_length(struct span local, const char *delimiters)
{
    for (size_t i = 0; i < ARRAY_LEN(never_split); i++)
        if (span_eq_nocase_str(local, never_split[i]))
            return local.len;
    for (size_t i = 1; i < local.len; i++)
        if (local.ptr[i] != '\0' && strchr(delimiters, local.ptr[i]))
            return is_list_helper(local, local.ptr[i]) ? local.len : i;
    return local.len;
}

/* RFC 5322 dot-atom, or UTF-8 in its place (RFC 6531) */
static bool is_dot_atom(struct span s)
{
    bool dot = true;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' ? dot : !char_is(s.ptr[i], CHAR_ATEXT | CHAR_HIGH))
            return false;
        dot = s.ptr[i] == '.';
    }
    return !dot;
}

static void add_quoted(struct str *s, struct span local)
{
    str_add_char(s, '"');
    for (size_t i = 0; i < local.len; i++) {
        if (local.ptr[i] == '"' || local.ptr[i] == '\\')
            str_add_char(s, '\\');
        str_add_char(s, local.ptr[i]);
    }
    str_add_char(s, '"');
}

struct search {
    struct maps *maps;
    int (*get)(struct maps *m, struct span key, struct str *value);
    struct span at_domain; /* with its '@'; empty: none */
    struct str key;        /* scratch */
    struct str *value;
};

/* local, with or without the domain: as RFC 5321 quotes it, which is how tables are written, then
 * bare */
static int get_local(struct search *s, struct span local, struct span at_domain)
{
    if (!is_dot_atom(local)) {
        str_reset(&s->key);
        add_quoted(&s->key, local);
        str_add(&s->key, at_domain);
        int r = s->get(s->maps, str_span(&s->key), s->value);

        if (r != 0)
            return r;
    }
    str_set(&s->key, local);
    str_add(&s->key, at_domain);
    return s->get(s->maps, str_span(&s->key), s->value);
}

/* First with the extension, then without; *cut is set when it was found without. */
static int get_user(struct search *s, struct span local, size_t user, struct span at_domain,
                    bool *cut)
{
    int r = get_local(s, local, at_domain);

    s->get = get_part;
    if (r != 0 || user == local.len)
        return r;
    r = get_local(s, span_first(local, user), at_domain);
    *cut = r > 0;
    return r;
}

/* "domain", then ".parent" for each parent */
static int get_domain(struct search *s)
{
    struct span rest = span_from(s->at_domain, 1);
    int r = get_part(s->maps, rest, s->value);
    ptrdiff_t dot;

    while (r == 0 && (dot = span_chr(span_from(rest, 1), '.')) >= 0) {
        rest = span_from(rest, (size_t)dot + 1);
        if (rest.len > 1)
            r = get_part(s->maps, rest, s->value);
    }
    return r;
}

int maps_get_address(struct maps *m, struct span address, const char *delimiters, unsigned forms,
                     struct str *value, struct str *ext)
{
    ptrdiff_t at = span_rchr(address, '@');
    struct span local = at < 0 ? address : span_first(address, (size_t)at);
    struct span at_domain = at < 0 ? SPAN_NULL : span_from(address, (size_t)at);
    size_t user = user_length(local, delimiters);
    struct search s = {.maps = m, .get = maps_get, .at_domain = at_domain, .value = value};
    bool cut = false;
    int r = 0;

    str_reset(value);
    if (ext)
        str_reset(ext);
    if (maps_empty(m))
        return 0;
    if (forms & MAPS_FULL)
        r = get_user(&s, local, user, at_domain, &cut);
    if (r == 0 && (forms & MAPS_LOCALPART) && (at_domain.len > 0 || !(forms & MAPS_FULL))) {
        s.get = get_part;
        r = get_user(&s, local, user, SPAN_NULL, &cut);
    }
    if (r == 0 && (forms & MAPS_AT_DOMAIN) && at_domain.len > 1)
        r = get_part(m, at_domain, value);
    if (r == 0 && (forms & MAPS_DOMAIN) && at_domain.len > 1)
        r = get_domain(&s);
    if (cut && ext)
        str_add(ext, span_from(local, user));
    str_free(&s.key);
    return r;
}
