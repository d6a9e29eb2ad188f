/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - one logical line of a table source: "key value" of postmap, "name: value, value" of
 * aliases(5)
 */
#ifndef TABLE_SOURCE_H
#define TABLE_SOURCE_H

#include "base/span.h"
#include "base/str.h"

/*
 * "key blanks value". A key may hold blanks between double quotes; the quotes stay part of it,
 * since addresses are looked up in the quoted form of RFC 5321. Both point into line. NULL, or what
 * is wrong with the line, as a constant text.
 */
const char *source_map_line(struct span line, struct span *ret_key, struct span *ret_value);

/*
 * "name: value, value ...". The name may be quoted ("a b"), the quotes are taken off; the values
 * are separated by commas that stand outside of quotes, and written with ", " between them;
 * comments in parentheses are dropped. NULL, or what is wrong, as a constant text.
 */
const char *source_alias_line(struct span line, struct str *ret_key, struct str *ret_value);

#endif
