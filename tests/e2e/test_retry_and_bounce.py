# SPDX-License-Identifier: Apache-2.0
"""What becomes of mail that a receiver puts off or refuses."""
import email
import re
import smtplib

import pytest

from instance import SLOW, wait_until
from receiver import Receiver


@pytest.fixture
def relay(make_instance):
    """relay(answer, **params): an instance that relays to a scripted receiver, with quick retries."""
    opened = []

    def make(answer, **params):
        receiver = Receiver(answer)
        suite = make_instance(params={"relayhost": f"[127.0.0.1]:{receiver.port}", "minimal_backoff_time": "1s",
                                      "maximal_backoff_time": "1s", **params})
        opened.append((suite, receiver))
        return suite, receiver

    yield make
    for suite, receiver in opened:
        suite.stop()
        receiver.close()


def send(suite, to, sender="alice@a.test", options=(), rcpt_options=()):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        s.sendmail(sender, to, f"From: {sender}\r\nSubject: test\r\n\r\nbody\r\n", list(options), list(rcpt_options))


def report(suite, user="alice"):
    """The one report in a mailbox, parsed: (message, fields of the message, fields of each recipient)."""
    path, = suite.wait_messages(user, 1)
    message = email.message_from_bytes(path.read_bytes())
    assert message.get_content_type() == "multipart/report"
    status = next(p for p in message.walk() if p.get_content_type() == "message/delivery-status")
    fields, *recipients = status.get_payload()
    return message, fields, recipients


def test_451_twice_then_250_is_delivered_after_two_retries(relay):
    suite, receiver = relay(lambda verb, arg, n: "451 4.3.0 come back later" if verb == "RCPT" and n <= 2 else None)
    send(suite, "x@b.test")
    wait_until(lambda: receiver.messages, 20, "the message at the receiver")
    suite.wait_queue_empty()
    assert receiver.attempts == 3
    assert len(suite.log_lines(r"to=<x@b\.test>.*status=deferred \(host .* said: 451 4\.3\.0 come back later "
                               r"\(in reply to RCPT TO command\)\)")) == 2
    suite.wait_log(r"to=<x@b\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*dsn=2\.0\.0, status=sent \(250 2\.0\.0 taken\)")
    assert suite.messages("alice") == []


def test_451_for_ever_gives_five_attempts_and_one_bounce_that_names_the_last_reply(relay):
    suite, receiver = relay(lambda verb, arg, n: f"451 4.3.0 not now, try {n}" if verb == "RCPT" else None,
                            maximal_delivery_attempts="5")
    send(suite, "x@b.test")
    message, fields, recipients = report(suite)
    suite.wait_queue_empty()
    assert receiver.attempts == 5
    rcpt, = recipients
    assert rcpt["Final-Recipient"] == "rfc822; x@b.test"
    assert rcpt["Action"] == "failed"
    assert "451 4.3.0 not now, try 5" in rcpt["Diagnostic-Code"]
    assert len(suite.messages("alice")) == 1
    assert message["From"].startswith("MAILER-DAEMON@")


def test_550_gives_one_attempt_and_one_bounce(relay):
    suite, receiver = relay(lambda verb, arg, n: "550 5.1.1 no such user" if verb == "RCPT" else None)
    send(suite, "x@b.test")
    message, fields, recipients = report(suite)
    suite.wait_queue_empty()
    assert receiver.attempts == 1
    rcpt, = recipients
    assert rcpt["Status"] == "5.1.1"
    assert rcpt["Diagnostic-Code"].replace("\n ", " ") == "smtp; 550 5.1.1 no such user"
    assert fields["Reporting-MTA"] == "dns; mx.a.test"
    original = message.get_payload()[-1].as_string()
    assert "Subject: test" in original and "body" in original
    assert len(suite.messages("alice")) == 1


def test_of_two_recipients_only_the_refused_one_is_reported(relay):
    suite, receiver = relay(lambda verb, arg, n: "550 5.1.1 unknown" if verb == "RCPT" and "bad@" in arg else None)
    send(suite, ["good@b.test", "bad@b.test"])
    _, _, recipients = report(suite)
    assert [r["Final-Recipient"] for r in recipients] == ["rfc822; bad@b.test"]
    assert len(receiver.messages) == 1
    assert "good@b.test" in receiver.messages[0][1][0]


def test_the_failure_of_a_report_is_not_reported(relay):
    suite, receiver = relay(lambda verb, arg, n: "550 5.1.1 no" if verb == "RCPT" else None)
    send(suite, "x@b.test", sender="")
    suite.wait_log(r"to=<x@b\.test>.*status=bounced")
    suite.wait_queue_empty()
    assert receiver.attempts == 1


def test_mail_older_than_maximal_queue_lifetime_is_returned(relay):
    suite, receiver = relay(lambda verb, arg, n: "450 4.2.0 busy" if verb == "RCPT" else None,
                            maximal_queue_lifetime=f"{3 * SLOW:.0f}s")
    send(suite, "x@b.test")
    report(suite)
    suite.wait_log(r"from=<alice@a\.test>, status=expired, returned to sender")
    assert receiver.attempts >= 2


def test_notify_never_suppresses_the_report_and_notify_success_asks_for_one(relay):
    suite, receiver = relay(lambda verb, arg, n: "550 5.1.1 no" if verb == "RCPT" and "bad@" in arg else None)
    send(suite, "bad@b.test", rcpt_options=["NOTIFY=NEVER"])
    suite.wait_log(r"to=<bad@b\.test>.*status=bounced")
    suite.wait_queue_empty()
    send(suite, "bob@a.test", rcpt_options=["NOTIFY=SUCCESS"])
    message, _, recipients = report(suite)
    assert [r["Action"] for r in recipients] == ["delivered"]


def test_a_dead_next_hop_defers_and_a_flush_tries_again(relay):
    suite, receiver = relay(None)
    port = receiver.port
    receiver.close()
    suite.set(minimal_backoff_time="1h", maximal_backoff_time="1h")
    suite.reload()
    send(suite, "x@b.test")
    suite.wait_log(rf"relay=none, .*dsn=4\.4\.1, status=deferred \(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:{port}: Connection refused\)")
    wait_until(lambda: [m["queue_name"] for m in suite.queue()] == ["deferred"], 10, "the message to wait")
    entry, = suite.queue()
    assert "Connection refused" in entry["recipients"][0]["delay_reason"]
    assert re.search(rf"(?m)^{entry['queue_id']}\s+\d+ ", suite.tool("postqueue", "-p"))
    again = Receiver()
    suite.set(relayhost=f"[127.0.0.1]:{again.port}")
    suite.reload()
    suite.tool("postqueue", "-f")
    wait_until(lambda: again.messages, 20, "the flushed message")
    again.close()
