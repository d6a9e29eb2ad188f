# SPDX-License-Identifier: Apache-2.0
"""500 SMTP and 500 idle IMAP sessions at once, and a slow client beside them; all else is as by default."""
import resource
import smtplib
import socket

import pytest

from instance import wait_until

N = 500


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(params={"mail_max_userip_connections": N})


class Line:
    """A connection that speaks lines."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.sock.makefile("rb")

    def read(self):
        return self.file.readline()

    def say(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def until(self, prefix):
        while line := self.read():
            if line.startswith(prefix):
                return line
        raise AssertionError(f"closed before {prefix}")

    def close(self):
        self.file.close()
        self.sock.close()


def test_500_smtp_sessions_at_once_are_all_served(suite):
    sessions = [Line(suite.port["smtp"]) for _ in range(N)]
    for s in sessions:
        assert s.read().startswith(b"220 ")
    for s in sessions:
        s.say("EHLO client.test")
    for s in sessions:
        s.until(b"250 ")
    before = len(suite.messages("bob"))
    for s in sessions[::10]:
        s.say("MAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA")
        s.until(b"354 ")
        s.say("Subject: x\r\n\r\nbody\r\n.")
        s.until(b"250 2.0.0 Ok: queued")
    for s in sessions:
        s.say("QUIT")
        s.until(b"221 ")
        s.close()
    suite.wait_messages("bob", before + N // 10)


def test_500_idle_imap_sessions_at_once_all_hear_of_a_new_message(suite):
    sessions = [Line(suite.port["imap"]) for _ in range(N)]
    for s in sessions:
        s.until(b"* OK")
        s.say(f"a LOGIN alice@a.test {suite.password}")
    for s in sessions:
        assert s.until(b"a ").startswith(b"a OK")
        s.say("b SELECT INBOX")
    for s in sessions:
        assert s.until(b"b ").startswith(b"b OK")
        s.say("c IDLE")
    for s in sessions:
        s.until(b"+ ")
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as smtp:
        smtp.sendmail("bob@a.test", "alice@a.test", "Subject: wake up\r\n\r\nnow\r\n")
    for s in sessions:
        line = s.until(b"* 1 EXISTS")
        assert line
    for s in sessions:
        s.say("DONE")
    for s in sessions:
        s.until(b"c OK")
        s.close()
    wait_until(lambda: len(suite.pids("imapd")) <= 2, 30, "the end of the session processes")


def test_a_slow_client_does_not_delay_the_others(suite):
    slow = Line(suite.port["smtp"])
    slow.read()
    slow.say("EHLO slow.test")
    slow.until(b"250 ")
    slow.say("MAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA")
    slow.until(b"354 ")
    slow.sock.sendall(b"Subject: slo")          # and no more for now
    before = len(suite.messages("bob"))
    for _ in range(20):
        with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test", timeout=10) as smtp:
            smtp.sendmail("alice@a.test", "bob@a.test", "Subject: fast\r\n\r\nx\r\n")
    suite.wait_messages("bob", before + 20)
    slow.sock.sendall(b"w\r\n\r\nat last\r\n.\r\n")
    slow.until(b"250 2.0.0 Ok")
    suite.wait_messages("bob", before + 21)
    slow.close()
