/* SPDX-License-Identifier: Apache-2.0 */
/*
 * macros.c - what a filter is told beside an event
 *
 * Names come from the filter (symbol lists) or from main.cf; "auth_type" means "{auth_type}". A macro without a
 * value is not sent, unless milter_macro_defaults has one for it.
 *
 * Runs in: smtpd, cleanup. Names may come from a filter and are bounded by its packet.
 */
#include "base/mem.h"
#include "milter/internal.h"
#include "table/lines.h"

const char *milter_macro_names(const struct milter *m, enum milter_stage stage)
{
    const struct params *p = m->all->host.params;
    const char *const lists[] = {
        [MILTER_CONNECT] = p->milter_connect_macros,
        [MILTER_HELO] = p->milter_helo_macros,
        [MILTER_MAIL] = p->milter_mail_macros,
        [MILTER_RCPT] = p->milter_rcpt_macros,
        [MILTER_DATA] = p->milter_data_macros,
        [MILTER_EOM] = p->milter_end_of_data_macros,
        [MILTER_EOH] = p->milter_end_of_header_macros,
        [MILTER_UNKNOWN] = p->milter_unknown_command_macros,
    };

    return m->macros[stage] ? m->macros[stage] : lists[stage];
}

/* "x" and "{x}" are the same name when it is one letter */
static void add_name(struct span word, struct str *ret)
{
    struct span inner = word;

    if (inner.len >= 2 && inner.ptr[0] == '{' && inner.ptr[inner.len - 1] == '}')
        inner = span_make(inner.ptr + 1, inner.len - 2);
    if (inner.len > 1)
        str_addf(ret, "{" SPAN_FMT "}", SPAN_ARG(inner));
    else
        str_add(ret, inner);
}

/* Values that came with the conversation: name NUL value NUL ... */
static void add_received(struct span values, struct span name, struct str *ret)
{
    while (values.len > 0) {
        struct span key = span_cut(&values, '\0');
        struct span value = span_cut(&values, '\0');

        if (span_eq(key, name))
            str_add(ret, value);
    }
}

/* milter_macro_defaults: "name=value, {name2 = value with blanks}" */
static void add_default(const char *defaults, struct span name, struct str *ret)
{
    struct span in = span_of(defaults), word;

    while (lines_list_word(&in, &word)) {
        _cleanup_(str_free) struct str key = STR_INIT;
        struct span value = word;

        /* braces around the pair, not those of the name alone: "{if_addr}=x" ends otherwise */
        if (value.len >= 2 && value.ptr[0] == '{' && value.ptr[value.len - 1] == '}')
            value = span_make(value.ptr + 1, value.len - 2);

        struct span first = span_cut(&value, '=');

        add_name(span_trim(first), &key);
        if (span_eq(str_span(&key), name)) {
            str_add(ret, span_trim(value));
            return;
        }
    }
}

static void add_value(const struct milter *m, struct span name, struct str *ret)
{
    const struct milter_host *h = &m->all->host;

    if (m->values.len > 0)
        add_received(str_span(&m->values), name, ret);
    if (ret->len == 0)
        h->macro(h->arg, name, ret);
    if (ret->len == 0)
        add_default(h->params->milter_macro_defaults, name, ret);
}

void milter_macro_values(const struct milter *m, const char *names, struct str *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    _cleanup_(str_free) struct str value = STR_INIT;
    struct span in = span_of(names), word;

    while (lines_list_word(&in, &word)) {
        str_reset(&name);
        str_reset(&value);
        add_name(word, &name);
        add_value(m, str_span(&name), &value);
        if (value.len == 0)
            continue;
        milter_add_text(ret, str_span(&name));
        milter_add_text(ret, str_span(&value));
    }
}
