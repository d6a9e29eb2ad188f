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

static void add_escaped(struct str *ret, struct span text)
{
    str_add_escaped(ret, text, SHOWN_MAX, STR_UTF8);
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
    str_addf(ret, "%*s(%s)\n", shown.len < REASON_EDGE ? (int)(REASON_EDGE - shown.len) : 0, "",
             str_cstr(&shown));
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
        str_addf(ret, "%-17s %8s %19s ", "", "", "");
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
