/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_fuzz.c - the tree of parts: inside the message, within its limits, links that hang together
 */
#include <assert.h>

#include "mail/mime.h"

#define DEPTH_MAX 5
#define PARTS_MAX 50

static void check_part(const struct mime *m, uint32_t i, struct span in)
{
    const struct mime_part *p = &m->parts[i];
    _cleanup_(str_free) struct str decoded = STR_INIT, value = STR_INIT;
    struct span params = p->content_type, type, subtype, name;

    assert(p->depth <= DEPTH_MAX && p->type.len > 0 && p->subtype.len > 0);
    assert(p->header.ptr >= in.ptr && p->body.ptr == p->header.ptr + p->header.len);
    assert(p->body.ptr + p->body.len <= in.ptr + in.len);
    assert((p->kind == MIME_LEAF) == (p->first_child == MIME_NONE));
    assert(p->first_child == MIME_NONE || m->parts[p->first_child].parent == i);
    assert(p->next == MIME_NONE || (p->next > i && m->parts[p->next].parent == p->parent));
    mime_decode(p->body, mime_encoding(p), NULL, &decoded);
    if (params.len > 0 && mime_type(&params, &type, &subtype))
        while (mime_param(&params, &name, &value))
            assert(name.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(mime_done) struct mime m = MIME_INIT;
    struct span in = span_make(data, size);

    mime_parse(in, DEPTH_MAX, PARTS_MAX, NULL, &m);
    assert(m.len >= 1 && m.len <= PARTS_MAX);
    if (size > 0)
        for (uint32_t i = 0; i < m.len; i++)
            check_part(&m, i, in);
    return 0;
}
