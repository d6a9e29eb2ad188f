/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_unread.h - give a fresh stream bytes that another process has read from its connection before
 */
#ifndef IO_STREAM_UNREAD_H
#define IO_STREAM_UNREAD_H

#include "io/stream.h"

/* bytes become the first input of st, from which nothing has been read yet; at most 64 KiB. */
void stream_unread(struct stream *st, struct span bytes);

#endif
