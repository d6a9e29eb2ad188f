/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_fuzz.c - queue_read and queue_dump on damaged files
 *
 * The first byte chooses: the input is a whole file, or it is envelope records and a journal behind
 * a right header and sum, since no fuzzer guesses a sum.
 */
#include <sys/mman.h>

#include "queue/format.h"

static void put_whole(int fd, struct span in)
{
    ssize_t n = write(fd, in.ptr, in.len);

    (void)n;
}

static void put_records(int fd, struct span in)
{
    size_t half = in.len > 2 ? in.len * (unsigned char)in.ptr[0] / 256 : in.len;
    struct span envelope = span_first(in, half);
    struct queue_header h = {.content_offset = QUEUE_HEADER_SIZE + half};
    struct queue_sum sum = {0};
    char head[QUEUE_HEADER_SIZE];

    for (struct record rec; record_next(&envelope, &rec) == 1;)
        h.n_rcpts += rec.type == REC_RCPT;
    queue_sum_add(&sum, span_first(in, half));
    h.envelope_sum = queue_sum_end(&sum);
    queue_header_put(&h, head);
    put_whole(fd, span_make(head, sizeof head));
    put_whole(fd, in);
}

static int print(uint64_t offset, int type, const char *type_name, struct span bytes, void *arg)
{
    struct str *s = arg;

    (void)offset;
    (void)type_name;
    str_reset(s);
    queue_record_print(type, bytes, s);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("queue", MFD_CLOEXEC);
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
    _cleanup_(str_free) struct str text = STR_INIT;

    if (size == 0 || fd < 0)
        return 0;
    struct span in = span_make(data + 1, size - 1);

    if (data[0] & 1)
        put_records(fd, in);
    else
        put_whole(fd, in);
    queue_dump(fd, print, &text);
    queue_verify(fd);
    queue_read(fd, "FUZZ", &queue_default_limits, &e, NULL);
    return 0;
}
