/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regexp.c - regexp: tables of POSIX regular expressions, as regexp_table(5) describes
 *
 * Runs in: every program that reads tables; keys are hostile.
 */
#include <errno.h>
#include <regex.h>

#include "base/mem.h"
#include "base/own.h"
#include "table/rules.h"

/* A flag letter inverts its bit. */
static const struct regexp_flag {
    char letter;
    int bit;
} regexp_flags[] = {
    {'i', REG_ICASE   }, /* on at first */
    {'m', REG_NEWLINE }, /* off: ^ and $ match at the ends only */
    {'x', REG_EXTENDED}, /* on */
};

static int parse_flags(struct span flags, int *ret, struct str *err)
{
    int bits = REG_ICASE | REG_EXTENDED;

    for (size_t i = 0; i < flags.len; i++) {
        size_t f = 0;

        while (f < ARRAY_LEN(regexp_flags) && regexp_flags[f].letter != flags.ptr[i])
            f++;
        if (f == ARRAY_LEN(regexp_flags)) {
            str_addf(err, "unknown flag '%c' behind the pattern: expected i, m or x", flags.ptr[i]);
            return -EINVAL;
        }
        bits ^= regexp_flags[f].bit;
    }
    *ret = bits;
    return 0;
}

static int compile(struct span *line, void **ret, size_t *ret_groups, struct str *err)
{
    struct span pattern, flags;
    int bits = 0;
    int r = rules_cut_delimited(line, &pattern, &flags, err);

    if (r == 0)
        r = parse_flags(flags, &bits, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *text = mem_dup_span(pattern);
    _cleanup_free_ regex_t *re = mem_new(regex_t);
    int e = regcomp(re, text, bits);

    if (e != 0) {
        char why[200];

        regerror(e, re, why, sizeof why);
        str_addf(err, "bad pattern: %s", why);
        return -EINVAL;
    }
    *ret_groups = re->re_nsub;
    *ret = TAKE_PTR(re);
    return 0;
}

static void release(void *pattern)
{
    if (pattern)
        regfree(pattern);
    free(pattern);
}

/* The key may hold NUL bytes: REG_STARTEND gives its bounds. */
static int match(const void *pattern, struct span key, const void *scratch, struct rule_match *m)
{
    regmatch_t at[RULE_GROUPS_MAX];

    (void)scratch;
    at[0].rm_so = 0;
    at[0].rm_eo = (regoff_t)key.len;
    int e = regexec(pattern, key.ptr, RULE_GROUPS_MAX, at, REG_STARTEND);
    if (e != 0)
        return e == REG_NOMATCH ? 0 : -ENOMEM;
    m->n = RULE_GROUPS_MAX;
    for (size_t i = 0; i < RULE_GROUPS_MAX; i++) {
        m->group[i].from = at[i].rm_so;
        m->group[i].to = at[i].rm_eo;
    }
    return 1;
}

const struct rule_kind rule_kind_regexp = {
    .compile = compile,
    .release = release,
    .match = match,
};

int regexp_open(const struct table_opening *o, void **ret)
{
    return rules_open_file(&rule_kind_regexp, o, ret);
}
