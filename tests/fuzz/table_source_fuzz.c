/* SPDX-License-Identifier: Apache-2.0 */
/* table_source_fuzz.c - sources of postmap and postalias, texthash and passwd-file tables */
#include <stdlib.h>
#include <sys/mman.h>

#include "table/lines.h"
#include "table/source.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_lines(struct span text)
{
    _cleanup_(lines_done) struct lines lines = LINES_INIT(text);
    _cleanup_(str_free) struct str name = STR_INIT, values = STR_INIT;
    struct span line, key, value;

    while (lines_next(&lines, &line)) {
        if (!source_map_line(line, &key, &value) && key.len + value.len > line.len)
            abort();
        source_alias_line(line, &name, &values);
    }
}

/* Open the text as a table of this type, and ask it. */
static void ask(const char *type, int fd)
{
    _cleanup_(str_free) struct str name = STR_INIT, value = STR_INIT, err = STR_INIT;
    _cleanup_(table_free_ptr_) struct table *t = NULL;

    str_addf(&name, "%s:/proc/self/fd/%d", type, fd);
    if (table_open(str_span(&name), &t, &err) < 0) {
        if (err.len == 0)
            abort();
        return;
    }
    table_get(t, span_of("a"), &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("table", MFD_CLOEXEC);

    read_lines(span_make(data, size));
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    ask("texthash", fd);
    ask("passwd-file", fd);
    return 0;
}
