/* SPDX-License-Identifier: Apache-2.0 */
/* table_rules_fuzz.c - regexp, pcre and cidr tables; the first byte says how much of the input is
 * the key */
#include <stdlib.h>

#include "table/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* regcomp() needs memory exponential in nested repetitions; patterns are the administrator's. */
static bool many_repetitions(struct span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '+' || text.ptr[i] == '*' || text.ptr[i] == '{';
    return n > 6;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rule_kind *const kinds[] = { &rule_kind_regexp, &rule_kind_pcre,
                                                     &rule_kind_cidr };

    if (size == 0)
        return 0;
    struct span key = span_first(span_make(data + 1, size - 1), data[0]);
    struct span text = span_from(span_make(data + 1, size - 1), key.len);

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        _cleanup_(rules_free_ptr_) struct rules *rules = NULL;
        _cleanup_(str_free) struct str value = STR_INIT, err = STR_INIT;

        if (kinds[i] == &rule_kind_regexp && many_repetitions(text))
            continue;
        if (rules_parse(kinds[i], text, "table", &rules, &err) == 0)
            rules_get(rules, key, &value);
        else if (err.len == 0)
            abort();
    }
    return 0;
}
