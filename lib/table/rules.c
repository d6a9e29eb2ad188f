/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - ordered tables of patterns: parsing, if/endif, results with $1
 *
 * The table is compiled into a flat list; an "if" that does not hold jumps behind its
 * endif. Results are checked when the table is read, so that a wrong $5 refuses
 * the table instead of a message.
 *
 * Runs in: every program that reads tables; keys are hostile, the file is the administrator's.
 */
#include "table/rules.h"

#include <errno.h>
#include <stdalign.h>

#include "base/chars.h"
#include "base/mem.h"
#include "table/lines.h"

enum rule_type { RULE_RESULT, RULE_IF };

struct rule {
    enum rule_type type;
    bool negate;
    void *pattern;
    char *result; /* RULE_RESULT */
    size_t end;   /* RULE_IF: index of the first rule behind the endif */
};

struct rules {
    const struct rule_kind *kind;
    struct rule *items;
    size_t len, cap;
    struct str key;                 /* terminated copy: sanitizers want regexec() to have one */
};

struct parser {
    struct rules *rules;
    const char *path;
    int line;
    struct str *err;
    struct {
        size_t rule;
        int line;
    } open[RULE_NESTING_MAX];
    size_t depth;
};

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->len; i++) {
        rules->kind->release(rules->items[i].pattern);
        free(rules->items[i].result);
    }
    free(rules->items);
    str_free(&rules->key);
    free(rules);
}

/* ---- results ---- */

/*
 * What stands behind a '$' at the front of *text: a group number in *ret, or 0 for "$$". Takes it
 * off. False when it is something else.
 */
static bool cut_group(struct span *text, uint32_t *ret)
{
    char close = '\0';
    size_t n = 0;

    if (span_take(text, '$')) {
        *ret = 0;
        return true;
    }
    if (span_take(text, '{'))
        close = '}';
    else if (span_take(text, '('))
        close = ')';
    while (n < text->len && char_is(text->ptr[n], CHAR_DIGIT))
        n++;
    if (span_u32(span_first(*text, n), RULE_GROUPS_MAX - 1, ret) < 0 || *ret == 0)
        return false;
    *text = span_from(*text, n);
    return !close || span_take(text, close);
}

static int check_result(struct parser *p, struct span result, size_t groups, bool negate)
{
    ptrdiff_t at;
    uint32_t group;

    while ((at = span_chr(result, '$')) >= 0) {
        result = span_from(result, (size_t)at + 1);
        if (!cut_group(&result, &group))
            return lines_error(
                p->err, p->path, p->line,
                "bad $name in the result: expected $1 to $%d, or $$ for a dollar sign",
                RULE_GROUPS_MAX - 1);
        if (group > 0 && negate)
            return lines_error(p->err, p->path, p->line, "no $%u in the result of a !pattern",
                               group);
        if (group > groups)
            return lines_error(p->err, p->path, p->line,
                               "$%u in the result, but the pattern has %zu group(s)", group,
                               groups);
    }
    return 0;
}

static void add_group(struct str *value, struct span key, const struct rule_match *m,
                      uint32_t group)
{
    if (group >= m->n || m->group[group].from < 0)
        return;
    str_add(value, span_first(span_from(key, (size_t)m->group[group].from),
                              (size_t)(m->group[group].to - m->group[group].from)));
}

static int add_result(struct str *value, const char *result, struct span key,
                      const struct rule_match *m)
{
    struct span rest = span_of(result);
    uint32_t group;

    for (ptrdiff_t at; (at = span_chr(rest, '$')) >= 0;) {
        str_add(value, span_first(rest, (size_t)at));
        rest = span_from(rest, (size_t)at + 1);
        if (!cut_group(&rest, &group))
            return -EINVAL;
        if (group == 0)
            str_add_char(value, '$');
        else
            add_group(value, key, m, group);
        if (value->len > TABLE_VALUE_MAX)
            return -EMSGSIZE;
    }
    str_add(value, rest);
    return 1;
}

/* ---- parsing ---- */

int rules_cut_delimited(struct span *line, struct span *ret_pattern, struct span *ret_flags,
                        struct str *err)
{
    char delimiter = line->len > 0 ? line->ptr[0] : '\0';
    size_t i = 1, n = 0;

    if (char_is(delimiter, CHAR_ALNUM | CHAR_BLANK | CHAR_CTL) || delimiter == '\\') {
        str_add_str(err, "expected a pattern such as /pattern/");
        return -EINVAL;
    }
    while (i < line->len && line->ptr[i] != delimiter)
        i += line->ptr[i] == '\\' ? 2 : 1;
    if (i >= line->len) {
        str_addf(err, "no closing '%c' of the pattern", delimiter);
        return -EINVAL;
    }
    struct span rest = span_from(*line, i + 1);

    while (n < rest.len && char_is(rest.ptr[n], CHAR_ALPHA))
        n++;
    *ret_pattern = span_make(line->ptr + 1, i - 1);
    *ret_flags = span_first(rest, n);
    *line = span_from(rest, n);
    return 0;
}

