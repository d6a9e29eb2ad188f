/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut_test.c - a session works, power is cut at any moment, and the next session finds what the client was told
 *
 * The model of the disk is in test_disk.h. POSTERN_TEST_LONG=600 goes on with other histories for so many seconds;
 * POSTERN_TEST_SEED=n begins with one that has failed.
 */
#include "mailbox/test_disk.h"

#include "base/clock.h"
#include "mailbox/internal.h"

enum { BOXES = 2, MESSAGES = 400, STEPS = 40, CUTS = 60 };

static const char *const boxes[BOXES] = { "INBOX", "Box" };

/* What a client knows of a mailbox, or the next session finds in it */
struct box_view {
    uint32_t validity, uidnext, len;
    uint64_t highest;
    struct {
        uint32_t uid, flags, number;    /* number: of the message; 0: its file is torn */
        uint64_t modseq;
    } items[MESSAGES];
};

struct view {
    size_t at;                          /* event after which the client knew it */
    struct box_view box[BOXES];
};

static struct {
    struct view *views;                 /* one after each step */
    size_t n_views, cap_views;
    uint32_t numbers;                   /* given so far, from 1 */
    size_t stored[MESSAGES];            /* by number: event after which OK was said; 0: never */
    size_t doomed[MESSAGES];            /* event before which it was asked to be expunged; 0: never */
    size_t loose[MESSAGES];             /* event before which something began that makes UIDs of it go away; 0: nothing */
    struct {
        uint32_t box, validity, uid;
    } told[MESSAGES];                   /* by APPENDUID, to one that was stored */

    size_t answered;                    /* event after which the client had the answer to the step; 0: the last one */
    unsigned seed;
    struct account *account;
    struct mailbox *mb[BOXES];
} world;

static unsigned pick(unsigned below)
{
    return disk_random(&world.seed, below);
}

/* ---- what a session does ---- */

static uint32_t read_number(struct mailbox *mb, uint32_t seq)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_close_ int fd = mailbox_open_message(mb, seq);
    uint32_t number;

    if (fd < 0 || maildir_read_crlf(fd, 100000, &text) < 0)
        return 0;
    struct span rest = str_span(&text), line = span_cut(&rest, '\r');
    return line.len == 12 && span_eq_str(rest, "\nend\r\n") && span_u32(span_from(line, 8), MESSAGES, &number) == 0 ? number : 0;
}

static void look(struct mailbox *mb, struct box_view *v)
{
    v->validity = mailbox_uidvalidity(mb);
    v->uidnext = mailbox_uidnext(mb);
    v->highest = mailbox_highestmodseq(mb);
    v->len = mailbox_count(mb);
    assert_true(v->len < MESSAGES);
    for (uint32_t seq = 1; seq <= v->len; seq++) {
        const struct mail_entry *e = mailbox_entry(mb, seq);

        v->items[seq - 1].uid = e->uid;
        v->items[seq - 1].flags = e->flags;
        v->items[seq - 1].modseq = e->modseq;
        v->items[seq - 1].number = read_number(mb, seq);
    }
}

static void note_view(void)
{
    MEM_GROW(world.views, world.n_views, world.cap_views);
    struct view *v = &world.views[world.n_views++];
    for (int i = 0; i < BOXES; i++) {
        assert_int_equal(mailbox_sync(world.mb[i], true, NULL), 0);
        look(world.mb[i], &v->box[i]);
    }
    v->at = world.answered ? world.answered : disk.len;
    world.answered = 0;
}

static void open_world(void)
{
    world.account = open_account();
    world.account->late_min = 2;
    account_create(world.account, span_of(boxes[1]));
    for (int i = 0; i < BOXES; i++)
        world.mb[i] = open_mailbox(world.account, boxes[i], 0);
}

static void close_world(void)
{
    for (int i = 0; i < BOXES; i++)
        mailbox_close(world.mb[i]);
    account_close(world.account);
}

static struct maildir_save new_message(char text[static 32])
{
    int fd = open(root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); /* on the same device, as a queue may be */

