# SPDX-License-Identifier: Apache-2.0
"""One message that takes long: within it, too, the client is looked after, the clock is kept, and nobody else waits.

The messages are such that a search or a structure takes minutes of comparing, and are small: no disk, and no test that a fast
machine could get through in time.
"""
import re
import time

import pytest

from imap_client import Client
from instance import SLOW, wait_until

# Each place of the message begins the searched text and differs from it only 30,000 characters later.
ALIKE = b"Subject: alike\r\n\r\n" + b"a" * 6_000_000 + b"\r\n"
TEXT = b"a" * 30_000 + b"b"
# Each line is to be compared with the boundaries of all multiparts that are open, and ends none.
NESTED = 9000
DEEP = ("".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(NESTED))
        + "\r\n" + "--\r\n" * 2_000_000).encode()


def search(what):
    return what + b" BODY {%d+}\r\n" % len(TEXT) + TEXT


COMMANDS = {
    "search": search(b"SEARCH"),
    "sort": search(b"SORT (DATE) UTF-8"),
    "thread": search(b"THREAD REFERENCES UTF-8"),
    "fetch": b"FETCH 2 BODYSTRUCTURE",
    "fetch-part": b"FETCH 2 BODY.PEEK[1.1.1.MIME]",
    "preview": b"FETCH 2 (PREVIEW EMAILID)",
}


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make_instance(users=("alice",), params={
        "imap_progress_interval": "1s", "message_size_limit": "20000000", "mime_nesting_limit": "10000", "mime_part_limit": "20000"})
    client = Client(suite, "alice")
    for message in (ALIKE, DEEP):
        client.append(message, "INBOX")
    client.append("Subject: small\r\n\r\nbody\r\n")
    client.close()
    return suite


def begin(suite, command):
    """A client in the midst of a command, and the process that works on it."""
    client, pid = suite.session_of("imapd", lambda: Client(suite, "alice"))
    client.ok("SELECT INBOX")
    client.sock.sendall(b"x1 NOOP\r\nx2 " + command + b"\r\n")
    while not client.line().startswith("x1 OK"):
        pass
    return client, pid


@pytest.mark.parametrize("command", COMMANDS)
def test_a_client_that_goes_within_a_message_ends_the_work(suite, command):
    client, pid = begin(suite, COMMANDS[command])
    client.line()       # of progress: it is at work
    gone = time.monotonic()
    client.close()
    suite.wait_log(rf"imap\(alice@a.test\)<{pid}><.*Disconnected: Connection closed", timeout=8)
    assert time.monotonic() - gone < 8 * SLOW


@pytest.mark.parametrize("command", ["search", "fetch"])
def test_progress_is_told_and_nobody_else_waits_within_a_message(suite, command):
    a, _ = begin(suite, COMMANDS[command])
    b = Client(suite, "alice")
    b.ok("SELECT INBOX")
    for _ in range(2):
        b.ok("STORE 1:* +FLAGS.SILENT (\\Flagged)")
        b.ok("COPY 3 INBOX")
        b.append("Subject: new\r\n\r\nbody\r\n")
        b.ok("SEARCH SUBJECT small")
        assert re.fullmatch(r'\* OK \[INPROGRESS \("x2" 0 \d+\)\] .*', a.line())
    for client in (a, b):
        client.close()


def test_the_limit_of_time_is_kept_within_a_message_and_the_session_goes_on(suite):
    suite.set(imap_search_time_limit="1s", imap_progress_interval="1h")
    reloads = len(suite.log_lines("reload"))
    suite.reload()
    wait_until(lambda: len(suite.log_lines("reload")) > reloads, what="the reload")
    client = Client(suite, "alice")
    client.ok("SELECT INBOX")
    for command in COMMANDS.values():
        lines, answer = client.run(command)
        assert answer.startswith("NO [LIMIT] "), (command[:30], answer)
        assert not any("[INPROGRESS" in line for line in lines)
        lines = client.ok("FETCH 3 BODY.PEEK[TEXT]")
        assert lines == ["* 3 FETCH (BODY[TEXT] {6}\r\nbody\r\n)"], lines
    client.close()
