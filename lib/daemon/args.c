/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.c - the command line that master gives a server
 *
 * Runs in: every daemon, as root, on the administrator's text. Logs nothing.
 */
#include "daemon/args.h"

#include <errno.h>

static int refuse(struct str *err, const char *what, const char *word)
{
    str_addf(err, "%s: ", what);
    str_add_escaped(err, span_of(word), 100, STR_ASCII);
    return -EINVAL;
}

/* take_option - one option with its value, where it has one */
static int take_option(struct daemon_args *a, char letter, const char *value, struct str *err)
{
    switch (letter) {
    case 'n':
        a->service = value;
        return 0;
    case 't':
        a->type = value;
        return 0;
    case 'o':
        if (a->n_overrides == DAEMON_OVERRIDES_MAX)
            return refuse(err, "too many -o options", value);
        a->overrides[a->n_overrides++] = span_of(value);
        return 0;
    default:
        return -EINVAL;
    }
}

int daemon_args_parse(char *const *argv, struct daemon_args *ret, struct str *err)
{
    struct daemon_args a = { .type = "inet" };
    size_t i = 1;

    for (; argv[i] && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--") == 0) {
            i++;
            break;
        }
        if (strspn(word + 1, "v") == strlen(word + 1)) {
            a.verbose += (int)strlen(word + 1);
            continue;
        }
        if (!strchr("nto", word[1]))
            return refuse(err, "unknown option", word);
        if (word[2] == '\0' && !argv[i + 1])
            return refuse(err, "a value is missing behind", word);
        const char *value = word[2] != '\0' ? word + 2 : argv[++i];
        if (take_option(&a, word[1], value, err) < 0)
            return -EINVAL;
    }
    a.rest = (const char *const *)&argv[i];
    if (!a.service || a.service[0] == '\0')
        return refuse(err, "no service name (-n): this program is started by", "master(8)");
    *ret = a;
    return 0;
}

int daemon_args_apply(const struct daemon_args *a, struct conf *c, struct str *err)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    for (size_t i = 0; i < a->n_overrides; i++) {
        struct span value = a->overrides[i], name = span_cut(&value, '=');

        str_reset(&text);
        str_add(&text, span_trim(name));
        if (span_chr(a->overrides[i], '=') >= 0) {
            str_add_char(&text, '=');
            str_add(&text, span_trim(value));
        }
        int r = conf_override(c, str_span(&text), err);
        if (r < 0)
            return r;
    }
    return 0;
}
