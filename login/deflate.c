/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deflate.c - COMPRESS=DEFLATE (RFC 4978) between the front and the client
 *
 * Both directions are raw deflate (RFC 1951). zlib's state is tens of KiB each way; while the session is parked
 * neither is kept. Ours begins anew with its next block, which refers to nothing before it. The client's goes on to
 * refer to the last 32 KiB that it has said: that text is kept, and given to a new state as its dictionary,
 * if the client stopped between two blocks, as it does when it flushes (section 4).
 *
 * Runs in: imapd-login; what is decompressed is hostile.
 */
#include "login/deflate.h"

#include <assert.h>
#include <errno.h>
#include <zlib.h>

#include "base/mem.h"

enum {
    RAW = -15,              /* windowBits of zlib: raw deflate, 32 KiB */
    OUT_WINDOW = -13,       /* ours: 8 KiB, so that a session's state is 48 KiB and not 256 */
    OUT_MEMORY = 5,
    WINDOW_MAX = 32768,
    OUT_CHUNK = 4096,
    BETWEEN_BLOCKS = 128,   /* inflate's data_type: behind a block, no bit of the next one read */
    FREE_OUTPUT = 64 * 1024 * 1024, /* the ratio counts beyond that: text may well be this repetitive */
};

struct deflate {
    z_stream in, out;
    bool in_lives, out_lives;
    struct str window;      /* of `in`, while it does not live */
    unsigned ratio_limit;
    uint64_t total_in, total_out;
};

struct deflate *deflate_new(unsigned ratio_limit)
{
    struct deflate *d = mem_new(struct deflate);

    d->ratio_limit = ratio_limit;
    return d;
}

static void end_in(struct deflate *d)
{
    if (d->in_lives)
        inflateEnd(&d->in);
    d->in_lives = false;
}

static void end_out(struct deflate *d)
{
    if (d->out_lives)
        deflateEnd(&d->out);
    d->out_lives = false;
}

void deflate_free(struct deflate *d)
{
    if (!d)
        return;
    end_in(d);
    end_out(d);
    str_free(&d->window);
    free(d);
}

static void begin_in(struct deflate *d)
{
    if (d->in_lives)
        return;
    d->in = (z_stream){ 0 };
    int r = inflateInit2(&d->in, RAW);
    assert(r == Z_OK); /* or there is no memory */
    if (d->window.len > 0)
        inflateSetDictionary(&d->in, (const Bytef *)d->window.data, (uInt)d->window.len);
    str_free(&d->window);
    d->in_lives = true;
}

int deflate_in(struct deflate *d, struct span *in, char *buf, size_t size)
{
    begin_in(d);
    d->in.next_in = (Bytef *)(uintptr_t)in->ptr;
    d->in.avail_in = (uInt)in->len;
    d->in.next_out = (Bytef *)buf;
    d->in.avail_out = (uInt)size;
    int r = inflate(&d->in, Z_SYNC_FLUSH);
    size_t used = in->len - d->in.avail_in, made = size - d->in.avail_out;

    *in = span_from(*in, used);
    d->total_in += used;
    d->total_out += made;
    /* No progress is possible (Z_BUF_ERROR) when all has been read; a stream does not end (Z_STREAM_END). */
    if (r != Z_OK && r != Z_BUF_ERROR)
        return -EPROTO;
    if (d->total_out > FREE_OUTPUT && (d->total_out - FREE_OUTPUT) / d->ratio_limit > d->total_in)
        return -E2BIG;
    return (int)made;
}

void deflate_out(struct deflate *d, struct span in, struct str *ret)
{
    if (!d->out_lives) {
        d->out = (z_stream){ 0 };
        int r = deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, OUT_WINDOW, OUT_MEMORY, Z_DEFAULT_STRATEGY);
        assert(r == Z_OK);
        d->out_lives = true;
    }
    d->out.next_in = (Bytef *)(uintptr_t)in.ptr;
    d->out.avail_in = (uInt)in.len;
    do {
        str_reserve(ret, OUT_CHUNK);
        d->out.next_out = (Bytef *)ret->data + ret->len;
        d->out.avail_out = OUT_CHUNK;
        deflate(&d->out, Z_SYNC_FLUSH);
        str_advance(ret, OUT_CHUNK - d->out.avail_out);
    } while (d->out.avail_out == 0);
}

void deflate_rest(struct deflate *d)
{
    uInt len = WINDOW_MAX;

    end_out(d);
    if (!d->in_lives || d->in.data_type != BETWEEN_BLOCKS)
        return;

    _cleanup_(str_free) struct str window = STR_INIT;

    str_reserve(&window, WINDOW_MAX);
    if (inflateGetDictionary(&d->in, (Bytef *)window.data, &len) != Z_OK)
        return;
    str_set(&d->window, span_make(window.data, len));
    end_in(d);
}
