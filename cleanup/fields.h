/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.h - a header section as a list of fields that filters may change
 *
 * Filters do not see the Received field that cleanup has added, and do not count it when they name a field;
 * but to insert at 0 means above it (as with Sendmail).
 */
#ifndef CLEANUP_FIELDS_H
#define CLEANUP_FIELDS_H

#include "base/str.h"

struct fields {
    struct field {
        struct str raw;     /* with all its line ends, CRLF */
        size_t name_len;
        bool ours;          /* not shown, not counted */
    } *items;
    size_t len, cap;
    size_t bytes;
};

/* Take a section apart (CRLF lines, no empty line at its end). own_at: where the field that is ours begins. */
void fields_parse(struct span section, size_t own_at, struct fields *ret);
void fields_done(struct fields *f);
void fields_join(const struct fields *f, struct str *ret);

/* Field number i, counted from 0, of those that are shown: false, there is none. value: what follows the
 * colon, folded, without the last line end. */
bool fields_get(const struct fields *f, size_t i, struct span *ret_name, struct span *ret_value);

/*
 * Changes. Values may have several lines (LF or CRLF); a line that would not continue the field is made to.
 * verbatim: no blank is put behind the colon. number: counted from 1 among the fields of that name (0 is 1);
 * when there is none, a field is added. 0; -EINVAL no name of a field; -E2BIG the section has become too large.
 */
enum fields_blank { FIELDS_ADD_BLANK, FIELDS_VERBATIM };
int fields_insert(struct fields *f, size_t at, struct span name, struct span value, enum fields_blank blank);
int fields_add(struct fields *f, struct span name, struct span value, enum fields_blank blank);
int fields_change(struct fields *f, uint32_t number, struct span name, struct span value, enum fields_blank blank);
void fields_delete(struct fields *f, uint32_t number, struct span name);

#endif
