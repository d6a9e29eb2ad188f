/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manual.c - writes postconf(5), in mdoc(7), from the tables of parameters and restrictions
 *
 * What a row says is what its program does, so the page cannot grow stale. Text of a row is plain; what
 * roff would take for a command of its own is escaped here.
 *
 * Runs in: the build.
 */
#include <stdio.h>

#include "base/chars.h"
#include "base/mem.h"
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
    static const char *const kinds[] = {
        [PARAM_STR] = "text", [PARAM_INT] = "a number", [PARAM_BOOL] = "yes or no",
        [PARAM_TIME] = "a time", [PARAM_SIZE] = "a number of bytes",
    };

    printf(".It Cm %s Pq default :", row->name);
    put_argument(*row->def ? row->def : "empty");
    printf("\n");
    put_text(row->text);
    printf("A value is %s", kinds[row->type]);
    if (row->type != PARAM_STR && row->type != PARAM_BOOL)
        printf(", from %s to %s", row->min, row->max);
    printf(".\n");
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

static const char head[] =
    ".Dd $Mdocdate$\n"
    ".Dt POSTCONF 5\n"
    ".Os Postern\n"
    ".Sh NAME\n"
    ".Nm postconf\n"
    ".Nd parameters of the Postern mail system\n"
    ".Sh DESCRIPTION\n"
    "The file\n"
    ".Pa main.cf\n"
    "in the configuration directory has lines of the form\n"
    ".Dq name = value .\n"
    "A line that begins with white space continues the one before it; one that begins with\n"
    ".Sq #\n"
    "is a comment.\n"
    "A value may use other parameters:\n"
    ".Li $name ,\n"
    ".Li ${name} ,\n"
    ".Li ${name?text if it is set} ,\n"
    ".Li ${name:text if it is empty} .\n"
    "A time is a number with one of the units s, m, h, d and w.\n"
    "A setting of one service alone is given in\n"
    ".Pa master.cf\n"
    "as\n"
    ".Li -o name=value .\n"
    ".Pp\n"
    "Both tables below can be had by command:\n"
    ".Ic postconf -d\n"
    "and\n"
    ".Ic postconf -R .\n"
    ".Sh ACCESS RESTRICTIONS\n"
    "The lists\n"
    ".Cm smtpd_client_restrictions ,\n"
    ".Cm smtpd_helo_restrictions ,\n"
    ".Cm smtpd_sender_restrictions ,\n"
    ".Cm smtpd_relay_restrictions ,\n"
    ".Cm smtpd_recipient_restrictions ,\n"
    ".Cm smtpd_data_restrictions ,\n"
    ".Cm smtpd_end_of_data_restrictions\n"
    "and\n"
    ".Cm smtpd_etrn_restrictions\n"
    "hold restrictions, separated by commas or blanks.\n"
    "They are asked in order; the first that accepts or refuses decides for its list.\n"
    "A list also takes the names of\n"
    ".Cm smtpd_restriction_classes ,\n"
    "and a bare\n"
    ".Ar type : Ns Ar table ,\n"
    "which is looked up for what the list is about.\n"
    "A name that does not exist stops the server at its start, which then names the nearest one.\n"
    ".Bl -tag -width Ds\n";

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

int main(void)
{
    if (!is_sorted())
        return 1;
    fputs(head, stdout);
    for (size_t i = 0; i < ARRAY_LEN(restriction_rows); i++)
        put_restriction(&restriction_rows[i]);
    puts(".El\n.Sh PARAMETERS\n.Bl -tag -width Ds");
    for (size_t i = 0; i < param_rows_len; i++)
        put_param(&param_rows[i]);
    puts(".El\n.Sh SEE ALSO\n.Xr postconf 1");
    return fflush(stdout) != 0;
}
