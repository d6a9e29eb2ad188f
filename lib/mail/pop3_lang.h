/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_lang.h - POP3's LANG command (RFC 6856 section 3), of a server whose answers are in English
 */
#ifndef MAIL_POP3_LANG_H
#define MAIL_POP3_LANG_H

#include "base/span.h"

/* The whole answer to the command, with its line ends. range: its argument, "" if it has none. */
const char *pop3_lang_answer(struct span range);

#endif
