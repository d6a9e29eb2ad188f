/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body_params.c - parameters, with the continuations of RFC 2231 section 3 put together
 *
 * One pass: a value grows as long as the next parameter is the next section of it. Looking for sections
 * elsewhere would take a hostile header quadratic time, and no program writes them there.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "body_params.h"

#include "base/chars.h"
#include "mail/mime.h"
#include "reply.h"

/* "name*0*" */
struct section_name {
    struct span base;
    uint32_t number;
    bool is_section, encoded;
};

struct pending {
    struct str name, value; /* of the value that is being put together; empty name: none */
    uint32_t next;          /* the section that is awaited */
    bool encoded;           /* the first section has a charset: all is percent-encoded */
};

static struct section_name parse_name(struct span name)
{
    struct section_name n = { .base = name };
    struct span number = name;
    ptrdiff_t star;

    if (number.len > 0 && number.ptr[number.len - 1] == '*') {
        n.encoded = true;
        number.len--;
    }
    star = span_rchr(number, '*');
    if (star > 0 && span_u32(span_from(number, (size_t)star + 1), UINT32_MAX - 1, &n.number) == 0) {
        n.is_section = true;
        n.base = span_first(name, (size_t)star);
    }
    return n;
}

static void put_param(struct str *out, size_t *count, struct span name, struct span value)
{
    str_add_char(out, (*count)++ == 0 ? '(' : ' ');
    put_string(out, name);
    str_add_char(out, ' ');
    put_string(out, value);
}

static void put_pending(struct str *out, size_t *count, struct pending *p)
{
    if (p->name.len == 0)
        return;
    if (p->encoded)
        str_add_char(&p->name, '*');
    put_param(out, count, str_span(&p->name), str_span(&p->value));
    str_reset(&p->name);
}

/* A section without "*" among encoded ones: what could be taken for an encoding is encoded (RFC 2231 section 7). */
static void add_encoded(struct str *out, struct span text)
{
    static const struct span plain = SPAN("!#$&+-.^_`{|}~");

    for (size_t i = 0; i < text.len; i++) {
        if (char_is(text.ptr[i], CHAR_ALNUM) || span_chr(plain, text.ptr[i]) >= 0)
            str_add_char(out, text.ptr[i]);
        else
            str_addf(out, "%%%02X", (unsigned char)text.ptr[i]);
    }
}

static void add_section(struct pending *p, const struct section_name *n, struct span value)
{
    if (p->encoded && !n->encoded)
        add_encoded(&p->value, value);
    else
        str_add(&p->value, value);
    p->next = n->number + 1;
}

void put_body_params(struct str *out, struct span params)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct pending p = { STR_INIT, STR_INIT, 0, false };
    struct span name;
    size_t count = 0;

    while (mime_param(&params, &name, &value)) {
        const struct section_name n = parse_name(name);

        if (n.is_section && p.name.len > 0 && n.number == p.next && span_eq_nocase(n.base, str_span(&p.name))) {
            add_section(&p, &n, str_span(&value));
            continue;
        }
        put_pending(out, &count, &p);
        if (!n.is_section || n.number != 0) {
            put_param(out, &count, name, str_span(&value));
            continue;
        }
        str_set(&p.name, n.base);
        str_reset(&p.value);
        p.encoded = n.encoded;
        add_section(&p, &n, str_span(&value));
    }
    put_pending(out, &count, &p);
    str_add_str(out, count == 0 ? "NIL" : ")");
    str_free(&p.name);
    str_free(&p.value);
}
