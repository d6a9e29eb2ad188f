/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span_distance.c - how unlike two names are, to suggest the one that was meant
 *
 * Levenshtein's distance. Names that administrators write are short; of longer ones the beginnings count, so that
 * the work is bounded whatever is asked.
 */
#include "base/span.h"

#define NAME_MAX_LEN 64

size_t span_distance(struct span a, struct span b)
{
    size_t row[NAME_MAX_LEN + 1];

    a = span_first(a, NAME_MAX_LEN);
    b = span_first(b, NAME_MAX_LEN);
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b.len; j++) {
            size_t change = diagonal + (a.ptr[i] != b.ptr[j]);
            size_t least = row[j] < row[j + 1] ? row[j] : row[j + 1];

            diagonal = row[j + 1];
            row[j + 1] = change < least + 1 ? change : least + 1;
        }
    }
    return row[b.len];
}
