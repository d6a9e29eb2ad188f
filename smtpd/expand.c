/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expand.c - $name in the texts of replies
 *
 * main.cf expands its own names when it is read; these are the names of a session, so the texts are
 * taken raw and expanded for each reply.
 *
 * Runs in: smtpd (templates are the administrator's, values have been escaped). Logs nothing.
 */
#include "smtpd/expand.h"

#include <time.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/own.h"
#include "smtpd/reply.h"

#define NESTING_MAX 5 /* of ${a?${b}} */

struct expansion {
    const struct smtpd *s;
    const struct expand_value *more;
    size_t n_more;
};

/* ---- values ---- */

static void add_client(const struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->namaddr);
}

static void add_client_address(const struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->addr);
}

static void add_client_name(const struct smtpd *s, struct str *ret)
{
    str_add(ret, str_span(&s->name));
}

static void add_client_port(const struct smtpd *s, struct str *ret)
{
    str_add_u64(ret, s->port);
}

static void add_helo(const struct smtpd *s, struct str *ret)
{
    str_add(ret, str_span(&s->helo));
}

static void add_rcpt(const struct smtpd *s, struct str *ret)
{
    show_address(ret, str_span(&s->rcpt));
}

static void add_sender(const struct smtpd *s, struct str *ret)
{
    show_address(ret, str_span(&s->sender));
}

static void add_sasl_username(const struct smtpd *s, struct str *ret)
{
    show(ret, str_span(&s->sasl_username));
}

static void add_server_name(const struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->sv->params->myhostname);
}

static void add_localtime(const struct smtpd *s, struct str *ret)
{
    time_t now = (time_t)clock_real();
    struct tm tm;
    char text[32];

    (void)s;
    localtime_r(&now, &tm);
    strftime(text, sizeof(text), "%b %d %H:%M:%S", &tm);
    str_add_str(ret, text);
}

static const struct name {
    struct span name;
    void (*add)(const struct smtpd *s, struct str *ret);
} names[] = {
    { SPAN("client"),         add_client         },
    { SPAN("client_address"), add_client_address },
    { SPAN("client_name"),    add_client_name    },
    { SPAN("client_port"),    add_client_port    },
    { SPAN("helo_name"),      add_helo           },
    { SPAN("localtime"),      add_localtime      },
    { SPAN("recipient"),      add_rcpt           },
    { SPAN("sasl_username"),  add_sasl_username  },
    { SPAN("sender"),         add_sender         },
    { SPAN("server_name"),    add_server_name    },
};

static void add_value(const struct expansion *e, struct span name, struct str *ret)
{
    for (size_t i = 0; i < e->n_more; i++)
        if (span_eq_str(name, e->more[i].name)) {
            str_add(ret, e->more[i].value);
            return;
        }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq(name, names[i].name)) {
            names[i].add(e->s, ret);
            return;
        }
}

/* ---- the template ---- */

static struct span take_name(struct span *in)
{
    size_t n = 0;

    while (n < in->len && (char_is(in->ptr[n], CHAR_ALNUM) || in->ptr[n] == '_'))
        n++;

    struct span name = span_first(*in, n);

    *in = span_from(*in, n);
    return name;
}

/* What stands between "{", just taken, and the "}" that closes it */
static struct span take_braced(struct span *in)
{
    size_t depth = 1, n = 0;

    for (; n < in->len; n++) {
        depth += in->ptr[n] == '{';
        depth -= in->ptr[n] == '}';
        if (depth == 0)
            break;
    }

    struct span inner = span_first(*in, n);

    *in = span_from(*in, n + 1);
    return inner;
}

/* Takes "?" or ":" off the front: is the text behind it for this case? */
static bool is_chosen(struct span *in, bool is_set)
{
    if (span_take(in, '?'))
        return is_set;
    return span_take(in, ':') && !is_set;
}

static void expand(const struct expansion *e, struct span in, unsigned depth, struct str *ret)
{
    while (in.len > 0) {
        ptrdiff_t dollar = span_chr(in, '$');

        str_add(ret, dollar < 0 ? in : span_first(in, (size_t)dollar));
        in = dollar < 0 ? SPAN_NULL : span_from(in, (size_t)dollar + 1);
        if (span_take(&in, '$')) {
            str_add_char(ret, '$');
            continue;
        }
        if (!span_take(&in, '{')) {
            add_value(e, take_name(&in), ret);
            continue;
        }

        _cleanup_(str_free) struct str value = STR_INIT;
        struct span inner = take_braced(&in);

        add_value(e, take_name(&inner), &value);
        if (inner.len == 0)
            str_add(ret, str_span(&value));
        else if (depth > 0 && is_chosen(&inner, value.len > 0))
            expand(e, inner, depth - 1, ret);
    }
}

void expand_reply(const struct smtpd *s, struct span template, const struct expand_value *more,
                  size_t n, struct str *ret)
{
    const struct expansion e = { s, more, n };

    expand(&e, template, NESTING_MAX, ret);
}
