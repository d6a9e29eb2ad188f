/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deflate.c - COMPRESS=DEFLATE (RFC 4978) between the front and the client
 *
 * Both directions are raw deflate (RFC 1951). zlib's state is tens of KiB each way; while the session is parked
 * neither is kept. Ours begins anew with its next block, which refers to nothing before it. The client's goes on to
 * refer to the last 32 KiB that it has said, and that text is kept, compressed by us; a new state reads it
 * first, and then the few bytes since the last block ended. There are few because a client flushes what it says
 * (RFC 4978 section 4), which ends a block; with Z_PARTIAL_FLUSH another one has begun.
 *
 * Runs in: imapd-login; what is decompressed is hostile.
 */
#include "login/deflate.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <zlib.h>

#include "base/mem.h"

enum {
    RAW = -15,              /* windowBits of zlib: raw deflate, 32 KiB */
    OUT_WINDOW = -13,       /* ours: 8 KiB, so that a session's state is 48 KiB and not 256 */
    OUT_MEMORY = 5,
    WINDOW_MAX = 32768,
    OUT_CHUNK = 4096,
    BETWEEN_BLOCKS = 128,   /* inflate's data_type: a block has ended, ... */
    BITS_LEFT = 7,          /* ... and so many bits of the last byte are the next one's */
    LAST_BLOCK = 64,        /* (the stream is to end, which it may not) */
    SINCE_MAX = 16,
    FREE_OUTPUT = 64 * 1024 * 1024, /* the ratio counts beyond that: text may well be this repetitive */
};

struct deflate {
    z_stream in, out;
    bool in_lives, out_lives;
    struct str said;        /* instead of `in` while it does not live: what it can refer to, as deflate_out() writes it */
    struct {                /* since the last block of the client's ended: */
        int bits, value;    /* what was left of its last byte, */
        size_t len, made;   /* bytes that came, and that were made of them */
        char bytes[SINCE_MAX];
    } since;
    unsigned char last;     /* byte that came */
    unsigned ratio_limit;
    uint64_t total_in, total_out;
};

/* ---- zlib's memory ---- */

/*
 * Straight from the kernel and back to it. In the heap these blocks, tens of KiB that live for seconds, would lie between
 * small ones that stay while sessions are parked, and the heap would keep the size that it had with all of them alive.
 */
struct block {
    size_t size;
    _Alignas(64) unsigned char bytes[];
};

static voidpf block_new(voidpf opaque, uInt items, uInt size)
{
    size_t all = sizeof(struct block) + (size_t)items * size;
    struct block *b = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)opaque;
    if (b == MAP_FAILED)
        return Z_NULL;
    b->size = all;
    return b->bytes;
}

static void block_free(voidpf opaque, voidpf bytes)
{
    struct block *b = CONTAINER_OF(bytes, struct block, bytes);

    (void)opaque;
    munmap(b, b->size);
}

static const z_stream new_stream = { .zalloc = block_new, .zfree = block_free };

/* ---- the two directions ---- */

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
    str_free(&d->said);
    free(d);
}

static void inflate_quietly(z_stream *z, struct span in)
{
    char text[1024];

    z->next_in = (Bytef *)(uintptr_t)in.ptr;
    z->avail_in = (uInt)in.len;
    do {
        z->next_out = (Bytef *)text;
        z->avail_out = sizeof text;
        int r = inflate(z, Z_SYNC_FLUSH);
        assert(r == Z_OK || r == Z_BUF_ERROR); /* we have read it before */
    } while (z->avail_out == 0);
}

static void begin_in(struct deflate *d)
{
    if (d->in_lives)
        return;
    d->in = new_stream;
    int r = inflateInit2(&d->in, RAW);
    assert(r == Z_OK); /* or there is no memory */
    d->in_lives = true;
    if (d->said.len > 0)
        inflate_quietly(&d->in, str_span(&d->said));
    inflatePrime(&d->in, d->since.bits, d->since.value);
    if (d->since.len > 0)
        inflate_quietly(&d->in, span_make(d->since.bytes, d->since.len));
    str_free(&d->said);
}

/* One step of inflate() has taken these bytes. */
static void note_step(struct deflate *d, struct span taken, size_t made)
{
    size_t keep = taken.len < SINCE_MAX - d->since.len ? taken.len : SINCE_MAX - d->since.len;

    d->total_in += taken.len;
    d->total_out += made;
    memcpy(d->since.bytes + d->since.len, taken.ptr, keep);
    d->since.len += keep;
    d->since.made += made + (taken.len - keep);
    if (taken.len > 0)
        d->last = (unsigned char)taken.ptr[taken.len - 1];
    if (d->in.data_type & BETWEEN_BLOCKS) {
        d->since.bits = d->in.data_type & BITS_LEFT;
        d->since.value = d->last >> (8 - d->since.bits);
        d->since.len = d->since.made = 0;
    }
}

int deflate_in(struct deflate *d, struct span *in, char *buf, size_t size)
{
    size_t room = size;
    int r = Z_OK;

    begin_in(d);
    /* Block by block, until there is nothing more to take or no more room */
    do {
        d->in.next_in = (Bytef *)(uintptr_t)in->ptr;
        d->in.avail_in = (uInt)in->len;
        d->in.next_out = (Bytef *)buf + (size - room);
        d->in.avail_out = (uInt)room;
        r = inflate(&d->in, Z_BLOCK);
        note_step(d, span_first(*in, in->len - d->in.avail_in), room - d->in.avail_out);
        room = d->in.avail_out;
        *in = span_from(*in, in->len - d->in.avail_in);
    } while (r == Z_OK && in->len > 0 && room > 0);
    /* No progress is possible (Z_BUF_ERROR) when all has been read; a stream does not end (Z_STREAM_END). */
    if (r != Z_OK && r != Z_BUF_ERROR)
        return -EPROTO;
    if (d->total_out > FREE_OUTPUT && (d->total_out - FREE_OUTPUT) / d->ratio_limit > d->total_in)
        return -E2BIG;
    return (int)(size - room);
}

void deflate_out(struct deflate *d, struct span in, struct str *ret)
{
    if (!d->out_lives) {
        d->out = new_stream;
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
    _cleanup_free_ char *window = NULL;
    uInt len = WINDOW_MAX;

    end_out(d);
    if (!d->in_lives || d->since.made > 0 || d->in.data_type & LAST_BLOCK)
        return;
    window = mem_calloc(WINDOW_MAX, 1);
    if (inflateGetDictionary(&d->in, (Bytef *)window, &len) != Z_OK)
        return;
    end_in(d);

    _cleanup_(str_free) struct str said = STR_INIT;

    if (len > 0)
        deflate_out(d, span_make(window, len), &said);
    str_set(&d->said, str_span(&said)); /* the exact size: of these there may be ten thousand */
    end_out(d);
}
