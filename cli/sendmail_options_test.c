/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_options_test.c - the options that programs use are understood, old ones are ignored
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

#include "base/mem.h"
#include "cli/sendmail_options.h"
#include "ipc/msg_submit.h"

#define MAX_ARGS 32

/* Split line at blanks; argv points into it. */
static int parse(char *line, struct sendmail_options *o)
{
    static char *argv[MAX_ARGS];
    _cleanup_(str_free) struct str err = STR_INIT;
    int argc = 0;

    for (char *p = line; p && argc < MAX_ARGS - 1;) {
        argv[argc++] = p;
        p = strchr(p, ' ');
        if (p)
            *p++ = '\0';
    }
    argv[argc] = NULL;
    return sendmail_options_parse(argc, argv, o, &err);
}

static const char *text(const char *s)
{
    return s ? s : "-";
}

/* What matters of the options, as one line. */
static void show(const struct sendmail_options *o, struct str *s)
{
    static const char *const modes[] = {"submit", "smtp", "list", "flush", "aliases", "start"};

    str_addf(s, "%s f=%s F=%s %s%s notify=%u ret=%u V=%s I=%s R=%s", modes[o->mode],
             text(o->sender), text(o->full_name), o->extract ? "t" : "", o->ignore_dots ? "i" : "",
             o->dsn_notify, o->dsn_ret, text(o->envid), text(o->flush_id), text(o->flush_site));
    for (char *const *r = o->recipients; *r; r++)
        str_addf(s, " <%s>", *r);
}

static void test_options_mean_what_they_meant_in_sendmail(void **state)
{
    static const struct {
        const char *line, *want; /* want NULL: refused */
    } cases[] = {
        {"sendmail a@b c",                                                         "submit f=- F=-  notify=0 ret=0 V=- I=- R=- <a@b> <c>"},
        {"/usr/sbin/sendmail -t -i",                                               "submit f=- F=- ti notify=0 ret=0 V=- I=- R=-"        },
        {"sendmail -oi -fann@example.com bob",
         "submit f=ann@example.com F=- i notify=0 ret=0 V=- I=- R=- <bob>"                                                               },
        {"sendmail -f ann -F Ann bob",                                             "submit f=ann F=Ann  notify=0 ret=0 V=- I=- R=- <bob>"},
        {"sendmail -r ann bob -oi",                                                "submit f=ann F=- i notify=0 ret=0 V=- I=- R=- <bob>" },
        {"sendmail -N success,failure -R hdrs -V id1 x",
         "submit f=- F=-  notify=6 ret=2 V=id1 I=- R=- <x>"                                                                              },
        {"sendmail -N never x",                                                    "submit f=- F=-  notify=1 ret=0 V=- I=- R=- <x>"      },
        {"sendmail -N never,delay x",                                              NULL                                                  },
        {"sendmail -N sometimes x",                                                NULL                                                  },
        {"sendmail -R all x",                                                      NULL                                                  },
        {"sendmail -B 8BITMIME x",                                                 "submit f=- F=-  notify=0 ret=0 V=- I=- R=- <x>"      },
        {"sendmail -B 9BIT x",                                                     NULL                                                  },
        {"sendmail -odi -oem -om -o7 -Am -Ac -L tag -h 3 -n -m -p proto -X log x",
         "submit f=- F=-  notify=0 ret=0 V=- I=- R=- <x>"                                                                                },
        {"sendmail -XV x",                                                         NULL                                                  },
        {"sendmail -bs",                                                           "smtp f=- F=-  notify=0 ret=0 V=- I=- R=-"            },
        {"sendmail -bp",                                                           "list f=- F=-  notify=0 ret=0 V=- I=- R=-"            },
        {"mailq",                                                                  "list f=- F=-  notify=0 ret=0 V=- I=- R=-"            },
        {"/usr/bin/newaliases",                                                    "aliases f=- F=-  notify=0 ret=0 V=- I=- R=-"         },
        {"sendmail -bi",                                                           "aliases f=- F=-  notify=0 ret=0 V=- I=- R=-"         },
        {"sendmail -I",                                                            "aliases f=- F=-  notify=0 ret=0 V=- I=- R=-"         },
        {"sendmail -q",                                                            "flush f=- F=-  notify=0 ret=0 V=- I=- R=-"           },
        {"sendmail -qI4cK9vQ",                                                     "flush f=- F=-  notify=0 ret=0 V=- I=4cK9vQ R=-"      },
        {"sendmail -qRexample.com",                                                "flush f=- F=-  notify=0 ret=0 V=- I=- R=example.com" },
        {"sendmail -bd -q1h",                                                      "start f=- F=-  notify=0 ret=0 V=- I=- R=-"          },
        {"sendmail -q1h -bd",                                                      "start f=- F=-  notify=0 ret=0 V=- I=- R=-"           },
        {"sendmail -bv x",                                                         NULL                                                  },
        {"sendmail -? x",                                                          NULL                                                  },
        {"sendmail -f",                                                            NULL                                                  },
        {"sendmail -t -- -odd@example.com",
         "submit f=- F=- t notify=0 ret=0 V=- I=- R=- <-odd@example.com>"                                                                },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *line = mem_strdup(cases[i].line);
        _cleanup_(str_free) struct str got = STR_INIT;
        struct sendmail_options o;
        int r = parse(line, &o);

        if (r == 0)
            show(&o, &got);
        if ((r < 0) != !cases[i].want || (r == 0 && strcmp(str_cstr(&got), cases[i].want) != 0))
            fail_msg("%s: %d %s", cases[i].line, r, str_cstr(&got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_mean_what_they_meant_in_sendmail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
