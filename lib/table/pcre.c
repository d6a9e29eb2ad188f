/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcre.c - pcre: tables of Perl-compatible regular expressions, as pcre_table(5) describes
 *
 * A pattern that backtracks without end is stopped after PCRE_STEPS_MAX steps; the
 * look-up then fails for the moment instead of holding up every other session.
 *
 * Runs in: every program that reads tables; keys are hostile.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "config.h"

#include <errno.h>
#include <pcre2.h>

#include "base/library.h"
#include "base/mem.h"
#include "base/own.h"
#include "table/rules.h"

enum { PCRE_STEPS_MAX = 1000000 };

#define FUNCTIONS(X)                                                                                         \
    X(compile) X(get_error_message) X(pattern_info) X(code_free)                                             \
    X(match_data_create_from_pattern) X(match_data_free) X(match) X(get_ovector_pointer)                     \
    X(match_context_create) X(match_context_free) X(set_match_limit)

#define POINTER(f)        __typeof__(&pcre2_##f) f;
#define FUNCTION(f)       { NAME(pcre2_##f), &lib.f },
#define NAME(function)    NAME_OF(function) /* itself a macro, which adds the width of a code unit */
#define NAME_OF(function) #function

static struct {
    FUNCTIONS(POINTER)
} lib;

static int load_library(struct str *err)
{
    static const struct library_function functions[] = { FUNCTIONS(FUNCTION) };

    return lib.compile ? 0 : library_load(PCRE2_SONAME, functions, ARRAY_LEN(functions), err);
}

/* A flag letter inverts its bit. */
static const struct pcre_flag {
    char letter;
    uint32_t bit;
} pcre_flags[] = {
    {'i', PCRE2_CASELESS      }, /* on at first */
    {'m', PCRE2_MULTILINE     },
    {'s', PCRE2_DOTALL        }, /* on at first */
    {'x', PCRE2_EXTENDED      },
    {'A', PCRE2_ANCHORED      },
    {'E', PCRE2_DOLLAR_ENDONLY},
    {'U', PCRE2_UNGREEDY      },
    {'X', 0                   }, /* what it asked for is always so in PCRE2 */
};

struct pcre {
    pcre2_code *code;
    pcre2_match_data *data; /* matching does not wait, so one is enough */
    pcre2_match_context *context;
};

static int parse_flags(struct span flags, uint32_t *ret, struct str *err)
{
    uint32_t bits = PCRE2_CASELESS | PCRE2_DOTALL;

    for (size_t i = 0; i < flags.len; i++) {
        size_t f = 0;

        while (f < ARRAY_LEN(pcre_flags) && pcre_flags[f].letter != flags.ptr[i])
            f++;
        if (f == ARRAY_LEN(pcre_flags)) {
            str_addf(err, "unknown flag '%c' behind the pattern: expected i, m, s, x, A, E, U or X",
                     flags.ptr[i]);
            return -EINVAL;
        }
        bits ^= pcre_flags[f].bit;
    }
    *ret = bits;
    return 0;
}

static pcre2_code *compile_code(struct span pattern, uint32_t bits, struct str *err)
{
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = lib.compile((PCRE2_SPTR)pattern.ptr, pattern.len, bits, &error, &at, NULL);

    if (!code) {
        PCRE2_UCHAR why[200];

        lib.get_error_message(error, why, sizeof why);
        str_addf(err, "bad pattern: %s at character %zu", (const char *)why, (size_t)at + 1);
    }
    return code;
}

static int compile(struct span *line, void **ret, size_t *ret_groups, struct str *err)
{
    struct span pattern, flags;
    uint32_t bits = 0, groups = 0;
    int r = load_library(err);

    if (r == 0)
        r = rules_cut_delimited(line, &pattern, &flags, err);
    if (r == 0)
        r = parse_flags(flags, &bits, err);
    if (r < 0)
        return r;
    pcre2_code *code = compile_code(pattern, bits, err);
    if (!code)
        return -EINVAL;

    struct pcre *p = mem_new(struct pcre);

    p->code = code;
    p->data = lib.match_data_create_from_pattern(code, NULL);
    p->context = lib.match_context_create(NULL);
    if (!p->data || !p->context)
        abort(); /* out of memory, as in mem.h */
    lib.set_match_limit(p->context, PCRE_STEPS_MAX);
    lib.pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    *ret_groups = groups;
    *ret = p;
    return 0;
}

static void release(void *pattern)
{
    struct pcre *p = pattern;

    if (!p)
        return;
    lib.match_context_free(p->context);
    lib.match_data_free(p->data);
    lib.code_free(p->code);
    free(p);
}

static int match(const void *pattern, struct span key, const void *scratch, struct rule_match *m)
{
    const struct pcre *p = pattern;
    int n = lib.match(p->code, (PCRE2_SPTR)key.ptr, key.len, 0, 0, p->data,
                        p->context);

    (void)scratch;
    if (n < 0)
        return n == PCRE2_ERROR_NOMATCH ? 0 : -EAGAIN;
    const PCRE2_SIZE *at = lib.get_ovector_pointer(p->data);

    m->n = (size_t)n < RULE_GROUPS_MAX ? (size_t)n : RULE_GROUPS_MAX;
    for (size_t i = 0; i < m->n; i++) {
        m->group[i].from = at[2 * i] == PCRE2_UNSET ? -1 : (ptrdiff_t)at[2 * i];
        m->group[i].to = (ptrdiff_t)at[2 * i + 1];
    }
    return 1;
}

const struct rule_kind rule_kind_pcre = {
    .compile = compile,
    .release = release,
    .match = match,
};

int pcre_open(const struct table_opening *o, void **ret)
{
    int r = load_library(o->err); /* also for a file without rules: it may get some when the sandbox is in force */

    return r < 0 ? r : rules_open_file(&rule_kind_pcre, o, ret);
}
