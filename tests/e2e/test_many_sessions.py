# SPDX-License-Identifier: Apache-2.0
"""500 SMTP and 500 idle IMAP sessions at once, and a slow client beside them; all else is as by default."""
import resource
import smtplib

import pytest

from instance import wait_until
from lines import LineClient

N = 500


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(params={"mail_max_userip_connections": N})


def test_500_smtp_sessions_at_once_are_all_served(suite):
    sessions = [LineClient(suite.port["smtp"]) for _ in range(N)]
    for s in sessions:
        assert s.line().startswith("220 ")
    for s in sessions:
        s.send("EHLO client.test")
    for s in sessions:
        s.until("250 ")
    before = len(suite.messages("bob"))
    for s in sessions[::10]:
        s.send("MAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA")
        s.until("354 ")
        s.send("Subject: x\r\n\r\nbody\r\n.")
        s.until("250 2.0.0 Ok: queued")
    for s in sessions:
        s.send("QUIT")
        s.until("221 ")
        s.close()
    suite.wait_messages("bob", before + N // 10)


def test_500_idle_imap_sessions_at_once_all_hear_of_a_new_message(suite):
    sessions = [LineClient(suite.port["imap"]) for _ in range(N)]
    for s in sessions:
        s.until("* OK")
        s.send(f"a LOGIN alice@a.test {suite.password}")
    for s in sessions:
        assert s.until("a ").startswith("a OK")
        s.send("b SELECT INBOX")
    for s in sessions:
        assert s.until("b ").startswith("b OK")
        s.send("c IDLE")
    for s in sessions:
        s.until("+ ")
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as smtp:
        smtp.sendmail("bob@a.test", "alice@a.test", "Subject: wake up\r\n\r\nnow\r\n")
    for s in sessions:
        s.until("* 1 EXISTS")
    for s in sessions:
        s.send("DONE")
    for s in sessions:
        s.until("c OK")
        s.close()
    wait_until(lambda: len(suite.pids("imapd")) <= 2, 30, "the end of the session processes")


def test_a_slow_client_does_not_delay_the_others(suite):
    slow = LineClient(suite.port["smtp"])
    slow.line()
    slow.send("EHLO slow.test")
    slow.until("250 ")
    slow.send("MAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA")
    slow.until("354 ")
    slow.sock.sendall(b"Subject: slo")          # and no more for now
    before = len(suite.messages("bob"))
    for _ in range(20):
        with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test", timeout=60) as smtp:
            smtp.sendmail("alice@a.test", "bob@a.test", "Subject: fast\r\n\r\nx\r\n")
    suite.wait_messages("bob", before + 20)
    slow.sock.sendall(b"w\r\n\r\nat last\r\n.\r\n")
    slow.until("250 2.0.0 Ok")
    suite.wait_messages("bob", before + 21)
    slow.close()
