/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure_test.c - the disk refuses one write, flush, rename, link or unlink: the caller hears of it, and nothing is half done
 *
 * Each operation is tried with its first call failing, its second, ... until it needs no more calls than that. Calls: test_disk.h.
 */
#include "mailbox/test_disk.h"

#include "mailbox/internal.h"

enum { MESSAGES = 3 };

/* What a mailbox holds, as a text: "uid:flags:content" of each message */
static void describe(const char *name, struct str *ret)
{
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, name, 0);
    _cleanup_(str_free) struct str content = STR_INIT;

    str_reset(ret);
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++) {
        const struct mail_entry *e = mailbox_entry(mb, seq);
        _cleanup_close_ int fd = mailbox_open_message(mb, seq);

        assert_true(fd >= 0);
        str_reset(&content);
        assert_int_equal(maildir_read_crlf(fd, 1000, &content), 0);
        str_addf(ret, "%u:%x:%llx:%s;", e->uid, e->flags, (unsigned long long)e->keywords, str_cstr(&content));
    }
    mailbox_close(mb);
    account_close(a);
}

static uint32_t validity_of(const char *name)
{
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, name, 0);
    uint32_t validity = mailbox_uidvalidity(mb);

    mailbox_close(mb);
    account_close(a);
    return validity;
}

/* ---- operations; -errno, and nothing is left open ---- */

struct session {
    struct account *account;
    struct mailbox *mb;
};

static int do_append(struct session *s)
{
    static const char *const keywords[] = { "$New", NULL };
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct append_message m[2] = { { { .content_fd = fd, .size = 6, .received = 1 }, keywords }, { { .content_fd = fd, .size = 6, .received = 1 }, NULL } };
    uint32_t validity, uids[2];

    assert_int_equal(write(fd, "a: 9\r\n", 6), 6);
    int r = account_append_all(s->account, INBOX, m, 2, &validity, uids);
    close(fd);
    return r;
}

static int do_store(struct session *s)
{
    return mailbox_store(s->mb, (uint32_t[]){ 1, 2, 3 }, 3, FLAGS_SET, MAIL_FLAGGED | MAIL_ANSWERED, 0, UINT64_MAX, NULL, NULL);
}

static int do_keyword(struct session *s)
{
    int bit = mailbox_keyword_make(s->mb, span_of("$Other"));

    return bit < 0 ? bit : 0;
}

static int do_expunge(struct session *s)
{
    return mailbox_remove(s->mb, (uint32_t[]){ 1, 3 }, 2);
}

static int do_copy(struct session *s)
{
    uint32_t validity, uids[2];

    return mailbox_copy(s->mb, (uint32_t[]){ 1, 2 }, 2, span_of("Box"), false, &validity, uids);
}

static int do_move(struct session *s)
{
    uint32_t validity, uids[2];

    return mailbox_copy(s->mb, (uint32_t[]){ 1, 2 }, 2, span_of("Box"), true, &validity, uids);
}

static int do_deliver(struct session *s)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = 6 };

    (void)s;
    assert_int_equal(write(fd, "a: 9\r\n", 6), 6);
    int r = maildir_deliver(maildir, &m, &name);
    close(fd);
    return r;
}

static int do_take(struct session *s)
{
    return mailbox_sync(s->mb, true, NULL);
}

static int do_subscribe(struct session *s)
{
    return account_subscribe(s->account, span_of("Box"), 10);
}

/*
 * All or nothing: whatever was answered, afterwards both mailboxes are as before, or as they are after success.
 * Part: flags, expunges and deliveries taken one by one; what was done before the failure may stay, as each file is the truth.
 * Looking: goes on with what the index has, when there is no room for more; LMDB may let nobody look after a failed write.
 */
static const struct operation {
    const char *name;
    int (*run)(struct session *s);
    enum { ALL_OR_NOTHING, PART, LOOKING } kind;
    bool delivers;                          /* a message in new/ waits for it */
} operations[] = {
    { "append",    do_append,    ALL_OR_NOTHING, false },
    { "store",     do_store,     PART,           false },
    { "keyword",   do_keyword,   ALL_OR_NOTHING, false },
    { "expunge",   do_expunge,   PART,           false },
    { "copy",      do_copy,      ALL_OR_NOTHING, false },
    { "move",      do_move,      PART,           false },
    { "deliver",   do_deliver,   ALL_OR_NOTHING, false },
    { "take",      do_take,      LOOKING,        true },
    { "subscribe", do_subscribe, ALL_OR_NOTHING, false },
};

/* ---- one failure ---- */

struct outcome {
    struct str inbox, box;
};

