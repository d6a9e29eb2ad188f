/* SPDX-License-Identifier: Apache-2.0 */
/*
 * misc.c - CAPABILITY, NOOP, LOGOUT (RFC 3501 section 6.1), ID (RFC 2971), ENABLE (RFC 5161),
 * NAMESPACE (RFC 2342)
 *
 * Runs in: imapd (input is hostile).
 */
#include "base/mem.h"
#include "capability.h"
#include "command.h"
#include "reply.h"
#include "untagged.h"

/* RFC 2971 section 3.3 */
#define ID_PAIRS_MAX 30

int cmd_capability(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str list = STR_INIT;

    if (!parse_end(p))
        return reply_bad(s, "CAPABILITY takes no arguments.");
    capability_put(s, &list);
    imap_printf(s, "* CAPABILITY %s\r\n", str_cstr(&list));
    return reply_ok(s, "Capability completed.");
}

/* NOOP and CHECK: what they do, the dispatcher does after every command. */
int cmd_noop(struct imap *s, struct parse *p)
{
    if (!parse_end(p))
        return reply_bad(s, "No arguments are expected.");
    return reply_ok(s, "Completed.");
}

int cmd_logout(struct imap *s, struct parse *p)
{
    if (!parse_end(p))
        return reply_bad(s, "LOGOUT takes no arguments.");
    s->state = IMAP_LOGOUT;
    imap_puts(s, "* BYE Logging out\r\n");
    return reply_ok(s, "Logout completed.");
}

int cmd_namespace(struct imap *s, struct parse *p)
{
    if (!parse_end(p))
        return reply_bad(s, "NAMESPACE takes no arguments.");
    imap_puts(s, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return reply_ok(s, "Namespace completed.");
}

/* id_params_list = "(" *(string SP nstring) ")" / nil; *ret_name: the value of "name" */
static bool parse_id(struct parse *p, struct span *ret_name)
{
    struct span field, value;

    if (!parse_sp(p))
        return false;
    if (parse_word(p, "NIL"))
        return parse_end(p);
    if (!parse_char(p, '('))
        return false;
    for (size_t n = 0; !parse_char(p, ')'); n++) {
        if (n == ID_PAIRS_MAX || !parse_string(p, &field) || !parse_sp(p) ||
            !parse_nstring(p, &value))
            return false;
        if (span_eq_nocase_str(field, "name"))
            *ret_name = value;
        parse_sp(p); /* between two pairs; some clients leave one at the end as well */
    }
    return parse_end(p);
}

int cmd_id(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct span pairs = span_of(s->params->imap_id_send), name = SPAN_NULL, word;
    bool first = true;

    if (!parse_id(p, &name))
        return reply_bad(s, "ID takes a list of at most %d pairs, or NIL.", ID_PAIRS_MAX);
    capability_hide_for_client(s, name);
    str_add_str(&line, "* ID ");
    while (span_word(&pairs, " \t,", &word)) {
        str_add_str(&line, first ? "(" : " ");
        first = false;
        put_string(&line, word);
    }
    str_add_str(&line, first ? "NIL\r\n" : ")\r\n");
    imap_write(s, str_span(&line));
    return reply_ok(s, "ID completed.");
}

/* What can be enabled, and the fields of the session that say so */
enum feature { CONDSTORE = 1 << 0, QRESYNC = 1 << 1, UTF8_ACCEPT = 1 << 2, REV2 = 1 << 3 };

static const struct {
    const char *name;
    unsigned feature;
} features[] = {
    { "CONDSTORE", CONDSTORE },
    { "QRESYNC", QRESYNC },
    { "UTF8=ACCEPT", UTF8_ACCEPT },
    { "IMAP4rev2", REV2 },
};

static unsigned enabled(const struct imap *s)
{
    return (s->condstore ? CONDSTORE : 0) | (s->qresync ? QRESYNC : 0) | (s->utf8 ? UTF8_ACCEPT : 0) |
           (s->rev2 ? REV2 : 0);
}

/* QRESYNC brings CONDSTORE with it (RFC 7162 section 3.2.3). */
static void enable(struct imap *s, unsigned wanted)
{
    if (wanted & (CONDSTORE | QRESYNC))
        untagged_condstore(s);
    s->qresync |= (wanted & QRESYNC) != 0;
    s->utf8 |= (wanted & UTF8_ACCEPT) != 0;
    s->rev2 |= (wanted & REV2) != 0;
}

int cmd_enable(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    unsigned had = enabled(s), wanted = 0;
    struct span name;

    str_add_str(&line, "* ENABLED");
    do {
        if (!parse_sp(p) || !parse_atom(p, &name))
            return reply_bad(s, "ENABLE takes names of capabilities.");
        for (size_t i = 0; i < ARRAY_LEN(features); i++) {
            if (!span_eq_nocase_str(name, features[i].name) || (had | wanted) & features[i].feature)
                continue;
            wanted |= features[i].feature;
            str_addf(&line, " %s", features[i].name);
        }
    } while (!parse_end(p));
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
    enable(s, wanted);
    return reply_ok(s, "Enabled.");
}
