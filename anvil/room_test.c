/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room_test.c - who has to go, with fronts that answer in all ways
 */
#include "anvil/room.h"

#include <stdarg.h> /* cmocka.h needs these before it */
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"

enum { SESSIONS_MAX = 4 };

/* A session as its front sees it. */
struct sim_session {
    uint64_t id;
    enum place_rank rank;
    uint64_t silent_ms;
    bool stays;         /* asked to end, it proves to be busy */
};

/* A front: its sessions, and which of them it was made to end. */
struct sim_front {
    struct sim_session sessions[SESSIONS_MAX];
    size_t n;
    bool mute, dies;    /* answers nothing; hangs up when it is asked */
    struct ipc *ipc;    /* its end */
    struct talk talk;   /* anvil's */
    bool over;
    uint64_t ended;     /* the last one */
    int granted;        /* -1: no answer yet */
};

static struct places *places;

static struct sim_session *idlest(struct sim_front *f)
{
    struct sim_session *best = NULL;

    for (size_t i = 0; i < f->n; i++) {
        struct sim_session *s = &f->sessions[i];

        if (s->rank != PLACE_BUSY &&
            (!best || s->rank < best->rank || (s->rank == best->rank && s->silent_ms > best->silent_ms)))
            best = s;
    }
    return best;
}

static void answer_look(struct sim_front *f)
{
    struct place_look m = { .user = STR_INIT };

    assert_int_equal(ipc_recv(f->ipc, &place_look_shape, &m), 0);
    assert_string_equal(str_cstr(&m.user), "ann");
    struct sim_session *s = idlest(f);
    struct place_idlest answer = { m.request, s ? s->id : 0, s ? s->rank : PLACE_BUSY, s ? s->silent_ms : 0 };
    place_look_msg_done(&m);
    if (!f->mute)
        ipc_send_now(f->ipc, &place_idlest_shape, &answer);
}

static void answer_close(struct sim_front *f)
{
    struct place_close m;
    struct sim_session *s = idlest(f);

    assert_int_equal(ipc_recv(f->ipc, &place_close_shape, &m), 0);
    assert_int_equal(s->id, m.id);
    struct place_closed answer = { m.request, !s->stays };
    struct place_leave leave = { m.id };
    s->rank = PLACE_BUSY;
    if (!s->stays) {
        f->ended = m.id;
        ipc_send_now(f->ipc, &place_leave_shape, &leave);
    }
    ipc_send_now(f->ipc, &place_closed_shape, &answer);
}

static void run_front(void *arg)
{
    struct sim_front *f = arg;
    struct place_taken taken;
    struct span type;

    while (ipc_peek_type(f->ipc, &type) == 0) {
        if (f->dies && !span_eq_str(type, "place_taken"))
            break;
        if (span_eq_str(type, "place_look")) {
            answer_look(f);
        } else if (span_eq_str(type, "place_close")) {
            answer_close(f);
        } else {
            assert_int_equal(ipc_recv(f->ipc, &place_taken_shape, &taken), 0);
            f->granted = (int)taken.granted;
            break;
        }
    }
    f->over = true;
    ipc_free(f->ipc);
}

/* anvil's side of one front, as anvil/session.c has it */
static void run_talk(void *arg)
{
    struct sim_front *f = arg;
    struct place_idlest idle;
    struct place_closed closed;
    struct place_leave leave;
    struct span type;
    int r = 0;

    while (r == 0 && ipc_peek_type(f->talk.ipc, &type) == 0) {
        if (span_eq_str(type, "place_idlest")) {
            r = ipc_recv(f->talk.ipc, &place_idlest_shape, &idle);
            room_idlest(&f->talk, &idle);
        } else if (span_eq_str(type, "place_closed")) {
            r = ipc_recv(f->talk.ipc, &place_closed_shape, &closed);
            room_closed(&f->talk, &closed);
        } else {
            r = ipc_recv(f->talk.ipc, &place_leave_shape, &leave);
            place_remove(&f->talk.front, leave.id);
        }
    }
    talk_done(&f->talk);
    ipc_free(f->talk.ipc);
}

static void begin(struct sim_front *f)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    f->ipc = ipc_new(stream_new(pair[0]));
    talk_init(&f->talk, places, ipc_new(stream_new(pair[1])));
    f->granted = -1;
    for (size_t i = 0; i < f->n; i++) {
        struct place_keep m = { .id = f->sessions[i].id, .protocol = "imap", .client = "192.0.2.1", .user = STR_INIT };

        str_add_str(&m.user, "ann");
        room_keep(places, &f->talk, &m);
        place_keep_msg_done(&m);
    }
    fiber_start(run_front, f);
    fiber_start(run_talk, f);
}

