/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_check.c - which settings nobody reads, which $names have no value
 *
 * A name is known when it is a row of params.def, when it is made of a service's name
 * ("relay_destination_concurrency_limit"), or when the configuration refers to it.
 *
 * Runs in: postconf.
 */
#include "base/chars.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/postconf_master.h"

/* What may stand behind the name of a transport. */
static const char *const service_suffixes[] = {
    "_destination_concurrency_limit", "_destination_recipient_limit", "_destination_rate_delay",
    "_initial_destination_concurrency", "_recipient_limit", "_time_limit", "_transport_rate_delay",
};

/* Names that servers set themselves, for $name in values. */
static const char *const runtime_names[] = { "service_name", "process_name", "process_id",
                                             "stress" };

enum { TYPING_ERROR_MAX = 2 };      /* characters */

struct reference {
    struct hash_node node;
    char name[];
};

struct postconf_names {
    struct hash references;         /* $name anywhere */
    struct master_text master;
};

/* ---- references ---- */

typedef void reference_fn(struct span name, void *arg);

/*
 * Visit each $name, ${name} and $(name) of a value, also within ${name?{text}}. With only_plain,
 * names that are asked about (?, :) do not count, since they need not have a value.
 */
static void each_reference(const char *value, bool only_plain, reference_fn *fn, void *arg)
{
    struct span rest = span_of(value);
    ptrdiff_t at;

    while ((at = span_chr(rest, '$')) >= 0) {
        size_t n = 0;

        rest = span_from(rest, (size_t)at + 1);
        if (span_take(&rest, '$'))
            continue;
        if (!span_take(&rest, '{'))
            span_take(&rest, '(');
        while (n < rest.len && (char_is(rest.ptr[n], CHAR_ALNUM) || rest.ptr[n] == '_'))
            n++;
        struct span name = span_first(rest, n);

        rest = span_from(rest, n);
        bool asked = rest.len > 0 && (rest.ptr[0] == '?' || rest.ptr[0] == ':');
        if (n > 0 && !(only_plain && asked))
            fn(name, arg);
    }
}

static void remember(struct span name, void *arg)
{
    struct postconf_names *n = arg;

    if (hash_get(&n->references, name))
        return;
    struct reference *ref = mem_calloc(1, sizeof *ref + name.len + 1);

    memcpy(ref->name, name.ptr, name.len);
    ref->node.key = span_make(ref->name, name.len);
    hash_put(&n->references, &ref->node);
}

static void remember_value(const char *name, const char *raw, void *arg)
{
    (void)name;
    each_reference(raw, false, remember, arg);
}

struct postconf_names *postconf_names_new(struct postconf *p)
{
    struct postconf_names *n = mem_new(struct postconf_names);
    _cleanup_(str_free) struct str err = STR_INIT;

    conf_foreach_set(p->conf, remember_value, n);
    /* main.cf can be shown before there is a master.cf */
    if (master_text_load(conf_directory(p->conf), &n->master, &err) < 0)
        return n;
    for (size_t i = 0; i < n->master.len; i++)
        for (size_t a = 0; a < n->master.entries[i].n_args; a++)
            each_reference(n->master.entries[i].args[a], false, remember, n);
    return n;
}

void postconf_names_free(struct postconf_names *n)
{
    if (!n)
        return;
    for (struct hash_node *node = hash_next(&n->references, NULL); node;) {
        struct hash_node *next = hash_next(&n->references, node);

        free(HASH_ENTRY(node, struct reference, node));
        node = next;
    }
    hash_done(&n->references);
    master_text_done(&n->master);
    free(n);
}

/* "SERVICE_suffix" with a service of master.cf, or the name of a transport with '-' as '_' */
static bool belongs_to_service(const struct postconf_names *n, struct span name)
{
    for (size_t s = 0; s < ARRAY_LEN(service_suffixes); s++) {
        struct span suffix = span_of(service_suffixes[s]);

        if (name.len <= suffix.len || !span_ends_nocase(name, suffix))
            continue;
        for (size_t i = 0; i < n->master.len; i++)
            if (span_eq_str(span_first(name, name.len - suffix.len),
                            n->master.entries[i].fields[MASTER_SERVICE]))
                return true;
    }
    return false;
}

bool postconf_is_known(const struct postconf_names *n, const char *name)
{
    return param_find(name) || hash_get(&n->references, span_of(name)) ||
           belongs_to_service(n, span_of(name));
}

/* ---- warnings ---- */

struct check {
    const struct postconf *p;
    const struct postconf_names *known;
    const char *file;               /* "main.cf" */
    const struct master_entry *entry; /* the -o settings that count as well, or NULL */
};

static bool has_value(const struct check *c, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(runtime_names); i++)
        if (strcmp(runtime_names[i], name) == 0)
            return true;
    return conf_raw(c->p->conf, name) || (c->entry && master_entry_option(c->entry, span_of(name)));
}

static void warn_undefined(struct span name, void *arg)
{
    const struct check *c = arg;
    _cleanup_free_ char *text = mem_dup_span(name);

    if (!has_value(c, text))
        log_warn("%s/%s: undefined parameter: %s", conf_directory(c->p->conf), c->file, text);
}

static struct span first_word(const char *name)
{
    struct span rest = span_of(name);

    return span_cut(&rest, '_');
}

static bool begins_a_name(struct span word)
{
    for (size_t i = 0; i < param_rows_len; i++)
        if (span_eq(first_word(param_rows[i].name), word))
            return true;
    return false;
}

/* The parameter whose name is hardly another, or NULL. smtp_ is no typing error for smtpd_. */
static const char *meant_by(const char *name)
{
    const bool right_word = begins_a_name(first_word(name));
    size_t least = TYPING_ERROR_MAX + 1;
    const char *best = NULL;

    for (size_t i = 0; i < param_rows_len; i++) {
        size_t d = span_distance(span_of(name), span_of(param_rows[i].name));

        if (d < least && (!right_word || span_eq(first_word(name), first_word(param_rows[i].name)))) {
            least = d;
            best = param_rows[i].name;
        }
    }
    return best;
}

static void check_setting(const char *name, const char *raw, void *arg)
{
    struct check *c = arg;

    if (!postconf_is_known(c->known, name)) {
        const char *meant = meant_by(name);

        log_warn("%s/%s: unused parameter: %s=%s%s%s%s", conf_directory(c->p->conf), c->file, name, raw,
                 meant ? " (is " : "", meant ? meant : "", meant ? " meant?)" : "");
    } else {
        each_reference(raw, true, warn_undefined, c);
    }
}

static void check_entry(struct check *c, const struct master_entry *e)
{
    _cleanup_free_ char **names = master_option_names(e);

    c->entry = e;
    for (char **name = names; *name; name++) {
        const char *raw = master_entry_option(e, span_of(*name));

        if (raw)
            check_setting(*name, raw, c);
        free(*name);
    }
}

void postconf_warn_unused(struct postconf *p, const struct postconf_names *n)
{
    struct check c = { .p = p, .known = n, .file = "main.cf" };

    if (p->quiet)
        return;
    fflush(stdout);
    conf_foreach_set(p->conf, check_setting, &c);
    c.file = "master.cf";
    for (size_t i = 0; i < n->master.len; i++)
        check_entry(&c, &n->master.entries[i]);
}
