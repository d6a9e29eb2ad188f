/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.h - logical lines of table sources, and reading such files whole
 *
 * A logical line starts with a character that is not white space and goes on over the
 * lines that start with white space. Lines that are empty, or whose first character
 * other than white space is '#', are skipped, also inside a logical line. Comparable
 * to the files that postmap(1) and postalias(1) describe.
 */
#ifndef TABLE_LINES_H
#define TABLE_LINES_H

#include <stdbool.h>

#include "base/span.h"
#include "base/str.h"

struct lines {
    struct span rest;
    int next_number;
    int number;                     /* of the first physical line of the one returned last */
    struct str joined;
};

#define LINES_INIT(text) ((struct lines){ .rest = (text), .next_number = 1 })

void lines_done(struct lines *l);

/* False at the end. *ret has no white space at its end, and points into the text or into l.
 * A continuation with nothing before it is returned with its white space: not a valid line for
 * anybody. */
bool lines_next(struct lines *l, struct span *ret);

/* A whole regular file of at most max bytes into *ret. 0; -errno, -EFBIG, -EISDIR with *err naming
 * the file. */
int lines_read_file(const char *path, size_t max, struct str *ret, struct str *err);

/* "PATH, line N: TEXT" into *err; returns -EINVAL. */
int lines_error(struct str *err, const char *path, int number, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * The next element of a list as in main.cf: elements are separated by blanks or commas, and what
 * stands in braces belongs together: "inline:{a=b, c=d}" is one. Braces stay. False when no
 * element is left. An unbalanced brace takes the rest.
 */
bool lines_list_word(struct span *list, struct span *ret);

#endif