    if (fd < 0)
        fd = memfd_create("content", MFD_CLOEXEC);
    snprintf(text, 32, "number: %04u\r\nend\r\n", ++world.numbers);
    struct maildir_save m = { .content_fd = fd, .size = strlen(text), .received = 1234567890, .flags = pick(64) & ~(unsigned)MAIL_DELETED };
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return m;
}

/* One command: OK is said, and which UIDs they have */
static void store_messages(uint32_t n)
{
    static const char *const keywords[] = { "$One", "$Two", NULL };
    struct append_message m[3];
    uint32_t validity, uids[3], first = world.numbers + 1, box = pick(BOXES);
    char text[32];

    for (uint32_t i = 0; i < n; i++)
        m[i] = (struct append_message){ new_message(text), pick(2) ? keywords : NULL };
    assert_int_equal(account_append_all(world.account, span_of(boxes[box]), m, n, &validity, uids), 0);
    for (uint32_t i = 0; i < n; i++) {
        world.stored[first + i] = disk.len;
        world.told[first + i].box = box;
        world.told[first + i].validity = validity;
        world.told[first + i].uid = uids[i];
        close(m[i].save.content_fd);
    }
}

static void step_append(void)
{
    store_messages(pick(4) ? 1 : 3);
}

/* Many, and nobody looks meanwhile */
static void step_append_series(void)
{
    for (unsigned n = pick(INDEX_ARRIVALS_MAX * 2); n > 0 && world.numbers < MESSAGES / 2; n--)
        store_messages(1);
}

/* From now on it may go away, if it might not yet. */
static void loosen(size_t *event)
{
    if (*event == 0)
        *event = disk.len + 1;
}

/* Delivered, not appended: the queue would have it still, so it may be lost until then; its UID may not become another's. */
static void step_deliver(void)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    char text[32];
    struct maildir_save m = new_message(text);

    m.flags = 0;
    loosen(&world.loose[world.numbers]);
    assert_int_equal(maildir_deliver(maildir, &m, &name), 0);
    close(m.content_fd);
}

/* Some messages of a mailbox, in order */
static uint32_t pick_some(struct mailbox *mb, uint32_t seqs[static 10])
{
    uint32_t n = 0;

    for (uint32_t seq = 1; seq <= mailbox_count(mb) && n < 10; seq++)
        if (pick(4) == 0)
            seqs[n++] = seq;
    return n;
}

static void step_store(void)
{
    struct mailbox *mb = world.mb[pick(BOXES)];
    uint32_t seqs[10], n = pick_some(mb, seqs);
    int bit = pick(3) ? -1 : mailbox_keyword_make(mb, span_of(pick(2) ? "$Three" : "$Four"));
    enum flags_mode mode = pick(3);

    mailbox_allow_late_names(mb);
    assert_int_equal(mailbox_store(mb, seqs, n, mode, pick(64) & ~(unsigned)MAIL_DELETED, bit < 0 ? 0 : (uint64_t)1 << bit, UINT64_MAX, NULL,
                                   NULL), 0);
    world.answered = disk.len; /* names may be late, and follow: by this call, or when a message is looked at */
    if (pick(2))
        assert_int_equal(mailbox_finish_names(mb), 0);
}

static void step_expunge(void)
{
    struct mailbox *mb = world.mb[pick(BOXES)];
    uint32_t seqs[10], n = pick_some(mb, seqs) % 3;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = read_number(mb, seqs[i]);

        loosen(&world.doomed[number]);
        loosen(&world.loose[number]);
    }
    assert_int_equal(mailbox_store(mb, seqs, n, FLAGS_ADD, MAIL_DELETED, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_expunge(mb, NULL, 0), 0);
}

static void step_copy(void)
{
    unsigned from = pick(BOXES);
    uint32_t seqs[10], uids[10], validity, n = pick_some(world.mb[from], seqs);
    bool move = pick(3) > 0;

    for (uint32_t i = 0; i < n && move; i++)
        loosen(&world.loose[read_number(world.mb[from], seqs[i])]);
    assert_int_equal(mailbox_copy(world.mb[from], seqs, n, span_of(boxes[1 - from]), move, &validity, uids), 0);
}

