/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_text.h - looking for text in headers and bodies
 */
#ifndef IMAPD_SEARCH_TEXT_H
#define IMAPD_SEARCH_TEXT_H

#include "mail/mime.h"

/* A search that `pace` stops has found nothing: who handed it in asks why.
 *
 * Is text in bytes, in either case (i;unicode-casemap; ASCII text is compared as such)? An empty text is
 * in everything. */
bool search_contains(struct span bytes, struct span text, struct pace *pace);

/* Is text in the decoded value of a field of this name? field NULL: in the name or value of any
 * field. An empty text is in every field, so it asks whether there is one. */
bool search_header(struct span header, struct span field, struct span text, struct pace *pace);

/* Is it in the text parts of the body, decoded to UTF-8, or in the header of a message inside? */
bool search_body(const struct mime *m, struct span text, struct pace *pace);

#endif
