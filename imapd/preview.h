/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preview.h - the first words of a message (PREVIEW, RFC 8970)
 */
#ifndef IMAPD_PREVIEW_H
#define IMAPD_PREVIEW_H

#include "mail/mime.h"

/* The text of the first part that is text, as UTF-8 without markup, blanks single, at most 200
 * characters; appended. Nothing when there is no text. */
void preview_make(const struct mime *m, struct str *ret);

#endif
