/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - notify_classes: of which trouble the postmaster is told by mail
 *
 * Runs in: bounce, smtpd, at start, on the administrator's text. Logs nothing.
 */
#include "mail/notify.h"

#include "base/mem.h"
#include "conf/words.h"

int notify_classes_parse(struct span list, unsigned *ret, struct str *err)
{
    static const struct conf_word classes[] = {
        { "bounce", NOTIFY_BOUNCE | NOTIFY_2BOUNCE },
        { "2bounce", NOTIFY_2BOUNCE },
        { "data", NOTIFY_DATA },
        { "delay", NOTIFY_DELAY },
        { "policy", NOTIFY_POLICY },
        { "protocol", NOTIFY_PROTOCOL },
        { "resource", NOTIFY_RESOURCE },
        { "software", NOTIFY_SOFTWARE },
    };

    return conf_parse_words("notify_classes", list, classes, ARRAY_LEN(classes), ret, err);
}
