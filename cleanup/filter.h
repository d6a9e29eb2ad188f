/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - a message that mail filters (milters) see before it becomes a file
 *
 * Its header and body are kept apart until the filters have said what is to be changed. A message without
 * filters never comes here.
 */
#ifndef CLEANUP_FILTER_H
#define CLEANUP_FILTER_H

#include "cleanup/fields.h"
#include "cleanup/spool.h"
#include "milter/milter.h"

struct message;
struct cleanup;

struct filter {
    struct milters *milters; /* NULL: it waits for what body_checks say of the envelope */
    bool local;             /* non_smtpd_milters: they have not been told of the session and envelope */
    bool begun;             /* the body's first bytes were seen */
    bool separated;         /* an empty line stood between header and body */
    size_t own_at;          /* of our Received field in the header section */
    struct fields fields;
    struct spool body;
    struct spool next;      /* what a filter replaces it with, until that filter has come to its end */
    bool replacing;
    char last;              /* byte of next */
    bool hold;
    struct str reply;
};

/* Read non_smtpd_milters. 0, or negative with *err. */
int filter_start(struct cleanup *c, struct str *err);

/* Keep header and body apart until the end. */
void filter_keep_aside(struct message *m);

/* Take over the filters that come with the submit. 0 or the ipc's error. */
MAY_WAIT int filter_receive(struct message *m, struct ipc *from);
/* The submit has come: has it to be shown to non_smtpd_milters? */
void filter_begin_local(struct message *m);

/* The header section is complete. */
void filter_take_header(struct message *m, struct span section);
int filter_add_body(struct message *m, struct span bytes);

/* Ask all, and do what they say; the message may have failed afterwards. */
MAY_WAIT void filter_run(struct message *m);
/* What the file is to hold: write it. 0 or -errno. */
int filter_write(struct message *m);
/* For m->result.milters: the conversations go back to where they come from. */
MAY_WAIT void filter_give_back(struct message *m);
void filter_free(struct filter *f);

#endif
