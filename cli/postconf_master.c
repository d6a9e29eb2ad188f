/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_master.c - entries of master.cf, their fields and their -o settings: show
 *
 * An operand is "service/type/part"; a part that is left out or "*" means all.
 *
 * Runs in: postconf.
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/postconf_master.h"
#include "conf/internal.h"

enum { FILE_MAX = 4 << 20 };

static bool matches(struct span wanted, const char *name)
{
    return wanted.len == 0 || span_eq_str(wanted, "*") || span_eq_str(wanted, name);
}

bool master_request_matches(const struct master_request *r, const struct master_entry *e)
{
    return matches(r->service, e->fields[MASTER_SERVICE]) &&
           matches(r->type, e->fields[MASTER_TYPE]);
}

size_t master_field_index(struct span name)
{
    size_t i = 0;

    while (i < MASTER_FIELDS && !span_eq_str(name, master_field_names[i]))
        i++;
    return i;
}

static int refuse(struct str *err, const char *why, const char *operand)
{
    str_reset(err);
    str_addf(err, "%s: \"%s\"", why, operand);
    return -EINVAL;
}

int master_request_parse(const struct postconf *p, const char *operand, struct master_request *ret,
                         struct str *err)
{
    struct master_request r = { .value = span_of(operand) };
    struct span where = r.value;

    if (strpbrk(operand, "\r\n"))
        return refuse(err, "an operand holds no line break", operand);
    if (p->action == EDIT_SET) {
        if (!strchr(operand, '='))
            return refuse(err, "missing '=' after attribute name", operand);
        where = span_trim(span_cut(&r.value, '='));
        r.value = span_trim(r.value);
    }
    r.service = span_cut(&where, '/');
    r.type = span_cut(&where, '/');
    r.part = where;
    if (p->subject == ABOUT_ENTRIES && r.part.len > 0)
        return refuse(err, "-M option requires service_name[/type]", operand);
    if (p->subject == ABOUT_FIELDS && r.part.len > 0 && !span_eq_str(r.part, "*") &&
        master_field_index(r.part) == MASTER_FIELDS)
        return refuse(err, "invalid service attribute name", operand);
    *ret = r;
    return 0;
}

int master_text_load(const char *dir, struct master_text *ret, struct str *err)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;

    str_addf(&path, "%s/master.cf", dir);
    int r = conf_read_file(str_cstr(&path), FILE_MAX, &text);
    if (r < 0) {
        str_reset(err);
        str_addf(err, "open %s: %s", str_cstr(&path), strerror(-r));
        return r;
    }
    return master_text_parse(str_span(&text), str_cstr(&path), ret, err);
}

/* ---- show ---- */

static void entry_name(const struct master_entry *e, const char *part, struct str *ret)
{
    str_reset(ret);
    str_addf(ret, "%s/%s", e->fields[MASTER_SERVICE], e->fields[MASTER_TYPE]);
    if (part)
        str_addf(ret, "/%s", part);
}

static size_t show_entry(struct postconf *p, const struct master_request *r,
                         const struct master_entry *e)
{
    _cleanup_(str_free) struct str out = STR_INIT, name = STR_INIT;

    (void)r;
    master_entry_print(e, p->fold && !p->json ? MASTER_FOLDED : MASTER_ONE_LINE, &out);
    if (p->json) {
        entry_name(e, NULL, &name);
        postconf_print(p, str_cstr(&name), str_span(&out));
    } else {
        puts(str_cstr(&out));
    }
    return 1;
}

