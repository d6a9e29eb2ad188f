/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c - APPEND (RFC 3501 section 6.3.11) and REPLACE (RFC 8508)
 *
 * With several messages at once, all or none (MULTIAPPEND, RFC 3502), literal8 (BINARY, RFC 3516
 * section 4.4) and UTF8 (...) (RFC 6855 section 4); answered by APPENDUID (UIDPLUS, RFC 4315).
 *
 * A Maildir is text. A literal8 may be more: its binary parts become base64 on the way (mail/unbinary.h), which
 * loses no byte of them, and FETCH BINARY gives them back as they came.
 *
 * Messages are streamed one after the other into one nameless file of the user's own, never held in
 * memory (small ones are, in the kernel's, as a memfd: no inode has to be made for them).
 *
 * Runs in: imapd (input is hostile).
 */
#include "append.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "command.h"
#include "flags.h"
#include "input.h"
#include "list.h"
#include "mail/date.h"
#include "mail/unbinary.h"
#include "reply.h"
#include "seqset.h"
#include "untagged.h"

#define SMALL_MESSAGE (256 * 1024)

/* What stands in front of one message's literal */
struct head {
    struct flag_list flags;
    int64_t received;       /* 0: now */
    bool in_utf8;           /* UTF8 (~{n}...): a parenthesis has to follow */
    bool is_binary;         /* ~{n}: NULs and binary parts are allowed */
};

struct append {
    struct str mailbox;
    struct str given;       /* its name, as the client has written it */
    uint32_t replaced;      /* UID of the message that goes (REPLACE); 0: none */
    int fd;                 /* holds all messages, one after the other */
    bool in_memory;
    uint64_t used;
    struct append_message *messages;
    size_t len, cap;
};
#define APPEND_INIT ((struct append){ .mailbox = STR_INIT, .given = STR_INIT, .fd = -1 })

static void append_done(struct append *a)
{
    for (size_t i = 0; i < a->len; i++) {
        for (char **k = (char **)a->messages[i].keywords; *k; k++)
            free(*k);
        free((void *)a->messages[i].keywords);
    }
    free(a->messages);
    str_free(&a->mailbox);
    str_free(&a->given);
    if (a->fd >= 0)
        close(a->fd);
}

static void head_done(struct head *h)
{
    flag_list_done(&h->flags);
}

/* ---- grammar ---- */

/* SP [flag-list SP] [date-time SP] ["~" / "UTF8" SP "(~"], the literal comes next */
static bool parse_head(struct parse *p, struct head *ret)
{
    struct span date;

    if (!parse_sp(p))
        return false;
    if (p->in.len > 0 && p->in.ptr[0] == '(' && (!parse_flag_list(p, &ret->flags) || !parse_sp(p)))
        return false;
    if (p->in.len > 0 && p->in.ptr[0] == '"' &&
        (!parse_string(p, &date) || date_parse_imap(date, &ret->received) < 0 || !parse_sp(p)))
        return false;
    ret->in_utf8 = parse_word(p, "UTF8");
    if (ret->in_utf8 && (!parse_sp(p) || !parse_char(p, '(') || p->in.len == 0))
        return false;
    ret->is_binary = parse_char(p, '~');
    return p->in.len == 0;
}

bool append_is_message(struct span before)
{
    _cleanup_(parse_done) struct parse p;
    _cleanup_(head_done) struct head head = { .flags = FLAG_LIST_INIT };
    _cleanup_(str_free) struct str mailbox = STR_INIT;
    struct span word, set;

    parse_init(&p, before);
    if (!parse_tag(&p, &word) || !parse_sp(&p))
        return false;
    if (!parse_word(&p, "APPEND")) {
        if (parse_word(&p, "UID") && !parse_sp(&p))
            return false;
        if (!parse_word(&p, "REPLACE") || !parse_sp(&p) || !parse_set(&p, &set))
            return false;
    }
    return parse_mailbox(&p, &mailbox) && parse_head(&p, &head);
}

/* ---- the file ---- */

/* A file for `size` bytes that disappears with its descriptor; the session's directory is the
 * Maildir. */
static int temporary_file(uint64_t size, bool *ret_in_memory)
{
    int fd = -1;

    if (size > SMALL_MESSAGE)
        fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    *ret_in_memory = fd < 0;
    if (fd < 0) /* small, or a file system that has no nameless files */
        fd = memfd_create("append", MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            bytes = span_from(bytes, (size_t)n);
    }
    return 0;
}

/* Move what memory holds so far to the disk, before many small messages have become much. */
static int move_to_disk(struct append *a)
{
    bool in_memory;
    int fd = temporary_file(UINT64_MAX, &in_memory);
    off_t at = 0;

    while (fd >= 0 && (uint64_t)at < a->used) {
        ssize_t n = copy_file_range(a->fd, &at, fd, NULL, (size_t)(a->used - (uint64_t)at), 0);
        char piece[4096 / 2];

        if (n > 0)
            continue;
        n = pread(a->fd, piece, sizeof piece, at); /* not between these file systems */
        int r = n <= 0 ? -EIO : write_all(fd, span_make(piece, (size_t)n));

        if (r < 0) {
            close(fd);
            return r;
        }
        at += n;
    }
    if (fd < 0)
        return fd;
    close(a->fd);
    a->fd = fd;
    a->in_memory = in_memory;
    return 0;
}

/* Room for `size` bytes more */
static int make_room(struct append *a, uint64_t size)
{
    if (a->fd < 0) {
        a->fd = temporary_file(size, &a->in_memory);
        return a->fd < 0 ? a->fd : 0;
    }
    return a->in_memory && a->used + size > SMALL_MESSAGE ? move_to_disk(a) : 0;
}

/* ---- receiving ---- */

/* A message that comes in */
struct incoming {
    struct append *to;
    uint64_t size;              /* written so far */
    bool is_binary;
    struct unbinary parts;
    struct str text;            /* what they have become, not written yet */
};

static void incoming_done(struct incoming *in)
{
    if (in->is_binary)
        unbinary_done(&in->parts);
    str_free(&in->text);
}

/* A NUL outside of a part that is declared binary cannot be kept (RFC 3516 section 4.4). */
static int write_text(struct incoming *in, struct span text)
{
    in->size += text.len;
    return span_chr(text, '\0') >= 0 ? -EILSEQ : write_all(in->to->fd, text);
}

static int write_bytes(struct incoming *in, struct span bytes)
{
    if (!in->is_binary)
        return write_text(in, bytes);
    str_reset(&in->text);
    unbinary_feed(&in->parts, bytes, &in->text);
    return write_text(in, str_span(&in->text));
}

static int write_end(struct incoming *in)
{
    if (!in->is_binary)
        return 0;
    str_reset(&in->text);
    unbinary_finish(&in->parts, &in->text);
    return write_text(in, str_span(&in->text));
}

/* Read the literal into the file. A failure to write, or a NUL, is kept in *ret_error and the rest read
 * away. Returns 0, or the stream's error. */
static int receive(struct imap *s, struct incoming *in, int *ret_error)
{
    uint64_t left = s->literal.size;

    while (left > 0 && *ret_error == 0) {
        struct span got;
        int r = stream_peek(s->client, &got);

        if (r < 0)
            return r;
        if (got.len > left)
            got.len = (size_t)left;
        *ret_error = write_bytes(in, got);
        stream_consume(s->client, got.len);
        s->stats.in += got.len;
        left -= got.len;
    }
    if (*ret_error == 0)
        *ret_error = write_end(in);
    return input_skip(s, left);
}

/* Without the keywords that cannot be: a message is not refused for these. */
static void add_message(struct append *a, const struct head *h, uint64_t size, size_t longest_keyword)
{
    const char **keywords = mem_new_n(const char *, h->flags.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < h->flags.len; i++)
        if (h->flags.keywords[i].len <= longest_keyword)
            keywords[n++] = mem_dup_span(h->flags.keywords[i]);
    MEM_GROW(a->messages, a->len, a->cap);
    a->messages[a->len++] = (struct append_message){
        .save = { .offset = a->used, .size = size, .received = h->received, .flags = h->flags.flags },
        .keywords = keywords,
    };
    a->used += size;
}

/* The line after a message: its end, or the head of the next. 1: *ret_head and s->literal are set; 0: the
 * command has ended; -EINVAL: to be refused, all is read; or the stream's error. */
static int next_head(struct imap *s, const struct head *last, struct head *ret_head)
{
    _cleanup_(parse_done) struct parse p = { .in = SPAN_NULL };
    struct span line, before;
    int r = stream_getline(s->client, (size_t)s->params->imap_line_limit, &line);

    if (r < 0 && r != -EMSGSIZE)
        return r;
    if (r == -EMSGSIZE)
        line = stream_long_line_tail(s->client);
    s->stats.in += line.len + 2;
    /* Keywords of the head borrow from it while the message is read. */
    str_set(&s->command, line);
    parse_init(&p, str_span(&s->command));
    if (r == 0 && (!last->in_utf8 || parse_char(&p, ')'))) {
        if (parse_end(&p))
            return 0;
        if (parse_literal_spec(p.in, &before, &s->literal.size, &s->literal.sync)) {
            s->literal.pending = true;
            p.in = before;
            if (parse_head(&p, ret_head))
                return 1;
        }
    }
    s->literal.pending = false;
    r = input_skip_rest(s, str_span(&s->command));
    return r < 0 ? r : -EINVAL;
}

/* The literal goes into the file. 0; 1: refused, answered, all is read; or the stream's error. */
static int receive_literal(struct imap *s, struct append *a, const struct head *h)
{
    _cleanup_(incoming_done) struct incoming in = { .to = a, .is_binary = h->is_binary, .text = STR_INIT };
    int error = 0, r;

    if (in.is_binary)
        unbinary_init(&in.parts);
    s->literal.pending = false;
    input_invite(s, s->literal.sync);
    r = receive(s, &in, &error);
    if (r < 0)
        return r;
    if (error == 0) {
        add_message(a, h, in.size, (size_t)s->params->mail_max_keyword_length);
        return 0;
    }
    if (error == -EILSEQ)
        reply_no(s, "[UNKNOWN-CTE] NUL bytes are for parts of the encoding \"binary\", in a literal8.");
    else
        reply_errno(s, error, "Writing a temporary file");
    r = input_skip_command(s);
    return r < 0 ? r : 1;
}

/* A client that waits for its "+" need not send what will be refused; of REPLACE only the difference counts. */
static int ask_for_room(struct imap *s, const struct append *a, uint64_t size)
{
    if (!s->literal.sync || a->replaced > 0)
        return 0;
    return account_room(s->account, a->used + size, a->len + 1);
}

/* One message after its head. 0; 1: refused, answered, all is read; or the stream's error. */
static int receive_message(struct imap *s, struct append *a, const struct head *h)
{
    uint64_t limit = s->params->message_size_limit > 0 ? (uint64_t)s->params->message_size_limit : INT64_MAX / 2;
    uint64_t size = s->literal.size;
    int r;

    if (size == 0)
        reply_no(s, "A message has at least one byte.");
    else if (size > limit)
        reply_no(s, "[TOOBIG] A message has at most %" PRIu64 " bytes.", limit);
    else if (a->len == (a->replaced > 0 ? 1 : (size_t)s->params->imap_append_limit))
        reply_no(s, "[LIMIT] This command stores at most %zu messages.", a->len);
    else if ((r = ask_for_room(s, a, size)) < 0)
        reply_errno(s, r, "Reading the quota");
    else if ((r = make_room(a, h->is_binary ? size + size / 2 : size)) < 0) /* base64 is longer by a third */
        reply_errno(s, r, "Making a temporary file");
    else
        return receive_literal(s, a, h);
    r = input_drop_literal(s);
    return r < 0 ? r : 1;
}

/* All messages from the first head on. 0, 1 refused and answered, or the stream's error. */
static int receive_all(struct imap *s, struct append *a, struct head *first)
{
    struct head h = TAKE(*first, (struct head){ .flags = FLAG_LIST_INIT });
    int r;

    do {
        struct head last = h;

        r = receive_message(s, a, &h);
        h = (struct head){ .flags = FLAG_LIST_INIT };
        if (r == 0)
            r = next_head(s, &last, &h);
        else
            r = r > 0 ? -ECONNABORTED : r;
        head_done(&last);
    } while (r > 0);
    head_done(&h);
    if (r == -EINVAL)
        reply_bad(s, "After a message comes the end of the line, or flags, a date and another message.");
    return r == -EINVAL || r == -ECONNABORTED ? 1 : r;
}

/* ---- storing ---- */

static void put_uids(struct str *out, const uint32_t *uids, size_t n)
{
    struct seqset_printer set = { .out = out };

    for (size_t i = 0; i < n; i++)
        seqset_print(&set, uids[i]);
    seqset_print_end(&set);
}

static int save_messages(struct imap *s, struct append *a, uint32_t *ret_uidvalidity, uint32_t *ret_uids)
{
    for (size_t i = 0; i < a->len; i++)
        a->messages[i].save.content_fd = a->fd;
    if (a->replaced > 0)
        return mailbox_replace(s->mb, a->replaced, str_span(&a->mailbox), a->messages, ret_uidvalidity, ret_uids);
    return account_append_all(s->account, str_span(&a->mailbox), a->messages, a->len, ret_uidvalidity, ret_uids);
}

static int store(struct imap *s, struct append *a)
{
    _cleanup_free_ uint32_t *uids = mem_new_n(uint32_t, a->len);
    _cleanup_(str_free) struct str code = STR_INIT;
    uint32_t uidvalidity;
    int r = save_messages(s, a, &uidvalidity, uids);

    if (r == -ENOENT)
        return reply_no(s, "[TRYCREATE] No such mailbox.");
    if (r == -ESTALE)
        return reply_no(s, "[EXPUNGEISSUED] The message to be replaced is gone.");
    if (r < 0)
        return reply_errno(s, r, "Storing the message");
    list_normalised(s, str_span(&a->given), str_span(&a->mailbox));
    str_addf(&code, "[APPENDUID %" PRIu32 " ", uidvalidity);
    put_uids(&code, uids, a->len);
    str_add_char(&code, ']');
    if (a->replaced == 0)
        return reply_ok(s, "%s Append completed.", str_cstr(&code));
    /* RFC 8508 section 3.4: before the EXPUNGE, hence untagged */
    imap_printf(s, "* OK %s Replacement stored.\r\n", str_cstr(&code));
    return untagged_reply_expunged(s, "Replace completed.");
}

/* Everything from the mailbox's name on */
static int append(struct imap *s, struct parse *p, struct append *a)
{
    struct head head = { .flags = FLAG_LIST_INIT };
    int r;

    if (!s->literal.pending || !parse_mailbox(p, &a->mailbox) || !parse_head(p, &head)) {
        head_done(&head);
        return reply_bad(s, "A mailbox, flags, a date and a message as a literal are expected.");
    }
    str_set(&a->given, p->mailbox);
    r = receive_all(s, a, &head);
    if (r > 0)
        return 0;
    return r < 0 ? r : store(s, a);
}

int cmd_append(struct imap *s, struct parse *p)
{
    _cleanup_(append_done) struct append a = APPEND_INIT;

    return append(s, p, &a);
}

/* REPLACE SP seq-number append-arguments; one message only, so that it takes that one's place */
int cmd_replace(struct imap *s, struct parse *p)
{
    _cleanup_(append_done) struct append a = APPEND_INIT;
    _cleanup_(seqs_done) struct seqs seqs = SEQS_INIT;

    if (!parse_messages(s, p, &seqs) || seqs.len > 1)
        return reply_bad(s, "REPLACE takes one message that exists, a mailbox and a message.");
    if (seqs.len == 0) /* a UID, or a saved result, which another client may have expunged */
        return reply_no(s, "[NONEXISTENT] There is no such message.");
    if (mailbox_read_only(s->mb))
        return reply_no(s, "[NOPERM] The mailbox is read-only.");
    a.replaced = mailbox_entry(s->mb, seqs.items[0])->uid;
    return append(s, p, &a);
}
