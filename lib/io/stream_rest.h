/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_rest.h - a stream for which no fiber waits, for a long time
 */
#ifndef IO_STREAM_REST_H
#define IO_STREAM_REST_H

#include "io/stream.h"

/*
 * Give back what a stream needs only while it is used: empty buffers, its place in the loop (so that the
 * descriptor can be watched in another way, or belongs to another process for now), and forget that a wait for
 * input was cancelled or timed out. The next call on it brings all that back. No fiber may be in a call on st.
 */
void stream_rest(struct stream *st);

/*
 * The peer takes no more, but may have said something before it went: forget what could not be sent, and the error, so that the
 * rest can be read. Without TLS.
 */
void stream_drop_output(struct stream *st);

/*
 * Wait until there is input or the peer has closed, at most until the deadline. Unlike a read it leaves the
 * stream as it was when the time is over. 1; 0 the time is over; -ECANCELED. Without TLS.
 */
MAY_WAIT int stream_wait_input(struct stream *st, uint64_t deadline);

#endif
