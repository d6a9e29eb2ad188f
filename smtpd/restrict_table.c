/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_table.c - lists of restrictions, read from main.cf
 *
 * Names are resolved at start: a typing error stops the start with the name that was probably
 * meant, instead of answering 451 at night. Restriction classes are named first and read then, so
 * that they may name each other.
 *
 * Runs in: smtpd (text is the administrator's). Logs nothing.
 */
#include <errno.h>

#include "base/mem.h"
#include "base/own.h"
#include "smtpd/restrict_internal.h"
#include "smtpd/restrict_list.h"
#include "table/lines.h"

#define SEPARATORS ", \t\r\n"

static const struct restriction restrictions[] = {
#define RESTRICTION(name, argument, need, guards_relay, ask, text)                                 \
    {SPAN(name), argument, need, guards_relay, ask},
#include "smtpd/restrict.def"
};

static const struct restriction class_restriction = {SPAN(""), ARG_CLASS, NEEDS_NOTHING, false,
                                                     ask_class};

/* The names that Postfix used before version 2.3, which many main.cf still hold. */
static const struct {
    struct span name, now;
} old_names[] = {
    { SPAN("reject_invalid_hostname"),   SPAN("reject_invalid_helo_hostname")   },
    { SPAN("reject_non_fqdn_hostname"),  SPAN("reject_non_fqdn_helo_hostname")  },
    { SPAN("reject_unknown_client"),     SPAN("reject_unknown_client_hostname") },
    { SPAN("reject_unknown_hostname"),   SPAN("reject_unknown_helo_hostname")   },
};

/* ---- names ---- */

static const struct restriction *find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(old_names); i++)
        if (span_eq_nocase(name, old_names[i].name))
            name = old_names[i].now;
    for (size_t i = 0; i < ARRAY_LEN(restrictions); i++)
        if (span_eq_nocase(name, restrictions[i].name))
            return &restrictions[i];
    return NULL;
}

static struct span nearest(const struct restriction_set *set, struct span name)
{
    struct span best = restrictions[0].name;

    for (size_t i = 1; i < ARRAY_LEN(restrictions); i++)
        if (span_distance(name, restrictions[i].name) < span_distance(name, best))
            best = restrictions[i].name;
    for (size_t i = 0; i < set->n_classes; i++)
        if (span_distance(name, span_of(set->classes[i].name)) < span_distance(name, best))
            best = span_of(set->classes[i].name);
    return best;
}

static const struct restriction_list *find_class(const struct restriction_set *set,
                                                 struct span name)
{
    for (size_t i = 0; i < set->n_classes; i++)
        if (span_eq_str(name, set->classes[i].name))
            return &set->classes[i].list;
    return NULL;
}

/* ---- items ---- */

static const char *const shown_arguments[] = {
    [NO_ARG] = SHOWN_NO_ARG,   [ARG_TABLE] = SHOWN_ARG_TABLE,     [ARG_CCERT] = SHOWN_ARG_CCERT,
    [ARG_RBL] = SHOWN_ARG_RBL, [ARG_POLICY] = SHOWN_ARG_POLICY,   [ARG_SECONDS] = SHOWN_ARG_SECONDS,
};

static int parse_seconds(struct span text, struct restriction_item *item, struct str *err)
{
    if (conf_parse_time(text, 's', &item->seconds) == 0)
        return 0;
    str_addf(err, SPAN_FMT " \"" SPAN_FMT "\": expected a time such as 5s", SPAN_ARG(item->what->name), SPAN_ARG(text));
    return -EINVAL;
}

static int parse_argument(const struct restriction_set *set, struct span text,
                          struct restriction_item *item, struct str *err)
{
    bool opens = item->what->argument == ARG_TABLE || item->what->argument == ARG_CCERT ||
                 item->what->argument == ARG_POLICY;

    if (opens && set->closed) {
        str_addf(
            err,
            SPAN_FMT
            " cannot be used in a lookup result: put it into a class of smtpd_restriction_classes",
            SPAN_ARG(item->what->name));
        return -EINVAL;
    }
    switch (item->what->argument) {
    case ARG_TABLE:
        return table_open(text, &item->table, err);
    case ARG_CCERT:
        return ccert_parse(text, item, err);
    case ARG_RBL:
        return rbl_parse(set, text, &item->rbl, err);
    case ARG_POLICY:
        return policy_parse(set, text, &item->policy, err);
    case ARG_SECONDS:
        return parse_seconds(text, item, err);
    case NO_ARG:
    case ARG_CLASS:
        break;
    }
    return 0;
}

/* What "type:table" without a name in front means in the list of a stage */
static const char *const access_of_stage[STAGES] = {
    [STAGE_CLIENT] = "check_client_access",       [STAGE_HELO] = "check_helo_access",
    [STAGE_SENDER] = "check_sender_access",       [STAGE_RELAY] = "check_recipient_access",
    [STAGE_RECIPIENT] = "check_recipient_access", [STAGE_DATA] = "check_recipient_access",
    [STAGE_END_OF_DATA] = "check_recipient_access", [STAGE_ETRN] = "check_etrn_access",
};

static int parse_item(const struct restriction_set *set, enum stage stage, struct span word,
                      struct span *rest, struct restriction_item *item, struct str *err)
{
    bool bare_table = span_chr(word, ':') > 0;

