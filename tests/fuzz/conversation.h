/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation.h - a session and its client, for targets that fuzz a whole session
 */
#ifndef FUZZ_CONVERSATION_H
#define FUZZ_CONVERSATION_H

#include "base/str.h"
#include "io/stream.h"

/*
 * Run serve() on one end of a socket pair, in a fiber, while a client at the other end sends all of input, closes its side,
 * and reads until the session ends. serve: client is its to free. ret: what the client has read is added; NULL: nobody wants it.
 */
void converse(struct span input, void (*serve)(struct stream *client), struct str *ret);

#endif
