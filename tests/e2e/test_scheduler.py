# SPDX-License-Identifier: Apache-2.0
"""Which delivery is next: concurrency and its feedback, delays, limits, priority and fairness, with receivers that take
their time. The scheduler's own claims are tested in virtual time (qmgr/simulation_test.c)."""
import contextlib
import smtplib
import subprocess
import threading
import time

import pytest

from instance import SLOW, free_ports, wait_until
from receiver import Receiver

# Transports of their own, all smtp(8), each with one setting under test.
SETTINGS = {
    "two": {"destination_concurrency_limit": 2},
    "still": {"initial_destination_concurrency": 1, "destination_concurrency_positive_feedback": 0},
    "wrong": {"destination_concurrency_positive_feedback": "much"},
    "three": {"delivery_limit": 3},
    "split": {"destination_recipient_limit": 3},
    "paced": {"destination_rate_delay": "1s"},
    "tpaced": {"transport_rate_delay": "1s"},
    "late": {"time_limit": "1s"},
    "stubborn": {"destination_concurrency_failed_cohort_limit": 0},
    "wilting": {"destination_concurrency_negative_feedback": "1"},
    "shut": {},
    "plain": {"destination_concurrency_limit": 20},
    "single": {"destination_concurrency_limit": 1},
}


UNTIL_TOLD = 3600.0


class Slow(Receiver):
    """Takes hold_s for each message, which may be changed meanwhile, and counts how many it has at once."""

    def __init__(self, hold_s=0.0):
        self.hold_s, self.lock = hold_s, threading.Lock()
        self.busy = self.peak = 0
        self.begun = []                     # time of each MAIL
        super().__init__(self.on_command)

    def on_command(self, verb, argument, attempt):
        if verb == "MAIL":
            self.begun.append(time.monotonic())
        if verb != "END":
            return None
        with self.lock:
            self.busy += 1
            self.peak = max(self.peak, self.busy)
        begun = time.monotonic()
        while time.monotonic() - begun < self.hold_s:
            time.sleep(min(0.02, self.hold_s))
        with self.lock:
            self.busy -= 1
        return None


@pytest.fixture(scope="module")
def world(make_instance):
    """An instance and a receiver for each transport: mail for anybody@NAME.test goes to receivers[NAME]."""
    receivers = {name: Slow() for name in [*SETTINGS, "other", "grown"]}
    routes = {name: f"{name}:[127.0.0.1]:{r.port}" for name, r in receivers.items() if name in SETTINGS}
    routes["other"] = f"tpaced:[127.0.0.1]:{receivers['other'].port}"
    routes["grown"] = f"smtp:[127.0.0.1]:{receivers['grown'].port}"
    for name in ("stubborn", "wilting"):
        receivers[name].close()             # connections are refused
    urgent = free_ports(1)[0]
    suite = make_instance(
        params={
            "transport_maps": "inline:{ " + ", ".join(f"{{ {n}.test = {r} }}" for n, r in routes.items()) + " }",
            "defer_transports": "shut", "bounce_queue_lifetime": "0s", "smtpd_recipient_limit": "2000",
            "qmgr_message_recipient_limit": "1500", "qmgr_message_active_limit": "100",
            **{f"{t}_{k}" if k != "initial_destination_concurrency" else f"{t}_{k}": v
               for t, values in SETTINGS.items() for k, v in values.items()}},
        services=[*(f"{name} unix - - n - - smtp" for name in SETTINGS),
                  f"127.0.0.1:{urgent} inet n - n - - smtpd\n  -o smtpd_message_priority=9"])
    suite.receivers, suite.urgent_port = receivers, urgent
    yield suite
    suite.stop()
    for r in receivers.values():
        with contextlib.suppress(OSError):
            r.close()


def send(suite, recipients, n=1, sender="alice@a.test", port=None):
    recipients = [recipients] if isinstance(recipients, str) else recipients
    with smtplib.SMTP("127.0.0.1", port or suite.port["smtp"], "client.test") as s:
        for i in range(n):
            s.sendmail(sender, recipients, f"Subject: {i}\r\n\r\nbody\r\n")


def deliver(suite, name, n, hold_s):
    """Send n messages for NAME.test, whose receiver takes hold_s for each; the receiver, when all are there."""
    receiver = suite.receivers[name]
    receiver.hold_s = UNTIL_TOLD        # however slowly they come: all are in the queue
    before = len(receiver.messages)
    send(suite, f"x@{name}.test", n)
    receiver.hold_s = hold_s
    wait_until(lambda: len(receiver.messages) >= before + n, 30, f"{n} messages for {name}.test")
    return receiver


