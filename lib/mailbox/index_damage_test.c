/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_damage_test.c - sessions on an account whose index is damaged at random
 *
 * Each round puts back one account, damages some bytes of its index, mostly such as lead LMDB from page to page, and has sessions do
 * all that sessions do, before or after the damage. Each session is a process. One may fail or die of the damage, and those that wait
 * for it or have been there longer; but none may go on for ever, soon one has to succeed, and nobody may ever see a message under another's
 * number, or lose one.
 *
 * The rounds are the same in every run: POSTERN_TEST_SEED=N begins at another one, POSTERN_TEST_LONG=N has N of them instead of some,
 * POSTERN_TEST_TELL says what is done in them.
 */
#include "mailbox/test_account.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "io/sanitizer.h"
#include "mailbox/internal.h"

#ifdef IO_ASAN
const char *__asan_default_options(void);

/* LMDB's faults end in the handler of SIGABRT. */
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}
#endif

enum { PAGE = 4096, MESSAGES = 60, CPU_SECONDS = 30, STEPS = 10, TRIES = 4 };

/* ---- chance ---- */

static uint64_t chance;

/* splitmix64 */
static uint32_t any(size_t below)
{
    uint64_t z = (chance += 0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ z >> 31) % below);
}

/* ---- what sessions do, and what they have to see ---- */

/* Of a message of INBOX, by the number in its content */
struct known {
    uint32_t uid, flags;
    bool there;                 /* it was added; until somebody begins to remove it */
    bool gone;                  /* it has been removed */
};

enum { KNOWN_MAX = MESSAGES + 64 };

/* What has been answered to clients so far. In memory that parent and children share */
struct truth {
    struct known messages[KNOWN_MAX];
    uint32_t len;               /* numbers given */
    uint32_t uidvalidity;       /* 0: none that is known */
    bool unsure;                /* a session has ended within a change: flags and the message it was adding are not known */
    uint32_t steps;             /* kinds of steps that sessions take */
    uint32_t doing;             /* the step that a session was in */
    char wrong[200];            /* what a session has seen and should not */
};

static struct truth *truth;

#define WRONG(...) (snprintf(truth->wrong, sizeof truth->wrong, __VA_ARGS__), -EILSEQ)

static int number_of(struct mailbox *mb, uint32_t seq, uint32_t *ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_close_ int fd = mailbox_open_message(mb, seq);
    struct span rest;

    if (fd < 0)
        return fd;
    int r = maildir_read_crlf(fd, 1000, &text);
    if (r < 0)
        return r;
    rest = str_span(&text);
    span_cut(&rest, ' ');
    return span_u32(span_cut(&rest, '\r'), KNOWN_MAX - 1, ret);
}

static int see_message(struct mailbox *mb, uint32_t seq, bool same, bool seen[static KNOWN_MAX])
{
    const struct mail_entry *e = mailbox_entry(mb, seq);
    uint32_t n;
    int r = e->expunged ? -ENOENT : number_of(mb, seq, &n);

    if (r < 0)
        return e->expunged ? 0 : r;
    struct known *k = &truth->messages[n];
    if (seen[n])
        return WRONG("message %u twice", n);
    seen[n] = true;
    if (k->gone)
        return WRONG("message %u has come back", n);
    if (same && k->uid != 0 && k->uid != e->uid)
        return WRONG("message %u has UID %u, was %u", n, e->uid, k->uid);
    if (!truth->unsure && k->there && k->flags != e->flags)
        return WRONG("message %u has flags %x, was %x", n, e->flags, k->flags);
    if (e->vsize != strlen("a: 00000\r\n"))
        return WRONG("message %u has %llu bytes", n, (unsigned long long)e->vsize);
    k->uid = e->uid;
    k->flags = e->flags;
    return 0;
}

/* INBOX is what is known of it. */
static int see(struct mailbox *mb)
{
    bool seen[KNOWN_MAX] = { false }, same = mailbox_uidvalidity(mb) == truth->uidvalidity;

    if (mailbox_uidvalidity(mb) < truth->uidvalidity)
        return WRONG("UIDVALIDITY %u after %u", mailbox_uidvalidity(mb), truth->uidvalidity);
    if (!same)
        for (uint32_t n = 0; n < KNOWN_MAX; n++)
            truth->messages[n].uid = 0;
    truth->uidvalidity = mailbox_uidvalidity(mb);
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++) {
        int r = see_message(mb, seq, same, seen);
        if (r < 0)
            return r;
    }
    for (uint32_t n = 0; n < truth->len; n++)
        if (truth->messages[n].there && !seen[n])
            return WRONG("message %u is gone", n);
    truth->unsure = false;
    return 0;
}

