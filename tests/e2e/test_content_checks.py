# SPDX-License-Identifier: Apache-2.0
"""header_checks, mime_header_checks, nested_header_checks, body_checks, milter_header_checks: every action does what
header_checks(5) says, and is logged as Postfix logs it."""
import re
import smtplib

import pytest

import milter_server as milter
from instance import wait_until
from milter_server import MilterServer, add_header

FROM = r"from unknown\[127\.0\.0\.1\]; from=<ann@b\.test> to=<alice@a\.test> proto=ESMTP helo=<client\.test>"

RULES = """\
/^Subject: case-reject$/        REJECT
/^Subject: case-reject-text$/   REJECT No thanks
/^Subject: case-reject-code$/   REJECT 5.7.9 Not you
/^Subject: case-later$/         REJECT 4.7.5 Not now
/^Subject: case-warn$/          WARN look at this
/^Subject: case-info$/          INFO seen
/^Subject: case-hold$/          HOLD waiting
/^Subject: case-discard$/       DISCARD away
/^Subject: case-ignore$/        IGNORE
/^Subject: case-strip$/         STRIP gone
/^Subject: case-replace$/       REPLACE Subject: another
/^Subject: case-prepend$/       PREPEND X-Seen: yes
/^Subject: case-redirect$/      REDIRECT bob@a.test
/^Subject: case-bcc$/           BCC bob@a.test
/^Subject: case-filter$/        FILTER nowhere:later.test
/^Subject: case-dunno$/         DUNNO
/^Subject: case-unknown$/       FROBNICATE
/^Subject: case-folded.+more$/ REJECT folded
/^Received: .*with ESMTP id/    PREPEND X-Ours: seen
/^X-Pass:/                      PASS
/^X-Late:/                      REJECT late
"""
BODY_RULES = """\
/^body-reject/      REJECT bad line
/^body-replace/     REPLACE other
/^body-prepend/     PREPEND before
/^body-ignore/      IGNORE
/^body-redirect/    REDIRECT bob@a.test
/^body-hold/        HOLD here
"""


class Checked:
    def __init__(self, make_instance, directory):
        self.filter = MilterServer()
        names = {"header": RULES, "body": BODY_RULES, "mime": "/name=.*\\.exe/ REJECT no programs\n",
                 "nested": "/^Subject: inner-bad/ REJECT inner\n",
                 "milter": "/^X-Spam: yes/ REPLACE X-Junk: yes\n/^X-Drop/ IGNORE\n/^X-Refuse/ REJECT by the check\n"}
        for name, text in names.items():
            (directory / name).write_text(text)
        directory.chmod(0o755)
        self.suite = make_instance(params={
            "local_header_rewrite_clients": "", "smtpd_milters": self.filter.endpoint,
            "header_checks": f"regexp:{directory}/header", "body_checks": f"regexp:{directory}/body",
            "mime_header_checks": f"regexp:{directory}/mime", "nested_header_checks": f"regexp:{directory}/nested",
            "milter_header_checks": f"regexp:{directory}/milter"})

    def send(self, header="Subject: x\r\n", body="Hello\r\n"):
        with smtplib.SMTP("127.0.0.1", self.suite.port["smtp"], local_hostname="client.test") as smtp:
            smtp.ehlo()
            smtp.mail("ann@b.test")
            smtp.rcpt("alice@a.test")
            try:
                code, text = smtp.data((header + "\r\n" + body).encode())
            except smtplib.SMTPDataError as e:
                code, text = e.smtp_code, e.smtp_error
        return f"{code} {text.decode()}"

    def arrived(self, answer, user="alice"):
        assert answer.startswith("250 "), answer
        mark = f" id {answer.split()[-1]}\n"

        def look():
            texts = (p.read_text() for p in reversed(self.suite.messages(user)))
            return next((t for t in texts if mark in t), None)
        return wait_until(look, 20, "the message")