@pytest.mark.parametrize("name, n, peak", [
    ("two", 12, 2),         # TRANSPORT_destination_concurrency_limit
    ("still", 6, 1),        # no feedback: the initial concurrency stays
    ("three", 12, 3),       # TRANSPORT_delivery_limit
    ("single", 4, 1),
])
def test_no_more_deliveries_at_once_than_the_transport_says(world, name, n, peak):
    assert deliver(world, name, n, 0.2).peak == peak


def test_the_default_limit_is_kept_when_it_is_set_and_grows_when_it_is_not(world):
    assert deliver(world, "plain", 100, 0.3).peak <= 20
    assert deliver(world, "grown", 200, 0.5).peak > 30


def test_a_bad_feedback_is_told_and_the_default_used(world):
    deliver(world, "wrong", 1, 0)
    world.wait_log(r"qmgr\[\d+\]: warning: bad value of wrong_destination_concurrency_positive_feedback, using the default")


def test_recipients_are_split_by_the_recipient_limit(world):
    send(world, [f"r{i}@split.test" for i in range(8)])
    receiver = world.receivers["split"]
    wait_until(lambda: len(receiver.messages) == 3, 20, "three deliveries")
    assert sorted(len(rcpts) for _, rcpts, _ in receiver.messages) == [2, 3, 3]


def test_a_destination_rate_delay_is_kept(world):
    begun = deliver(world, "paced", 3, 0).begun
    assert all(b - a > 0.95 for a, b in zip(begun, begun[1:]))


def test_a_transport_rate_delay_counts_for_all_destinations(world):
    start = time.monotonic()
    send(world, "x@tpaced.test", 2)
    send(world, "x@other.test", 2)
    both = [world.receivers[n] for n in ("tpaced", "other")]
    wait_until(lambda: sum(len(r.messages) for r in both) == 4, 20, "four messages")
    begun = sorted(t for r in both for t in r.begun)
    # Lateness is no fault, and on a loaded machine a late delivery is close to the next: only too early is wrong.
    assert all(t - start > 0.95 * n for n, t in enumerate(begun))


def test_a_delivery_ends_with_the_time_limit(world):
    world.receivers["late"].hold_s = 6 * SLOW
    send(world, "x@late.test")
    world.wait_log(r"warning: \w+: the delivery through late took longer than late_time_limit")
    world.wait_log(r"to=<x@late\.test>.*dsn=4\.3\.0, status=deferred")
    world.receivers["late"].hold_s = 0


def test_mail_of_deferred_transports_waits_until_somebody_asks(world):
    send(world, "x@shut.test")
    queue_id = world.wait_log(r"(\w+): to=<x@shut\.test>, relay=none, .*dsn=4\.3\.2, status=deferred \(deferred transport\)")[1]
    assert world.receivers["shut"].messages == []
    wait_until(lambda: any(m["queue_id"] == queue_id and m["queue_name"] == "deferred" for m in world.queue()), 5)
    world.tool("postqueue", "-i", queue_id)
    wait_until(lambda: world.receivers["shut"].messages, 20, "the flushed message")


def test_a_dead_destination_is_suspended_after_a_cohort_unless_the_limit_is_0(world):
    send(world, "x@wilting.test", 30)
    world.wait_log(r"to=<x@wilting\.test>.*status=deferred", count=30)
    assert world.log_lines(r"to=<x@wilting\.test>.*\(delivery temporarily suspended: connect to 127\.0\.0\.1")
    assert len(world.log_lines(r"to=<x@wilting\.test>.*status=deferred \(connect to")) < 30
    send(world, "x@stubborn.test", 30)
    world.wait_log(r"to=<x@stubborn\.test>.*status=deferred \(connect to", count=30)


def test_a_message_of_high_priority_overtakes(world):
    receiver = world.receivers["single"]
    receiver.hold_s = UNTIL_TOLD
    before = len(receiver.messages)
    send(world, "x@single.test", 20)
    send(world, "urgent@single.test", sender="boss@a.test", port=world.urgent_port)
    world.wait_log(r"from=<boss@a\.test>, size=\d+, nrcpt=1 \(queue active\)")
    receiver.hold_s = 0.01
    wait_until(lambda: len(receiver.messages) == before + 21, 30, "all messages")
    order = [rcpts[0] for _, rcpts, _ in receiver.messages[before:]]
    place = next(i for i, rcpt in enumerate(order) if "urgent@" in rcpt)
    assert place < 20, order


def test_a_report_that_cannot_be_delivered_is_tried_once_with_bounce_queue_lifetime_0(world):
    send(world, "x@wilting.test", sender="")
    world.wait_log(r"from=<>, status=expired, returned to sender")