static int add(struct account *a, const char *mailbox, uint32_t number, uint32_t *ret_uid)
{
    static const char *const keywords[] = { "$Label1", NULL };
    _cleanup_close_ int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .received = 1234567890, .flags = MAIL_FLAGGED };
    uint32_t uidvalidity;

    m.size = (uint64_t)dprintf(fd, "a: %05u\r\n", number);
    return account_append(a, span_of(mailbox), &m, keywords, &uidvalidity, ret_uid);
}

static int add_known(struct account *a)
{
    uint32_t number = truth->len++, uid = 0;
    int r = add(a, "INBOX", number, &uid);

    if (r == 0)
        truth->messages[number] = (struct known){ .uid = uid, .flags = MAIL_FLAGGED, .there = true };
    return r;
}

/* Flags of every third message */
static int store(struct mailbox *mb, unsigned flag, enum flags_mode mode)
{
    uint32_t seqs[KNOWN_MAX], n = 0;

    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq += 3)
        seqs[n++] = seq;
    truth->unsure = true;
    int r = mailbox_store(mb, seqs, n, mode, flag, 1, UINT64_MAX, NULL, NULL);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < truth->len; k++)
            if (truth->messages[k].uid == mailbox_entry(mb, seqs[i])->uid)
                truth->messages[k].flags = mode == FLAGS_ADD ? truth->messages[k].flags | flag : truth->messages[k].flags & ~flag;
    truth->unsure = false;
    return 0;
}

/* Two that are there, somewhere */
static int expunge(struct mailbox *mb)
{
    uint32_t uids[2] = { 0, 0 }, numbers[2] = { 0, 0 };

    for (int i = 0; i < 2; i++) {
        uint32_t n = numbers[i] = any(truth->len);

        if (!truth->messages[n].there || truth->messages[n].uid == 0)
            continue;
        truth->messages[n].there = false; /* not known, from now on */
        uids[i] = truth->messages[n].uid;
    }
    int r = mailbox_remove(mb, uids, 2);
    for (int i = 0; i < 2; i++)
        truth->messages[numbers[i]].gone |= r == 0 && uids[i] != 0;
    return r;
}

static int note(struct mailbox *mb)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct mailbox_note n = { .uid = mailbox_entry(mb, 1 + any(mailbox_count(mb)))->uid, .bytes = STR_INIT };

    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++) {
        int r = mailbox_note_get(mb, seq, &bytes);

        if (r < 0 && r != -ENOENT)
            return r;
    }
    for (uint32_t len = any(any(4) ? 600 : 9000); len > 0; len--)
        str_add_char(&n.bytes, 'n');
    int r = mailbox_note_put(mb, &n, 1);
    str_free(&n.bytes);
    return r;
}

static int other_mailboxes(struct account *a, struct mailbox *mb)
{
    struct mailbox_status status;
    uint32_t validity, uid, seq = 1;
    int r = account_status(a, (struct span)SPAN("Box"), &status);

    if (r == 0)
        r = mailbox_copy(mb, &seq, 1, (struct span)SPAN("Box"), false, &validity, &uid);
    if (r == 0)
        r = add(a, "Box", 99999, &uid);
    if (r == 0)
        r = account_create(a, (struct span)SPAN("New"));
    if (r == 0 || r == -EEXIST)
        r = account_rename(a, (struct span)SPAN("New"), (struct span)SPAN("Newer"));
    if (r == 0 || r == -EEXIST)
        r = account_delete(a, (struct span)SPAN("Newer"));
    return r;
}

static int vanished(struct mailbox *mb)
{
    struct uid_range *gone = NULL;
    size_t len;
    int r = mailbox_vanished(mb, 1, &gone, &len);

    free(gone);
    return r;
}

enum { STEPS_SAME = 5, STEPS_ALL = 8 };     /* those that are the same at any time; all */

static void damage_now(void);

