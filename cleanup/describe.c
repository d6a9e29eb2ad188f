/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.c - whose message it is, in a log line about its content
 *
 * Runs in: cleanup. Texts from the client are escaped here.
 */
#include "cleanup/describe.h"

#include "cleanup/cleanup.h"

#define TEXT_MAX 256

void describe_client(const struct message *m, struct str *ret)
{
    const struct submit *s = &m->submit;

    if (!s->client_addr[0]) {
        str_add_str(ret, "local");
        return;
    }
    str_add_escaped(ret, str_span(&s->client_name), TEXT_MAX, STR_UTF8);
    str_addf(ret, "[%s]", s->client_addr);
}

void describe_envelope(const struct message *m, struct str *ret)
{
    const struct submit *s = &m->submit;
    const char *to = m->rcpts.len > 0 ? m->rcpts.items[m->rcpts.len - 1].address : "";

    str_add_str(ret, " from=<");
    str_add_escaped(ret, str_span(&s->sender), TEXT_MAX, STR_UTF8);
    str_add_str(ret, "> to=<");
    str_add_escaped(ret, span_of(to), TEXT_MAX, STR_UTF8);
    str_add_char(ret, '>');
    if (s->proto[0])
        str_addf(ret, " proto=%s", s->proto);
    if (s->helo.len > 0) {
        str_add_str(ret, " helo=<");
        str_add_escaped(ret, str_span(&s->helo), TEXT_MAX, STR_UTF8);
        str_add_char(ret, '>');
    }
}
