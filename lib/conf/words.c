/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c - parameters whose value is a set of words
 *
 * Runs in: servers, at start, on the administrator's text. Logs nothing.
 */
#include "conf/words.h"

#include <errno.h>

#include "conf/conf.h"

static unsigned bits_of(struct span word, const struct conf_word *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq_nocase_str(word, words[i].name))
            return words[i].bits;
    return 0;
}

static void explain(const char *param, struct span word, const struct conf_word *words, size_t n, struct str *err)
{
    _cleanup_(str_free) struct str accepted = STR_INIT;

    str_add_str(&accepted, "a list of ");
    for (size_t i = 0; i < n; i++)
        str_addf(&accepted, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", words[i].name);
    conf_refuse(param, word, str_cstr(&accepted), err);
}

int conf_parse_words(const char *param, struct span list, const struct conf_word *words, size_t n, unsigned *ret,
                     struct str *err)
{
    unsigned bits = 0;
    struct span word;

    while (span_word(&list, ", \t\r\n", &word)) {
        unsigned more = bits_of(word, words, n);

        if (more == 0) {
            explain(param, word, words, n, err);
            return -EINVAL;
        }
        bits |= more;
    }
    *ret = bits;
    return 0;
}
