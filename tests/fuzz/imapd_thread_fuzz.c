/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd_thread_fuzz.c - threads of messages whose ids are letters of the input; each is told once
 */
#include "imapd/thread_tree.h"

#include <assert.h>

enum { MAILS_MAX = 32, LINE_MAX_LEN = 20, ID_LEN = 3 };

static size_t count_digits(struct span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] >= '0' && s.ptr[i] <= '9' && (i == 0 || s.ptr[i - 1] < '0' || s.ptr[i - 1] > '9');
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct thread_mail mails[MAILS_MAX];
    static char ids[MAILS_MAX * LINE_MAX_LEN * ID_LEN];
    _cleanup_(str_free) struct str by_subject = STR_INIT, by_reference = STR_INIT;
    struct span in = span_make(data, size);
    size_t n = 0, used = 0;

    while (in.len > 0 && n < MAILS_MAX) {
        struct span line = span_first(span_cut(&in, '\n'), LINE_MAX_LEN);
        size_t at = used;

        for (size_t i = 0; i < line.len; i++, used += ID_LEN)
            memcpy(ids + used, (char[]){ '<', "0123456789abcdef"[line.ptr[i] & 15], '>' }, ID_LEN);
        mails[n] = (struct thread_mail){
            .number = (uint32_t)n + 1,
            .date = line.len,
            .is_reply = line.len % 2,
            .subject = span_first(line, line.len > 3 ? 1 : 0),
            .id = line.len > 0 ? span_make(ids + at, ID_LEN) : SPAN_NULL,
            .references = line.len > 1 ? span_make(ids + at + ID_LEN, used - at - ID_LEN) : SPAN_NULL,
        };
        n++;
    }
    thread_ordered_subject(mails, n, &by_subject);
    thread_references(mails, n, &by_reference);
    assert(count_digits(str_span(&by_subject)) == n && count_digits(str_span(&by_reference)) == n);
    return 0;
}
