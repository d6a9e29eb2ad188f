/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_tree.h - the threading algorithms of RFC 5256, on facts about messages
 */
#ifndef IMAPD_THREAD_TREE_H
#define IMAPD_THREAD_TREE_H

#include "base/str.h"

struct thread_mail {
    uint32_t number;        /* by which the client knows it; they ascend with the sequence numbers */
    int64_t date;
    bool is_reply;          /* the subject says reply or forward */
    struct span subject;    /* base subject, comparable */
    struct span id;         /* Message-ID with its brackets, empty if none */
    struct span references; /* ids, one after the other, "<a@b><c@d>" */
};

/* Append the threads, "(1)(2 3 (4)(5))", in order of sequence numbers given. */
void thread_ordered_subject(const struct thread_mail *mails, size_t n, struct str *ret);
void thread_references(const struct thread_mail *mails, size_t n, struct str *ret);

/* Append the ids "<...>" of a References, In-Reply-To or Message-ID field; at most max, from its end. */
void thread_ids(struct span value, size_t max, struct str *ret);
/* The next id of such a text; false at its end. */
bool thread_next_id(struct span *ids, struct span *ret);

#endif
