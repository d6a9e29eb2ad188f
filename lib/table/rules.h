/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - ordered tables of patterns: regexp, pcre, cidr
 *
 *     PATTERN   result          the first rule whose pattern matches gives the result
 *     !PATTERN  result          ... whose pattern does not match
 *     if PATTERN ... endif      the lines between count only when it matches; may nest
 *
 * What a pattern is belongs to the type, a struct rule_kind. In results $1 ${1} $(1) stand for
 * the pattern's groups, $$ for a dollar sign. See regexp_table(5), pcre_table(5), cidr_table(5).
 */
#ifndef TABLE_RULES_H
#define TABLE_RULES_H

#include <stdbool.h>

#include "base/own.h"
#include "base/span.h"
#include "base/str.h"
#include "table/type.h"

enum {
    RULE_GROUPS_MAX = 32,           /* $0 (not offered) to $31 */
    RULE_NESTING_MAX = 64,          /* if within if */
};

/* Where in the key the groups were found. */
struct rule_match {
    size_t n;
    struct {
        ptrdiff_t from, to;         /* from < 0: took no part */
    } group[RULE_GROUPS_MAX];
};

struct rule_kind {
    /*
     * Take a pattern off the front of *line, compiled into *ret; *ret_groups is the highest group
     * number a result may use. 0, or -EINVAL with a text added to err.
     */
    int (*compile)(struct span *line, void **ret, size_t *ret_groups, struct str *err);
    void (*release)(void *pattern);
    /* Called once for each look-up, before match: false when no rule can match. May be NULL. */
    bool (*prepare)(struct span key, void *scratch);
    /* 1, 0, or a negative errno. match->n is set when it has groups. A NUL stands behind the key.
     */
    int (*match)(const void *pattern, struct span key, const void *scratch,
                 struct rule_match *match);
};

enum { RULE_SCRATCH_MAX = 32 };      /* bytes that prepare may use */

extern const struct rule_kind rule_kind_regexp, rule_kind_pcre, rule_kind_cidr;

struct rules;

/* Parse the text of a table. path is for messages. 0, or -EINVAL with *err. */
int rules_parse(const struct rule_kind *kind, struct span text, const char *path,
                struct rules **ret, struct str *err);
int rules_open_file(const struct rule_kind *kind, const struct table_opening *o, void **ret);
void rules_free(struct rules *rules);
DEFINE_CLEANUP(struct rules, rules_free);

/* 1 and the result added to value; 0; negative errno. */
int rules_get(struct rules *rules, struct span key, struct str *value);

/*
 * Cut "DpatternDflags" off the front of *line, D any character that is not a letter, digit, blank
 * or backslash; a backslash keeps the next character from ending the pattern. 0, or -EINVAL with
 * err.
 */
int rules_cut_delimited(struct span *line, struct span *ret_pattern, struct span *ret_flags,
                        struct str *err);

#endif
