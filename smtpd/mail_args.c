/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail_args.c - the parameters of MAIL FROM and RCPT TO
 *
 * One row per parameter: its name and the function that reads its value. Both
 * commands share the loop; the value functions fill one struct or the other.
 *
 * Runs in: smtpd (input is hostile). Logs nothing.
 */
#include "smtpd/mail_args.h"

#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/own.h"
#include "mail/xtext.h"

#define ENVID_MAX 100   /* RFC 3461 section 4.4 */
#define ORCPT_MAX 500   /* section 4.2 */

struct arg {
    struct span name;
    unsigned bit;
    int (*parse)(struct span value, void *args);
};

/* ---- values ---- */

static int parse_size(struct span value, void *args)
{
    struct mail_args *a = args;

    return span_u64(value, INT64_MAX, &a->size);
}

static int parse_body(struct span value, void *args)
{
    struct mail_args *a = args;

    a->binary = span_eq_nocase_str(value, "BINARYMIME");
    a->eight_bit = a->binary || span_eq_nocase_str(value, "8BITMIME");
    return a->eight_bit || span_eq_nocase_str(value, "7BIT") ? 0 : -EINVAL;
}

static int parse_utf8(struct span value, void *args)
{
    (void)args;
    return value.len == 0 ? 0 : -EINVAL;
}

static int parse_ret(struct span value, void *args)
{
    struct mail_args *a = args;

    if (span_eq_nocase_str(value, "FULL"))
        a->ret = DSN_RET_FULL;
    else if (span_eq_nocase_str(value, "HDRS"))
        a->ret = DSN_RET_HDRS;
    else
        return -EINVAL;
    return 0;
}

static int parse_envid(struct span value, void *args)
{
    struct mail_args *a = args;

    if (value.len == 0 || value.len > ENVID_MAX)
        return -EINVAL;
    return xtext_decode(value, &a->envid);
}

static int parse_auth(struct span value, void *args)
{
    struct mail_args *a = args;

    if (value.len == 0 || value.len > ORCPT_MAX)
        return -EINVAL;
    return xtext_decode(value, &a->auth);
}

/* "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ) */
static int parse_notify(struct span value, void *args)
{
    static const struct {
        struct span name;
        uint32_t bit;
    } words[] = {
        { SPAN("SUCCESS"), DSN_SUCCESS },
        { SPAN("FAILURE"), DSN_FAILURE },
        { SPAN("DELAY"),   DSN_DELAY   },
    };
    struct rcpt_args *a = args;

    if (span_eq_nocase_str(value, "NEVER")) {
        a->notify = DSN_NEVER;
        return 0;
    }
    while (value.len > 0) {
        struct span word = span_cut(&value, ',');
        uint32_t bit = 0;

        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (span_eq_nocase(word, words[i].name))
                bit = words[i].bit;
        if (bit == 0 || (a->notify & bit))
            return -EINVAL;
        a->notify |= bit;
    }
    return a->notify ? 0 : -EINVAL;
}

/* addr-type ";" xtext */
static int parse_orcpt(struct span value, void *args)
{
    struct rcpt_args *a = args;
    _cleanup_(str_free) struct str address = STR_INIT;

    if (value.len > ORCPT_MAX)
        return -EINVAL;

    struct span type = span_cut(&value, ';');

    if (type.len == 0 || value.len == 0 || xtext_decode(value, &address) < 0)
        return -EINVAL;
    for (size_t i = 0; i < type.len; i++)
        if (!char_is(type.ptr[i], CHAR_ALNUM) && type.ptr[i] != '-')
            return -EINVAL;
    for (size_t i = 0; i < address.len; i++)
        if (char_is(address.data[i], CHAR_CTL))
            return -EINVAL; /* a CR LF would begin a header field of the report */
    str_add(&a->orcpt, type);
    str_add_char(&a->orcpt, ';');
    str_add(&a->orcpt, str_span(&address));
    return 0;
}

/* ---- the two tables ---- */

static const struct arg mail_arg_table[] = {
    { SPAN("SIZE"),     ARG_SIZE,  parse_size  },
    { SPAN("BODY"),     ARG_BODY,  parse_body  },
    { SPAN("SMTPUTF8"), ARG_UTF8,  parse_utf8  },
    { SPAN("RET"),      ARG_RET,   parse_ret   },
    { SPAN("ENVID"),    ARG_ENVID, parse_envid },
    { SPAN("AUTH"),     ARG_AUTH,  parse_auth  },
};

static const struct arg rcpt_arg_table[] = {
    { SPAN("NOTIFY"), ARG_NOTIFY, parse_notify },
    { SPAN("ORCPT"),  ARG_ORCPT,  parse_orcpt  },
};

static const struct arg *arg_find(const struct arg *table, size_t len, struct span name)
{
    for (size_t i = 0; i < len; i++)
        if (span_eq_nocase(name, table[i].name))
            return &table[i];
    return NULL;
}

static int parse_all(struct span in, const struct arg *table, size_t len, unsigned *seen, void *args,
                     struct span *ret_bad)
{
    struct span value;

    while (span_word(&in, " ", &value)) {
        struct span name = span_cut(&value, '=');
        const struct arg *arg = arg_find(table, len, name);

        *ret_bad = name;
        if (!arg)
            return -ENOTSUP;
        if (*seen & arg->bit)
            return -EINVAL;
        *seen |= arg->bit;
        if (arg->parse(value, args) < 0)
            return -EINVAL;
    }
    return 0;
}

int mail_args_parse(struct span in, struct mail_args *ret, struct span *ret_bad)
{
    struct mail_args args = { 0 };
    int r = parse_all(in, mail_arg_table, ARRAY_LEN(mail_arg_table), &args.seen, &args, ret_bad);

    if (r < 0) {
        mail_args_done(&args);
        return r;
    }
    *ret = args;
    return 0;
}

int rcpt_args_parse(struct span in, struct rcpt_args *ret, struct span *ret_bad)
{
    struct rcpt_args args = { 0 };
    int r = parse_all(in, rcpt_arg_table, ARRAY_LEN(rcpt_arg_table), &args.seen, &args, ret_bad);

    if (r < 0) {
        rcpt_args_done(&args);
        return r;
    }
    *ret = args;
    return 0;
}

void mail_args_done(struct mail_args *a)
{
    str_free(&a->envid);
    str_free(&a->auth);
    *a = (struct mail_args){ 0 };
}

void rcpt_args_done(struct rcpt_args *a)
{
    str_free(&a->orcpt);
    *a = (struct rcpt_args){ 0 };
}
