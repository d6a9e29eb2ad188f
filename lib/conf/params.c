/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.c - typed parameters, all made from params.def
 *
 * Runs in: every program, at start, on the administrator's text. Logs nothing.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "conf/conf.h"

const struct param_row param_rows[] = {
#define PARAM(name, type, def, min, max, text) { #name, PARAM_##type, def, min, max, text },
#define PARAM_NAMED(member, name, type, def, min, max, text) { name, PARAM_##type, def, min, max, text },
#include "conf/params.def"
#undef PARAM
};
const size_t param_rows_len = ARRAY_LEN(param_rows);

static const size_t param_offsets[] = {
#define PARAM(name, type, def, min, max, text) offsetof(struct params, name),
#include "conf/params.def"
#undef PARAM
};

static int compare_row(const void *key, const void *row)
{
    return strcmp(key, ((const struct param_row *)row)->name);
}

static const struct param_row *find_row(const char *name)
{
    return bsearch(name, param_rows, param_rows_len, sizeof param_rows[0], compare_row);
}

/* ---- lmtp_NAME: smtp_NAME of the LMTP client ---- */

/* Those whose names say the command of the protocol */
static const struct {
    const char *smtp, *lmtp;
} renamed[] = { { "smtp_helo_name", "lmtp_lhlo_name" }, { "smtp_helo_timeout", "lmtp_lhlo_timeout" } };

static void lmtp_name(const char *smtp, struct str *ret)
{
    str_reset(ret);
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (strcmp(renamed[i].smtp, smtp) == 0) {
            str_add_str(ret, renamed[i].lmtp);
            return;
        }
    str_addf(ret, "lmtp_%s", smtp + strlen("smtp_"));
}

const struct param_row *param_find(const char *name)
{
    const struct param_row *row = find_row(name);
    _cleanup_(str_free) struct str smtp = STR_INIT;

    if (row || strncmp(name, "lmtp_", strlen("lmtp_")) != 0)
        return row;
    str_addf(&smtp, "smtp_%s", name + strlen("lmtp_"));
    return find_row(str_cstr(&smtp));
}

bool param_has_effect(const struct param_row *row)
{
    return strncmp(row->text, PARAM_NO_EFFECT, strlen(PARAM_NO_EFFECT)) != 0;
}

int conf_parse_time(struct span text, char unit, int64_t *ret_seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
    uint64_t n;

    if (text.len > 0 && char_is(text.ptr[text.len - 1], CHAR_ALPHA)) {
        unit = char_lower(text.ptr[text.len - 1]);
        text.len--;
    }
    int r = span_u64(text, INT64_MAX / 604800, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].unit == unit) {
            *ret_seconds = (int64_t)n * units[i].seconds;
            return 0;
        }
    return -EINVAL;
}

/* The unit of a bare number is that of the default value ("300s" -> 's'). */
static char default_unit(const char *def)
{
    size_t n = strlen(def);

    return n > 0 && char_is(def[n - 1], CHAR_ALPHA) ? def[n - 1] : 's';
}

static const char *accepted_form(enum param_type type)
{
    switch (type) {
    case PARAM_INT:
        return "a whole number";
    case PARAM_SIZE:
        return "a whole number of bytes";
    case PARAM_BOOL:
        return "yes or no";
    case PARAM_TIME:
        return "a time such as 30s, 5m, 2h, 1d or 1w";
    case PARAM_STR:
    case PARAM_WORD:
    case PARAM_WORDS:
        break;
    }
    return "text";
}

/* Of a WORD or WORDS: "empty", "not" */
static bool may_be(const struct param_row *row, const char *what)
{
    return span_list_has(span_of(row->max), what);
}

static void add_words(const struct param_row *row, struct str *ret)
{
    struct span rest = span_of(row->min), word;

    for (bool first = true; span_word(&rest, " ", &word); first = false) {
        if (!first)
            str_add_str(ret, rest.len > 0 ? ", " : " or ");
        str_add(ret, word);
    }
    if (may_be(row, "not"))
        str_add_str(ret, ", or with a ! in front");
    if (may_be(row, "empty"))
        str_add_str(ret, ", or nothing");
}

