# SPDX-License-Identifier: Apache-2.0
"""Reports on what became of mail, field by field, and who gets them."""
import contextlib
import email
import os
import random
import re
import signal
import smtplib
import time
from collections import defaultdict
from email.utils import parsedate_to_datetime

import pytest

from dsn import Report
from receiver import Receiver


class Post:
    """An instance whose mail leaves to scripted receivers: local parts say what they answer."""

    def __init__(self, make_instance):
        self.busy = set()           # local parts that are put off while they are in here
        self.knows_dsn = Receiver(self.answer)
        self.plain = Receiver(self.answer, ehlo=("PIPELINING", "8BITMIME", "SMTPUTF8"))
        self.suite = make_instance(users=("alice", "bob", "postmaster"), params={
            "relayhost": f"[127.0.0.1]:{self.knows_dsn.port}", "myorigin": "a.test",
            "transport_maps": f"inline:{{ {{plain.test = smtp:[127.0.0.1]:{self.plain.port}}}"
                              " {void.test = error:5.1.2 no such place} }",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", "smtpd_recipient_limit": "5000",
            "mydestination": "l.test", "alias_maps": "inline:{ {team = bad@b.test, ok@b.test} {list = bad@b.test}"
                                                     " {owner-list = alice@a.test} {bosses = bob@a.test} }",
            "bounce_template_file": "$config_directory/bounce.cf", "virtual_alias_maps": "inline:{ {old@a.test = bad@b.test} }",
        }, start=False)
        (self.suite.config / "bounce.cf").write_text("# nothing yet\n")
        (self.suite.config / "spam").write_text("/^X-Spam-Flag: YES/ drop\n")
        self.suite.start()

    def answer(self, verb, argument, attempt):
        if verb != "RCPT":
            return None
        user = re.search(r"<([^@>]*)", argument)[1]
        if user.startswith(("bad", "schlecht")):
            return "550 5.1.1 no such user"
        return "451 4.3.0 come back later" if user in self.busy else None

    def configure(self, **params):
        self.suite.set(**params)
        self.suite.reload()

    def send(self, to, sender="alice@a.test", options=(), rcpt_options=(), header="", body="body\r\n"):
        with smtplib.SMTP("127.0.0.1", self.suite.port["smtp"], "client.test") as s:
            refused = s.sendmail(sender, to, f"From: {sender}\r\nSubject: test\r\n{header}\r\n{body}".encode(),
                                 list(options), list(rcpt_options))
        assert not refused

    def take(self, user="alice", n=1):
        """The reports in a mailbox, which is empty then."""
        paths = self.suite.wait_messages(user, n)
        assert len(paths) == n
        raws = [p.read_bytes() for p in paths]
        for p in paths:
            p.unlink()
        return raws

    def report(self, user="alice", n=1):
        raw, = self.take(user)
        assert raw.startswith(b"Return-Path: <>\n")
        return Report(raw)

    def settled(self):
        self.suite.wait_queue_empty()

    def nothing_for(self, *users):
        self.settled()
        assert [self.suite.messages(u) for u in users] == [[] for _ in users]


@pytest.fixture(scope="module")
def post(make_instance):
    p = Post(make_instance)
    yield p
    p.suite.stop()
    p.knows_dsn.close()
    p.plain.close()


@pytest.fixture(autouse=True)
def clean(post):
    yield
    post.busy.clear()
    for user in ("alice", "bob", "postmaster"):
        for p in post.suite.messages(user):
            p.unlink()


# ---- failures ----

def test_a_failure_has_every_field_of_the_standard(post):
    before = int(time.time()) - 1
    post.send("bad@b.test", options=["ENVID=QQ+2B314", "RET=FULL"],
              rcpt_options=["NOTIFY=FAILURE", "ORCPT=rfc822;worse+40b.test"])
    r = post.report()
    queue_id = r.fields["x-postern-queue-id"]
    assert r.fields["reporting-mta"] == "dns; mx.a.test"
    assert r.fields["original-envelope-id"] == "QQ+314"
    assert r.fields["x-postern-sender"] == "rfc822; alice@a.test"
    rcpt = r["bad@b.test"]
    assert rcpt["original-recipient"] in ("rfc822; worse@b.test", "rfc822;worse@b.test")
    assert (rcpt["action"], rcpt["status"]) == ("failed", "5.1.1")
    assert rcpt["remote-mta"] == "dns; [127.0.0.1]"
    assert rcpt["diagnostic-code"] == "smtp; 550 5.1.1 no such user"
    assert r.message["Subject"] == "Undelivered Mail Returned to Sender"
    assert r.message["From"] == "MAILER-DAEMON@a.test (Mail Delivery System)"
    assert r.message["To"] == "alice@a.test"
    assert "This is the mail system at host mx.a.test." in r.text and "<bad@b.test>: host" in r.text
    assert r.whole and "Subject: test\n" in r.returned and r.returned.rstrip().endswith("body")
    post.suite.wait_log(rf"{queue_id}: sender non-delivery notification: \w+")
    assert parsedate_to_datetime(r.fields["arrival-date"]).timestamp() >= before


