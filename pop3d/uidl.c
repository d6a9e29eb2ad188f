/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uidl.c - unique-ids of messages
 *
 * Runs in: pop3d. The format is the administrator's, file names are anybody's.
 */
#include "pop3d/uidl.h"

#include <errno.h>
#include <stdio.h>

#include "base/chars.h"

#define STANDARD "%08Xu%08Xv"   /* Dovecot's */

enum { WIDTH_MAX = 20 };

/* "%08Xu": what stands between the percent sign and the letter */
struct variable {
    bool zeros, hex;
    unsigned width;
    char letter;
};

/* Cut one variable, the percent sign is gone already. False: it makes no sense. */
static bool take_variable(const char **format, struct variable *ret)
{
    const char *p = *format;

    *ret = (struct variable){ .zeros = *p == '0' };
    for (; char_is(*p, CHAR_DIGIT) && ret->width <= WIDTH_MAX; p++)
        ret->width = ret->width * 10 + (unsigned)(*p - '0');
    if (*p == 'X') {
        ret->hex = true;
        p++;
    }
    ret->letter = *p;
    if (!*p || !strchr("uvfg%", *p) || ret->width > WIDTH_MAX)
        return false;
    *format = p + 1;
    return true;
}

/* Printable, every variable known, and another id for each message */
static bool is_sound(const char *format)
{
    bool unique = false;

    while (*format) {
        struct variable v = { .letter = *format };

        if (v.letter <= ' ' || v.letter > '~')
            return false;
        format++;
        if (v.letter != '%')
            continue;
        if (!take_variable(&format, &v))
            return false;
        unique |= v.letter == 'u' || v.letter == 'f' || v.letter == 'g';
    }
    return unique;
}

int uidl_check(const char *format, struct str *err)
{
    if (is_sound(format))
        return 0;
    str_addf(err, "bad value for parameter pop3_uidl_format: \"%s\": expected printable text with %%u or %%f, such as \"%s\" or "
             "\"UID%%u-%%v\"", format, STANDARD);
    return -EINVAL;
}

bool uidl_needs_file(const char *format)
{
    return strpbrk(format, "fg") != NULL;
}

static void add_number(const struct variable *v, uint32_t n, struct str *ret)
{
    char text[WIDTH_MAX + 4];
    int width = (int)v->width;

    if (v->hex)
        snprintf(text, sizeof text, v->zeros ? "%0*x" : "%*x", width, n);
    else
        snprintf(text, sizeof text, v->zeros ? "%0*u" : "%*u", width, n);
    str_add_str(ret, text);
}

static void expand(const char *format, uint32_t uid, uint32_t uidvalidity, struct span file_base, struct str *ret)
{
    str_reset(ret);
    for (const char *p = format; *p;) {
        struct variable v;

        if (*p != '%') {
            str_add_char(ret, *p++);
            continue;
        }
        p++;
        if (!take_variable(&p, &v))
            return;     /* not after uidl_check() */
        if (v.letter == 'u')
            add_number(&v, uid, ret);
        else if (v.letter == 'v')
            add_number(&v, uidvalidity, ret);
        else if (v.letter == '%')
            str_add_char(ret, '%');
        else
            str_add(ret, file_base);
    }
}

static bool is_good(struct span id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
            return false;
    return id.len > 0 && id.len <= UIDL_MAX;
}

void uidl_make(const char *format, uint32_t uid, uint32_t uidvalidity, struct span file_base, struct str *ret)
{
    expand(format, uid, uidvalidity, file_base, ret);
    if (!is_good(str_span(ret)))
        expand(STANDARD, uid, uidvalidity, file_base, ret);
}