static void step_note(void)
{
    struct mailbox *mb = world.mb[pick(BOXES)];
    struct mailbox_note note = { .bytes = STR_INIT };

    if (mailbox_count(mb) == 0)
        return;
    note.uid = mailbox_entry(mb, 1)->uid;
    str_add_str(&note.bytes, "whatever was found out");
    assert_int_equal(mailbox_note_put(mb, &note, 1), 0);
    str_free(&note.bytes);
}

static void step_again(void)
{
    close_world();
    open_world();
}

static void run_history(unsigned seed)
{
    static void (*const steps[])(void) = { step_append, step_append, step_append_series, step_store, step_store, step_expunge,
                                           step_copy, step_deliver, step_note, step_again };

    memset(world.stored, 0, sizeof world.stored);
    memset(world.doomed, 0, sizeof world.doomed);
    memset(world.loose, 0, sizeof world.loose);
    world.numbers = 0;
    world.n_views = 0;
    world.seed = seed;
    disk.recording = true;
    open_world();
    note_view();
    for (int i = 0; i < STEPS; i++) {
        steps[pick(ARRAY_LEN(steps))]();
        note_view();
    }
    close_world();
    disk.recording = false;
}

/* ---- what the next session finds ---- */

static bool restarted;

int clock_as_gettime(clockid_t id, struct timespec *ret) TAKES_THE_PLACE_OF("clock_gettime");

/* After a power cut the machine has been started this moment. */
int clock_as_gettime(clockid_t id, struct timespec *ret)
{
    *ret = (struct timespec){ .tv_sec = 0 };
    return restarted && id == CLOCK_BOOTTIME ? 0 : (int)syscall(SYS_clock_gettime, id, ret);
}

static int look_after(struct view *v)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a;

    if (account_open(maildir, &a, &err) < 0)
        return 1;
    for (int i = 0; i < BOXES; i++) {
        struct mailbox *mb;
        int r = mailbox_open(a, span_of(boxes[i]), 0, &mb);

        if (r < 0)
            return i > 0 && r == -ENOENT ? 0 : 2; /* the mailbox may not be there yet */
        look(mb, &v->box[i]);
    }
    return 0;
}

