/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nfc.h - is text in Normalization Form C, as Net-Unicode (RFC 5198) wants it?
 */
#ifndef MAIL_NFC_H
#define MAIL_NFC_H

#include "base/span.h"

/*
 * False: text is no UTF-8, holds a code point that NFC replaces wherever it stands, or two side by side that it makes
 * one ("a" and a combining diaeresis). Combining marks in another order than NFC has them, and those that would join
 * over another mark, are not noticed: nobody's file system or keyboard writes them.
 */
bool nfc_is_normal(struct span text);

#endif
