/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - packets of the milter protocol, versions 2 to 6
 *
 * On the wire, both ways:
 *
 *     u32 length of what follows (network order)
 *     u8  command or reply
 *     data: strings with their NUL, u32 numbers (network order), bytes up to the end
 *
 * There is no RFC: the protocol is Sendmail's, and libmilter is its other end. Replies come from a program that
 * has just read hostile mail, so they are parsed like anything from outside.
 */
#ifndef MILTER_WIRE_H
#define MILTER_WIRE_H

#include <stdbool.h>

#include "base/span.h"
#include "base/str.h"

#define MILTER_CHUNK      65535         /* bytes of body in a packet, as libmilter wants them at most */
#define MILTER_PACKET_MAX (1024 * 1024) /* the longest reply that is read */
#define MILTER_HEAD       5             /* length and command */

/* Commands to the filter */
enum milter_command {
    MILTER_CMD_ABORT = 'A',
    MILTER_CMD_BODY = 'B',
    MILTER_CMD_CONNECT = 'C',
    MILTER_CMD_MACRO = 'D',
    MILTER_CMD_BODYEOB = 'E',
    MILTER_CMD_HELO = 'H',
    MILTER_CMD_HEADER = 'L',
    MILTER_CMD_MAIL = 'M',
    MILTER_CMD_EOH = 'N',
    MILTER_CMD_OPTNEG = 'O',
    MILTER_CMD_QUIT = 'Q',
    MILTER_CMD_RCPT = 'R',
    MILTER_CMD_DATA = 'T',
    MILTER_CMD_UNKNOWN = 'U',
};

/* "SMFIC_BODYEOB", for logs */
const char *milter_command_name(enum milter_command c);

/* What the filter may do to a message */
enum milter_actions {
    MILTER_ADDS_HEADERS = 1 << 0,
    MILTER_CHANGES_BODY = 1 << 1,
    MILTER_ADDS_RCPT = 1 << 2,
    MILTER_DELETES_RCPT = 1 << 3,
    MILTER_CHANGES_HEADERS = 1 << 4,
    MILTER_QUARANTINES = 1 << 5,
    MILTER_CHANGES_SENDER = 1 << 6,
    MILTER_ADDS_RCPT_ARGS = 1 << 7,
    MILTER_SETS_SYMLIST = 1 << 8,
};

/* Which events the filter does not want, and which it does not answer */
enum milter_steps {
    MILTER_NO_CONNECT = 1 << 0,
    MILTER_NO_HELO = 1 << 1,
    MILTER_NO_MAIL = 1 << 2,
    MILTER_NO_RCPT = 1 << 3,
    MILTER_NO_BODY = 1 << 4,
    MILTER_NO_HEADERS = 1 << 5,
    MILTER_NO_EOH = 1 << 6,
    MILTER_NR_HEADER = 1 << 7,
    MILTER_NO_UNKNOWN = 1 << 8,
    MILTER_NO_DATA = 1 << 9,
    MILTER_SKIP = 1 << 10,              /* it may answer "skip" */
    MILTER_RCPT_REJ = 1 << 11,          /* it wants recipients that were refused, too */
    MILTER_NR_CONNECT = 1 << 12,
    MILTER_NR_HELO = 1 << 13,
    MILTER_NR_MAIL = 1 << 14,
    MILTER_NR_RCPT = 1 << 15,
    MILTER_NR_DATA = 1 << 16,
    MILTER_NR_UNKNOWN = 1 << 17,
    MILTER_NR_EOH = 1 << 18,
    MILTER_NR_BODY = 1 << 19,
    MILTER_LEADING_SPACE = 1 << 20,     /* header values go with the blank after the colon */
};

/* The numbers of the stages are those of the symbol lists; the last is ours. */
enum milter_stage {
    MILTER_CONNECT,
    MILTER_HELO,
    MILTER_MAIL,
    MILTER_RCPT,
    MILTER_DATA,
    MILTER_EOM,
    MILTER_EOH,
    MILTER_UNKNOWN,
    MILTER_STAGES,
};

/* ---- option negotiation ---- */

struct milter_options {
    uint32_t version, actions, steps;
    struct span symlists[MILTER_STAGES]; /* "i {auth_authen}"; ptr NULL: not given */
    uint32_t symlists_given;             /* bit 1 << stage */
};

/* What a version of the protocol (2 to 6) knows; without symlists. False: there is no such version. */
bool milter_options_of_version(uint32_t version, struct milter_options *ret);

/*
 * The filter's answer to what was offered. 0; -EPROTO, with *why set to what is wrong: truncated, a
 * version that was not offered, actions or steps beyond the offer, a list for an unknown stage.
 */
int milter_options_parse(struct span data, const struct milter_options *offered, struct milter_options *ret,
                         const char **why);

/* ---- other replies ---- */

enum milter_kind {
    MILTER_R_ADDRCPT,     /* text: address */
    MILTER_R_ADDRCPT_PAR, /* text: address, text2: ESMTP arguments or empty */
    MILTER_R_DELRCPT,     /* text */
    MILTER_R_CHGFROM,     /* text, text2: as ADDRCPT_PAR */
    MILTER_R_REPLBODY,    /* text: bytes */
    MILTER_R_ADDHEADER,   /* text: name, text2: value */
    MILTER_R_INSHEADER,   /* number, text, text2 */
    MILTER_R_CHGHEADER,   /* number, text, text2; an empty text2 deletes */
    MILTER_R_QUARANTINE,  /* text: why */
    MILTER_R_ACCEPT,
    MILTER_R_CONTINUE,
    MILTER_R_DISCARD,
    MILTER_R_REJECT,
    MILTER_R_TEMPFAIL,
    MILTER_R_REPLYCODE,   /* text: see milter_reply_text() */
    MILTER_R_SKIP,
    MILTER_R_SHUTDOWN,
    MILTER_R_CONN_FAIL,
    MILTER_R_PROGRESS,
};

struct milter_reply {
    enum milter_kind kind;
    uint32_t number;
    struct span text, text2; /* in the packet, without their NUL */
};

/* Does it ask for a change of the message, and which of enum milter_actions must have been agreed on? 0: no */
uint32_t milter_reply_needs(enum milter_kind kind);

/* A packet without its length. 0, or -EPROTO: unknown, truncated, a string without its end, something behind it. */
int milter_reply_parse(struct span packet, struct milter_reply *ret);

/*
 * The text of SMFIR_REPLYCODE as an SMTP reply: lines separated by CRLF, printable, all with the same code
 * 4xx or 5xx and an enhanced code (X.7.1 where there is none). At most max bytes are appended; lines that do
 * not fit are left out. 0 or -EPROTO: malformed.
 */
int milter_reply_text(struct span text, size_t max, struct str *ret);

/* ---- composing ---- */

/* Begin a packet at the end of out; returns where, for milter_packet_end(). */
size_t milter_packet_begin(struct str *out, enum milter_command c);
void milter_packet_end(struct str *out, size_t begin);
void milter_add_u32(struct str *out, uint32_t n);
/* A string up to its first NUL, which would end it for the other side. */
void milter_add_text(struct str *out, struct span text);

#endif
