/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy_line.c - lines of smtp_tls_policy_maps: a level, and attributes that override main.cf
 *
 * Runs in: smtp; the text is the administrator's, perhaps out of a database.
 */
#include <errno.h>

#include "base/mem.h"
#include "smtp/tls_policy.h"

/* Which attributes a level takes: Postfix refuses the others, so that nobody relies on them. */
#define AT(level) (1U << (level))
static const unsigned any_tls = ~AT(TLS_LEVEL_NONE);
static const unsigned with_match = AT(TLS_LEVEL_FINGERPRINT) | AT(TLS_LEVEL_VERIFY) | AT(TLS_LEVEL_SECURE);
static const unsigned with_chain = AT(TLS_LEVEL_VERIFY) | AT(TLS_LEVEL_SECURE);

static const struct attribute {
    struct span name;
    enum tls_attribute bit;
    const unsigned *levels;
    bool repeated;          /* may be given several times: values add up */
    const char *separators; /* between the parts of a value; NULL: it has none */
    size_t value;           /* offset of a struct str in struct tls_line */
} attributes[] = {
    { SPAN("protocols"),        TLS_PROTOCOLS,        &any_tls,    false, NULL, offsetof(struct tls_line, protocols)  },
    { SPAN("ciphers"),          TLS_CIPHERS,          &any_tls,    false, NULL, offsetof(struct tls_line, ciphers)    },
    { SPAN("exclude"),          TLS_EXCLUDE,          &any_tls,    false, NULL, offsetof(struct tls_line, exclude)    },
    { SPAN("servername"),       TLS_SERVERNAME,       &any_tls,    false, NULL, offsetof(struct tls_line, servername) },
    { SPAN("match"),            TLS_MATCH,            &with_match, true,  ":|", offsetof(struct tls_line, match)      },
    { SPAN("tafile"),           TLS_TAFILE,           &with_chain, true,  "",   offsetof(struct tls_line, tafiles)    },
    { SPAN("connection_reuse"), TLS_CONNECTION_REUSE, &any_tls,    false, NULL, 0                                     },
};

static const struct attribute *attribute_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (span_eq_nocase(attributes[i].name, name))
            return &attributes[i];
    return NULL;
}

static int refuse(struct str *err, struct span word, const char *why)
{
    str_add_str(err, "\"");
    str_add_escaped(err, word, 100, STR_ASCII);
    str_addf(err, "\": %s", why);
    return -EINVAL;
}

static int set_reuse(struct span value, struct tls_line *l)
{
    l->connection_reuse = span_eq_nocase_str(value, "yes");
    return l->connection_reuse || span_eq_nocase_str(value, "no") ? 0 : -EINVAL;
}

/* "a:b" as parts of a blank-separated list; of a fingerprint the colons are no separators */
static void add_parts(struct str *list, struct span value, const char *separators)
{
    struct span part;

    while (span_word(&value, separators, &part)) {
        if (list->len > 0)
            str_add_char(list, ' ');
        str_add(list, part);
    }
}

static int set_attribute(const struct attribute *a, struct span value, struct tls_line *l)
{
    struct str *text = (struct str *)((char *)l + a->value);

    if (l->given & a->bit && !a->repeated)
        return -EEXIST;
    if (!(*a->levels & AT(l->level)))
        return -ENOTSUP;
    if (value.len == 0 && a->bit != TLS_EXCLUDE && a->bit != TLS_SERVERNAME)
        return -ENODATA;
    l->given |= a->bit;
    if (a->bit == TLS_CONNECTION_REUSE)
        return set_reuse(value, l);
    if (a->repeated)
        add_parts(text, value, l->level == TLS_LEVEL_FINGERPRINT ? "|" : a->separators);
    else
        str_set(text, value);
    return 0;
}

static void line_reset(struct tls_line *l)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (attributes[i].value)
            str_reset((struct str *)((char *)l + attributes[i].value));
    l->given = 0;
}

int tls_line_parse(struct span text, struct tls_line *ret, struct str *err)
{
    static const char separators[] = " \t\r\n,";
    struct span word = SPAN_NULL;

    line_reset(ret);
    if (!span_word(&text, separators, &word) || tls_level_find(word, &ret->level) < 0)
        return refuse(err, word, "expected none, may, encrypt, fingerprint, verify, secure, dane or dane-only");
    while (span_word(&text, separators, &word)) {
        struct span value = word, name = span_cut(&value, '=');
        const struct attribute *a = attribute_find(name);

        if (!a || name.len == word.len)
            return refuse(err, word, "expected protocols=, ciphers=, exclude=, match=, tafile=, servername= or "
                                     "connection_reuse=");
        switch (set_attribute(a, value, ret)) {
        case 0:
            break;
        case -EEXIST:
            return refuse(err, word, "is given twice");
        case -ENOTSUP:
            return refuse(err, word, "has no meaning at this level");
        default:
            return refuse(err, word, a->bit == TLS_CONNECTION_REUSE ? "expected yes or no" : "has no value");
        }
    }
    return 0;
}

void tls_line_done(struct tls_line *l)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (attributes[i].value)
            str_free((struct str *)((char *)l + attributes[i].value));
}
