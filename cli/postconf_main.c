/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_main.c - parameters of main.cf: show and change
 *
 * Runs in: postconf.
 */
#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/postconf.h"
#include "conf/edit.h"

struct name_list {
    const char **names;
    size_t len, cap;
};

static void add_name(struct name_list *l, const char *name)
{
    MEM_GROW(l->names, l->len, l->cap);
    l->names[l->len++] = name;
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

static void sort_names(struct name_list *l)
{
    size_t n = 0;

    if (l->len == 0)
        return;
    qsort(l->names, l->len, sizeof *l->names, by_name);
    for (size_t i = 1; i < l->len; i++)
        if (strcmp(l->names[n], l->names[i]) != 0)
            l->names[++n] = l->names[i];
    l->len = n + 1;
}

/* ---- show ---- */

static void show_one(struct postconf *p, const char *name)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    const char *raw = conf_raw(p->conf, name);

    if (!raw) {
        log_warn("%s: unknown parameter", name);
        return;
    }
    postconf_value(p, raw, &value);
    postconf_print(p, name, str_span(&value));
}

struct collecting {
    const struct postconf_names *known;
    struct name_list *names;
};

static void collect_set(const char *name, const char *raw, void *arg)
{
    struct collecting *c = arg;

    (void)raw;
    if (postconf_is_known(c->known, name))
        add_name(c->names, name);
}

/* Everything, or with -n what main.cf sets; a setting that nobody reads is warned about instead. */
static void collect(struct postconf *p, const struct postconf_names *known, struct name_list *names)
{
    struct collecting c = { known, names };

    conf_foreach_set(p->conf, collect_set, &c);
    if (p->action == SHOW_SET) {
        if (getenv("MAIL_CONFIG"))
            add_name(names, "config_directory");
    } else {
        for (size_t i = 0; i < param_rows_len; i++)
            add_name(names, param_rows[i].name);
    }
    sort_names(names);
}

static void show_operands(struct postconf *p)
{
    for (size_t i = 0; i < p->n_operands; i++) {
        const char *name = p->operands[i];

        if (p->action != SHOW_SET || conf_is_set(p->conf, name))
            show_one(p, name);
        else if (!conf_raw(p->conf, name))
            log_warn("%s: unknown parameter", name);
    }
}

int postconf_main_show(struct postconf *p)
{
    struct name_list names = { 0 };

    postconf_load(p);
    _cleanup_(postconf_names_free_ptr_) struct postconf_names *known = postconf_names_new(p);

    if (p->n_operands > 0) {
        show_operands(p);
    } else {
        collect(p, known, &names);
        for (size_t i = 0; i < names.len; i++)
            show_one(p, names.names[i]);
    }
    free(names.names);
    if (p->action != SHOW_DEFAULTS)
        postconf_warn_unused(p, known);
    return 0;
}

/* ---- edit ---- */

static void check_name(struct span name, const char *operand)
{
    if (name.len == 0)
        log_fatal("missing attribute name: \"%s\"", operand);
    for (size_t i = 0; i < name.len; i++)
        if (!char_is(name.ptr[i], CHAR_ALNUM) && !strchr("_-.", name.ptr[i]))
            log_fatal("bad parameter name: \"%s\"", operand);
}

static struct conf_change parse_change(const struct postconf *p, const char *operand)
{
    struct conf_change c = { .op = CONF_SET, .value = span_of(operand) };

    if (strpbrk(operand, "\r\n"))
        log_fatal("-e, -X and -# accept no line breaks: \"%s\"", operand);
    if (p->action == EDIT_SET) {
        if (!strchr(operand, '='))
            log_fatal("missing '=' after attribute name: \"%s\"", operand);
        c.name = span_trim(span_cut(&c.value, '='));
        c.value = span_trim(c.value);
    } else {
        c.op = p->action == EDIT_COMMENT ? CONF_COMMENT : CONF_REMOVE;
        c.name = span_trim(c.value);
        c.value = SPAN_NULL;
    }
    check_name(c.name, operand);
    return c;
}

int postconf_main_edit(struct postconf *p)
{
    _cleanup_free_ struct conf_change *changes = mem_new_n(struct conf_change, p->n_operands + 1);
    _cleanup_(str_free) struct str out = STR_INIT, err = STR_INIT;
    struct conf_edit edit;

    if (p->n_operands == 0)
        log_fatal("-e, -X and -# need a parameter name");
    for (size_t i = 0; i < p->n_operands; i++)
        changes[i] = parse_change(p, p->operands[i]);
    p->conf = conf_new(p->config_dir);
    if (conf_edit_begin(conf_directory(p->conf), "main.cf", &edit, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    conf_edit_main(str_span(&edit.text), changes, p->n_operands, &out);
    if (conf_edit_commit(&edit, str_span(&out), &err) < 0)
        log_fatal("%s", str_cstr(&err));
    conf_edit_done(&edit);
    return 0;
}
