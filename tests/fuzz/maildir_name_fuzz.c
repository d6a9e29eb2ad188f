/* SPDX-License-Identifier: Apache-2.0 */
/* maildir_name_fuzz.c - file names and directory names as any program may have made them */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "mailbox/maildir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str file = STR_INIT, name = STR_INIT, dir = STR_INIT;
    struct maildir_name a, b;

    maildir_name_parse(span_make(data, size), &a);
    maildir_name_make(a.base, a.flags, a.keywords, &file);
    maildir_name_parse(str_span(&file), &b);
    assert(a.flags == b.flags && span_eq(a.base, b.base) && strcmp(a.keywords, b.keywords) == 0);

    if (maildir_folder_name(span_make(data, size), &name) == 0) {
        assert(maildir_folder_dir(str_span(&name), &dir) == 0);
        assert(span_eq(str_span(&dir), span_make(data, size)));
    }
    return 0;
}
