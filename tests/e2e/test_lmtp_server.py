# SPDX-License-Identifier: Apache-2.0
"""smtpd as an LMTP server (RFC 2033), and what LIMITS (RFC 9422) promises."""
import smtplib

import pytest

from instance import free_ports
from lines import SmtpClient

SERVICES = {
    "lmtp": {"smtpd_lmtp_mode": "yes", "smtpd_banner": "$myhostname LMTP $mail_name", "message_size_limit": "2000"},
    "limits": {"smtpd_recipient_limit": "3", "smtpd_transaction_limit": "2", "smtpd_recipient_domain_limit": "1"},
}


@pytest.fixture(scope="module")
def suite(make_instance):
    ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
    services = ["\n".join([f"127.0.0.1:{ports[name]} inet n - n - - smtpd"]
                          + [f"    -o {{ {k} = {v} }}" for k, v in settings.items()])
                for name, settings in SERVICES.items()]
    instance = make_instance(services=services, params={"smtpd_error_sleep_time": "0"})
    instance.ports = ports
    return instance


@pytest.fixture
def lmtp(suite):
    s = SmtpClient(suite.ports["lmtp"])
    assert s.reply() == "220 mx.a.test LMTP Postern"
    yield s
    s.close()


def test_lhlo_is_the_only_hello(lmtp, suite):
    assert lmtp.say("HELO c").startswith("500 5.5.1 ")
    assert lmtp.say("EHLO c").startswith("500 5.5.1 ")
    assert lmtp.say("LHLO c").startswith("250")
    with SmtpClient(suite.port["smtp"]) as s:
        s.reply()
        assert s.say("LHLO c") == "500 5.5.2 Error: command not recognized"


def begin(s, *rcpts):
    assert s.say("LHLO c").startswith("250")
    assert s.say("MAIL FROM:<s@b.test>").startswith("250")
    return [s.say(f"RCPT TO:<{r}>") for r in rcpts]


def test_each_accepted_recipient_has_a_reply_of_its_own_after_the_content(lmtp, suite):
    rcpts = begin(lmtp, "alice@a.test", "nobody@a.test", "bob@a.test")
    assert [r[:3] for r in rcpts] == ["250", "550", "250"]
    assert lmtp.say("DATA").startswith("354")
    replies = [lmtp.say("Subject: by lmtp\r\n\r\nx\r\n."), lmtp.reply()]
    assert all(r.startswith("250 2.0.0 Ok: queued as ") for r in replies) and replies[0] == replies[1]
    assert lmtp.say("NOOP") == "250 2.0.0 Ok"
    suite.wait_queue_empty()
    for user in ("alice", "bob"):
        text, = (p.read_text() for p in suite.messages(user) if "by lmtp" in p.read_text())
        assert "with LMTP id" in text


def test_a_refused_message_is_refused_once_for_each_recipient(lmtp):
    begin(lmtp, "alice@a.test", "bob@a.test")
    assert lmtp.say("DATA").startswith("354")
    big = "x" * 70 + "\r\n"
    assert [lmtp.say(big * 60 + "."), lmtp.reply()] == ["552 5.3.4 Error: message file too big"] * 2
    assert lmtp.say("NOOP") == "250 2.0.0 Ok"


def test_the_last_chunk_of_bdat_is_answered_for_each_recipient_and_others_once(lmtp):
    begin(lmtp, "alice@a.test", "bob@a.test")
    assert lmtp.say("BDAT 14\r\nSubject: x\r\n") == "250 2.0.0 Ok: 14 bytes"
    replies = [lmtp.say("BDAT 3 LAST\r\nx"), lmtp.reply()]
    assert all(r.startswith("250 2.0.0 Ok: 17 bytes queued as ") for r in replies)
    assert lmtp.say("NOOP") == "250 2.0.0 Ok"


def test_data_without_a_recipient_is_503(lmtp):
    begin(lmtp, "nobody@a.test")
    assert lmtp.say("DATA") == "503 5.5.1 Error: no valid recipients"


def test_pythons_lmtp_client_gets_on_with_it(suite):
    with smtplib.LMTP("127.0.0.1", suite.ports["lmtp"], local_hostname="c.test") as c:
        refused = c.sendmail("s@b.test", ["nobody@a.test", "bob@a.test"], "Subject: smtplib lmtp\r\n\r\nx\r\n")
        assert list(refused) == ["nobody@a.test"]       # of several replies at the end it would read only one
    suite.wait_queue_empty()
    assert any("smtplib lmtp" in p.read_text() for p in suite.messages("bob"))


# ---- LIMITS ----

def test_limits_are_announced_and_kept(suite):
    with smtplib.SMTP("127.0.0.1", suite.ports["limits"], local_hostname="c.test") as c:
        c.ehlo()
        assert c.esmtp_features["limits"].split() == ["MAILMAX=2", "RCPTMAX=3", "RCPTDOMAINMAX=1"]
        c.mail("s@b.test")
        assert [c.rcpt(r)[0] for r in ("alice@a.test", "x@other.test", "bob@A.test", "alice@a.test", "bob@a.test")] == \
            [250, 452, 250, 250, 452]
        c.rset()
        assert c.mail("s@b.test")[0] == 250
        c.rset()
        assert c.mail("s@b.test") == (421, b"4.5.3 mx.a.test Error: too many messages in one session")
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], local_hostname="c.test") as c:
        c.ehlo()
        assert c.esmtp_features["limits"] == "RCPTMAX=1000"
