/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_master_edit.c - change entries of master.cf, their fields and their -o settings
 *
 * Operands are applied one after the other to the text of the file. What a change makes of an
 * entry is checked with the parser of the servers; the file is written once, when all went well.
 *
 * Runs in: postconf.
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/postconf_master.h"
#include "conf/edit.h"
#include "conf/master_cf.h"

struct pending {
    enum conf_change_op op;
    char *service, *type;           /* as they were before */
    struct str entry;
};

struct editing {
    const struct postconf *p;
    const char *operand;
    struct master_request request;
    struct pending *items;
    size_t len, cap;
    struct str *err;
};

static void editing_done(struct editing *ed)
{
    for (size_t i = 0; i < ed->len; i++) {
        free(ed->items[i].service);
        free(ed->items[i].type);
        str_free(&ed->items[i].entry);
    }
    free(ed->items);
}

static int refuse(const struct editing *ed, const char *why)
{
    str_reset(ed->err);
    str_addf(ed->err, "%s: \"%s\"", why, ed->operand);
    return -EINVAL;
}

static struct pending *add_pending(struct editing *ed, enum conf_change_op op, struct span service,
                                   struct span type)
{
    MEM_GROW(ed->items, ed->len, ed->cap);
    ed->items[ed->len] = (struct pending){ op, mem_dup_span(service), mem_dup_span(type),
                                               STR_INIT };
    return &ed->items[ed->len++];
}

/* The servers must be able to read the entry, or nothing is written. */
static int replace_by(struct editing *ed, struct pending *change, const struct master_entry *e)
{
    _cleanup_(master_cf_done) struct master_cf m = { NULL, 0 };

    master_entry_print(e, MASTER_FOLDED, &change->entry);
    str_add_char(&change->entry, '\n');
    str_reset(ed->err);
    return master_cf_parse(str_span(&change->entry), ed->operand, &m, ed->err);
}

/* -M service/type=line */
static int set_entry(struct editing *ed)
{
    _cleanup_(master_entry_done) struct master_entry e = { 0 };
    const struct master_request *r = &ed->request;

    if (span_eq_str(r->type, "*") || span_eq_str(r->service, "*"))
        return refuse(ed, "-Me requires one service_name/type");
    if (master_entry_parse(r->value, &e) < 0)
        return refuse(ed, "bad field count");
    return replace_by(ed, add_pending(ed, CONF_SET, r->service, r->type), &e);
}

/* -M# and -MX service/type: entries that match */
static int edit_entries(struct editing *ed, const struct master_text *m)
{
    enum conf_change_op op = ed->p->action == EDIT_COMMENT ? CONF_COMMENT : CONF_REMOVE;

    if (ed->request.type.len == 0)
        return refuse(ed, "-Me, -MX and -M# require service_name/type");
    if (ed->p->action == EDIT_SET)
        return set_entry(ed);
    for (size_t i = 0; i < m->len; i++) {
        const struct master_entry *e = &m->entries[i];

        if (master_request_matches(&ed->request, e))
            add_pending(ed, op, span_of(e->fields[MASTER_SERVICE]),
                        span_of(e->fields[MASTER_TYPE]));
    }
    return 0;
}

static int change_field(struct editing *ed, struct master_entry *e)
{
    struct span value = ed->request.value;
    size_t field = master_field_index(ed->request.part);

    if (field == MASTER_FIELDS)
        return refuse(ed, "invalid service attribute name");
    if (field == MASTER_COMMAND)
        return master_entry_set_command(e, value) < 0 ? refuse(ed, "a command is needed") : 1;
    if (value.len == 0 || span_chr(value, ' ') >= 0 || span_chr(value, '\t') >= 0)
        return refuse(ed, "expected one word without white space");
    master_entry_set_field(e, (enum master_field)field, value);
    return 1;
}

