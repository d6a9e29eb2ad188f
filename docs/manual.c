/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manual.c - completes a manual page with the tables that the programs are made from
 *
 *     manual PAGE SOURCE_DIRECTORY
 *
 * Prints the page, in mdoc(7); a line that begins with "@" stands for a list of entries:
 *
 *     @restrictions                       access restrictions of smtpd
 *     @parameters                         all parameters of main.cf
 *     @parameters smtpd lib/tls/server.c  those that the sources of a folder, or a file, name
 *
 * What a row says is what its program does, and a program reads what its sources name: lists made by
 * hand grow stale. Text of a row is plain; what roff would take for a command of its own is escaped.
 *
 * Runs in: the build.
 */
#include <dirent.h>
#include <stdio.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "smtpd/restrict_list.h"

static void put_char(char c)
{
    if (c == '\\')
        fputs("\\e", stdout);
    else if (c == '-')
        fputs("\\-", stdout);
    else
        putchar(c);
}

/* Whole sentences, each on its own line: roff sets the blank behind it */
static void put_text(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        put_char(*text);
        if (*text == '.' && text[1] == ' ' && char_is(text[2], CHAR_ALPHA)) {
            putchar('\n');
            text++;
        }
    }
    putchar('\n');
}

/* One argument of a macro, in which a quote is doubled; a long list may be broken behind a comma */
static void put_argument(const char *text)
{
    fputs(" \"\\&", stdout);
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        put_char(*text);
        if (*text == ',')
            fputs("\\:", stdout);
    }
    putchar('"');
}

static void put_param(const struct param_row *row)
{
    _cleanup_(str_free) struct str accepted = STR_INIT;

    printf(".It Cm %s Pq default :", row->name);
    put_argument(*row->def ? row->def : "empty");
    printf("\n");
    put_text(row->text);
    param_add_accepted(row, &accepted);
    str_add_char(&accepted, '.');
    printf("A value is ");
    put_text(str_cstr(&accepted));
}

static void put_restriction(const struct restriction_row *row)
{
    printf(".It Cm %s", row->name);
    if (*row->argument)
        printf(" Ar %s", row->argument);
    printf("\n");
    put_text(row->text);
    if (*row->since)
        printf("It is passed over until\n.Cm %s .\n", row->since);
}

/* ---- lists ---- */

static void put_restrictions(void)
{
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < ARRAY_LEN(restriction_rows); i++)
        put_restriction(&restriction_rows[i]);
    puts(".El");
}

/* The code of a C source: a parameter may be spoken of in a comment and not be read. */
static void add_code(struct span source, struct str *ret)
{
    static const struct span begin = SPAN("/*"), end = SPAN("*/");

    while (source.len > 0) {
        char c = source.ptr[0];
        size_t n = 1;

        if (span_starts(source, begin)) {
            ptrdiff_t at = span_find(source, end);

            source = at < 0 ? SPAN_NULL : span_from(source, (size_t)at + end.len);
            continue;
        }
        if (c == '"')
            while (n < source.len && source.ptr[n] != '"')
                n += source.ptr[n] == '\\' ? 2 : 1;
        str_add(ret, span_first(source, n));
        source = span_from(source, n);
    }
}

static bool add_file(const char *path, struct str *ret)
{
    _cleanup_(str_free) struct str source = STR_INIT;
    FILE *file = fopen(path, "re");
    char piece[2048];

    if (!file)
        return false;
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        str_add(&source, span_make(piece, n));
    bool ok = !ferror(file);
    fclose(file);
    add_code(str_span(&source), ret);
    return ok;
}

static bool is_source(const char *name)
{
    return span_ends_nocase(span_of(name), span_of(".c")) && !span_ends_nocase(span_of(name), span_of("_test.c"));
}

/* The text of a source, or of all that lie in a folder */
static bool add_sources(const char *path, struct str *ret)
{
    DIR *dir = opendir(path);
    bool ok = dir != NULL;

    if (!dir)
        return add_file(path, ret);
    for (const struct dirent *e; ok && (e = readdir(dir)) != NULL;) {
        _cleanup_(str_free) struct str file = STR_INIT;

        str_addf(&file, "%s/%s", path, e->d_name);
        ok = !is_source(e->d_name) || add_file(str_cstr(&file), ret);
    }
    closedir(dir);
    return ok;
}

static bool in_name(struct span s, size_t at)
{
    return at < s.len && (char_is(s.ptr[at], CHAR_ALNUM) || s.ptr[at] == '_');
}

/* Is the name there, as a whole word? */
static bool mentions(struct span text, struct span name)
{
    bool inside = false;                    /* what is before the rest of the text goes on in it */
    ptrdiff_t at;

    while ((at = span_find(text, name)) >= 0) {
        bool begins = at > 0 ? !in_name(text, (size_t)at - 1) : !inside;

        if (begins && !in_name(text, (size_t)at + name.len))
            return true;
        text = span_from(text, (size_t)at + 1);
        inside = true;
    }
    return false;
}

/* where: blank-separated folders and files below the source directory; empty: all parameters */
static bool put_parameters(const char *directory, struct span where)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    const bool all = where.len == 0;
    struct span word;

    while (span_word(&where, " ", &word)) {
        _cleanup_(str_free) struct str path = STR_INIT;

        str_addf(&path, "%s/" SPAN_FMT, directory, SPAN_ARG(word));
        if (!add_sources(str_cstr(&path), &text)) {
            fprintf(stderr, "manual: cannot read %s\n", str_cstr(&path));
            return false;
        }
    }
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < param_rows_len; i++)
        if (all || mentions(str_span(&text), span_of(param_rows[i].name)))
            put_param(&param_rows[i]);
    puts(".El");
    return true;
}

/* Parameters are found by binary search: a row out of place is better found by the build than by a user */
static bool is_sorted(void)
{
    for (size_t i = 1; i < param_rows_len; i++)
        if (strcmp(param_rows[i - 1].name, param_rows[i].name) >= 0) {
            fprintf(stderr, "params.def: %s is out of order\n", param_rows[i].name);
            return false;
        }
    return true;
}

/* 0, or 1 after a message */
static int put_page(FILE *page, const char *directory)
{
    char line[1024];

    while (fgets(line, sizeof line, page)) {
        struct span text = span_trim(span_of(line));

        if (line[0] != '@') {
            fputs(line, stdout);
        } else if (span_eq_str(text, "@restrictions")) {
            put_restrictions();
        } else if (!span_take_nocase(&text, "@parameters") || !put_parameters(directory, text)) {
            fprintf(stderr, "manual: wrong line: %s", line);
            return 1;
        }
    }
    return ferror(page) || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: manual page source_directory\n", stderr);
        return 2;
    }
    if (!is_sorted())
        return 1;
    FILE *page = fopen(argv[1], "re");
    if (!page) {
        perror(argv[1]);
        return 1;
    }
    int status = put_page(page, argv[2]);
    fclose(page);
    return status;
}