static void outcome_done(struct outcome *o)
{
    str_free(&o->inbox);
    str_free(&o->box);
}

static void describe_both(struct outcome *o)
{
    describe("INBOX", &o->inbox);
    describe("Box", &o->box);
}

/* cur/ is as the index knows it, and was for long: what is done next is recorded, and not looked for. */
static void settle(const char *name, const char *cur)
{
    static const struct timespec long_ago[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    char path[200];

    snprintf(path, sizeof path, "%s/%s", maildir, cur);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    struct account *a = open_account();
    mailbox_close(open_mailbox(a, name, 0));
    account_close(a);
}

static void make_account(const struct operation *op)
{
    char command[200];

    snprintf(command, sizeof command, "rm -rf %s", maildir);
    assert_int_equal(system(command), 0);
    struct account *a = open_account();
    assert_int_equal(account_create(a, span_of("Box")), 0);
    for (int i = 0; i < MESSAGES; i++)
        append(a, "INBOX", "a: 1\r\n", MAIL_SEEN);
    append(a, "Box", "a: 2\r\n", 0);
    account_close(a);
    settle("INBOX", "cur");
    settle("Box", ".Box/cur");
    if (op->delivers)
        deliver("a: 3\r\n");
}

/* Run with the n-th call failing (0: none); *ret_failed: there was an n-th. */
static int attempt(const struct operation *op, int n, int error, bool *ret_failed, struct outcome *o)
{
    struct session s;

    make_account(op);
    s.account = open_account();
    assert_int_equal(mailbox_load(s.account, INBOX, 0, &s.mb), 0);
    disk.failed = false;
    disk.error = error;
    disk.fail_at = n;
    disk.tick = time(NULL) - 1; /* but not for what was long ago */
    int r = op->run(&s);
    disk.tick = 0;
    int calls = n - disk.fail_at;
    disk.fail_at = 0;
    *ret_failed = disk.failed;
    if (n > 0 && !disk.failed)
        print_message("%s: %d calls\n", op->name, calls);
    uint32_t validity = mailbox_uidvalidity(s.mb);
    int again = mailbox_sync(s.mb, true, NULL);
    mailbox_close(s.mb);
    account_close(s.account);
    describe_both(o);
    /* A broken disk is no damaged index: it is not thrown away with all its UIDs. */
    assert_true(again == 0 || again == -EIO);
    assert_int_equal(validity_of("INBOX"), validity);
    return r;
}

static unsigned count_messages(const struct outcome *o)
{
    unsigned n = 0;

    for (size_t i = 0; i < o->inbox.len; i++)
        n += o->inbox.data[i] == ';';
    for (size_t i = 0; i < o->box.len; i++)
        n += o->box.data[i] == ';';
    return n;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return span_eq(str_span(&a->inbox), str_span(&b->inbox)) && span_eq(str_span(&a->box), str_span(&b->box));
}

static void fail_each_call(const struct operation *op, int error)
{
    _cleanup_(outcome_done) struct outcome before = { STR_INIT, STR_INIT }, after = { STR_INIT, STR_INIT };
    bool failed = true;

    make_account(op);
    describe_both(&before);
    assert_int_equal(attempt(op, 0, 0, &failed, &after), 0);
    failed = true;
    for (int n = 1; failed; n++) {
        _cleanup_(outcome_done) struct outcome now = { STR_INIT, STR_INIT };
        int r = attempt(op, n, error, &failed, &now);
        bool is_before = same(&now, &before), is_after = same(&now, &after);

        if (r == 0 && !is_after)
            fail_msg("%s, call %d: it is said to be done and is not\n%s\n%s", op->name, n, now.inbox.data, now.box.data);
        if (r < 0 && r != -error && (op->kind != LOOKING || r != -EIO))
            fail_msg("%s, call %d: %s instead of %s", op->name, n, strerror(-r), strerror(error));
        if (op->kind == ALL_OR_NOTHING && !is_before && !is_after)
            fail_msg("%s, call %d: half done\n%s\n%s", op->name, n, now.inbox.data, now.box.data);
        if (count_messages(&now) < count_messages(&before) && count_messages(&now) < count_messages(&after))
            fail_msg("%s, call %d: a message is lost\n%s\n%s", op->name, n, now.inbox.data, now.box.data);
    }
}

static void test_whatever_the_disk_refuses_the_client_hears_the_truth(void **state)
{
    static const int errors[] = { ENOSPC, EIO, EDQUOT };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        for (size_t e = 0; e < ARRAY_LEN(errors); e++)
            fail_each_call(&operations[i], errors[e]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whatever_the_disk_refuses_the_client_hears_the_truth, setup_in_memory, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
