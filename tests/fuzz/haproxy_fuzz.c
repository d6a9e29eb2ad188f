/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a proxy: whatever it is, no more than its own length is taken. */
#include <assert.h>

#include "io/haproxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haproxy ret;
    int r = haproxy_parse(span_make(data, size), &ret);

    assert(r <= 0 || (size_t)r <= size);
    assert(r <= HAPROXY_MAX);
    return 0;
}