static struct view look_in_child(void)
{
    struct view *v = mmap(NULL, sizeof *v, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    if (fork() == 0) {
        restarted = true;
        _exit(look_after(v));
    }
    wait(&status);
    assert_int_equal(status, 0); /* a power cut is no damage: no session fails */
    struct view ret = *v;
    munmap(v, sizeof *v);
    return ret;
}

static const struct view *known_at(size_t cut)
{
    const struct view *v = NULL;

    for (size_t i = 0; i < world.n_views && world.views[i].at <= cut; i++)
        v = &world.views[i];
    return v;
}

/* No UID that was told means another message, or another state of it that the client would not hear of. */
static void check_uids(const struct box_view *told, const struct box_view *now)
{
    assert_true(now->validity >= told->validity);
    if (now->validity > told->validity)
        return;
    assert_true(now->uidnext >= told->uidnext);
    assert_true(now->highest >= told->highest);
    for (uint32_t i = 0, j = 0; i < now->len; i++) {
        while (j < told->len && told->items[j].uid < now->items[i].uid)
            j++;
        if (j == told->len || told->items[j].uid != now->items[i].uid) {
            assert_true(now->items[i].uid >= told->uidnext); /* else one that was expunged is back */
            continue;
        }
        assert_int_equal(now->items[i].number, told->items[j].number);
        if (now->items[i].flags != told->items[j].flags)
            assert_true(now->items[i].modseq > told->highest);
    }
}

/* Nothing that was told is missing, but for what was being expunged or moved, or is in the queue still. */
static void check_there(const struct box_view *told, const struct box_view *now, size_t cut)
{
    if (now->validity > told->validity)
        return;
    for (uint32_t i = 0, j = 0; i < told->len; i++) {
        size_t loose = world.loose[told->items[i].number];

        while (j < now->len && now->items[j].uid < told->items[i].uid)
            j++;
        if ((j == now->len || now->items[j].uid != told->items[i].uid) && (loose == 0 || loose > cut + 1))
            fail_msg("UID %u, which was message %u, is missing", told->items[i].uid, told->items[i].number);
    }
}

static bool has_number(const struct view *v, uint32_t number)
{
    for (int i = 0; i < BOXES; i++)
        for (uint32_t k = 0; k < v->box[i].len; k++)
            if (v->box[i].items[k].number == number)
                return true;
    return false;
}

/* A message has the UID that APPENDUID told, unless something has begun that may have taken it away. */
static void check_told(const struct view *now, uint32_t number)
{
    const struct box_view *v = &now->box[world.told[number].box];
    uint32_t i = 0;

    if (v->validity != world.told[number].validity)
        return;
    while (i < v->len && v->items[i].uid != world.told[number].uid)
        i++;
    if (i == v->len || v->items[i].number != number)
        fail_msg("message %u is not UID %u", number, world.told[number].uid);
}

static void check(size_t cut)
{
    const struct view *told = known_at(cut);
    struct view now = look_in_child();

    for (int i = 0; told && i < BOXES; i++) {
        check_uids(&told->box[i], &now.box[i]);
        check_there(&told->box[i], &now.box[i], cut);
    }
    for (uint32_t n = 1; n <= world.numbers; n++)
        if (world.stored[n] > 0 && world.stored[n] <= cut && (world.doomed[n] == 0 || world.doomed[n] > cut + 1) && !has_number(&now, n))
            fail_msg("message %u is lost", n);
    for (uint32_t n = 1; n <= world.numbers; n++)
        if (world.stored[n] > 0 && world.stored[n] <= cut && (world.loose[n] == 0 || world.loose[n] > cut + 1))
            check_told(&now, n);
}

static void make_empty_account(void)
{
    char command[1000];

    snprintf(command, sizeof command, "rm -rf %s; mkdir -p %s/cur %s/new %s/tmp %s/.Box/cur %s/.Box/new %s/.Box/tmp %s/" INDEX_DIRECTORY, maildir,
             maildir, maildir, maildir, maildir, maildir, maildir, maildir);
    assert_int_equal(system(command), 0);
}

static void cut_power_often(unsigned seed)
{
    char before[sizeof maildir];

    make_empty_account();
    run_history(seed);
    /* No machine is up again within a second, which is what a new UIDVALIDITY counts. */
    for (int64_t second = clock_real(); clock_real() == second;)
        tick();
    snprintf(before, sizeof before, "%s", maildir);
    snprintf(maildir, sizeof maildir, "%s/P", root);
    for (int i = 0; i < CUTS; i++) {
        unsigned chance = world.seed = world.seed + 1;
        /* Any moment, or the one after an OK */
        size_t cut = disk_random(&chance, 2) ? disk_random(&chance, (unsigned)disk.len + 1)
                                             : world.views[disk_random(&chance, (unsigned)world.n_views)].at;

        make_empty_account();
        disk_after_power_cut(maildir, cut, &chance);
        check(cut);
    }
    snprintf(maildir, sizeof maildir, "%s", before);
    disk_reset();
}

static void test_after_a_power_cut_every_uid_means_what_the_client_was_told(void **state)
{
    const char *seconds = getenv("POSTERN_TEST_LONG");
    uint64_t end = clock_ms() + (seconds ? strtoul(seconds, NULL, 10) : 0) * 1000;
    const char *first = getenv("POSTERN_TEST_SEED"); /* a history to be repeated */
    unsigned seed = first ? (unsigned)strtoul(first, NULL, 10) : seconds ? (unsigned)clock_real() * 1000 : 1;

    (void)state;
    do {
        print_message("history %u\n", seed);
        cut_power_often(seed++);
    } while (clock_ms() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_after_a_power_cut_every_uid_means_what_the_client_was_told, setup_in_memory, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
