/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_print.h - the listings of postqueue -p and -j, as scripts parse them
 */
#ifndef CLI_QUEUE_PRINT_H
#define CLI_QUEUE_PRINT_H

#include "cli/queue_client.h"

/* What a listing remembers from message to message. */
struct queue_totals {
    uint64_t bytes, messages;
};

/* Append the message as postqueue -p shows it, before the first one with the header line. empty_sender
 * stands for the null sender. */
void queue_print_text(struct str *ret, const struct queue_item *item, const char *empty_sender,
                      struct queue_totals *totals);
/* The line after the last message. */
void queue_print_text_end(struct str *ret, const struct queue_totals *totals);

/* Append the message as a line of JSON. */
void queue_print_json(struct str *ret, const struct queue_item *item, const char *empty_sender);

/* Append what postqueue -d shows of a destination; the header line alone when d is NULL. */
void queue_print_destination(struct str *ret, const struct queue_destination *d);
void queue_print_destination_json(struct str *ret, const struct queue_destination *d);

#endif
