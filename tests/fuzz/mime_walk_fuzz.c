/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_walk_fuzz.c - a message that streams by comes out as it went in, wherever it is cut
 */
#include <assert.h>

#include "mail/checks.h"
#include "mail/mime_walk.h"

static void on_field(void *arg, enum mime_walk_class class, struct span raw)
{
    struct check_result c = { .action = CHECK_NONE };

    (void)class;
    check_action_parse(raw, &c);
    str_add(arg, raw);
}

static void on_end(void *arg, const struct mime_walk_entity *entity, struct span empty_line)
{
    (void)entity;
    str_add(arg, empty_line);
}

static void on_line(void *arg, struct span line)
{
    assert(line.len > 0);
    str_add(arg, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mime_walk_events events = { on_field, on_end, on_line, on_line };
    _cleanup_(str_free) struct str out = STR_INIT;
    struct mime_walk w;

    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);

    mime_walk_init(&w, &events, &out);
    mime_walk_feed(&w, span_first(in, data[0]));
    mime_walk_feed(&w, span_from(in, data[0]));
    mime_walk_finish(&w);
    mime_walk_done(&w);
    assert(span_eq(str_span(&out), in));
    return 0;
}