/* All that a session does, between two looks; before one of its steps there may be damage. */
static int use(struct account *a, struct mailbox *mb, uint32_t damage_before)
{
    int r = 0;

    for (uint32_t step = 1; step <= STEPS && r == 0; step++) {
        truth->doing = step;
        if (step == damage_before)
            damage_now();
        switch (any(truth->steps)) {
        case 0: r = store(mb, MAIL_ANSWERED, any(2) ? FLAGS_ADD : FLAGS_REMOVE); break;
        case 1: r = expunge(mb); break;
        case 2: r = note(mb); break;
        case 3: r = see(mb); break;
        case 4: r = vanished(mb); break;
        case 5: r = add_known(a); break;
        case 6: r = add_known(a); break;
        case 7: r = any(3) ? 0 : other_mailboxes(a, mb); break;
        }
        if (r == 0)
            r = mailbox_sync(mb, true, NULL);
    }
    return r;
}

/* ---- damage ---- */

/* Of an LMDB page (see index_check.c) */
enum {
    PAGE_FLAGS = 10, PAGE_LOWER = 12, PAGE_HEAD = 16, NODE_KEY_LEN = 6, NODE_HEAD = 8, IS_BRANCH = 1, IS_LEAF = 2, FREE_LIST_KEY_LEN = 8,
    META_END = 152,
};

struct page {
    int fd;
    uint32_t number, pages;     /* of the file */
    char bytes[PAGE];
    char what[100];             /* has been done to it */
};

static uint16_t number_at(const struct page *p, size_t at)
{
    uint16_t n = 0;

    memcpy(&n, p->bytes + at % (PAGE - 1), sizeof n);
    return n;
}

static uint64_t nasty(const struct page *p, uint64_t now)
{
    const uint64_t values[] = {
        0, 1, 2, 3, 8, 14, 15, 16, 17, 18, 20, 4095, 4096, 4097, 0x7fff, 0x8000, 0xffff, UINT64_MAX, (uint64_t)1 << 31, (uint64_t)1 << 63,
        p->number, p->pages, p->pages - 1, any(p->pages), any(p->pages), any(p->pages), any(PAGE), any(PAGE), now + 1, now - 1, now + 2, now - 2, now ^ 1u << any(16),
    };

    return values[any(ARRAY_LEN(values))];
}

static void set(struct page *p, size_t at, size_t width)
{
    uint64_t n = 0;

    at = at < PAGE - width ? at : PAGE - width;
    memcpy(&n, p->bytes + at, width);
    uint64_t to = nasty(p, n);
    memcpy(p->bytes + at, &to, width);
    snprintf(p->what, sizeof p->what, "%zu bytes at %zu: %llx instead of %llx", width, at, (unsigned long long)to, (unsigned long long)n);
}

static size_t nodes(const struct page *p)
{
    size_t n = ((size_t)number_at(p, PAGE_LOWER) - PAGE_HEAD) / 2;

    return n > 0 && n < PAGE / 2 ? n : 1;
}

static size_t a_node(const struct page *p)
{
    return number_at(p, PAGE_HEAD + 2 * any(nodes(p)));
}

static void damage_head(struct page *p)
{
    static const struct {
        size_t at, width;
    } fields[] = { { 0, 8 }, { 0, 4 }, { 8, 2 }, { 10, 2 }, { 12, 2 }, { 12, 2 }, { 12, 2 }, { 14, 2 }, { 14, 2 }, { 12, 4 } };
    size_t i = any(ARRAY_LEN(fields));

    set(p, fields[i].at, fields[i].width);
}

static void damage_pointer(struct page *p)
{
    set(p, PAGE_HEAD + 2 * any(nodes(p)), 2);
}

static void damage_node(struct page *p)
{
    set(p, a_node(p) + 2 * any(4), 2);
}

static void damage_key(struct page *p)
{
    set(p, a_node(p) + NODE_HEAD + any(24), 1);
}

static void damage_value(struct page *p)
{
    size_t at = a_node(p);

    set(p, at + NODE_HEAD + number_at(p, at + NODE_KEY_LEN) + 8 * any(16), any(2) ? 8 : 1);
}

static void damage_meta(struct page *p)
{
    set(p, PAGE_HEAD + 2 * any((META_END - PAGE_HEAD) / 2), (size_t)1 << any(4));
}

static void damage_bit(struct page *p)
{
    size_t at = any(PAGE);

    p->bytes[at] = (char)(p->bytes[at] ^ 1 << any(8));
    snprintf(p->what, sizeof p->what, "a bit of the byte at %zu", at);
}

