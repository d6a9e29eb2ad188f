/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the commands, and helpers that several of them use
 */
#ifndef IMAPD_COMMAND_H
#define IMAPD_COMMAND_H

#include "mailbox_name.h"
#include "parse.h"
#include "session.h"

/* Run one command (without its line end) and answer it. 0, or the stream's error. */
MAY_WAIT int command_run(struct imap *s, struct span command);

/* IDLE goes on where it was when the session parked; then as command_run(). */
MAY_WAIT int command_idle_again(struct imap *s);
/* Wait for DONE and set the answer (idle.c). */
MAY_WAIT int idle_wait(struct imap *s);

/*
 * A handler gets what follows the command's name (with its blank), parses all of it, does it,
 * sends untagged data and sets the answer with reply_...(). Returns 0, or negative when the session
 * is over.
 */
typedef int command_fn(struct imap *s, struct parse *p);

command_fn cmd_append, cmd_replace;                             /* append.c */
command_fn cmd_capability, cmd_noop, cmd_logout, cmd_id, cmd_enable, cmd_namespace; /* misc.c */
command_fn cmd_compress;                                        /* compress.c */
command_fn cmd_close, cmd_unselect, cmd_expunge;                /* expunge.c */
command_fn cmd_copy, cmd_move;                                  /* copy.c */
command_fn cmd_create, cmd_delete, cmd_rename, cmd_subscribe, cmd_unsubscribe; /* manage.c */
command_fn cmd_fetch;                                           /* fetch.c */
command_fn cmd_idle;                                            /* idle.c */
command_fn cmd_list, cmd_lsub;                                  /* list.c */
command_fn cmd_getquota, cmd_getquotaroot, cmd_setquota;        /* quota.c */
command_fn cmd_search;                                          /* search.c */
command_fn cmd_select, cmd_examine;                             /* select.c */
command_fn cmd_sort;                                            /* sort.c */
command_fn cmd_status;                                          /* status.c */
command_fn cmd_store;                                           /* store.c */
command_fn cmd_thread;                                          /* thread.c */

/* ---- messages that a command names ---- */

struct seqs {
    uint32_t *items;        /* sequence numbers, ascending, each once */
    size_t len, cap;
};
#define SEQS_INIT ((struct seqs){ NULL, 0, 0 })
void seqs_done(struct seqs *l);
void seqs_add(struct seqs *l, uint32_t seq);

/*
 * Parse a blank and a sequence-set, or "$" (RFC 5182); by UID when s->uid. UIDs that do not exist are left out. False:
 * the set is malformed or, by sequence number, names a message that does not exist (RFC 3501
 * section 9, seq-number).
 */
bool parse_messages(struct imap *s, struct parse *p, struct seqs *ret);

/* How the client has mailbox names. */
enum name_form imap_names(const struct imap *s);

/* The selected mailbox, if there is one, is not selected any more, and the client is told (RFC 7162 section 3.2.11). */
void select_leave(struct imap *s);

/* A blank and a mailbox name of the wire, as UTF-8 (mailbox_name.h). */
bool parse_mailbox(struct parse *p, struct str *ret);

#endif
