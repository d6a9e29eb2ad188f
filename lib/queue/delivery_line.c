/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_line.c - the log line that every delivery agent writes for each recipient
 *
 * Runs in: qmgr, smtp, local, virtual, pipe, error, discard. Addresses and texts are hostile:
 * escaped, cut.
 */
#include "queue/delivery_line.h"

#include <inttypes.h>

#include "mail/address.h"

#define TEXT_MAX 1024 /* bytes of an address or a text in a log line */

const char *outcome_status_name(uint32_t status)
{
    switch ((enum outcome_status)status) {
    case OUTCOME_SENT:
        return "sent";
    case OUTCOME_DEFERRED:
        return "deferred";
    case OUTCOME_BOUNCED:
        return "bounced";
    }
    return "unknown";
}

void delivery_delay_add(struct str *ret, int64_t us, int resolution)
{
    static const int64_t unit_us[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int digits = 0; /* decimals wanted for two significant digits */

    if (us < 0)
        us = 0; /* the calendar went back */
    for (int64_t least = 10000000; digits < resolution && digits < 6 && us < least; least /= 10)
        digits++;
    int64_t n = (us + unit_us[digits] / 2) / unit_us[digits];
    int64_t scale = 1000000 / unit_us[digits];

    for (; digits > 0 && n % 10 == 0; digits--) {
        n /= 10;
        scale /= 10;
    }
    str_addf(ret, "%" PRId64, n / scale);
    if (digits > 0)
        str_addf(ret, ".%0*" PRId64, digits, n % scale);
}

static void add_delays(struct str *ret, const struct delivery_times *t, int resolution)
{
    int64_t points[] = {t->arrival_us, t->active_us, t->handoff_us, t->setup_us, t->done_us};

    str_add_str(ret, ", delay=");
    delivery_delay_add(ret, t->done_us - t->arrival_us, resolution);
    str_add_str(ret, ", delays=");
    /* What was not reached took no time: its share falls to the step before. */
    for (int i = 3; i > 0; i--)
        if (points[i] == 0)
            points[i] = points[i + 1];
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            str_add_char(ret, '/');
        delivery_delay_add(ret, points[i + 1] - points[i], resolution);
    }
}

void delivery_address_add(struct str *ret, struct span address)
{
    _cleanup_(str_free) struct str quoted = STR_INIT;

    address_quote(&quoted, address);
    str_add_escaped(ret, str_span(&quoted), TEXT_MAX, STR_UTF8);
}

void delivery_line_add(struct str *ret, const struct delivery_line *l)
{
    str_addf(ret, "%s: to=<", l->queue_id);
    delivery_address_add(ret, l->to);
    if (l->orig.len > 0 && !span_eq(l->orig, l->to)) {
        str_add_str(ret, ">, orig_to=<");
        delivery_address_add(ret, l->orig);
    }
    str_add_str(ret, ">, relay=");
    str_add_escaped(ret, l->relay, TEXT_MAX, STR_ASCII);
    if (l->conn_use > 1)
        str_addf(ret, ", conn_use=%u", l->conn_use);
    add_delays(ret, &l->times, l->resolution);
    if (l->tls.len > 0) {
        str_add_str(ret, ", tls=");
        str_add(ret, l->tls);
    }
    str_addf(ret, ", dsn=%s, status=%s (", l->dsn, l->status);
    str_add_escaped(ret, l->text, TEXT_MAX, STR_UTF8);
    str_add_char(ret, ')');
}

void delivery_line_fill(struct delivery_line *ret, const struct deliver *request, const struct deliver_rcpt *rcpt,
                        const struct outcome *outcome, const struct delivery_times *times, int64_t resolution)
{
    *ret = (struct delivery_line){
        .queue_id = request->queue_id,
        .to = str_span(&rcpt->address),
        .orig = str_span(&rcpt->orig),
        .relay = outcome->relay.len > 0 ? str_span(&outcome->relay) : span_of("none"),
        .times = *times,
        .resolution = (int)resolution,
        .dsn = outcome->dsn,
        .status = outcome_status_name(outcome->status),
        .text = str_span(&outcome->text),
    };
    if (request->flags & SUBMIT_PROBE)
        ret->status = outcome->status == OUTCOME_SENT ? "deliverable" : "undeliverable";
    ret->times.arrival_us = (int64_t)request->arrival_us;
    ret->times.active_us = (int64_t)request->active_us;
}

void delivery_line_of(struct str *ret, const struct deliver *request, const struct deliver_rcpt *rcpt,
                      const struct outcome *outcome, const struct delivery_times *times, int64_t resolution)
{
    struct delivery_line l;

    delivery_line_fill(&l, request, rcpt, outcome, times, resolution);
    delivery_line_add(ret, &l);
}
