/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.c - THREAD (RFC 5256): gather the facts, let thread_tree.c make the tree
 *
 * Runs in: imapd (input and content are hostile).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "reply.h"
#include "search_return.h"
#include "search_run.h"
#include "sort_key.h"
#include "thread_tree.h"

/* Ids of one References field; its last are the nearest ancestors. */
#define REFERENCES_MAX 100

static const struct algorithm {
    const char *name;
    void (*run)(const struct thread_mail *mails, size_t n, struct str *ret);
} algorithms[] = {
    { "ORDEREDSUBJECT", thread_ordered_subject },
    { "REFERENCES", thread_references },
};

/* Spans of the mails hold offsets until all texts are there. */
struct threads {
    struct thread_mail *mails;
    size_t len;
    struct str texts;
};

static void threads_done(struct threads *t)
{
    free(t->mails);
    str_free(&t->texts);
}

/* An offset as a pointer, until place() */
static struct span text_since(const struct threads *t, size_t at)
{
    return (struct span){ (const char *)(uintptr_t)at, t->texts.len - at };
}

/* References; without any, the first id of In-Reply-To (section 3, REFERENCES) */
static void add_references(struct threads *t, struct span header)
{
    size_t at = t->texts.len;
    struct span value;

    if (mime_field_find(header, "References", &value))
        thread_ids(value, REFERENCES_MAX, &t->texts);
    if (t->texts.len == at && mime_field_find(header, "In-Reply-To", &value)) {
        struct span ids, first;

        thread_ids(value, REFERENCES_MAX, &t->texts);
        ids = span_from(str_span(&t->texts), at);
        if (thread_next_id(&ids, &first))
            str_truncate(&t->texts, at + first.len);
    }
}

static void add_mail(struct threads *t, uint32_t number, struct span header, const struct mail_entry *e)
{
    struct thread_mail *mail = &t->mails[t->len++];
    size_t at = t->texts.len;
    struct span value;

    *mail = (struct thread_mail){ .number = number, .date = sort_key_date(header, e) };
    mail->is_reply = sort_key_subject(header, &t->texts);
    mail->subject = text_since(t, at);
    at = t->texts.len;
    if (mime_field_find(header, "Message-ID", &value))
        thread_ids(value, 1, &t->texts);
    mail->id = text_since(t, at);
    at = t->texts.len;
    add_references(t, header);
    mail->references = text_since(t, at);
}

static void place(const struct threads *t, struct span *s)
{
    if (s->len == 0)
        *s = SPAN_NULL;
    else
        s->ptr = str_span(&t->texts).ptr + (uintptr_t)s->ptr;
}

static void place_texts(struct threads *t)
{
    for (size_t i = 0; i < t->len; i++) {
        place(t, &t->mails[i].subject);
        place(t, &t->mails[i].id);
        place(t, &t->mails[i].references);
    }
}

static int gather(struct imap *s, const struct seqs *found, struct threads *t)
{
    struct message m;
    const struct kept *kept;
    int r = 0;

    t->mails = mem_new_n(struct thread_mail, found->len + 1);
    imap_message_init(s, &m);
    progress_count(s, 0);
    for (size_t i = 0; i < found->len && r == 0; i++) {
        uint32_t seq = found->items[i];

        message_open(&m, seq);
        r = message_kept(&m, KEPT_HEADER, &kept);
        if (r == 0)
            add_mail(t, search_number(s, seq), kept->header, mailbox_entry(s->mb, seq));
        if (r == 0 || r == -ENOENT) /* expunged meanwhile: no member of a thread */
            r = progress_step(s, (uint32_t)i + 1);
    }
    message_done(&m);
    place_texts(t);
    return r;
}

static const struct algorithm *parse_algorithm(struct parse *p)
{
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (parse_word(p, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

static int find_and_gather(struct imap *s, const struct search *q, struct threads *t)
{
    _cleanup_(seqs_done) struct seqs found = SEQS_INIT;
    int r = search_run(s, q, &found);

    return r < 0 ? r : gather(s, &found, t);
}

int cmd_thread(struct imap *s, struct parse *p)
{
    _cleanup_(search_done) struct search q = SEARCH_INIT;
    _cleanup_(threads_done) struct threads t = { NULL, 0, STR_INIT };
    _cleanup_(str_free) struct str line = STR_INIT;
    const struct algorithm *algorithm;
    struct span charset = SPAN_NULL;

    if (!parse_sp(p) || !(algorithm = parse_algorithm(p)) || !parse_sp(p) ||
        !parse_astring(p, &charset) || charset.len == 0 || !parse_sp(p))
        return reply_bad(s, "ORDEREDSUBJECT or REFERENCES, a charset and search keys are expected.");
    if (!search_program(s, p, charset, &q))
        return 0;

    int r = find_and_gather(s, &q, &t);

    if (r < 0)
        return search_failed(s, r, "Threading");
    str_add_str(&line, t.len > 0 ? "* THREAD " : "* THREAD");
    algorithm->run(t.mails, t.len, &line);
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
    return reply_ok(s, "Thread completed.");
}
