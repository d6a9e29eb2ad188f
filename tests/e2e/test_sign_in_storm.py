# SPDX-License-Identifier: Apache-2.0
"""Many sign-ins at once, of one user and of many: each gets its session, or hears of the limit, and nothing is left behind."""
import re
import selectors
import socket
from pathlib import Path

import pytest

from instance import SANITIZED, SLOW, wait_until

N = 200             # at once; of many users. 4,000 pass as well, in their time
USERS = [f"user{n}" for n in range(40)]
LIMIT = 20


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make_instance(users=("alice",), params={"imap_hibernate_timeout": "1s", "mail_max_userip_connections": LIMIT})
    users, mailboxes = suite.config / "users", suite.config / "vmailbox"
    users.write_text(users.read_text() + "".join(f"{suite.address(u)}:{{PLAIN}}{suite.password}::::::\n" for u in USERS))
    box = mailboxes.read_text().split()[1]
    mailboxes.write_text(mailboxes.read_text() +
                         "".join(f"{suite.address(u)} {box.replace('alice', u)}\n" for u in USERS))
    suite.reload()
    return suite


class Storm:
    """Clients that all say everything at once: sign in, look, and stay."""

    def __init__(self, suite, users):
        self.selector, self.said = selectors.DefaultSelector(), {}
        for user in users:
            sock = socket.create_connection(("127.0.0.1", suite.port["imap"]), 60 * SLOW)
            sock.sendall(f"a LOGIN {suite.address(user)} {suite.password}\r\nb NOOP\r\n".encode())
            self.said[sock] = b""
            self.selector.register(sock, selectors.EVENT_READ)

    def hear(self, tag):
        """Until each has its answer, or was left; how the answers begin."""
        waiting = {sock for sock, said in self.said.items() if self.answer(said, tag) is None}
        while waiting:
            events = self.selector.select(60 * SLOW)
            assert events, f"{len(waiting)} have no answer"
            for key, _ in events:
                got = key.fileobj.recv(65536)
                self.said[key.fileobj] += got
                if not got or self.answer(self.said[key.fileobj], tag) is not None:
                    waiting.discard(key.fileobj)
                if not got:
                    self.selector.unregister(key.fileobj)
        return [self.answer(said, tag) for said in self.said.values()]

    @staticmethod
    def answer(said, tag):
        m = re.search(rf"^{tag} ((OK|NO|BAD)( \[[A-Z]+)?).*\r\n".encode(), said, re.M)
        return m[1].decode() if m else None

    def say(self, text):
        for sock in self.said:
            sock.sendall(text.encode() + b"\r\n")

    def close(self):
        for sock in self.said:
            sock.close()
        self.selector.close()


def memory(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_many_users_at_once_all_get_in_and_park_and_find_their_sessions_again(suite):
    storm = Storm(suite, USERS * (N // len(USERS)))
    assert storm.hear("a") == ["OK [CAPABILITY"] * N
    assert storm.hear("b") == ["OK"] * N
    suite.wait_parked()
    storm.say("c NOOP")
    assert storm.hear("c") == ["OK"] * N
    storm.close()
    wait_until(lambda: not suite.sessions(), 20, "the end of all sessions")
    assert len(suite.log_lines("imap-login: Login: ")) == N
    for program in ("imapd-login", "auth", "anvil", "imapd"):
        assert SANITIZED or all(memory(pid) < 60_000 for pid in suite.pids(program)), program


def test_one_user_gets_as_many_as_he_may_and_no_sign_in_counts_as_failed(suite):
    storm = Storm(suite, ["user0"] * 200)
    answers = storm.hear("a")
    assert set(answers) <= {"OK [CAPABILITY", "NO [LIMIT"}, set(answers)
    assert answers.count("OK [CAPABILITY") >= LIMIT
    storm.close()
    wait_until(lambda: not suite.sessions(), 20, "the end of all sessions")
    assert not suite.log_lines("auth failed")
    suite.settle()                                  # those who count have heard of each end
    again = Storm(suite, ["user0"] * LIMIT)         # and none of the places is lost
    assert again.hear("a") == ["OK [CAPABILITY"] * LIMIT
    again.close()
