/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master_cf.c - parse master.cf, the table of services; master(5)
 *
 * Runs in: master, postern, postconf; on the administrator's text. Logs nothing.
 */
#include "conf/master_cf.h"

#include <errno.h>

#include "base/mem.h"
#include "conf/internal.h"

enum { FILE_MAX = 4 << 20, FIELDS = 8 };

static const struct {
    const char *name;
    enum service_type type;
} service_types[] = {
    { "inet", SERVICE_INET }, { "unix", SERVICE_UNIX }, { "fifo", SERVICE_FIFO },
    { "pass", SERVICE_PASS }, { "unix-dgram", SERVICE_UNIX_DGRAM },
};

struct place {
    const char *path;
    int line;
    struct str *err;
};

static int refuse(const struct place *at, const char *field, struct span value, const char *wanted)
{
    str_addf(at->err, "%s, line %d: %s \"", at->path, at->line, field);
    str_add_escaped(at->err, value, 60, STR_ASCII);
    str_addf(at->err, "\": expected %s", wanted);
    return -EINVAL;
}

static int parse_type(const struct place *at, struct span v, enum service_type *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(service_types); i++)
        if (span_eq_str(v, service_types[i].name)) {
            *ret = service_types[i].type;
            return 0;
        }
    return refuse(at, "type", v, "inet, unix, fifo, pass or unix-dgram");
}

static int parse_flag(const struct place *at, const char *field, struct span v, bool def, bool *ret)
{
    if (span_eq_str(v, "-"))
        *ret = def;
    else if (span_eq_nocase_str(v, "y"))
        *ret = true;
    else if (span_eq_nocase_str(v, "n"))
        *ret = false;
    else
        return refuse(at, field, v, "y, n or -");
    return 0;
}

static int parse_wakeup(const struct place *at, struct span v, struct service *s)
{
    struct span number = v;

    if (span_eq_str(v, "-"))
        return 0;
    if (number.len > 0 && number.ptr[number.len - 1] == '?') {
        s->wakeup_if_used = true;
        number.len--;
    }
    if (conf_parse_time(number, 's', &s->wakeup) < 0)
        return refuse(at, "wakeup time", v, "a time in seconds, with ? behind it, or -");
    return 0;
}

static int parse_limit(const struct place *at, struct span v, struct service *s)
{
    uint64_t n;

    s->max_processes = -1;
    if (span_eq_str(v, "-"))
        return 0;
    if (span_u64(v, 1000000, &n) < 0)
        return refuse(at, "process limit", v, "a number (0: no limit) or -");
    s->max_processes = (int64_t)n;
    return 0;
}

static void add_word(char ***list, size_t *len, struct span word)
{
    *list = mem_realloc(*list, *len + 2, sizeof **list);
    (*list)[(*len)++] = mem_dup_span(word);
    (*list)[*len] = NULL;
}

/* "{ name = value }" or name=value, blanks around both sides removed */
static void add_override(struct service *s, size_t *len, struct span word)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct span value = word, name = span_trim(span_cut(&value, '='));

    str_add(&text, name);
    if (span_chr(word, '=') >= 0) {
        str_add_char(&text, '=');
        str_add(&text, span_trim(value));
    }
    add_word(&s->overrides, len, str_span(&text));
}

static int parse_arguments(const struct place *at, struct span rest, struct service *s)
{
    size_t n_overrides = 0;
    struct span word;
    bool option = false, program_args = false;

    s->argv = mem_new_n(char *, 1);
    s->overrides = mem_new_n(char *, 1);
    while (span_word(&rest, " \t\r\n", &word)) {
        add_word(&s->argv, &s->argc, word);
        /* Options end at the first word that is none: "pipe user=vmail argv=/bin/cmd -o x" */
        program_args = program_args || (!option && !span_starts(word, span_of("-")));
        if (program_args)
            continue;
        if (option) {
            if (span_chr(word, '=') < 0)
                return refuse(at, "-o", word, "name=value");
            add_override(s, &n_overrides, word);
            option = false;
        } else if (span_eq_str(word, "-o")) {
            option = true;
        } else if (span_starts(word, span_of("-o"))) {
            add_override(s, &n_overrides, span_from(word, 2));
        }
    }
    return option ? refuse(at, "-o", SPAN_NULL, "name=value behind it") : 0;
}

static int parse_service(const struct place *at, struct span line, struct service *s)
{
    struct span f[FIELDS];

    for (size_t i = 0; i < FIELDS; i++)
        if (!span_word(&line, " \t\r\n", &f[i]))
            return refuse(at, "entry", i ? f[0] : SPAN_NULL,
                          "eight fields: service type private unprivileged chroot wakeup maxproc command");
    s->line = at->line;
    s->name = mem_dup_span(f[0]);
    s->program = mem_dup_span(f[7]);
    int r = parse_type(at, f[1], &s->type);
    if (r == 0)
        r = parse_flag(at, "private", f[2], true, &s->is_private);
    if (r == 0)
        r = parse_flag(at, "unprivileged", f[3], true, &s->unprivileged);
    if (r == 0)
        r = parse_flag(at, "chroot", f[4], false, &s->chroot);
    if (r == 0)
        r = parse_wakeup(at, f[5], s);
    if (r == 0)
        r = parse_limit(at, f[6], s);
    if (r == 0 && span_chr(f[7], '/') >= 0)
        r = refuse(at, "command", f[7], "the name of a program in daemon_directory");
    return r < 0 ? r : parse_arguments(at, line, s);
}

static bool have_service(const struct master_cf *m, const struct service *s)
{
    for (size_t i = 0; i < m->len; i++)
        if (m->services[i].type == s->type && strcmp(m->services[i].name, s->name) == 0)
            return true;
    return false;
}

int master_cf_parse(struct span text, const char *path, struct master_cf *ret, struct str *err)
{
    _cleanup_(master_cf_done) struct master_cf m = { NULL, 0 };
    _cleanup_(str_free) struct str line = STR_INIT;
    struct conf_lines lines = { text, 0 };
    struct place at = { path, 0, err };
    size_t cap = 0;

    while (conf_next_line(&lines, &line, &at.line)) {
        MEM_GROW(m.services, m.len, cap);
        struct service *s = &m.services[m.len];
        *s = (struct service){ 0 };
        int r = parse_service(&at, str_span(&line), s);
        if (r == 0 && have_service(&m, s))
            r = refuse(&at, "service", span_of(s->name), "one entry a service and type");
        m.len++;
        if (r < 0)
            return r;
    }
    *ret = TAKE(m, ((struct master_cf){ NULL, 0 }));
    return 0;
}

int master_cf_load(const char *config_directory, struct master_cf *ret, struct str *err)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;

    str_addf(&path, "%s/master.cf", config_directory);
    int r = conf_read_file(str_cstr(&path), FILE_MAX, &text);
    if (r < 0) {
        str_addf(err, "cannot read %s: %s", str_cstr(&path), strerror(-r));
        return r;
    }
    return master_cf_parse(str_span(&text), str_cstr(&path), ret, err);
}

static void free_words(char **words)
{
    for (char **w = words; w && *w; w++)
        free(*w);
    free(words);
}

void master_cf_done(struct master_cf *m)
{
    for (size_t i = 0; i < m->len; i++) {
        free(m->services[i].name);
        free(m->services[i].program);
        free_words(m->services[i].argv);
        free_words(m->services[i].overrides);
    }
    free(m->services);
    *m = (struct master_cf){ NULL, 0 };
}