/* 1: the entry has changed, 0: it has not */
static int change_part(struct editing *ed, struct master_entry *e)
{
    if (ed->p->subject == ABOUT_FIELDS)
        return ed->p->action == EDIT_SET ? change_field(ed, e)
                                         : refuse(ed, "a field cannot be removed");
    if (ed->p->action == EDIT_COMMENT)
        return refuse(ed, "a parameter within an entry cannot be commented out");
    if (ed->p->action == EDIT_REMOVE)
        return master_entry_remove_option(e, ed->request.part);
    master_entry_set_option(e, ed->request.part, ed->request.value);
    return 1;
}

static int edit_matching(struct editing *ed, struct master_entry *e)
{
    struct pending *change = add_pending(ed, CONF_SET, span_of(e->fields[MASTER_SERVICE]),
                                         span_of(e->fields[MASTER_TYPE]));
    int r = change_part(ed, e);

    if (r < 0)
        return r;
    return replace_by(ed, change, e);
}

/* -F service/type/field=value, -P service/type/name=value, -PX service/type/name: entries that
 * match */
static int edit_parts(struct editing *ed, struct master_text *m)
{
    const struct master_request *r = &ed->request;
    size_t found = 0;

    if (r->service.len == 0 || r->type.len == 0 || r->part.len == 0 || span_eq_str(r->part, "*"))
        return refuse(ed, ed->p->subject == ABOUT_FIELDS
                              ? "a change requires service_name/type/field"
                              : "a change requires service_name/type/parameter");
    for (size_t i = 0; i < m->len; i++) {
        if (!master_request_matches(r, &m->entries[i]))
            continue;
        found++;
        int e = edit_matching(ed, &m->entries[i]);
        if (e < 0)
            return e;
    }
    if (found == 0)
        log_warn("unmatched service_name/type: \"%s\"", ed->operand);
    return 0;
}

static void apply(const struct editing *ed, struct str *text)
{
    _cleanup_free_ struct master_change *changes = mem_new_n(struct master_change, ed->len + 1);
    _cleanup_(str_free) struct str out = STR_INIT;

    for (size_t i = 0; i < ed->len; i++)
        changes[i] = (struct master_change){
            ed->items[i].op, span_of(ed->items[i].service), span_of(ed->items[i].type),
            str_span(&ed->items[i].entry) };
    conf_edit_master(str_span(text), changes, ed->len, &out);
    str_set(text, str_span(&out));
}

static int edit_operand(const struct postconf *p, const char *operand, struct str *text,
                        struct str *err)
{
    _cleanup_(master_text_done) struct master_text m = { 0 };
    _cleanup_(editing_done) struct editing ed = { .p = p, .operand = operand, .err = err };
    int r = master_request_parse(p, operand, &ed.request, err);

    if (r == 0)
        r = master_text_parse(str_span(text), "master.cf", &m, err);
    if (r == 0)
        r = p->subject == ABOUT_ENTRIES ? edit_entries(&ed, &m) : edit_parts(&ed, &m);
    if (r == 0)
        apply(&ed, text);
    return r;
}

static int edit_file(struct postconf *p, struct conf_edit *edit, struct str *err)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    int r = conf_edit_begin(conf_directory(p->conf), "master.cf", edit, err);

    str_add(&text, str_span(&edit->text));
    for (size_t i = 0; r == 0 && i < p->n_operands; i++)
        r = edit_operand(p, p->operands[i], &text, err);
    return r < 0 ? r : conf_edit_commit(edit, str_span(&text), err);
}

int postconf_master_edit(struct postconf *p)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct conf_edit edit;

    if (p->n_operands == 0)
        log_fatal("a change requires an operand: service_name/type");
    p->conf = conf_new(p->config_dir);
    int r = edit_file(p, &edit, &err);

    conf_edit_done(&edit);              /* before the exit: it removes the temporary file */
    if (r < 0)
        log_fatal("%s", str_cstr(&err));
    return 0;
}