def test_large_messages_wait_for_each_other_and_small_ones_do_not(world):
    receiver = world.receivers["two"]
    receiver.hold_s = UNTIL_TOLD
    before = len(receiver.messages)
    for i in range(2):
        send(world, [f"r{n}@two.test" for n in range(1100)], sender=f"list{i}@a.test")
    send(world, "bob@a.test")
    world.wait_messages("bob", 1)
    active = world.log_lines(r"from=<list\d@a\.test>, size=\d+, nrcpt=1100 \(queue active\)")
    assert len(active) == 1
    receiver.hold_s = 0
    wait_until(lambda: len(receiver.messages) == before + 44, 60, "2,200 recipients")
    world.wait_log(r"from=<list1@a\.test>, size=\d+, nrcpt=1100 \(queue active\)")


def test_mail_for_a_slow_destination_leaves_room_for_the_rest(world):
    """More messages for one destination than have a place in the active set (100)."""
    slow, fast = world.receivers["single"], world.receivers["plain"]
    slow.hold_s = UNTIL_TOLD
    fast.hold_s = 0
    before, fast_before = len(slow.messages), len(fast.messages)
    senders = [threading.Thread(target=send, args=(world, "x@single.test", 65)) for _ in range(2)]
    for t in senders:
        t.start()
    for t in senders:
        t.join()
    send(world, "x@plain.test", 5)
    wait_until(lambda: len(fast.messages) == fast_before + 5, 10, "mail for the fast one")
    states = [m["queue_name"] for m in world.queue() if m["recipients"][0]["address"] == "x@single.test"]
    assert states.count("active") < 60 and states.count("incoming") > 50
    slow.hold_s = 0
    wait_until(lambda: len(slow.messages) == before + 130, 60, "everything, in the end")


def test_deliveries_in_flight_end_before_postsuper_has_its_way(world):
    """120 recipients, 50 a delivery, one delivery at once: the first is in flight when the operator acts."""
    receiver = world.receivers["single"]
    before = len(receiver.messages)
    for action in ("-d", "-h"):
        receiver.hold_s = UNTIL_TOLD
        send(world, [f"r{n}@single.test" for n in range(120)], sender=f"op{action}@a.test")
        queue_id = world.wait_log(rf"(\w+): from=<op{action}@a\.test>, size=\d+, nrcpt=120 \(queue active\)")[1]
        wait_until(lambda: receiver.busy == 1, 10, "a delivery in flight")
        world.tool("postsuper", action, queue_id)
        receiver.hold_s = 0
        if action == "-d":
            world.wait_log(rf"{queue_id}: removed")
            assert queue_id not in world.queue_ids()
    wait_until(lambda: any(m["queue_id"] == queue_id and m["queue_name"] == "hold" for m in world.queue()), 10)
    entry = next(m for m in world.queue() if m["queue_id"] == queue_id)
    assert len(entry["recipients"]) == 70
    assert [len(rcpts) for _, rcpts, _ in receiver.messages[before:]] == [50, 50]
    world.tool("postsuper", "-H", queue_id)
    wait_until(lambda: len(receiver.messages) == before + 4, 20, "the other 70 recipients")
    assert [len(rcpts) for _, rcpts, _ in receiver.messages[before + 2:]] == [50, 20]


@contextlib.contextmanager
def smtp_sink(*options):
    """Postfix's smtp-sink; gives its port."""
    port = free_ports(1)[0]
    process = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", *options, f"127.0.0.1:{port}", "512"])

    def answers():
        with contextlib.suppress(OSError, smtplib.SMTPException):
            with smtplib.SMTP("127.0.0.1", port, timeout=5):
                return True
    try:
        wait_until(answers, 10, "smtp-sink")
        yield port
    finally:
        process.terminate()
        process.wait()


def test_a_list_post_and_a_slow_receiver_do_not_hold_up_a_single_message(make_instance):
    """Real receivers: one takes a second for each message, one is fast."""
    with smtp_sink("-w", "1") as slow, smtp_sink() as fast:
        suite = make_instance(params={
            "transport_maps": f"inline:{{ {{ slow.test = smtp:[127.0.0.1]:{slow} }}, {{ fast.test = smtp:[127.0.0.1]:{fast} }} }}",
            "default_destination_concurrency_limit": "4", "default_destination_recipient_limit": "5"})
        for i in range(5):
            send(suite, [f"r{i}x{n}@slow.test" for n in range(200)], sender=f"list{i}@a.test")   # 200 deliveries
        send(suite, "single@slow.test")
        send(suite, "single@fast.test")
        took = float(suite.wait_log(r"to=<single@fast\.test>, .*delay=([\d.]+), .*status=sent", 20)[1])
        assert took < 3 * SLOW
        took = float(suite.wait_log(r"to=<single@slow\.test>, .*delay=([\d.]+), .*status=sent", 30)[1])
        done = len(suite.log_lines(r"to=<r\dx\d+@slow\.test>.*status=sent")) / 5
        assert took < 15 * SLOW and done < 60, f"{took} s, behind {done} deliveries of lists"
        suite.tool("postsuper", "-d", "ALL")
