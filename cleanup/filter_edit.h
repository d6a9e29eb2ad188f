/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_edit.h - changes that filters ask for
 */
#ifndef CLEANUP_FILTER_EDIT_H
#define CLEANUP_FILTER_EDIT_H

#include "milter/milter.h"

/* struct milter_message.edit and .edited; arg is the struct message. */
MAY_WAIT int filter_edit(void *arg, const struct milter_reply *change, bool verbatim);
MAY_WAIT int filter_edited(void *arg, bool complete);

#endif