void param_add_accepted(const struct param_row *row, struct str *ret)
{
    if (row->type == PARAM_WORD || row->type == PARAM_WORDS) {
        if (row->type == PARAM_WORDS)
            str_add_str(ret, "a list of ");
        add_words(row, ret);
        return;
    }
    str_add_str(ret, accepted_form(row->type));
    if (*row->min && *row->max)
        str_addf(ret, " from %s to %s", row->min, row->max);
}

/* The LMTP client calls its parameters by the names of smtp(8); administrators know them by others. */
static bool called_lmtp;

void conf_blame(const char *name, struct str *err)
{
    _cleanup_(str_free) struct str lmtp = STR_INIT;

    if (called_lmtp && strncmp(name, "smtp_", strlen("smtp_")) == 0)
        lmtp_name(name, &lmtp);
    str_addf(err, "bad value for parameter %s: ", lmtp.len > 0 ? str_cstr(&lmtp) : name);
}

int conf_refuse(const char *name, struct span wrong, const char *expected, struct str *err)
{
    conf_blame(name, err);
    str_add_char(err, '"');
    str_add_escaped(err, wrong, 80, STR_ASCII);
    str_addf(err, "\": expected %s", expected);
    return -EINVAL;
}

static int refuse(const struct param_row *row, struct span value, struct str *err)
{
    _cleanup_(str_free) struct str accepted = STR_INIT;

    param_add_accepted(row, &accepted);
    return conf_refuse(row->name, value, str_cstr(&accepted), err);
}

/* The accepted word, as the table spells it */
static bool find_word(const struct param_row *row, struct span value, struct span *ret)
{
    struct span rest = span_of(row->min);

    while (span_word(&rest, " ", ret))
        if (span_eq_nocase(*ret, value))
            return true;
    *ret = value;
    return value.len == 0 && may_be(row, "empty");
}

/* A list of them, as the table spells them. On failure *ret is the word that is not accepted. */
static bool find_words(const struct param_row *row, struct span value, struct span *ret_wrong, struct str *ret)
{
    struct span word, accepted;

    *ret_wrong = value;
    while (span_word(&value, ", \t\r\n", &word)) {
        *ret_wrong = word;
        const bool negated = may_be(row, "not") && span_take(&word, '!');
        if (word.len == 0 || !find_word(row, word, &accepted))
            return false;
        str_addf(ret, "%s%s" SPAN_FMT, ret->len > 0 ? "," : "", negated ? "!" : "", SPAN_ARG(accepted));
    }
    return ret->len > 0 || may_be(row, "empty");
}

static int set_words(const struct param_row *row, struct span value, char **member, struct str *err)
{
    _cleanup_(str_free) struct str words = STR_INIT;
    struct span wrong;

    if (!find_words(row, value, &wrong, &words))
        return refuse(row, wrong, err);
    *member = str_take(&words);
    return 0;
}

static int parse_bool(struct span v, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = { { "yes", true }, { "no", false }, { "true", true }, { "false", false } };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (span_eq_nocase_str(v, words[i].word)) {
            *ret = words[i].value;
            return 0;
        }
    return -EINVAL;
}

static int parse_number(const struct param_row *row, struct span v, int64_t *ret)
{
    if (row->type == PARAM_TIME)
        return conf_parse_time(v, default_unit(row->def), ret);
    return span_i64(v, ret);
}

/* A number of an INT, SIZE or TIME row, in range; bounds of the table are trusted. */
static int parse_ranged(const struct param_row *row, struct span v, int64_t *ret)
{
    int64_t n, bound;

    if (parse_number(row, v, &n) < 0)
        return -EINVAL;
    if (*row->min && parse_number(row, span_of(row->min), &bound) == 0 && n < bound)
        return -ERANGE;
    if (*row->max && parse_number(row, span_of(row->max), &bound) == 0 && n > bound)
        return -ERANGE;
    *ret = n;
    return 0;
}

