/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - notify_classes: of which trouble the postmaster is told by mail
 *
 * Runs in: bounce, smtpd, at start, on the administrator's text. Logs nothing.
 */
#include "mail/notify.h"

#include <errno.h>

#include "base/mem.h"

static const struct {
    const char *name;
    unsigned bits;
} classes[] = {
    { "bounce", NOTIFY_BOUNCE | NOTIFY_2BOUNCE },
    { "2bounce", NOTIFY_2BOUNCE },
    { "data", NOTIFY_DATA },
    { "delay", NOTIFY_DELAY },
    { "policy", NOTIFY_POLICY },
    { "protocol", NOTIFY_PROTOCOL },
    { "resource", NOTIFY_RESOURCE },
    { "software", NOTIFY_SOFTWARE },
};

static unsigned bits_of(struct span word)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (span_eq_nocase_str(word, classes[i].name))
            return classes[i].bits;
    return 0;
}

int notify_classes_parse(struct span list, unsigned *ret, struct str *err)
{
    unsigned bits = 0;
    struct span word;

    while (span_word(&list, ", \t\r\n", &word)) {
        unsigned more = bits_of(word);

        if (more == 0) {
            str_add_str(err, "notify_classes: unknown class \"");
            str_add_escaped(err, word, 80, STR_ASCII);
            str_add_str(err, "\": expected bounce, 2bounce, data, delay, policy, protocol, resource or software");
            return -EINVAL;
        }
        bits |= more;
    }
    *ret = bits;
    return 0;
}
