# SPDX-License-Identifier: Apache-2.0
"""IMAP extensions, in scripted sessions of two or three clients at once."""
import re
import socket

import pytest

MESSAGE = b"From: ann@b.test\r\nSubject: letter\r\n\r\nbody\r\n"


class Client:
    """One IMAP connection that speaks plainly: what is sent, what comes back, byte for byte."""

    def __init__(self, suite, user):
        self.sock = socket.create_connection(("127.0.0.1", suite.port["imap"]), 60)
        self.file = self.sock.makefile("rb")
        self.tags = 0
        assert self.file.readline().startswith(b"* OK")
        self.ok(f'LOGIN {suite.address(user)} "{suite.password}"')

    def run(self, command):
        """Send one command; its untagged lines and the tagged answer without its tag."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.sock.sendall(tag + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        lines = []
        while not (line := self.file.readline()).startswith(tag + b" "):
            assert line, f"closed after {command}"
            lines.append(line.rstrip(b"\r\n").decode())
        return lines, line[len(tag) + 1:].rstrip(b"\r\n").decode()

    def ok(self, command):
        lines, answer = self.run(command)
        assert answer.startswith("OK"), (command, answer)
        return lines, answer

    def append(self, n, mailbox="INBOX"):
        for _ in range(n):
            self.ok(b"APPEND %s {%d+}\r\n" % (mailbox.encode(), len(MESSAGE)) + MESSAGE)

    def close(self):
        self.ok("LOGOUT")
        self.file.close()
        self.sock.close()


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol"))


def code(lines, name):
    """The number in "* OK [NAME number]" among the lines."""
    return int(next(m[1] for line in lines if (m := re.search(rf"\[{name} (\d+)\]", line))))


# ---- QRESYNC (RFC 7162) ----

def test_a_client_that_was_away_learns_by_qresync_what_changed_and_what_vanished(suite):
    away, other = Client(suite, "alice"), Client(suite, "alice")
    other.append(8)
    away.ok("ENABLE QRESYNC")
    lines, _ = away.ok("SELECT INBOX")
    validity, modseq = code(lines, "UIDVALIDITY"), code(lines, "HIGHESTMODSEQ")
    away.ok("UNSELECT")

    other.ok("SELECT INBOX")
    other.ok("STORE 2,3,5 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    other.ok("UID STORE 7 +FLAGS (\\Flagged)")
    other.append(1)

    lines, _ = away.ok(f"SELECT INBOX (QRESYNC ({validity} {modseq}))")
    assert "* 6 EXISTS" in lines and "* VANISHED (EARLIER) 2:3,5" in lines
    changed = [line for line in lines if " FETCH " in line]
    assert [re.search(r"UID (\d+)", line)[1] for line in changed] == ["7", "9"]
    assert "FLAGS (\\Flagged)" in changed[0]
    assert lines.index("* VANISHED (EARLIER) 2:3,5") < lines.index(changed[0])

    # only what it knows; nothing under another UIDVALIDITY
    lines, _ = away.ok(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:3 (1 1)))")
    assert "* OK [CLOSED] " in lines[0]
    assert "* VANISHED (EARLIER) 2:3" in lines and not [line for line in lines if " FETCH " in line]
    lines, _ = away.ok(f"SELECT INBOX (QRESYNC ({validity + 1} {modseq}))")
    assert not [line for line in lines if "VANISHED" in line or " FETCH " in line]
    away.close()
    other.close()


def test_vanished_replaces_expunge_only_for_clients_that_enabled_qresync(suite):
    new, old, third = (Client(suite, "bob") for _ in range(3))
    new.append(4)
    new.ok("ENABLE QRESYNC")
    for client in (new, old, third):
        client.ok("SELECT INBOX")
    third.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    third.ok("EXPUNGE")
    assert [line for line in old.ok("NOOP")[0] if "EXPUNGE" in line] == ["* 2 EXPUNGE", "* 1 EXPUNGE"]
    lines, _ = new.ok("NOOP")
    assert "* VANISHED 1:2" in lines and not [line for line in lines if "EXPUNGE" in line]

    # its own commands, too; the answer tells the modseq that all of this has brought
    new.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    lines, answer = new.ok("UID EXPUNGE 3")
    assert lines == ["* VANISHED 3"] and re.match(r"OK \[HIGHESTMODSEQ \d+\]", answer)
    assert old.ok("NOOP")[0] == ["* 1 EXPUNGE"]
    for client in (new, old, third):
        client.close()