static size_t show_fields(struct postconf *p, const struct master_request *r,
                          const struct master_entry *e)
{
    _cleanup_(str_free) struct str name = STR_INIT, value = STR_INIT;
    size_t shown = 0;

    for (size_t i = 0; i < MASTER_FIELDS; i++) {
        if (!matches(r->part, master_field_names[i]))
            continue;
        str_reset(&value);
        if (i == MASTER_COMMAND)
            master_entry_command(e, &value);
        else
            str_add_str(&value, e->fields[i]);
        entry_name(e, master_field_names[i], &name);
        postconf_print(p, str_cstr(&name), str_span(&value));
        shown++;
    }
    return shown;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **master_option_names(const struct master_entry *e)
{
    char **names = mem_new_n(char *, e->n_args + 1);
    size_t n = 0, kept = 0;

    for (size_t i = 0; i + 1 < e->n_args; i++) {
        if (strcmp(e->args[i], "-o") != 0)
            continue;
        struct span setting = span_of(e->args[++i]);

        names[n++] = mem_dup_span(span_cut(&setting, '='));
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    }
    names[kept] = NULL;
    return names;
}

/* For -x: what a server started by this entry would see, its own -o settings and $service_name
 * included. */
static struct conf *settings_of(const struct postconf *p, const struct master_entry *e)
{
    struct postconf own = *p;
    _cleanup_(str_free) struct str text = STR_INIT, err = STR_INIT;

    postconf_load(&own);
    str_addf(&text, "service_name=%s", e->fields[MASTER_SERVICE]);
    if (conf_override(own.conf, str_span(&text), &err) < 0)
        log_fatal("%s", str_cstr(&err));
    for (size_t i = 0; i + 1 < e->n_args; i++)
        if (strcmp(e->args[i], "-o") == 0 &&
            conf_override(own.conf, span_of(e->args[++i]), &err) < 0)
            log_fatal("%s", str_cstr(&err));
    return own.conf;
}

static size_t show_options(struct postconf *p, const struct master_request *r,
                           const struct master_entry *e)
{
    _cleanup_(str_free) struct str full = STR_INIT, value = STR_INIT;
    _cleanup_(conf_free_ptr_) struct conf *own = p->expand ? settings_of(p, e) : NULL;
    _cleanup_free_ char **names = master_option_names(e);
    struct postconf within = *p;
    size_t shown = 0;

    within.conf = own;
    for (char **name = names; *name; name++) {
        const char *raw = master_entry_option(e, span_of(*name));

        if (raw && matches(r->part, *name)) {
            postconf_value(&within, raw, &value);
            entry_name(e, *name, &full);
            postconf_print(p, str_cstr(&full), str_span(&value));
            shown++;
        }
        free(*name);
    }
    return shown;
}

typedef size_t show_fn(struct postconf *p, const struct master_request *r,
                       const struct master_entry *e);

static show_fn *show_function(enum postconf_subject subject)
{
    return subject == ABOUT_FIELDS    ? show_fields
           : subject == ABOUT_OPTIONS ? show_options
                                      : show_entry;
}

static void show_request(struct postconf *p, const struct master_text *m, const char *operand)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    show_fn *show = show_function(p->subject);
    struct master_request r;
    size_t shown = 0;

    if (master_request_parse(p, operand, &r, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    for (size_t i = 0; i < m->len; i++)
        if (master_request_matches(&r, &m->entries[i]))
            shown += show(p, &r, &m->entries[i]);
    if (shown == 0)
        log_warn("unmatched request: \"%s\"", operand);
}

int postconf_master_show(struct postconf *p)
{
    _cleanup_(master_text_done) struct master_text m = { 0 };
    static const struct master_request everything;

    _cleanup_(str_free) struct str err = STR_INIT;

    postconf_load(p);
    if (master_text_load(conf_directory(p->conf), &m, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    for (size_t i = 0; i < p->n_operands; i++)
        show_request(p, &m, p->operands[i]);
    for (size_t i = 0; p->n_operands == 0 && i < m.len; i++)
        show_function(p->subject)(p, &everything, &m.entries[i]);

    _cleanup_(postconf_names_free_ptr_) struct postconf_names *known = postconf_names_new(p);

    postconf_warn_unused(p, known);
    return 0;
}

