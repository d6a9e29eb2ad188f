/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h - parameters whose value is a set of words
 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

#include "base/str.h"

struct conf_word {
    const char *name;
    unsigned bits;      /* never 0 */
};

/*
 * The bits of all words of a list separated by blanks or commas; case does not count. 0, or -EINVAL: *err names the
 * parameter, the word that is none of these, and those that are accepted.
 */
int conf_parse_words(const char *param, struct span list, const struct conf_word *words, size_t n, unsigned *ret,
                     struct str *err);

#endif
