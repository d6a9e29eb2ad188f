/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_macro.h - the macros that mail filters are told
 */
#ifndef SMTPD_FILTER_MACRO_H
#define SMTPD_FILTER_MACRO_H

#include "io/fiber.h"

struct span;
struct str;

/* struct milter_host.macro; arg is the struct smtpd. */
MAY_WAIT void filter_macro(void *arg, struct span name, struct str *ret);

#endif