static int set_member(const struct param_row *row, struct span value, void *member, struct str *err)
{
    struct span word;
    bool flag;
    int64_t n;

    switch (row->type) {
    case PARAM_STR:
        *(char **)member = mem_dup_span(value);
        return 0;
    case PARAM_WORD:
        if (!find_word(row, span_trim(value), &word))
            return refuse(row, value, err);
        *(char **)member = mem_dup_span(word);
        return 0;
    case PARAM_WORDS:
        return set_words(row, value, member, err);
    case PARAM_BOOL:
        if (parse_bool(span_trim(value), &flag) < 0)
            return refuse(row, value, err);
        *(bool *)member = flag;
        return 0;
    case PARAM_INT:
    case PARAM_TIME:
    case PARAM_SIZE:
        if (parse_ranged(row, span_trim(value), &n) < 0)
            return refuse(row, value, err);
        *(int64_t *)member = n;
        return 0;
    }
    return -EINVAL;
}

static int set_from(const struct conf *c, const struct param_row *row, void *member, struct str *err)
{
    _cleanup_(str_free) struct str value = STR_INIT, why = STR_INIT;
    int r = conf_get(c, row->name, &value, &why);

    if (r == 0)
        r = set_member(row, str_span(&value), member, &why);
    if (r < 0) {
        conf_add_place(c, row->name, err);
        str_add(err, str_span(&why));
    }
    return r;
}

/* An smtp_NAME member with the value of lmtp_NAME */
static int set_from_lmtp(const struct conf *c, const struct param_row *row, void *member, struct str *err)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    lmtp_name(row->name, &name);
    struct param_row lmtp = *param_find(str_cstr(&name));
    lmtp.name = str_cstr(&name);
    return set_from(c, &lmtp, member, err);
}

int conf_params_for(const struct conf *c, enum conf_client client, struct params **ret, struct str *err)
{
    _cleanup_(params_free_ptr_) struct params *p = mem_new(struct params);

    for (size_t i = 0; i < param_rows_len; i++) {
        bool of_lmtp = client == CONF_LMTP && strncmp(param_rows[i].name, "smtp_", strlen("smtp_")) == 0;
        int r = (of_lmtp ? set_from_lmtp : set_from)(c, &param_rows[i], (char *)p + param_offsets[i], err);
        if (r < 0)
            return r;
    }
    called_lmtp = client == CONF_LMTP;
    *ret = TAKE_PTR(p);
    return 0;
}

int conf_params(const struct conf *c, struct params **ret, struct str *err)
{
    return conf_params_for(c, CONF_SMTP, ret, err);
}

static bool is_text(enum param_type type)
{
    return type == PARAM_STR || type == PARAM_WORD || type == PARAM_WORDS;
}

void params_free(struct params *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < param_rows_len; i++)
        if (is_text(param_rows[i].type))
            free(*(char **)((char *)p + param_offsets[i]));
    free(p);
}

/* A value that params.def does not list, judged as if it did. */
static int get_as(const struct conf *c, const char *name, enum param_type type, int64_t fallback, int64_t *ret,
                  struct str *err)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct param_row row = { name, type, "0s", "", "", "" };
    int r = conf_get(c, name, &value, err);

    if (r == -ENOENT) {
        *ret = fallback;
        return 0;
    }
    if (r < 0)
        return r;
    if (parse_number(&row, span_trim(str_span(&value)), ret) < 0)
        return refuse(&row, str_span(&value), err);
    return 0;
}

int conf_get_int(const struct conf *c, const char *name, int64_t fallback, int64_t *ret, struct str *err)
{
    return get_as(c, name, PARAM_INT, fallback, ret, err);
}

int conf_get_time(const struct conf *c, const char *name, int64_t fallback, int64_t *ret, struct str *err)
{
    return get_as(c, name, PARAM_TIME, fallback, ret, err);
}
