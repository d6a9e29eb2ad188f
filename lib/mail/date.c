/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.c - dates in mail: written strictly, read leniently
 *
 * RFC 5322 section 3.3 and 4.3, RFC 3501 section 9. Arithmetic is done on days since
 * the epoch; the C library is asked only for the local zone.
 *
 * Runs in: everywhere (parsed dates are hostile). Logs nothing.
 */
#include "mail/date.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/own.h"

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char weekdays[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* Minutes east of UTC of zone names (RFC 5322 section 4.3); unknown ones and military letters mean 0 */
static const struct {
    struct span name;
    int minutes;
} zones[] = {
    { SPAN("EST"), -300 }, { SPAN("EDT"), -240 }, { SPAN("CST"), -360 }, { SPAN("CDT"), -300 },
    { SPAN("MST"), -420 }, { SPAN("MDT"), -360 }, { SPAN("PST"), -480 }, { SPAN("PDT"), -420 },
    { SPAN("CET"), 60 },   { SPAN("CEST"), 120 }, { SPAN("JST"), 540 },
};

/* What a date says, before it is one number. */
struct civil {
    int year, month, day, hour, minute, second;
    int zone;
};

/* ---- calendar ---- */

int64_t date_days(int year, int month, int day)
{
    /* Years run from March, so that the leap day is the last; eras of 400 years are all alike. */
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

void date_civil(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static int days_in_month(int year, int month)
{
    int next = month == 12 ? 1 : month + 1;

    return (int)(date_days(month == 12 ? year + 1 : year, next, 1) - date_days(year, month, 1));
}

/* Seconds since the epoch, or -EINVAL: no such day or time (a leap second is one) */
static int civil_seconds(const struct civil *c, int64_t *ret)
{
    if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > days_in_month(c->year, c->month) || c->hour > 23 || c->minute > 59 || c->second > 60)
        return -EINVAL;
    *ret = date_days(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 + c->second -
           c->zone * 60;
    return 0;
}

/* ---- writing ---- */

/* Local time; the zone as minutes east of UTC */
static struct tm local_time(int64_t seconds, int *ret_zone)
{
    time_t t = (time_t)seconds;
    struct tm tm = { 0 };

    localtime_r(&t, &tm);
    *ret_zone = (int)(tm.tm_gmtoff / 60);
    return tm;
}

static void add_time_and_zone(struct str *ret, const struct tm *tm, int zone)
{
    str_addf(ret, " %02d:%02d:%02d %c%02d%02d", tm->tm_hour, tm->tm_min, tm->tm_sec,
             zone < 0 ? '-' : '+', abs(zone) / 60, abs(zone) % 60);
}

void date_rfc5322(struct str *ret, int64_t seconds)
{
    int zone;
    struct tm tm = local_time(seconds, &zone);

    str_addf(ret, "%s, %02d %s %04d", weekdays[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
             tm.tm_year + 1900);
    add_time_and_zone(ret, &tm, zone);
}

void date_imap(struct str *ret, int64_t seconds)
{
    int zone;
    struct tm tm = local_time(seconds, &zone);

    str_addf(ret, "%2d-%s-%04d", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900);
    add_time_and_zone(ret, &tm, zone);
}

/* ---- reading ---- */

/* Month by the first three letters of its name, 1 to 12; 0: none */
static int month_number(struct span s)
{
    for (int i = 0; i < 12; i++)
        if (s.len >= 3 && span_eq_nocase_str(span_first(s, 3), months[i]))
            return i + 1;
    return 0;
}

static int number(struct span s, int max, int *ret)
{
    uint32_t n;

    if (s.len > 4 || span_u32(s, (uint32_t)max, &n) < 0)
        return -EINVAL;
    *ret = (int)n;
    return 0;
}

/* "14:05", "14:05:09", also with dots or a fraction of a second */
static int read_time(struct span s, struct civil *c)
{
    struct span hour = span_cut_any(&s, ":.");
    struct span minute = span_cut_any(&s, ":.");
    struct span second = span_cut_any(&s, ":.,");

    if (number(hour, 23, &c->hour) < 0 || number(minute, 59, &c->minute) < 0)
        return -EINVAL;
    c->second = 0;
    return second.len > 0 ? number(second, 60, &c->second) : 0;
}

/* "+hhmm", "-hhmm", "+hh:mm", a name, or "+hhmm" without its sign: minutes east of UTC */
static int read_zone(struct span s, int *ret)
{
    int sign = 1, hours, minutes;

    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        if (span_eq_nocase(s, zones[i].name)) {
            *ret = zones[i].minutes;
            return 0;
        }
    }
    if (s.len > 0 && char_is(s.ptr[0], CHAR_ALPHA)) {
        *ret = 0;
        return 0;
    }
    if (span_take(&s, '-'))
        sign = -1;
    else
        span_take(&s, '+');

    struct span minute = s.len == 5 && s.ptr[2] == ':' ? span_from(s, 3) : span_from(s, 2);

    if (number(span_first(s, 2), 23, &hours) < 0 || number(minute, 59, &minutes) < 0)
        return -EINVAL;
    *ret = sign * (hours * 60 + minutes);
    return 0;
}

/* obs-year (RFC 5322 section 4.3): 00-49 is 20xx, 50-99 and three digits count from 1900 */
static int read_year(struct span s, int *ret)
{
    if (s.len < 2 || number(s, 9999, ret) < 0)
        return -EINVAL;
    if (s.len == 2 && *ret < 50)
        *ret += 2000;
    else if (s.len < 4)
        *ret += 1900;
    return 0;
}

static bool ends_with(const struct str *s, char c)
{
    return s->len > 0 && s->data[s->len - 1] == c;
}

static bool is_blank(char c)
{
    return char_is(c, CHAR_BLANK | CHAR_CTL) || c == ',';
}

/* A colon takes the place of the blanks before it. */
static void add_joined(struct str *ret, char c)
{
    while (c == ':' && ends_with(ret, ' '))
        str_truncate(ret, ret->len - 1);
    str_add_char(ret, c);
}

/* value without comments and folds, words separated by blanks, none around the colons of a time (RFC 5322 section 4.3) */
static void simplify(struct span value, struct str *ret)
{
    size_t depth = 0;

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '\\' && depth > 0)
            i++;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (depth > 0 || (is_blank(c) && ends_with(ret, ':')))
            continue;
        else if (is_blank(c))
            str_add_char(ret, ' ');
        else
            add_joined(ret, c);
    }
}

int date_parse(struct span value, int64_t *ret, int *ret_zone)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct civil c = { 0 };
    struct span words[6] = { SPAN_NULL };
    size_t n = 0;

    simplify(span_first(value, 256), &text);

    struct span in = str_span(&text);

    while (n < ARRAY_LEN(words) && span_word(&in, " ", &words[n]))
        if (n > 0 || char_is(words[0].ptr[0], CHAR_DIGIT)) /* the weekday is not needed */
            n++;
    if (n < 4 || number(words[0], 31, &c.day) < 0 || read_year(words[2], &c.year) < 0 ||
        read_time(words[3], &c) < 0)
        return -EINVAL;
    c.month = month_number(words[1]);
    if (n > 4 && read_zone(words[4], &c.zone) < 0)
        c.zone = 0;

    int r = civil_seconds(&c, ret);

    if (r == 0)
        *ret_zone = c.zone;
    return r;
}

int date_parse_imap_day(struct span text, int *ret_year, int *ret_month, int *ret_day)
{
    struct span day = span_cut(&text, '-');
    struct span month = span_cut(&text, '-');
    struct civil c = { .month = month.len == 3 ? month_number(month) : 0 };
    int64_t ignored;

    if (text.len != 4 || number(day, 31, &c.day) < 0 || number(text, 9999, &c.year) < 0 ||
        civil_seconds(&c, &ignored) < 0)
        return -EINVAL;
    *ret_year = c.year;
    *ret_month = c.month;
    *ret_day = c.day;
    return 0;
}

int date_parse_imap(struct span text, int64_t *ret)
{
    struct civil c = { 0 };
    struct span rest = span_skip_ws(text); /* date-day-fixed may begin with a blank */
    struct span day = span_cut(&rest, ' ');
    struct span time = span_cut(&rest, ' ');

    if (date_parse_imap_day(day, &c.year, &c.month, &c.day) < 0 || time.len != 8 ||
        read_time(time, &c) < 0 || rest.len != 5 || (rest.ptr[0] != '+' && rest.ptr[0] != '-') ||
        read_zone(rest, &c.zone) < 0)
        return -EINVAL;
    return civil_seconds(&c, ret);
}