static void damage_sectors(struct page *p)
{
    static const size_t sizes[] = { 4, 64, 512, 1024, PAGE };
    size_t size = sizes[any(ARRAY_LEN(sizes))], at = any(PAGE / size) * size, kind = any(3), from = 0;

    if (kind == 0)
        memset(p->bytes + at, 0, size);
    for (size_t i = 0; i < size && kind == 1; i++)
        p->bytes[at + i] = (char)any(256);
    if (kind == 2) {
        from = any(p->pages);
        if (pread(p->fd, p->bytes + at, size, (off_t)(from * PAGE + at)) < 0)
            return;
    }
    snprintf(p->what, sizeof p->what, "%zu bytes at %zu: %s %zu", size, at, kind == 0 ? "zeros" : kind == 1 ? "noise" : "those of page", from);
}

static const struct damage {
    unsigned of;                    /* kind of page; 0: any */
    bool lists;                     /* that has lists of free pages */
    void (*run)(struct page *p);
} damages[] = {
    { IS_BRANCH, false, damage_head },  { IS_BRANCH, false, damage_pointer }, { IS_BRANCH, false, damage_node },
    { IS_BRANCH, false, damage_key },   { IS_LEAF,   false, damage_head },    { IS_LEAF,   false, damage_pointer },
    { IS_LEAF,   false, damage_node },  { IS_LEAF,   false, damage_key },     { IS_LEAF,   false, damage_value },
    { IS_LEAF,   true,  damage_value }, { IS_LEAF,   true,  damage_node },    { IS_LEAF,   true,  damage_head },
    { 0,         false, damage_head },  { 8,         false, damage_meta },    { 0,         false, damage_bit },
    { 0,         false, damage_sectors },
};

static bool has_lists(const struct page *p)
{
    return number_at(p, PAGE_FLAGS) == IS_LEAF && number_at(p, a_node(p) + NODE_KEY_LEN) == FREE_LIST_KEY_LEN;
}

static void damage_page(int fd, uint32_t pages)
{
    const struct damage *d = &damages[any(ARRAY_LEN(damages))];
    struct page *p = mem_new(struct page);

    p->fd = fd;
    p->pages = pages;
    for (int i = 0; i < 200; i++) {
        p->number = any(pages);
        if (pread(fd, p->bytes, PAGE, (off_t)p->number * PAGE) == PAGE && (d->of == 0 || number_at(p, PAGE_FLAGS) == d->of) &&
            (!d->lists || has_lists(p)))
            break;
    }
    d->run(p);
    if (getenv("POSTERN_TEST_TELL"))
        fprintf(stderr, "page %u of %u: %s\n", p->number, pages, p->what);
    assert_int_equal(pwrite(fd, p->bytes, PAGE, (off_t)p->number * PAGE), PAGE);
    free(p);
}

/* What has been appended a moment ago */
static bool damage_arrivals(void)
{
    char path[200], byte;
    struct stat st;

    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/arrivals", maildir);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return false;
    off_t at = (off_t)any((size_t)st.st_size < 512 ? (size_t)st.st_size : 512);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1 << any(8));
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    return true;
}

static void damage_now(void)
{
    char path[200];
    struct stat st;

    if (any(3) == 0 && damage_arrivals())
        return;
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    for (uint32_t n = any(4) ? 1 : 2 + any(3); n > 0; n--)
        damage_page(fd, (uint32_t)(st.st_size / PAGE));
}

/* ---- sessions ---- */

static int session(bool damaged_within)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a;
    struct mailbox *mb;
    int r = account_open(maildir, &a, &err);

    if (r == 0)
        r = mailbox_open(a, INBOX, 0, &mb);
    if (r < 0)
        return r;
    r = see(mb);
    if (r == 0)
        r = use(a, mb, damaged_within ? 1 + any(STEPS) : 0);
    if (r == 0)
        r = see(mb);
    mailbox_close(mb);
    account_close(a);
    return r;
}

/* ---- one account, again and again ---- */

static char *image;
static size_t image_len;
static struct truth at_first;

static void shell(const char *command)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "cd %s && %s", root, command);
    assert_int_equal(system(line.data), 0);
}

