/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.h - dates in mail
 */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <stdint.h>

#include "base/str.h"

/* "Tue, 03 Nov 2026 14:05:09 +0100" in local time (RFC 5322 section 3.3); appended. */
void date_rfc5322(struct str *ret, int64_t seconds);
/* "03-Nov-2026 14:05:09 +0100" (RFC 3501 date-time, day padded with a blank) */
void date_imap(struct str *ret, int64_t seconds);

/* Parse a Date header leniently (comments, missing weekday, obsolete zones, 2-digit years).
 * *ret seconds since the epoch, *ret_zone minutes east of UTC. 0 or -EINVAL. */
int date_parse(struct span value, int64_t *ret, int *ret_zone);
/* IMAP date-time and date (RFC 3501 section 9). */
int date_parse_imap(struct span text, int64_t *ret);
int date_parse_imap_day(struct span text, int *ret_year, int *ret_month, int *ret_day);
/* Days since the epoch of a civil date, and back. */
int64_t date_days(int year, int month, int day);
void date_civil(int64_t days, int *year, int *month, int *day);

#endif
