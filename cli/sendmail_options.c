/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_options.c - the command line of sendmail(1), with forty years of options
 *
 * Programs that call sendmail use options of old versions; what has no meaning for us is accepted
 * and ignored, in the form in which it was written then (with an argument or without). Only what
 * would change where mail goes and cannot be done is refused.
 *
 * Runs in: sendmail, as the calling user.
 */
#include "cli/sendmail_options.h"

#include <errno.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/mem.h"
#include "ipc/msg_submit.h"

/* "q" and "X" have their argument right behind them or none. Ignored: A c e h L m n p U x, and X
 * with a file. */
static const char option_letters[] = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx";

static int usage(struct str *err, const char *what, const char *value)
{
    str_reset(err);
    str_addf(err, "usage: %s%s", what, value ? value : "");
    return -EINVAL;
}

static int parse_mode(struct sendmail_options *o, const char *arg, struct str *err)
{
    static const struct {
        char letter;
        enum sendmail_mode mode;
    } modes[] = {
        {'m', SENDMAIL_SUBMIT },
        {'s', SENDMAIL_SMTP   },
        {'p', SENDMAIL_LIST   },
        {'i', SENDMAIL_ALIASES},
        {'d', SENDMAIL_START  },
        {'l', SENDMAIL_START  },
    };

    if (arg[0] == 'h' ||
        arg[0] == 'H') /* host status of other mailers: nothing to print or purge */
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (arg[0] == modes[i].letter) {
            o->mode = modes[i].mode;
            return 0;
        }
    return usage(err, "unsupported: -b", arg);
}

static int parse_notify(struct sendmail_options *o, const char *arg, struct str *err)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } names[] = {
        {"never",   DSN_NEVER  },
        {"success", DSN_SUCCESS},
        {"failure", DSN_FAILURE},
        {"delay",   DSN_DELAY  },
    };
    struct span in = span_of(arg), word;
    uint32_t notify = 0;

    while (span_word(&in, ", \t", &word)) {
        size_t i = 0;

        while (i < ARRAY_LEN(names) && !span_eq_nocase_str(word, names[i].name))
            i++;
        if (i == ARRAY_LEN(names))
            return usage(err, "-N takes never, or success,failure,delay: ", arg);
        notify |= names[i].bit;
    }
    if (notify == 0 || ((notify & DSN_NEVER) && notify != DSN_NEVER))
        return usage(err, "-N takes never, or success,failure,delay: ", arg);
    o->dsn_notify = notify;
    return 0;
}

static int parse_ret(struct sendmail_options *o, const char *arg, struct str *err)
{
    if (span_eq_nocase_str(span_of(arg), "hdrs"))
        o->dsn_ret = DSN_RET_HDRS;
    else if (span_eq_nocase_str(span_of(arg), "full"))
        o->dsn_ret = DSN_RET_FULL;
    else
        return usage(err, "-R takes hdrs or full: ", arg);
    return 0;
}

static int parse_flush(struct sendmail_options *o, const char *arg, struct str *err)
{
    if (arg && char_is(arg[0], CHAR_DIGIT))
        return 0; /* -q1h: the queue runs by itself */
    o->mode = SENDMAIL_FLUSH;
    if (arg && arg[0] == 'I')
        o->flush_id = arg + 1;
    else if (arg && arg[0] == 'R')
        o->flush_site = arg + 1;
    else if (arg)
        return usage(err, "unsupported: -q", arg);
    return 0;
}

static int parse_body(const char *arg, struct str *err)
{
    if (span_eq_nocase_str(span_of(arg), "7BIT") || span_eq_nocase_str(span_of(arg), "8BITMIME"))
        return 0; /* what the message is, is seen from its bytes */
    return usage(err, "-B takes 7BIT or 8BITMIME: ", arg);
}

static void parse_long(struct sendmail_options *o, const char *arg)
{
    struct span in = span_of(arg), name = span_cut(&in, '=');

    if (span_eq_nocase_str(name, "smtputf8"))
        o->smtputf8 = span_eq_nocase_str(in, "yes");
}

static int parse_one(struct sendmail_options *o, int letter, const char *arg, struct str *err)
{
    switch (letter) {
    case 'B':
        return parse_body(arg, err);
    case 'C':
        o->config_dir = arg;
        return 0;
    case 'F':
        o->full_name = arg;
        return 0;
    case 'I':
        o->mode = SENDMAIL_ALIASES;
        return 0;
    case 'N':
        return parse_notify(o, arg, err);
    case 'O':
        parse_long(o, arg);
        return 0;
    case 'R':
        return parse_ret(o, arg, err);
    case 'V':
        o->envid = arg;
        return 0;
    case 'X':
        return arg[0] == 'V' ? usage(err, "unsupported: -X", arg) : 0;
    case 'b':
        return parse_mode(o, arg, err);
    case 'f':
    case 'r':
        o->sender = arg;
        return 0;
    case 'i':
        o->ignore_dots = true;
        return 0;
    case 'o':
        o->ignore_dots |= arg[0] == 'i';
        return 0;
    case 'q':
        return parse_flush(o, arg, err);
    case 't':
        o->extract = true;
        return 0;
    case 'v':
        o->verbose = true;
        return 0;
    case '?':
        return usage(err, "unknown option, or an argument is missing", NULL);
    }
    return 0;
}

int sendmail_options_parse(int argc, char **argv, struct sendmail_options *ret, struct str *err)
{
    struct sendmail_options o = {.mode = SENDMAIL_SUBMIT};
    const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;
    struct span name = span_of(slash ? slash + 1 : argv[0]);
    int letter;

    if (span_eq_str(name, "mailq"))
        o.mode = SENDMAIL_LIST;
    if (span_eq_str(name, "newaliases"))
        o.mode = SENDMAIL_ALIASES;
    opterr = 0;
    optind = 0; /* GNU: scan afresh */
    while ((letter = getopt(argc, argv, option_letters)) != -1) {
        int r = parse_one(&o, letter, optarg, err);

        if (r < 0)
            return r;
    }
    o.recipients = argv + optind;
    *ret = o;
    return 0;
}
