/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_print.c - the listings of postqueue -p and -j, as scripts parse them
 *
 * Layout of Postfix with long queue ids: columns of 17, 8 and 19, one blank between. Reasons stand before the
 * recipients they belong to, right-aligned.
 *
 * Runs in: postqueue. Addresses and reasons are hostile text for a terminal.
 */
#include "cli/queue_print.h"

#include <inttypes.h>
#include <time.h>

#define SHOWN_MAX   2048
#define REASON_EDGE 76
#define RCPT_COLUMN 47
#define ID_COLUMN   17
#define SIZE_COLUMN 8

static void add_escaped(struct str *ret, struct span text)
{
    str_add_escaped(ret, text, SHOWN_MAX, STR_UTF8);
}

/* Printf's padding, without its price: a listing may have millions of lines. */
static void add_blanks(struct str *ret, size_t n)
{
    static const char blanks[REASON_EDGE + 1] =
        "                                                                            ";

    str_add(ret, span_make(blanks, n < REASON_EDGE ? n : REASON_EDGE));
}

static char *put_two(char *to, int n, char pad)
{
    to[0] = n < 10 ? pad : (char)('0' + n / 10);
    to[1] = (char)('0' + n % 10);
    return to + 2;
}

/* Local time. Offsets change on quarters of an hour only, so one quarter's calendar serves all of its messages. */
static void local_time(time_t t, struct tm *ret)
{
    static time_t quarter = -1;
    static struct tm start;

    if (t / 900 != quarter) {
        time_t first = t / 900 * 900;

        localtime_r(&first, &start);
        quarter = t / 900;
    }
    *ret = start;
    ret->tm_sec += (int)(t % 900);
    ret->tm_min += ret->tm_sec / 60;
    ret->tm_sec %= 60;
    ret->tm_hour += ret->tm_min / 60;
    ret->tm_min %= 60;
}

/* "Tue Nov  3 14:05:09": asctime(3) without the year, in the C locale */
static void add_time(struct str *ret, uint64_t seconds)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[] = "Tue Nov  3 14:05:09";
    struct tm tm;

    local_time((time_t)seconds, &tm);
    memcpy(text, days + tm.tm_wday * 3, 3);
    memcpy(text + 4, months + tm.tm_mon * 3, 3);
    put_two(text + 8, tm.tm_mday, ' ');
    put_two(text + 11, tm.tm_hour, '0');
    put_two(text + 14, tm.tm_min, '0');
    put_two(text + 17, tm.tm_sec, '0');
    str_add(ret, span_make(text, sizeof text - 1));
}

/* Pad what was added since `start` on its right. */
static void fill_column(struct str *ret, size_t start, size_t width)
{
    size_t used = ret->len - start;

    add_blanks(ret, used < width ? width - used : 0);
}

static void add_size(struct str *ret, uint64_t size)
{
    size_t digits = 1;

    for (uint64_t n = size; n >= 10; n /= 10)
        digits++;
    add_blanks(ret, digits < SIZE_COLUMN ? SIZE_COLUMN - digits : 0);
    str_add_u64(ret, size);
}

static void add_head(struct str *ret, const struct queue_item *item, const char *empty_sender)
{
    size_t start = ret->len;

    str_add_str(ret, item->id);
    if (item->state == QUEUE_STATE_ACTIVE || item->state == QUEUE_STATE_HOLD)
        str_add_char(ret, item->state == QUEUE_STATE_ACTIVE ? '*' : '!');
    if (item->forced_expire)
        str_add_char(ret, '#');
    fill_column(ret, start, ID_COLUMN);
    str_add_char(ret, ' ');
    add_size(ret, item->size);
    str_add_char(ret, ' ');
    add_time(ret, item->arrival);
    str_add_char(ret, ' ');
    add_escaped(ret, item->sender.len > 0 ? str_span(&item->sender) : span_of(empty_sender));
    str_add_char(ret, '\n');
}

static void add_reason(struct str *ret, struct span reason)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    add_escaped(&shown, reason);
    add_blanks(ret, shown.len < REASON_EDGE ? REASON_EDGE - shown.len : 0);
    str_add_char(ret, '(');
    str_add(ret, str_span(&shown));
    str_add_str(ret, ")\n");
}

static void add_rcpts(struct str *ret, const struct queue_item *item)
{
    static const struct span unavailable = SPAN("reason unavailable");
    struct span last = SPAN_NULL;

    for (size_t i = 0; i < item->n_rcpts; i++) {
        struct span reason = str_span(&item->rcpts[i].reason);

        if (reason.len == 0 && last.len > 0)
            reason = unavailable;
        if (reason.len > 0 && !span_eq(reason, last))
            add_reason(ret, reason);
        last = reason;
        add_blanks(ret, RCPT_COLUMN);
        add_escaped(ret, str_span(&item->rcpts[i].address));
        str_add_char(ret, '\n');
    }
}