/* What is in it does not hang on time or chance, so that its index has the same pages in every run. */
static void make_maildir(void)
{
    char path[200];

    shell("mkdir -p M/cur M/new M/tmp M/.Box/cur M/.Box/new M/.Box/tmp && "
          "echo 0123456789abcdef > M/" FOLDER_ID_FILE " && echo 123456789abcdef0 > M/.Box/" FOLDER_ID_FILE);
    for (unsigned i = 0; i < MESSAGES; i++) {
        snprintf(path, sizeof path, "%s/cur/1234567890.M%06uP1_1.example,S=9,W=10:2,F", maildir, i * 7919 % 1000000);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_int_equal(dprintf(fd, "a: %05u\n", i), strlen("a: 00000\n"));
        assert_int_equal(futimens(fd, (struct timespec[]){ { 1234567890, 0 }, { 1234567890, 0 } }), 0);
    }
}

static void make_account(void)
{
    struct stat st;
    char path[200];

    chance = 1;
    make_maildir();
    truth = mmap(NULL, sizeof *truth, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    while (truth->len < MESSAGES)
        truth->messages[truth->len++] = (struct known){ .flags = MAIL_FLAGGED, .there = true };
    truth->steps = STEPS_SAME;
    for (int i = 0; i < 3; i++)
        assert_int_equal(session(false), 0);
    truth->steps = STEPS_ALL;
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    image_len = (size_t)st.st_size;
    image = mem_calloc(image_len, 1);
    assert_int_equal(read(fd, image, image_len), image_len);
    at_first = *truth;
    shell("mv M T && rm -r T/" INDEX_DIRECTORY);
}

static void put_back(void)
{
    char path[200];

    shell("rm -rf M && cp -al T M && cp --remove-destination T/" INDEX_VALIDITY_FILE " M/ && mkdir M/" INDEX_DIRECTORY);
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, image, image_len), image_len);
    *truth = at_first;
}

enum outcome { WELL, REBUILT, FAILED, DIED, STOPPED, HUNG, OUTCOMES };
static const char *const outcome_names[] = { "nothing seen", "rebuilt at once", "ended with an error", "died of a signal", "searched for ever and was stopped", "hung" };

static enum outcome session_in_child(uint64_t seed, bool damaged_within)
{
    static const int deadly[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGABRT };
    uint32_t validity = truth->uidvalidity;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS }, core = { 0, 0 };

        setrlimit(RLIMIT_CPU, &cpu);
        setrlimit(RLIMIT_CORE, &core);
        if (!getenv("POSTERN_TEST_TELL"))
            close(STDERR_FILENO); /* LMDB and malloc() write to it */
        for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
            signal(deadly[i], SIG_DFL); /* cmocka would go on with the next test here */
        chance = seed;
        int r = session(damaged_within);
        if (r < 0)
            fprintf(stderr, "step %u: %s\n", truth->doing, strerror(-r));
        _exit(r < 0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL ? HUNG : WTERMSIG(status) == SIGVTALRM ? STOPPED : DIED;
    if (WEXITSTATUS(status) != 0)
        return FAILED;
    return truth->uidvalidity == validity ? WELL : REBUILT;
}

static unsigned long from_environment(const char *name, unsigned long other)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 10) : other;
}

/* 0, or what was wrong */
static const char *round_of_damage(uint64_t seed, unsigned count[static OUTCOMES])
{
    bool within = seed % 4 == 3;
    enum outcome o = FAILED;

    put_back();
    chance = seed << 8;
    if (!within)
        damage_now();
    for (unsigned i = 0; i < TRIES; i++) {
        o = session_in_child((seed << 8) + i + 1, within && i == 0);
        if (i == 0)
            count[o]++;
        if (truth->wrong[0])
            return truth->wrong;
        if (o == HUNG)
            return "a session does not end";
        if ((o == WELL || o == REBUILT) && i > 0)
            return NULL;
    }
    return o == WELL || o == REBUILT ? NULL : "the index is of no use to anybody";
}

static void test_damage_is_noticed_and_ends_with_a_new_index(void **state)
{
    unsigned long seed = from_environment("POSTERN_TEST_SEED", 1), rounds = from_environment("POSTERN_TEST_LONG", 60);
    unsigned count[OUTCOMES] = { 0 }, failed = 0;

    (void)state;
    make_account();
    for (unsigned long i = 0; i < rounds; i++) {
        const char *wrong = round_of_damage(seed + i, count);

        if (wrong)
            print_message("round %lu: %s\n", seed + i, wrong);
        failed += wrong != NULL;
    }
    for (size_t i = 0; i < OUTCOMES; i++)
        print_message("%6u %s\n", count[i], outcome_names[i]);
    assert_int_equal(failed, 0);
    free(image);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_damage_is_noticed_and_ends_with_a_new_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