/* The first front wants one more place; when it has its answer, the other one hangs up as well. */
static struct sim_front fronts[2];

static void run_wisher(void *arg)
{
    struct place_take m = { .id = 100, .limit = 3, .protocol = "imap", .client = "192.0.2.1", .user = STR_INIT };
    const uint64_t deadline = clock_deadline_ms(20000);

    (void)arg;
    str_add_str(&m.user, "ann");
    room_take(places, &fronts[0].talk, &m);
    place_take_msg_done(&m);
    while (fronts[0].granted < 0 && clock_ms() < deadline)
        fiber_sleep_until(clock_deadline_ms(5));
    if (!fronts[1].over)
        shutdown(stream_fd(ipc_stream(fronts[1].ipc)), SHUT_RDWR);
}

static void test_the_right_session_ends_for_the_new_one(void **state)
{
    static const struct {
        const char *what;
        struct sim_front fronts[2];
        int granted;
        uint64_t ended[2];
    } rows[] = {
        { "there is room",
          { { .sessions = { { 1, PLACE_PARKED, 9, false } }, .n = 1 },
            { .sessions = { { 2, PLACE_PARKED, 9, false } }, .n = 1 } },
          1, { 0, 0 } },
        { "the longest parked one",
          { { .sessions = { { 1, PLACE_PARKED, 9, false }, { 2, PLACE_PARKED, 7, false } }, .n = 2 },
            { .sessions = { { 3, PLACE_PARKED, 8, false } }, .n = 1 } },
          1, { 1, 0 } },
        { "of another front",
          { { .sessions = { { 1, PLACE_PARKED, 6, false }, { 2, PLACE_PARKED, 7, false } }, .n = 2 },
            { .sessions = { { 3, PLACE_PARKED, 8, false } }, .n = 1 } },
          1, { 0, 3 } },
        { "a dead one before a parked one, and that before a silent one",
          { { .sessions = { { 1, PLACE_SILENT, 99, false }, { 2, PLACE_PARKED, 50, false } }, .n = 2 },
            { .sessions = { { 3, PLACE_DEAD, 1, false } }, .n = 1 } },
          1, { 0, 3 } },
        { "the next if the first proves to be busy",
          { { .sessions = { { 1, PLACE_SILENT, 8, false }, { 2, PLACE_BUSY, 7, false } }, .n = 2 },
            { .sessions = { { 3, PLACE_SILENT, 9, true } }, .n = 1 } },
          1, { 1, 0 } },
        { "none if all are busy",
          { { .sessions = { { 1, PLACE_BUSY, 8, false }, { 2, PLACE_BUSY, 7, false } }, .n = 2 },
            { .sessions = { { 3, PLACE_BUSY, 9, false } }, .n = 1 } },
          0, { 0, 0 } },
        { "none if those that seem idle prove to be busy",
          { { .sessions = { { 1, PLACE_SILENT, 8, true }, { 2, PLACE_PARKED, 7, true } }, .n = 2 },
            { .sessions = { { 3, PLACE_SILENT, 9, true } }, .n = 1 } },
          0, { 0, 0 } },
        { "a front that does not answer is not waited for",
          { { .sessions = { { 1, PLACE_PARKED, 8, false } }, .n = 1 },
            { .sessions = { { 2, PLACE_DEAD, 9, false }, { 3, PLACE_DEAD, 9, false } }, .n = 2, .mute = true } },
          1, { 1, 0 } },
        { "the sessions of one that dies are gone",
          { { .sessions = { { 1, PLACE_BUSY, 8, false } }, .n = 1 },
            { .sessions = { { 2, PLACE_DEAD, 9, false }, { 3, PLACE_DEAD, 9, false } }, .n = 2, .dies = true } },
          1, { 0, 0 } },
        { "more than the limit there are already",
          { { .sessions = { { 1, PLACE_PARKED, 8, false }, { 2, PLACE_PARKED, 9, false } }, .n = 2 },
            { .sessions = { { 3, PLACE_PARKED, 7, false }, { 4, PLACE_BUSY, 9, false } }, .n = 2 } },
          1, { 1, 0 } },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        places = places_new();
        for (size_t k = 0; k < ARRAY_LEN(fronts); k++) {
            fronts[k] = rows[i].fronts[k];
            begin(&fronts[k]);
        }
        fiber_start(run_wisher, NULL);
        assert_int_equal(loop_run(), 0);
        if (fronts[0].granted != rows[i].granted || fronts[0].ended != rows[i].ended[0] ||
            fronts[1].ended != rows[i].ended[1])
            fail_msg("%s: granted %d, ended %llu and %llu", rows[i].what, fronts[0].granted,
                     (unsigned long long)fronts[0].ended, (unsigned long long)fronts[1].ended);
        places_free(places);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_right_session_ends_for_the_new_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
