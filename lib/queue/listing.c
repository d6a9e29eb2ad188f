/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.c - what qmgr tells postqueue of messages, packed
 *
 * Numbers are groups of seven bits, the lowest first, with the high bit on all but the last; texts have their
 * length before them.
 *
 * Runs in: qmgr packs; postqueue and postsuper unpack, and mistrust what they get. Logs nothing.
 */
#include "queue/listing.h"

#include <errno.h>

#include "ipc/msg_queue.h"
#include "queue/queue.h"

#define RCPTS_MAX 1000000

/* ---- packing ---- */

static void put_number(struct str *s, uint64_t n)
{
    for (; n >= 128; n >>= 7)
        str_add_char(s, (char)(n | 128));
    str_add_char(s, (char)n);
}

static void put_text(struct str *s, struct span text, size_t max)
{
    text = span_first(text, max);
    put_number(s, text.len);
    str_add(s, text);
}

void listing_put_message(struct str *batch, const struct listed_message *m)
{
    put_number(batch, m->state);
    put_number(batch, m->expire);
    put_number(batch, m->arrival);
    put_number(batch, m->size);
    put_number(batch, m->n_rcpts);
    put_text(batch, m->id, QUEUE_ID_MAX);
    put_text(batch, m->sender, SUBMIT_ADDRESS_MAX);
}

void listing_put_rcpt(struct str *batch, const struct listed_rcpt *r)
{
    put_text(batch, r->address, SUBMIT_ADDRESS_MAX);
    put_text(batch, r->orig, SUBMIT_ADDRESS_MAX);
    put_text(batch, r->reason, LISTING_REASON);
}

/* ---- unpacking ---- */

static bool take_number(struct span *in, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    for (unsigned shift = 0; in->len > 0 && shift < 63; shift += 7) {
        unsigned char c = (unsigned char)in->ptr[0];

        *in = span_from(*in, 1);
        n |= (uint64_t)(c & 127) << shift;
        if (c < 128) {
            *ret = n;
            return n <= max;
        }
    }
    return false;
}

static bool take_text(struct span *in, size_t max, struct span *ret)
{
    uint64_t len;

    if (!take_number(in, max, &len) || len > in->len)
        return false;
    *ret = span_first(*in, len);
    *in = span_from(*in, len);
    return true;
}

int listing_take_message(struct span *batch, struct listed_message *ret)
{
    struct listed_message m = { 0 };
    uint64_t state, expire, n_rcpts;

    if (!take_number(batch, QUEUE_STATE_LAST, &state) || !take_number(batch, 1, &expire) ||
        !take_number(batch, INT64_MAX, &m.arrival) || !take_number(batch, INT64_MAX, &m.size) ||
        !take_number(batch, RCPTS_MAX, &n_rcpts) || !take_text(batch, QUEUE_ID_MAX, &m.id) ||
        !take_text(batch, SUBMIT_ADDRESS_MAX, &m.sender) || !queue_id_valid(m.id))
        return -EPROTO;
    m.state = (uint32_t)state;
    m.expire = expire;
    m.n_rcpts = (uint32_t)n_rcpts;
    *ret = m;
    return 0;
}

int listing_take_rcpt(struct span *batch, struct listed_rcpt *ret)
{
    struct listed_rcpt r = { 0 };

    if (!take_text(batch, SUBMIT_ADDRESS_MAX, &r.address) || !take_text(batch, SUBMIT_ADDRESS_MAX, &r.orig) ||
        !take_text(batch, LISTING_REASON, &r.reason))
        return -EPROTO;
    *ret = r;
    return 0;
}