void queue_print_text(struct str *ret, const struct queue_item *item, const char *empty_sender,
                      struct queue_totals *totals)
{
    if (totals->messages == 0)
        str_add_str(ret,
                    "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n");
    else
        str_add_char(ret, '\n');
    add_head(ret, item, empty_sender);
    add_rcpts(ret, item);
    totals->bytes += item->size;
    totals->messages++;
}

void queue_print_text_end(struct str *ret, const struct queue_totals *totals)
{
    if (totals->messages == 0)
        str_add_str(ret, "Mail queue is empty\n");
    else
        str_addf(ret, "\n-- %" PRIu64 " Kbytes in %" PRIu64 " Request%s.\n", totals->bytes / 1024,
                 totals->messages, totals->messages == 1 ? "" : "s");
}

static void add_json(struct str *ret, const char *name, struct span value)
{
    str_add_char(ret, '"');
    str_add_str(ret, name);
    str_add_str(ret, "\": ");
    str_add_json(ret, value);
}

static void add_json_number(struct str *ret, const char *name, uint64_t value)
{
    str_add_str(ret, ", \"");
    str_add_str(ret, name);
    str_add_str(ret, "\": ");
    str_add_u64(ret, value);
}

void queue_print_json(struct str *ret, const struct queue_item *item, const char *empty_sender)
{
    str_add_char(ret, '{');
    add_json(ret, "queue_name", span_of(queue_state_name(item->state)));
    str_add_str(ret, ", ");
    add_json(ret, "queue_id", span_of(item->id));
    add_json_number(ret, "arrival_time", item->arrival);
    add_json_number(ret, "message_size", item->size);
    str_add_str(ret, item->forced_expire ? ", \"forced_expire\": true, " : ", \"forced_expire\": false, ");
    add_json(ret, "sender", item->sender.len > 0 ? str_span(&item->sender) : span_of(empty_sender));
    str_add_str(ret, ", \"recipients\": [");
    for (size_t i = 0; i < item->n_rcpts; i++) {
        const struct queue_item_rcpt *r = &item->rcpts[i];

        str_add_str(ret, i > 0 ? ", {" : "{");
        add_json(ret, "orig_address", str_span(r->orig.len > 0 ? &r->orig : &r->address));
        str_add_str(ret, ", ");
        add_json(ret, "address", str_span(&r->address));
        if (r->reason.len > 0) {
            str_add_str(ret, ", ");
            add_json(ret, "delay_reason", str_span(&r->reason));
        }
        str_add_char(ret, '}');
    }
    str_add_str(ret, "]}\n");
}

/* ---- destinations: the columns of qshape ---- */

static const char *const age_names[QUEUE_AGES] = { "5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280+" };

static uint64_t add_up(const struct queue_destination *d)
{
    uint64_t total = 0;

    for (size_t i = 0; i < QUEUE_AGES; i++)
        total += d->age[i];
    return total;
}

static void add_name(struct str *ret, const struct queue_destination *d)
{
    add_escaped(ret, span_of(d->transport));
    str_add_char(ret, ':');
    add_escaped(ret, str_span(&d->nexthop));
}

static const char *state_of(const struct queue_destination *d)
{
    return d->suspended_s > 0 ? "suspended" : d->active > 0 ? "active" : "waiting";
}

void queue_print_destination(struct str *ret, const struct queue_destination *d)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!d) {
        str_addf(ret, "%-32s %7s", "-Destination-", "T");
        for (size_t i = 0; i < QUEUE_AGES; i++)
            str_addf(ret, " %6s", age_names[i]);
        str_add_str(ret, "  Now/Max -State-\n");
        return;
    }
    add_name(&name, d);
    str_addf(ret, "%-32s %7" PRIu64, str_cstr(&name), add_up(d));
    for (size_t i = 0; i < QUEUE_AGES; i++)
        str_addf(ret, " %6" PRIu64, d->age[i]);
    str_addf(ret, " %4u/%-4u %s", d->active, d->window, state_of(d));
    if (d->suspended_s > 0)
        str_addf(ret, " for %" PRIu64 " s", d->suspended_s);
    str_add_char(ret, '\n');
    if (d->reason.len == 0)
        return;
    str_add_str(ret, "    (");
    add_escaped(ret, str_span(&d->reason));
    str_add_str(ret, ")\n");
}

void queue_print_destination_json(struct str *ret, const struct queue_destination *d)
{
    str_add_char(ret, '{');
    add_json(ret, "transport", span_of(d->transport));
    str_add_str(ret, ", ");
    add_json(ret, "nexthop", str_span(&d->nexthop));
    str_addf(ret, ", \"recipients\": %" PRIu64 ", \"age_minutes\": {", add_up(d));
    for (size_t i = 0; i < QUEUE_AGES; i++)
        str_addf(ret, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "", age_names[i], d->age[i]);
    str_addf(ret,
             "}, \"state\": \"%s\", \"active_deliveries\": %u, \"concurrency\": %u, "
             "\"suspended_seconds\": %" PRIu64,
             state_of(d), d->active, d->window, d->suspended_s);
    if (d->reason.len > 0) {
        str_add_str(ret, ", ");
        add_json(ret, "last_error", str_span(&d->reason));
    }
    str_add_str(ret, "}\n");
}
