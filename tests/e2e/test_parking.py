# SPDX-License-Identifier: Apache-2.0
"""Sessions that park: the process ends, the client notices nothing."""
import os
import re
import time

import pytest

from imap_client import Client, close
from instance import SLOW, wait_until

MESSAGE = b"From: ann@b.test\r\nSubject: letter\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol", "dave"),
                         params={"imap_hibernate_timeout": "1s"})


def both(suite, user):
    """The same client without and with TLS."""
    return [Client(suite, user), Client(suite, user, tls=True)]


def test_a_silent_client_finds_its_session_again(suite):
    clients, other = both(suite, "alice"), Client(suite, "alice")
    fill(other, 5)
    for client in clients:
        client.ok("ENABLE CONDSTORE")
        client.ok("SELECT INBOX")
    before = clients[0].ok("FETCH 1:* (UID)")
    suite.wait_parked()
    for client in clients:
        assert client.ok("FETCH 1:* (UID)") == before
    close(*clients, other)


def fill(client, n, mailbox="INBOX"):
    for _ in range(n):
        client.append(MESSAGE, mailbox)


def deliver(suite, user):
    """A message comes by another way than ours: a file in new/."""
    maildir = next(p for p in suite.mail.rglob("new") if user in str(p))
    tmp = maildir.parent / "tmp" / f"{time.time_ns()}.test"
    tmp.write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    os.chown(tmp, suite.owner.pw_uid, suite.owner.pw_gid)
    tmp.rename(maildir / tmp.name)


SOON = 0.1 * SLOW


def rounds(times):
    """Three; more where the machine was busy with something else in each."""
    for n in range(1, 20):
        yield n
        if n >= 3 and min(times) < SOON:
            return


def test_a_parked_client_in_idle_hears_of_a_delivery_within_100_ms(suite):
    clients = both(suite, "bob")
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    times = []
    for n in rounds(times):
        suite.wait_parked()
        began = time.monotonic()
        deliver(suite, "bob")
        for client in clients:
            assert client.line() == f"* {n} EXISTS"
        times.append(time.monotonic() - began)
        for client in clients:
            assert client.line().endswith("RECENT")
    assert min(times) < SOON, times
    suite.wait_parked()
    for client in clients:
        lines, answer = client.done()
        assert lines == [] and answer.startswith("OK")
    close(*clients)


def test_another_session_s_changes_reach_a_parked_client_in_idle(suite):
    clients, other = both(suite, "carol"), Client(suite, "carol")
    fill(other, 6)
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    other.ok("SELECT INBOX")
    times = []
    for n in rounds(times):
        sign = "+" if n % 2 else "-"
        suite.wait_parked()
        began = time.monotonic()
        other.ok(f"STORE 2 {sign}FLAGS (\\Flagged)")
        for client in clients:
            line = client.line()
            assert line.startswith("* 2 FETCH (FLAGS (") and ("\\Flagged" in line) == (sign == "+")
        times.append(time.monotonic() - began)
    assert min(times) < SOON, times
    suite.wait_parked()
    other.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    for client in clients:
        for n in (1, 3):
            assert client.line().startswith(f"* {n} FETCH (FLAGS (")
    suite.wait_parked()
    other.ok("EXPUNGE")
    for client in clients:
        assert [client.line(), client.line()] == ["* 3 EXPUNGE", "* 1 EXPUNGE"]
        client.done()
    # What it missed while it was silent it hears with its next command, and its numbers are the right ones.
    suite.wait_parked()
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    fill(other, 1)
    for client in clients:
        lines = client.ok("NOOP")
        assert "* 2 EXPUNGE" in lines and "* 4 EXISTS" in lines
        assert lines.index("* 2 EXPUNGE") < lines.index("* 4 EXISTS")
        assert client.ok("FETCH 1:* (UID)") == [f"* {n} FETCH (UID {uid})" for n, uid in zip(range(1, 5), (2, 5, 6, 7))]
    close(*clients, other)


def test_what_was_enabled_stays_enabled(suite):
    client, other = Client(suite, "dave"), Client(suite, "dave")
    fill(other, 3)
    client.ok("ENABLE QRESYNC")
    client.ok("SELECT INBOX")
    uids = [re.search(r"UID (\d+)", line)[1] for line in client.ok("FETCH 1:* (UID)")]
    client.idle()
    suite.wait_parked()
    other.ok("SELECT INBOX")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    line = client.line()
    assert "MODSEQ (" in line and f"UID {uids[1]}" in line
    other.ok("EXPUNGE")
    assert client.line() == f"* VANISHED {uids[1]}"
    client.done()
    client.close(), other.close()


def test_a_parked_client_may_pipeline_done_and_commands_or_leave(suite):
    left = r"imap\(alice@a\.test\)<\d+><.*>: Disconnected: Connection closed in=\d+ out=\d+"
    clients, leaving = both(suite, "alice"), both(suite, "alice")
    for client in clients + leaving:
        client.ok("EXAMINE INBOX")
        client.idle()
    suite.wait_parked()
    before = len(suite.log_lines(left))
    close(*leaving)
    wait_until(lambda: len(suite.log_lines(left)) == before + 2, 10, "the log lines of clients that left while parked")
    assert not suite.sessions()
    for client in clients:
        client.send("DONE\r\na1 NOOP\r\na2 LOGOUT")
        assert client.answer("i1")[1].startswith("OK") and client.answer("a1")[1].startswith("OK")
        assert client.answer("a2")[0] == ["* BYE Logging out"]
        assert client.line() == ""
    close(*clients)


def test_a_parked_client_in_idle_is_kept_alive(make_instance):
    suite = make_instance(users=("alice",), params={"imap_hibernate_timeout": "1s", "imap_idle_notify_interval": "3s"})
    client = Client(suite, "alice")
    client.ok("SELECT INBOX")
    client.idle()
    suite.wait_parked()
    assert client.line() == "* OK Still here"
    assert not suite.sessions()
    client.close()


def test_a_parked_client_is_woken_also_after_auth_was_killed(suite):
    clients = both(suite, "alice")
    for client in clients:
        client.ok("SELECT INBOX")
    suite.wait_parked()
    os.kill(next(pid for pid, name in suite.processes().items() if name == "auth"), 9)
    for client in clients:
        client.ok("NOOP")
    close(*clients)