/* The pattern, with '!' before it; what is left of line goes back to the caller. */
static int compile_pattern(struct parser *p, struct span *line, struct rule *rule,
                           size_t *ret_groups)
{
    _cleanup_(str_free) struct str why = STR_INIT;

    while (span_take(line, '!')) {
        rule->negate = !rule->negate;
        *line = span_skip_ws(*line);
    }
    int r = p->rules->kind->compile(line, &rule->pattern, ret_groups, &why);

    return r < 0 ? lines_error(p->err, p->path, p->line, "%s", str_cstr(&why)) : 0;
}

static void add_rule(struct parser *p, struct rule rule)
{
    MEM_GROW(p->rules->items, p->rules->len, p->rules->cap);
    p->rules->items[p->rules->len++] = rule;
}

static int parse_if(struct parser *p, struct span line)
{
    struct rule rule = {.type = RULE_IF};
    size_t groups;

    if (p->depth == RULE_NESTING_MAX)
        return lines_error(p->err, p->path, p->line, "more than %d nested \"if\"",
                           RULE_NESTING_MAX);
    int r = compile_pattern(p, &line, &rule, &groups);
    if (r < 0)
        return r;
    p->open[p->depth].rule = p->rules->len;
    p->open[p->depth++].line = p->line;
    add_rule(p, rule);
    line = span_skip_ws(line);
    if (line.len > 0)
        return lines_error(p->err, p->path, p->line, "text behind the pattern of \"if\"");
    return 0;
}

static int parse_endif(struct parser *p, struct span line)
{
    if (p->depth == 0)
        return lines_error(p->err, p->path, p->line, "\"endif\" without \"if\"");
    if (line.len > 0)
        return lines_error(p->err, p->path, p->line, "text behind \"endif\"");
    p->rules->items[p->open[--p->depth].rule].end = p->rules->len;
    return 0;
}

static int parse_result(struct parser *p, struct span line)
{
    struct rule rule = {.type = RULE_RESULT};
    size_t groups = 0;
    int r = compile_pattern(p, &line, &rule, &groups);

    if (r < 0)
        return r;
    struct span result = span_skip_ws(line);

    rule.result = mem_dup_span(result);
    add_rule(p, rule); /* from here on rules_free() releases the pattern */
    if (result.len == 0 || result.ptr == line.ptr)
        return lines_error(p->err, p->path, p->line, "expected format: pattern whitespace result");
    if (memchr(result.ptr, '\0', result.len))
        return lines_error(p->err, p->path, p->line, "NUL byte in the result");
    return check_result(p, result, groups, rule.negate);
}

/* Does the line begin with the word, followed by a blank, '!' or nothing? Take it off with the
 * blanks. */
static bool take_word(struct span *line, const char *word)
{
    struct span rest = *line;

    if (!span_take_nocase(&rest, word))
        return false;
    if (rest.len > 0 && char_is(rest.ptr[0], CHAR_ALNUM))
        return false;
    *line = span_skip_ws(rest);
    return true;
}

static int parse_line(struct parser *p, struct span line)
{
    if (take_word(&line, "endif"))
        return parse_endif(p, line);
    if (take_word(&line, "if"))
        return parse_if(p, line);
    return parse_result(p, line);
}

int rules_parse(const struct rule_kind *kind, struct span text, const char *path,
                struct rules **ret, struct str *err)
{
    _cleanup_(rules_free_ptr_) struct rules *rules = mem_new(struct rules);
    _cleanup_(lines_done) struct lines lines = LINES_INIT(text);
    struct parser p = {.rules = rules, .path = path, .err = err};
    struct span line;

    rules->kind = kind;
    while (lines_next(&lines, &line)) {
        p.line = lines.number;
        int r = parse_line(&p, line);

        if (r < 0)
            return r;
    }
    if (p.depth > 0)
        return lines_error(err, path, p.open[p.depth - 1].line, "\"if\" without \"endif\"");
    *ret = TAKE_PTR(rules);
    return 0;
}

int rules_open_file(const struct rule_kind *kind, const struct table_opening *o, void **ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct rules *rules;
    int r = lines_read_file(o->path, TABLE_FILE_MAX, &text, o->err);

    if (r < 0)
        return r;
    r = rules_parse(kind, str_span(&text), o->path, &rules, o->err);
    if (r < 0)
        return r;
    *ret = rules;
    return 0;
}

/* ---- look-up ---- */

int rules_get(struct rules *rules, struct span key, struct str *value)
{
    alignas(16) char scratch[RULE_SCRATCH_MAX];
    struct rule_match match;
    size_t i = 0;

    if (rules->kind->prepare && !rules->kind->prepare(key, scratch))
        return 0;
    str_set(&rules->key, key);          /* no rule waits */
    key = str_span(&rules->key);
    while (i < rules->len) {
        const struct rule *rule = &rules->items[i];

        match.n = 0;
        int r = rules->kind->match(rule->pattern, key, scratch, &match);
        if (r < 0)
            return r;
        bool holds = (r > 0) != rule->negate;

        if (holds && rule->type == RULE_RESULT)
            return add_result(value, rule->result, key, &match);
        i = !holds && rule->type == RULE_IF ? rule->end : i + 1;
    }
    return 0;
}

int rules_table_get(void *impl, struct span key, struct str *value)
{
    return rules_get(impl, key, value);
}

void rules_table_close(void *impl)
{
    rules_free(impl);
}
