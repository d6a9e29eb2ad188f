/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h - main.cf: reading, expanding $name, and the typed parameters
 *
 * Syntax as in postconf(5): "name = value", a line that starts with white space
 * continues the one before, '#' at the start of a line comments it out. Values may use
 * $name, ${name}, ${name?text}, ${name:text}, ${name?{text}:{text}}, ${{a} == {b} ? {x} : {y}}
 * (also != < <= >= >), $$. Expansion is lazy: at use.
 *
 * lib/conf/params.def is the one list of parameters; from it come the struct
 * params below, the parser with its range checks, postconf and the manual page.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"
#include "base/str.h"

struct conf; /* the settings of one main.cf plus -o overrides, unexpanded */

/*
 * Read DIR/main.cf. dir NULL: $MAIL_CONFIG, else the built-in configuration
 * directory. On failure *err gets one line that names file, line and cause.
 * A missing main.cf is an error.
 */
int conf_load(const char *dir, struct conf **ret, struct str *err);
/*
 * The same for master, which also keeps the text in a sealed memory file, so that every process it starts
 * reads what was checked, whatever becomes of main.cf: conf_copy_fd() is that file's descriptor (c's; -1 after a
 * plain conf_load), and conf_load_copy reads it in any process that was handed it. dir names it in messages.
 */
int conf_load_keep(const char *dir, struct conf **ret, struct str *err);
int conf_copy_fd(const struct conf *c);
int conf_load_copy(const char *dir, int fd, struct conf **ret, struct str *err);
/* The same without reading any file: nothing is set, all is default. Never NULL. */
struct conf *conf_new(const char *dir);
void conf_free(struct conf *c);
DEFINE_CLEANUP(struct conf, conf_free);
const char *conf_directory(const struct conf *c);

/* Set one parameter as "-o name=value" of master.cf does; wins over main.cf. 0 or -EINVAL with *err. */
int conf_override(struct conf *c, struct span name_equals_value, struct str *err);

/* "DIR/main.cf, line N: " for a message about a parameter that main.cf sets, else nothing. */
void conf_add_place(const struct conf *c, const char *name, struct str *ret);

/* The unexpanded text: what main.cf or an override says, else the default of params.def, else NULL. */
const char *conf_raw(const struct conf *c, const char *name);
/* Is it set in main.cf or by an override? */
bool conf_is_set(const struct conf *c, const char *name);

/* Expand any text that may hold $name. 0, or -EINVAL/-ELOOP with *err. */
int conf_expand(const struct conf *c, struct span text, struct str *ret, struct str *err);

/* The expanded value of any parameter, also one params.def does not know (user-defined,
 * or made of a transport name, such as relay_destination_concurrency_limit).
 * 0; -ENOENT: not set and no default. */
int conf_get(const struct conf *c, const char *name, struct str *ret, struct str *err);
/* Typed values of such names; fallback when not set. Times in seconds. 0 or -EINVAL with *err. */
int conf_get_int(const struct conf *c, const char *name, int64_t fallback, int64_t *ret, struct str *err);
int conf_get_time(const struct conf *c, const char *name, int64_t fallback, int64_t *ret, struct str *err);

/* "10", "300s", "5m", "2h", "1d", "1w"; unit: used when none is given. Seconds. 0 or -EINVAL/-ERANGE. */
int conf_parse_time(struct span text, char unit, int64_t *ret_seconds);

/*
 * What is wrong with a value, in the one form that all have: "bad value for parameter NAME: ", and perhaps the wrong part of it with
 * what is accepted there. The second returns -EINVAL. After conf_params_for(CONF_LMTP) smtp_NAME is called lmtp_NAME.
 */
void conf_blame(const char *name, struct str *err);
int conf_refuse(const char *name, struct span wrong, const char *expected, struct str *err);

/* ---- typed parameters ---- */

/*
 * One member per row of params.def, same name as in main.cf:
 *   STR   const char * (expanded, never NULL)     INT   int64_t
 *   WORD  the same, one of those that are accepted
 *   WORDS the same, any number of them, separated by commas
 *   BOOL  bool                                    TIME  int64_t seconds
 *   SIZE  int64_t bytes
 */
struct params {
#define PARAM_TYPE_STR  const char *
#define PARAM_TYPE_WORD const char *
#define PARAM_TYPE_WORDS const char *
#define PARAM_TYPE_INT  int64_t
#define PARAM_TYPE_BOOL bool
#define PARAM_TYPE_TIME int64_t
#define PARAM_TYPE_SIZE int64_t
#define PARAM(name, type, def, min, max, text) PARAM_TYPE_##type name;
#include "conf/params.def"
#undef PARAM
};

/*
 * Expand and check all. On failure *err names parameter, value and accepted form.
 * The params belong to the caller (params_free) and do not point into c.
 */
int conf_params(const struct conf *c, struct params **ret, struct str *err);
/*
 * The same; for the LMTP client, each smtp_NAME member has the value of lmtp_NAME. A parameter lmtp_NAME without
 * a row of its own has type, default and bounds of smtp_NAME, and is not moved by what that is set to.
 */
enum conf_client { CONF_SMTP, CONF_LMTP };
int conf_params_for(const struct conf *c, enum conf_client client, struct params **ret, struct str *err);
void params_free(struct params *p);
DEFINE_CLEANUP(struct params, params_free);

/* The table itself, for postconf and the manual. */
#define PARAM_NO_EFFECT "Accepted without effect"
enum param_type { PARAM_STR, PARAM_WORD, PARAM_WORDS, PARAM_INT, PARAM_BOOL, PARAM_TIME, PARAM_SIZE };
struct param_row {
    const char *name;
    enum param_type type;
    const char *def, *min, *max, *text;
};
extern const struct param_row param_rows[]; /* sorted by name */
extern const size_t param_rows_len;
const struct param_row *param_find(const char *name); /* lmtp_NAME: perhaps the row of smtp_NAME */
bool param_has_effect(const struct param_row *row);
/* What a value may be: "a whole number from 0 to 4", "none, may or encrypt". */
void param_add_accepted(const struct param_row *row, struct str *ret);

/* Visit what main.cf sets, in file order (for postconf -n and warnings). */
void conf_foreach_set(const struct conf *c, void (*fn)(const char *name, const char *raw, void *arg), void *arg);

#endif
