/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deflate.h - COMPRESS=DEFLATE (RFC 4978) between the front and the client
 */
#ifndef LOGIN_DEFLATE_H
#define LOGIN_DEFLATE_H

#include "base/span.h"
#include "base/str.h"

struct deflate;

struct deflate *deflate_new(unsigned ratio_limit);
void deflate_free(struct deflate *d);       /* NULL is allowed */

/*
 * Decompress from the front of *in into buf. Call it until it gives 0 bytes.
 *
 * Returns the number of bytes put into buf, or
 *   -EPROTO   the client's bytes are damaged
 *   -E2BIG    they become more than ratio_limit times as many (and by far): somebody wants our time
 */
int deflate_in(struct deflate *d, struct span *in, char *buf, size_t size);

/* Compress all of in, so that the client can read it at once; appended. */
void deflate_out(struct deflate *d, struct span in, struct str *ret);

/*
 * For a connection that waits for long: give back all memory but the text that the client may refer to (at most its last
 * 32 KiB, compressed). The next call brings the rest back.
 */
void deflate_rest(struct deflate *d);

#endif