@pytest.fixture(scope="module")
def c(make_instance, tmp_path_factory):
    checked = Checked(make_instance, tmp_path_factory.mktemp("checks"))
    yield checked
    checked.filter.close()


@pytest.mark.parametrize("case,reply,text", [
    ("case-reject", "550 5.7.1 message content rejected", "5.7.1 message content rejected"),
    ("case-reject-text", "550 5.7.1 No thanks", "5.7.1 No thanks"),
    ("case-reject-code", "550 5.7.9 Not you", "5.7.9 Not you"),
    ("case-later", "451 4.7.5 Not now", "4.7.5 Not now"),
])
def test_reject_refuses_with_its_text(c, case, reply, text):
    assert c.send(f"Subject: {case}\r\n") == reply
    c.suite.wait_log(rf"\w+: reject: header Subject: {case} {FROM}: {re.escape(text)}\n")


@pytest.mark.parametrize("case,line", [("case-warn", "warning: header Subject: case-warn {}: look at this"),
                                       ("case-info", "info: header Subject: case-info {}: seen")])
def test_warn_and_info_only_log(c, case, line):
    assert f"Subject: {case}\n" in c.arrived(c.send(f"Subject: {case}\r\n"))
    c.suite.wait_log(line.format(FROM))


def test_hold_puts_it_on_hold(c):
    queue_id = c.send("Subject: case-hold\r\n").split()[-1]
    c.suite.wait_log(rf"{queue_id}: hold: header Subject: case-hold {FROM}: waiting")
    assert [m["queue_name"] for m in c.suite.queue() if m["queue_id"] == queue_id] == ["hold"]
    c.suite.tool("postsuper", "-d", queue_id)


def test_discard_is_answered_with_ok(c):
    queue_id = c.send("Subject: case-discard\r\n").split()[-1]
    c.suite.wait_log(rf"{queue_id}: discard: header Subject: case-discard {FROM}: away")
    c.suite.wait_log(rf"{queue_id}: removed \(discarded\)")


@pytest.mark.parametrize("case,want,gone", [
    ("case-ignore", "", "Subject:"), ("case-strip", "", "Subject:"), ("case-replace", "\nSubject: another\n", "case-replace"),
    ("case-prepend", "\nX-Seen: yes\nSubject: case-prepend\n", "-"), ("case-dunno", "\nSubject: case-dunno\n", "-"),
    ("case-unknown", "\nSubject: case-unknown\n", "-"),
])
def test_a_field_is_changed(c, case, want, gone):
    head = c.arrived(c.send(f"Subject: {case}\r\n")).split("\n\n")[0] + "\n"
    assert want in head and (gone == "-" or gone not in head)


def test_an_unknown_action_is_warned_of(c):
    c.send("Subject: case-unknown\r\n")
    c.suite.wait_log(r"warning: \w+: unknown command in header_checks map: FROBNICATE")


def test_redirect_and_bcc_change_the_recipients(c):
    assert "case-redirect" in c.arrived(c.send("Subject: case-redirect\r\n"), "bob")
    c.suite.wait_queue_empty()
    assert not any("case-redirect" in p.read_text() for p in c.suite.messages("alice"))
    answer = c.send("Subject: case-bcc\r\n")
    assert "case-bcc" in c.arrived(answer) and "case-bcc" in c.arrived(answer, "bob")


def test_filter_chooses_the_transport(c):
    queue_id = c.send("Subject: case-filter\r\n").split()[-1]
    c.suite.wait_log(rf"{queue_id}: filter: header Subject: case-filter {FROM}: nowhere:later\.test")
    c.suite.wait_log(rf"{queue_id}: to=<alice@a\.test>.*status=deferred")
    c.suite.tool("postsuper", "-d", queue_id)


def test_a_folded_field_is_one_text(c):
    assert c.send("Subject: case-folded\r\n more\r\n") == "550 5.7.1 folded"


def test_our_own_received_field_is_looked_at(c):
    assert re.search(r"^X-Ours: seen\nReceived: ", c.arrived(c.send()), re.M)


