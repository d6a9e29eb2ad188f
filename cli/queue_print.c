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

/* "Tue Nov  3 14:05:09": asctime(3) without the year, in the C locale */
static void add_time(struct str *ret, uint64_t seconds)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)seconds;
    struct tm tm = { 0 };

    localtime_r(&t, &tm);
    str_addf(ret, "%.3s %.3s %2d %02d:%02d:%02d", days + tm.tm_wday * 3, months + tm.tm_mon * 3,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void add_head(struct str *ret, const struct queue_entry *e, const char *empty_sender)
{
    char id[sizeof e->queue_id + 2];
    const char *mark = e->state == QUEUE_STATE_ACTIVE ? "*"
                       : e->state == QUEUE_STATE_HOLD ? "!"
                                                      : "";

    snprintf(id, sizeof id, "%s%s%s", e->queue_id, mark, e->forced_expire ? "#" : "");
    str_addf(ret, "%-17s %8" PRIu64 " ", id, e->size);
    add_time(ret, e->arrival);
    str_add_char(ret, ' ');
    add_escaped(ret, e->sender.len > 0 ? str_span(&e->sender) : span_of(empty_sender));
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

    for (uint32_t i = 0; i < item->entry.n_rcpt; i++) {
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
    add_head(ret, &item->entry, empty_sender);
    add_rcpts(ret, item);
    totals->bytes += item->entry.size;
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
    str_addf(ret, "\"%s\": ", name);
    str_add_json(ret, value);
}

void queue_print_json(struct str *ret, const struct queue_item *item, const char *empty_sender)
{
    const struct queue_entry *e = &item->entry;

    str_addf(ret,
             "{\"queue_name\": \"%s\", \"queue_id\": \"%s\", \"arrival_time\": %" PRIu64
             ", \"message_size\": %" PRIu64 ", \"forced_expire\": %s, ",
             queue_state_name(e->state), e->queue_id, e->arrival, e->size,
             e->forced_expire ? "true" : "false");
    add_json(ret, "sender", e->sender.len > 0 ? str_span(&e->sender) : span_of(empty_sender));
    str_add_str(ret, ", \"recipients\": [");
    for (uint32_t i = 0; i < e->n_rcpt; i++) {
        const struct queue_entry_rcpt *r = &item->rcpts[i];

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