@pytest.mark.parametrize("options, size, whole", [
    (["RET=HDRS"], 10, False), (["RET=FULL"], 10, True), ([], 10, True), ([], 60000, False), (["RET=FULL"], 60000, False),
])
def test_ret_and_bounce_size_limit_decide_how_much_comes_back(post, options, size, whole):
    post.send("bad@b.test", options=options, body=("x" * 70 + "\r\n") * (size // 72) + "last line\r\n")
    r = post.report()
    assert r.whole == whole
    assert "Subject: test" in r.returned
    assert ("last line" in r.returned) == whole


def test_recipients_that_fail_together_share_one_report_and_the_others_are_not_in_it(post):
    post.send(["bad1@b.test", "ok@b.test", "bad2@plain.test", "x@void.test"])
    r = post.report()
    assert {x["final-recipient"] for x in r.recipients} == {f"rfc822; {a}" for a in
                                                            ("bad1@b.test", "bad2@plain.test", "x@void.test")}
    assert r["x@void.test"]["status"] == "5.1.2"
    assert r["x@void.test"]["diagnostic-code"] == "X-Postern; no such place"
    assert "remote-mta" not in r["x@void.test"]


def test_a_report_on_thousands_of_recipients_is_one_report(post):
    post.configure(message_size_limit="200000")        # less than the report has
    post.send([f"user-with-a-long-name-{i}@void.test" for i in range(3000)])
    raw, = post.take()
    r = Report(raw)
    assert len(raw) > 200000 and len(r.recipients) == 3000
    post.configure(message_size_limit="10240000")


def test_notify_never_silences_the_failure(post):
    post.send("bad@b.test", rcpt_options=["NOTIFY=NEVER"])
    post.suite.wait_log(r"to=<bad@b\.test>.*status=bounced")
    post.nothing_for("alice", "postmaster")


def test_smtputf8_mail_gets_the_global_forms(post):
    with smtplib.SMTP("127.0.0.1", post.suite.port["smtp"], "client.test") as s:
        s.ehlo()
        s.command_encoding = "utf-8"
        s.mail("alice@a.test", ["SMTPUTF8", "BODY=8BITMIME"])
        assert s.rcpt("schlechter-größe@plain.test")[0] == 250
        assert s.data("Subject: Grüße\r\n\r\nbody\r\n".encode())[0] == 250
    raw, = post.take()
    r = Report(raw)
    assert r.utf8 and r.whole
    assert r["schlechter-größe@plain.test"]["final-recipient"].startswith("utf-8; ")
    assert "schlechter-größe" in r.text and "Subject: Grüße" in r.returned


@pytest.mark.parametrize("programs", [("bounce",), ("qmgr",), ("bounce", "qmgr")])
def test_it_may_be_killed_however_often_and_each_sender_gets_his_report_once(post, programs):
    """A qmgr that is killed may have the report itself delivered again: that is the same one, by its Message-ID."""
    kills, n = 0, 40
    for i in range(n):
        post.send([f"bad-{i}@void.test", f"worse-{i}@void.test"])
        time.sleep(random.uniform(0, 0.05))         # at any moment of it
        for pid in post.suite.pids(programs[i % len(programs)]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    post.suite.wait_queue_empty(30)
    told = defaultdict(set)
    for path in post.suite.messages("alice"):
        r = Report(path.read_bytes())
        told[tuple(sorted(x["final-recipient"] for x in r.recipients))].add(r.message["Message-ID"])
    assert set(told) == {(f"rfc822; bad-{i}@void.test", f"rfc822; worse-{i}@void.test") for i in range(n)}
    assert kills
    assert [who for who, reports in told.items() if len(reports) > 1] == [], kills


# ---- delays ----

def test_a_delay_is_told_once_then_its_end(post):
    post.configure(delay_warning_time="1s", confirm_delay_cleared="yes", notify_classes="delay")
    post.busy.add("slow")
    post.send(["slow@b.test", "bob@a.test"])
    r = post.report()
    assert [x["action"] for x in r.recipients] == ["delayed"]
    assert r["slow@b.test"]["status"] == "4.3.0" and "will-retry-until" in r["slow@b.test"]
    assert not r.whole
    assert r.message["Subject"] == "Delayed Mail (still being retried)"
    assert "WARNING ONLY" in r.text and "5 day(s)" in r.text
    copy, = post.take("postmaster")
    assert Report(copy).message["Subject"] == "Postmaster Warning: Delayed Mail"
    assert copy.startswith(b"Return-Path: <double-bounce@a.test>\n")
    post.suite.wait_log(r"to=<slow@b\.test>.*status=deferred", count=3)
    assert post.suite.messages("alice") == []           # no second warning
    post.busy.clear()
    cleared = post.report()
    assert [x["action"] for x in cleared.recipients] == ["relayed"]
    post.settled()
    post.configure(delay_warning_time="0", confirm_delay_cleared="no", notify_classes="resource")


def test_who_did_not_ask_for_delays_hears_of_none(post):
    post.configure(delay_warning_time="1s")
    post.busy.add("slow")
    put_off = r"to=<slow@b\.test>.*status=deferred"
    before = len(post.suite.log_lines(put_off))
    post.send("slow@b.test", rcpt_options=["NOTIFY=FAILURE"])
    post.suite.wait_log(put_off, count=before + 3)      # the third attempt is two seconds later
    post.busy.clear()
    post.nothing_for("alice")
    post.configure(delay_warning_time="0")


# ---- successes ----

@pytest.mark.parametrize("to, actions", [
    ("bob@a.test", ["delivered"]),                      # a mailbox
    ("ok@plain.test", ["relayed"]),                     # a next hop without DSN
    ("ok@b.test", []),                                  # one that reports itself
    ("bosses@l.test", ["expanded"]),                    # an alias
    ("list@l.test", ["delivered"]),                     # a list
])
def test_notify_success_tells_how_far_it_went(post, to, actions):
    post.send(to, rcpt_options=["NOTIFY=SUCCESS", f"ORCPT=rfc822;{to}"])
    if actions:
        r = post.report() if not to.startswith("list") else next(
            x for x in map(Report, post.take(n=2)) if x.recipients[0]["action"] == "delivered")
        assert [x["action"] for x in r.recipients] == actions
        assert r.message["Subject"] == "Successful Mail Delivery Report"
        assert not r.whole
        assert r[to]["status"].startswith("2.")
    post.nothing_for("alice")
    if to == "ok@b.test":
        assert any("NOTIFY=SUCCESS" in rcpt for _, rcpts, _ in post.knows_dsn.messages for rcpt in rcpts)


def test_members_of_an_alias_fail_to_the_sender_and_members_of_a_list_to_its_owner(post):
    post.send("team@l.test", sender="bob@a.test", rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;team@l.test"])
    reports = [Report(raw) for raw in post.take("bob", 2)]
    by_action = {r.recipients[0]["action"]: r for r in reports}
    assert set(by_action) == {"expanded", "failed"}
    assert by_action["failed"]["bad@b.test"]["original-recipient"].endswith("team@l.test")
    post.send("list@l.test", sender="bob@a.test")
    r = post.report("alice")
    assert r.message["To"] == "owner-list@l.test"
    post.nothing_for("bob")


# ---- the postmaster ----

def test_the_postmaster_gets_the_header_of_what_is_returned(post):
    post.configure(notify_classes="bounce")
    post.send("bad@b.test", body="secret words\r\n")
    assert post.report().whole
    raw, = post.take("postmaster")
    r = Report(raw)
    assert raw.startswith(b"Return-Path: <double-bounce@a.test>\n")
    assert r.message["Subject"] == "Postmaster Copy: Undelivered Mail" and r.message["To"] == "postmaster@a.test"
    assert not r.whole and "secret" not in raw.decode() and "mail system at host" not in r.text
    post.suite.wait_log(r"postmaster non-delivery notification: \w+")
    post.configure(notify_classes="resource")


def test_a_report_that_cannot_be_delivered_goes_to_the_postmaster_or_nowhere(post):
    post.send("bad1@b.test", sender="bad2@b.test")
    post.suite.wait_log(r"to=<bad2@b\.test>.*status=bounced")
    post.suite.wait_log(r"undeliverable mail from <> is dropped")
    post.nothing_for("alice", "postmaster")
    post.configure(**{"notify_classes": "2bounce", "2bounce_notice_recipient": "bob@a.test"})
    post.send("bad1@b.test", sender="bad2@b.test")
    raw, = post.take("bob")
    r = Report(raw)
    assert raw.startswith(b"Return-Path: <double-bounce@a.test>\n")
    assert r["bad2@b.test"]["action"] == "failed" and "bad1@b.test" in r.returned
    post.nothing_for("alice", "postmaster")


def test_an_undeliverable_notification_of_the_postmaster_ends_there(post):
    post.configure(**{"notify_classes": "2bounce", "2bounce_notice_recipient": "bad3@b.test"})
    post.send("bad1@b.test", sender="bad2@b.test")
    post.suite.wait_log(r"undeliverable postmaster notification discarded")
    post.nothing_for("alice", "bob", "postmaster")
    post.configure(notify_classes="resource")


def test_bounce_queue_lifetime_ends_the_tries_for_mail_that_has_no_sender_to_tell(post):
    post.busy.update(("busy", "busy2"))
    post.configure(bounce_queue_lifetime="0", maximal_queue_lifetime="5d")
    try:
        post.send("busy@b.test")                                # has a sender: is kept
        post.suite.wait_log(r"to=<busy@b\.test>.*status=deferred")
        post.send("bad1@b.test", sender="busy2@b.test")         # its report has none
        post.suite.wait_log(r"to=<busy2@b\.test>.*status=deferred \(host .* said: 451 4\.3\.0 come back later")
        post.suite.wait_log(r"from=<>, status=expired, returned to sender")
        assert not re.search(r"from=<alice@a\.test>, status=expired", post.suite.log())
    finally:
        post.configure(bounce_queue_lifetime="5d", notify_classes="resource")
    post.busy.clear()
    post.suite.tool("postqueue", "-f")
    post.settled()


def test_the_classes_and_recipients_have_the_defaults_of_postfix(post):
    assert "resource, software" in post.suite.tool("postconf", "-d", "notify_classes")
    assert post.suite.tool("postconf", "-dh", "2bounce_notice_recipient") == "postmaster\n"


@pytest.mark.parametrize("classes, commands, reader", [
    ("protocol", ["EHLO c.test", "NONSENSE \x1b[2J"], "postmaster"),
    ("policy", ["EHLO c.test", "MAIL FROM:<x@y.test>", "RCPT TO:<nobody@a.test>"], "postmaster"),
    ("bounce", ["EHLO c.test", "MAIL FROM:<x@y.test>", "RCPT TO:<nobody@a.test>"], "bob"),
    ("policy", ["EHLO c.test", "NONSENSE"], None),
    ("resource, software", ["EHLO c.test", "NONSENSE"], None),
])
def test_the_postmaster_gets_the_transcript_of_a_session_that_went_wrong(post, classes, commands, reader):
    post.configure(notify_classes=classes, bounce_notice_recipient="bob")
    with smtplib.SMTP("127.0.0.1", post.suite.port["smtp"], "client.test") as s:
        codes = [s.docmd(c)[0] for c in commands]
    if reader:
        raw, = post.take(reader)
        m = email.message_from_bytes(raw)
        assert raw.startswith(b"Return-Path: <double-bounce@a.test>\n")
        assert m["Subject"] == "Postern SMTP server: errors from unknown[127.0.0.1]"
        text = m.get_payload()
        assert " Out: 220 mx.a.test" in text and f" In:  {commands[-1]}".replace("\x1b", "?") in text
        assert f" Out: {codes[-1]} " in text and " Out: 221 " in text
    post.nothing_for(*{"alice", "bob", "postmaster"} - {reader})
    post.configure(notify_classes="resource", bounce_notice_recipient="postmaster")


@pytest.mark.parametrize("trouble, action, reply", [
    ("data", "fail:broken", "451 4.3.0 "),
    ("software", "inline:{y.test=NONSENSE_ACTION}", "451 4.3.5 "),
])
@pytest.mark.parametrize("told", [True, False])
def test_the_postmaster_hears_of_trouble_of_the_class_he_asked_for(post, trouble, action, reply, told):
    classes = {"resource", "data", "software"}
    post.configure(notify_classes=trouble if told else ", ".join(classes - {trouble}),
                   smtpd_sender_restrictions=f"check_sender_access {action}", smtpd_delay_reject="no")
    try:
        with smtplib.SMTP("127.0.0.1", post.suite.port["smtp"], "client.test") as s:
            s.docmd("EHLO c.test")
            code, text = s.docmd("MAIL FROM:<x@y.test>")
            assert f"{code} {text.decode()}".startswith(reply)
    finally:
        post.configure(notify_classes="resource", smtpd_sender_restrictions="", smtpd_delay_reject="yes")
    if told:
        raw, = post.take("postmaster")
        assert f" Out: {reply}".encode() in raw and b" In:  MAIL FROM:<x@y.test>" in raw
    post.nothing_for(*{"alice", "bob", "postmaster"} - ({"postmaster"} if told else set()))


@pytest.mark.parametrize("told", [True, False])
def test_the_postmaster_hears_of_a_full_disk_though_it_refuses_the_mail_of_others(post, told):
    post.configure(queue_minfree="1000000000000000", notify_classes="resource" if told else "software")
    try:
        with pytest.raises(smtplib.SMTPException) as refused:
            post.send("ok@b.test")
        assert "4.3.1 Insufficient system storage" in str(refused.value)
        if told:
            raw, = post.take("postmaster")
            assert b" Out: 452 4.3.1 Insufficient system storage" in raw
        post.nothing_for(*{"alice", "bob", "postmaster"} - ({"postmaster"} if told else set()))
    finally:
        post.configure(queue_minfree="0", notify_classes="resource")


# ---- templates ----

TEMPLATE = """\
failure_template = <<DONE
Charset: utf-8
From: "Die Post" <post>
Subject: Zurück
Postmaster-Subject: copy

kaputt
DONE

delay_template = <<EOF
Subject: Later

wait $delay_warning_time_hours of $maximal_queue_lifetime_days for $$5 at ${myhostname}
EOF
"""


def test_postconf_shows_templates_as_written_and_expanded(post):
    path = post.suite.config / "try.cf"
    path.write_text(TEMPLATE.replace("Zurück", "Back"))
    raw = post.suite.tool("postconf", "-t", path)
    assert 'From: "Die Post" <post>\n' in raw and "wait $delay_warning_time_hours of" in raw
    shown = post.suite.tool("postconf", "-b", path)
    assert "expanded_delay_text = <<EOF\nwait 0 of 5 for $5 at mx.a.test\nEOF\n" in shown
    path.write_text(raw)
    assert post.suite.tool("postconf", "-t", path) == raw
    assert "warning: " in post.suite.tool("postconf", "-t", path.with_name("absent"), check=False).stderr


def test_a_template_file_is_used_as_soon_as_it_changes_and_a_broken_template_is_not(post):
    file = post.suite.config / "bounce.cf"
    file.write_text(TEMPLATE.replace("Zurück", "Back").replace("kaputt", "leider übel, $myhostname"))
    post.suite.reload()
    post.send("bad@b.test")
    r = post.report()
    assert r.message["Subject"] == "Back" and r.message["From"] == '"Die Post" <post@a.test>'
    assert "leider übel, mx.a.test\n" in r.text
    file.write_text(TEMPLATE)
    post.suite.wait_log(r"warning: \S+bounce\.cf, line 4: a header field needs a value, .*; using the built-in template", 20)
    post.send("bad@b.test")
    assert post.report().message["Subject"] == "Undelivered Mail Returned to Sender"


# ---- backscatter ----

@pytest.mark.parametrize("params, header, told", [
    ({"bounce_report_origins": "local, authenticated"}, "", False),
    ({"bounce_report_origins": "mynetworks"}, "", True),
    ({"bounce_report_suppress_checks": "regexp:$config_directory/spam"}, "X-Spam-Flag: YES\r\n", False),
    ({"bounce_report_suppress_checks": "regexp:$config_directory/spam"}, "X-Spam-Flag: NO\r\n", True),
])
def test_reports_are_withheld_where_they_would_be_backscatter(post, params, header, told):
    before = len(post.suite.log_lines("suppressed: "))
    post.configure(**params)
    post.send("bad@b.test", header=header)
    if told:
        post.report()
    else:
        post.suite.wait_log(r"sender non-delivery notification to <alice@a\.test> suppressed: ", count=before + 1)
    post.nothing_for("alice")
    post.suite.tool("postconf", "-X", *params)
    post.suite.reload()


def test_one_address_gets_no_more_reports_than_the_limit(post):
    post.configure(bounce_report_rate_limit="2")
    for _ in range(4):
        post.send("bad@b.test")
    post.suite.wait_log(r"suppressed: bounce_report_rate_limit is reached", count=2)
    post.settled()
    assert len(post.suite.messages("alice")) == 2
    post.configure(bounce_report_rate_limit="0")


# ---- the original recipient ----

def test_enable_original_recipient_decides_whether_the_first_address_is_kept(post):
    post.send("old@a.test")
    r = post.report()
    assert r["bad@b.test"]["original-recipient"] == "rfc822; old@a.test"
    post.configure(enable_original_recipient="no")
    post.send("old@a.test")
    raw, = post.take()
    assert "original-recipient" not in Report(raw)["bad@b.test"] and b"X-Original-To" not in raw
    post.configure(enable_original_recipient="yes")
