/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_id.h - a name for the conversation that a message belongs to (THREADID, RFC 8474 section 5.2)
 */
#ifndef IMAPD_THREAD_ID_H
#define IMAPD_THREAD_ID_H

#include "base/str.h"

/*
 * Append "T" and 32 hex digits, made of a header (or of the fields of it that kept.h keeps) and nothing else, so that it is
 * the same in every mailbox and for ever. The thread is named by its first message: the first id of References, or of
 * In-Reply-To, or the message's own; one without any is a thread by itself.
 */
void thread_id_add(struct span header, struct str *ret);

#endif
