/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body_params.h - the parameters of a Content-Type or Content-Disposition in BODYSTRUCTURE
 */
#ifndef IMAPD_BODY_PARAMS_H
#define IMAPD_BODY_PARAMS_H

#include "base/str.h"

/*
 * body-fld-param = "(" string SP string *(SP string SP string) ")" / nil, of what stands after the first token of
 * the field. A value that was cut into sections ("name*0=a; name*1=b") is told whole, as RFC 2231 section 6 wants of
 * an IMAP server; its charset and percent-encoding stay ("name*" "utf-8''%C3%BC"). Sections out of order are
 * told as they stand.
 */
void put_body_params(struct str *out, struct span params);

#endif
