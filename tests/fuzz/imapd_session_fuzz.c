/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd_session_fuzz.c - a client's whole session, on a real account with its index
 *
 * What comes back is checked, too: literals have as many bytes as they say, parentheses and quotes are closed, and no line
 * holds a control character. The account is made anew after some inputs, so that what one leaves behind does not
 * become another's finding for long.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/mem.h"
#include "imapd/session.h"
#include "imapd/test_params.h"
#include "tests/fuzz/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16384, INPUTS_AN_ACCOUNT = 200 };

static const struct params params = {
    TEST_PARAMS,
    .imap_line_limit = 2000,
    .imap_literal_limit = 1000,
    .imap_bad_command_limit = 20,
    .imap_search_depth_limit = 20,
    .message_size_limit = 4000,
};

static const char prepared[] =
    "1 CREATE Archive/2026\r\n2 SUBSCRIBE Archive/2026\r\n3 CREATE &AOQ-\r\n"
    "4 APPEND INBOX (\\Seen $Label) \" 1-Feb-2026 10:00:00 +0100\" {227+}\r\n"
    "From: \"A, B\" <a@b.test>\r\nTo: x: c@d.test, e@f.test;\r\nSubject: Re: =?iso-8859-1?q?=E4pfel?= (fwd)\r\n"
    "Date: Sun, 1 Feb 2026 10:00:00 +0100\r\nMessage-ID: <1@b.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    "Text \xc3\xa4 and more of it\r\n\r\n"
    "5 APPEND INBOX {212+}\r\n"
    "Subject: parts\r\nIn-Reply-To: <1@b.test>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nText of it\r\n--b--\r\n\r\n"
    "6 SELECT INBOX\r\n7 COPY 1 Archive/2026\r\n8 LOGOUT\r\n";

static char directory[64];  /* the account's Maildir */

static void serve(struct stream *client)
{
    _cleanup_(stream_free_ptr_) struct stream *st = client;
    _cleanup_(account_close_ptr_) struct account *account = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    const char *reason;

    if (account_open(directory, &account, &err) < 0)
        abort();

    struct imap s = { .params = &params, .client = st, .account = account };

    imap_serve(&s, SPAN_NULL, &reason);
    imap_done(&s);
}

/* ---- what came back ---- */

static void check(bool good, const char *what, struct span said)
{
    if (good)
        return;
    fprintf(stderr, "%s in: %.*s\n", what, SPAN_ARG(said));
    abort();
}

/* quoted, its first quote is gone */
static void skip_quoted(struct span *in, struct span said)
{
    while (in->len > 0 && in->ptr[0] != '"') {
        check(in->ptr[0] != '\r' && in->ptr[0] != '\n', "line end in quotes", said);
        *in = span_from(*in, in->ptr[0] == '\\' ? 2 : 1);
    }
    check(span_take(in, '"'), "open quote", said);
}

/* "{n}" CRLF and n bytes, the brace is gone */
static void skip_literal(struct span *in, struct span said)
{
    uint64_t n;
    struct span number = span_cut(in, '}');

    check(span_u64(number, SIZE_MAX / 2, &n) == 0 && span_take(in, '\r') && span_take(in, '\n') && n <= in->len, "literal",
          said);
    *in = span_from(*in, (size_t)n);
}

/* A line of data with its literals and its end */
static void skip_data(struct span *in, struct span said)
{
    int depth = 0;

    for (;;) {
        check(in->len > 0, "line without an end", said);
        char c = in->ptr[0];

        *in = span_from(*in, 1);
        if (c == '"')
            skip_quoted(in, said);
        else if (c == '{')
            skip_literal(in, said);
        else if (c == '(' || c == ')')
            depth += c == '(' ? 1 : -1;
        else if (c == '\r')
            break;
        check(depth >= 0 && !char_is(c, CHAR_CTL & ~CHAR_HIGH), "parenthesis or control character", said);
    }
    check(depth == 0 && span_take(in, '\n'), "end of a line", said);
}

/* Words for people: untagged status, "+", and tagged answers */
static bool is_text(struct span in)
{
    static const char *const words[] = { "* OK ", "* NO ", "* BAD ", "* BYE ", "+ " };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (span_starts(in, span_of(words[i])))
            return true;
    return !span_starts(in, span_of("* "));
}

static void check_output(struct span said)
{
    struct span in = said;

    while (in.len > 0) {
        if (!is_text(in)) {
            skip_data(&in, said);
            continue;
        }
        struct span line = span_cut(&in, '\n');
        check(line.len > 0 && line.ptr[line.len - 1] == '\r', "line without an end", said);
    }
}

/* ---- the account ---- */

static void remove_account(void)
{
    char command[128];

    if (!directory[0])
        return;
    snprintf(command, sizeof command, "rm -rf %s", directory);
    if (system(command) != 0)
        abort();
    directory[0] = '\0';
}

static void make_account(void)
{
    static bool registered;
    _cleanup_(str_free) struct str said = STR_INIT;

    if (!registered)
        atexit(remove_account);
    registered = true;
    remove_account();
    snprintf(directory, sizeof directory, "%s/imapd_fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory))
        abort();
    converse(span_make(prepared, sizeof prepared - 1), serve, &said);
    check(span_find(str_span(&said), span_of("8 OK")) >= 0, "no goodbye", str_span(&said));
    check_output(str_span(&said));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;
    _cleanup_(str_free) struct str input = STR_INIT, said = STR_INIT;

    if (size > INPUT_MAX)
        return 0;
    if (inputs++ % INPUTS_AN_ACCOUNT == 0)
        make_account();
    str_add_str(&input, "0 SELECT INBOX\r\n");
    str_add(&input, span_make(data, size));
    converse(str_span(&input), serve, &said);
    check_output(str_span(&said));
    return 0;
}