    item->class = find_class(set, word);
    item->what = item->class ? &class_restriction
                             : find(bare_table ? span_of(access_of_stage[stage]) : word);
    if (!item->what) {
        struct span best = nearest(set, word);

        str_addf(err,
                 "unknown restriction \"" SPAN_FMT "\"; the nearest known one is \"" SPAN_FMT "\"",
                 SPAN_ARG(word), SPAN_ARG(best));
        return -EINVAL;
    }
    if (item->what->argument == NO_ARG || item->what->argument == ARG_CLASS)
        return 0;
    if (!bare_table && !lines_list_word(rest, &word)) {
        str_addf(err, SPAN_FMT ": its argument is missing: expected %s", SPAN_ARG(item->what->name),
                 shown_arguments[item->what->argument]);
        return -EINVAL;
    }
    return parse_argument(set, word, item, err);
}

int restrictions_parse(struct restriction_set *set, enum stage stage, const char *text,
                       struct restriction_list *ret, struct str *err)
{
    struct span in = span_of(text);
    struct span word;

    while (lines_list_word(&in, &word)) {
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len] = (struct restriction_item){ 0 };

        int r = parse_item(set, stage, word, &in, &ret->items[ret->len++], err);

        if (r < 0) {
            restrictions_done(ret);
            return r;
        }
    }
    return 0;
}

void restrictions_done(struct restriction_list *l)
{
    for (size_t i = 0; i < l->len; i++) {
        table_free(l->items[i].table);
        rbl_free(l->items[i].rbl);
        policy_free(l->items[i].policy);
    }
    free(l->items);
    *l = (struct restriction_list){ 0 };
}

/* The classes that a class may name: as deep as restrictions_run() goes */
static bool guards(const struct restriction_list *l, unsigned depth)
{
    for (size_t i = 0; i < l->len; i++) {
        const struct restriction_item *item = &l->items[i];

        if (item->what->guards_relay && (i == 0 || l->items[i - 1].what->ask != ask_warn_if_reject))
            return true;
        if (item->class && depth > 0 && guards(item->class, depth - 1))
            return true;
    }
    return false;
}

bool restrictions_guard_relay(const struct restriction_list *l)
{
    return guards(l, 4);
}

/* ---- all of main.cf ---- */

static int name_classes(struct restriction_set *set, struct str *err)
{
    struct span in = span_of(set->params->smtpd_restriction_classes);
    struct span word;
    size_t cap = 0;

    while (span_word(&in, SEPARATORS, &word)) {
        if (find(word))
            return conf_refuse("smtpd_restriction_classes", word, "a name that is not that of a restriction", err);
        MEM_GROW(set->classes, set->n_classes, cap);
        set->classes[set->n_classes++] = (struct restriction_class){ .name = mem_dup_span(word) };
    }
    return 0;
}

/* Put the parameter's name in front of what is wrong with it */
static int blame(struct str *err, const char *parameter, int r)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (r >= 0)
        return r;
    conf_blame(parameter, &text);
    str_add(&text, str_span(err));
    str_set(err, str_span(&text));
    return r;
}

static int read_class(struct restriction_set *set, struct restriction_class *class, struct str *err)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    int r = conf_get(set->conf, class->name, &text, err);

    if (r == -ENOENT) {
        str_reset(err);
        return conf_refuse("smtpd_restriction_classes", span_of(class->name), "a parameter of that name, and it is not set", err);
    }
    if (r == 0)
        r = restrictions_parse(set, STAGE_RECIPIENT, str_cstr(&text), &class->list, err);
    return blame(err, class->name, r);
}

int restrictions_open(struct restriction_set *set, struct str *err)
{
    const struct params *p = set->params;
    const struct {
        const char *name, *text;
    } lists[STAGES] = {
        [STAGE_CLIENT] = {"smtpd_client_restrictions", p->smtpd_client_restrictions},
        [STAGE_HELO] = {"smtpd_helo_restrictions", p->smtpd_helo_restrictions},
        [STAGE_SENDER] = {"smtpd_sender_restrictions", p->smtpd_sender_restrictions},
        [STAGE_RELAY] = {"smtpd_relay_restrictions", p->smtpd_relay_restrictions},
        [STAGE_RECIPIENT] = {"smtpd_recipient_restrictions", p->smtpd_recipient_restrictions},
        [STAGE_DATA] = {"smtpd_data_restrictions", p->smtpd_data_restrictions},
        [STAGE_END_OF_DATA] = {"smtpd_end_of_data_restrictions", p->smtpd_end_of_data_restrictions},
        [STAGE_ETRN] = {"smtpd_etrn_restrictions", p->smtpd_etrn_restrictions},
    };
    int r = name_classes(set, err);

    for (size_t i = 0; r == 0 && i < set->n_classes; i++)
        r = read_class(set, &set->classes[i], err);
    for (size_t i = 0; r == 0 && i < STAGES; i++)
        r = blame(err, lists[i].name,
                  restrictions_parse(set, (enum stage)i, lists[i].text, &set->stages[i], err));
    set->closed = true;
    return r;
}

void restrictions_close(struct restriction_set *set)
{
    for (size_t i = 0; i < STAGES; i++)
        restrictions_done(&set->stages[i]);
    for (size_t i = 0; i < set->n_classes; i++) {
        restrictions_done(&set->classes[i].list);
        free(set->classes[i].name);
    }
    free(set->classes);
    set->classes = NULL;
    set->n_classes = 0;
}