def test_pass_ends_the_checks_of_a_message(c):
    assert c.send("X-Late: 1\r\nX-Pass: 1\r\n") == "550 5.7.1 late"
    assert c.send("X-Pass: 1\r\nX-Late: 1\r\n").startswith("250 ")


def multipart(part):
    return ('MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', f"--b\r\n{part}\r\n--b--\r\n")


def test_fields_of_parts_are_asked_of_mime_header_checks(c):
    assert c.send(*multipart("Content-Type: application/x; name=a.exe\r\n\r\nx")) == "550 5.7.1 no programs"
    c.suite.wait_log(rf"reject: mime_header Content-Type: application/x; name=a\.exe {FROM}: 5\.7\.1 no programs")
    assert c.send(*multipart("Content-Type: application/x; name=a.txt\r\n\r\nname=a.exe")).startswith("250 ")


def test_fields_of_attached_messages_are_asked_of_nested_header_checks(c):
    assert c.send(*multipart("Content-Type: message/rfc822\r\n\r\nSubject: inner-bad\r\n\r\nx")) == "550 5.7.1 inner"
    assert c.send("Subject: inner-bad\r\n").startswith("250 ")
    assert c.send(*multipart("Content-Type: message/rfc822\r\n\r\nSubject: case-reject\r\n\r\nx")).startswith("250 ")


def test_body_lines_are_refused_and_changed(c):
    assert c.send(body="fine\r\nbody-reject me\r\n") == "550 5.7.1 bad line"
    c.suite.wait_log(rf"reject: body body-reject me {FROM}: 5\.7\.1 bad line")
    text = c.arrived(c.send(body="one\r\nbody-replace\r\nbody-prepend\r\nbody-ignore\r\ntwo\r\n"))
    assert text.split("\n\n", 1)[1] == "one\nother\nbefore\nbody-prepend\ntwo\n"


def test_a_body_line_can_redirect_and_hold(c):
    assert "body-redirect" in c.arrived(c.send(body="body-redirect\r\n"), "bob")
    queue_id = c.send(body="body-hold\r\n").split()[-1]
    assert [m["queue_name"] for m in c.suite.queue() if m["queue_id"] == queue_id] == ["hold"]
    c.suite.tool("postsuper", "-d", queue_id)


def test_only_the_beginning_of_a_part_is_looked_at(c):
    filler = ("x" * 70 + "\r\n") * 800
    assert c.send(body=filler + "body-reject\r\n").startswith("250 ")
    assert len(c.arrived(c.send(body=filler * 10))) > 500000


def test_fields_that_a_filter_adds_are_asked_of_milter_header_checks(c):
    c.filter.script = {"EOM": [add_header("X-Spam", "yes"), add_header("X-Drop", "me"), add_header("X-Other", "1"),
                               milter.CONTINUE]}
    head = c.arrived(c.send()).split("\n\n")[0]
    assert "\nX-Junk: yes\nX-Other: 1" in head and "X-Spam" not in head and "X-Drop" not in head
    c.filter.script = {"EOM": [add_header("X-Refuse", "me"), milter.CONTINUE]}
    assert c.send() == "550 5.7.1 by the check"
    c.filter.reset()


def test_copies_go_where_always_bcc_and_the_bcc_maps_say(make_instance):
    suite = make_instance(users=("alice", "bob", "all", "from", "to"), params={
        "always_bcc": "all@a.test", "sender_bcc_maps": "inline:{ann@b.test=from@a.test}",
        "recipient_bcc_maps": "inline:{@a.test=to@a.test}"})
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"]) as smtp:
        smtp.sendmail("ann@b.test", ["alice@a.test"], "Subject: copies\r\n\r\nx")
    for user in ("alice", "all", "from", "to"):
        assert "for <alice@a.test>" in suite.wait_messages(user, 1)[0].read_text()
    suite.wait_queue_empty()
    assert [len(suite.messages(u)) for u in ("alice", "bob", "all", "from", "to")] == [1, 0, 1, 1, 1]
