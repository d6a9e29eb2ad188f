# SPDX-License-Identifier: Apache-2.0
"""Searches that take long: told to the client, ended by the clock or with the client, in nobody's way."""
import base64
import re

import pytest

from imap_client import Client
from instance import wait_until

# Text beyond ASCII has to be folded, so that each message costs milliseconds; links of one file, so that they cost no disk.
LONG = ("Subject: long\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes("Fünf große Bären\r\n".encode() * 25000).decode().replace("\n", "\r\n"))
MESSAGES = 1024
SEARCH = b"SEARCH CHARSET UTF-8 BODY {7+}\r\nGr\xc3\xbc\xc3\x9fe"


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make_instance(users=("alice",), params={"imap_progress_interval": "0"})
    client = Client(suite, "alice")
    client.ok("CREATE long")
    client.append(LONG, "long")
    client.ok("SELECT long")
    n = 1
    while n < MESSAGES:
        client.ok("COPY 1:* long")
        n *= 2
    client.append("Subject: short\r\n\r\nbody\r\n")
    client.close()
    return suite


def begin(suite, command=SEARCH):
    """A client in the midst of a search, and the process that searches. The NOOP's answer does not wait for the search's."""
    client, pid = suite.session_of("imapd", lambda: Client(suite, "alice"))
    client.ok("SELECT long")
    client.sock.sendall(b"x1 NOOP\r\nx2 " + command + b"\r\n")
    while not client.line().startswith("x1 OK"):
        pass
    return client, pid


def progress(client):
    line = client.line()
    m = re.fullmatch(r'\* OK \[INPROGRESS \("x2" (\d+) (\d+)\)\] .*', line)
    assert m, line
    return int(m[1]), int(m[2])


def test_a_long_search_is_in_nobodys_way(suite):
    a, _ = begin(suite)
    b, c = Client(suite, "alice"), Client(suite, "alice")
    first, total = progress(a)
    assert total == MESSAGES
    b.ok("SELECT long")
    c.ok("SELECT INBOX")
    b.ok("STORE 1:10 +FLAGS.SILENT (\\Flagged)")
    b.ok("COPY 1 INBOX")
    b.append("Subject: new\r\n\r\nbody\r\n", "long")
    b.ok("UID STORE 5 +FLAGS.SILENT (\\Deleted)")
    b.ok("EXPUNGE")
    assert any(line.endswith("EXISTS") for line in c.ok("NOOP"))
    # a has not come to an end meanwhile: whatever is said is progress, and it goes on
    a.sock.setblocking(False)
    said = b""
    while True:
        try:
            said += a.sock.recv(1 << 20)
        except BlockingIOError:
            break
    a.sock.setblocking(True)
    assert b"x2 " not in said
    b.ok("UNSELECT")
    for client in (a, b, c):
        client.close()


def test_a_search_ends_soon_after_its_client_has_gone_though_it_has_said_nothing(suite):
    suite.set(imap_progress_interval="1h")
    suite.reload()
    wait_until(lambda: suite.log_lines("reload"), what="the reload")
    client, pid = begin(suite)
    client.close()
    said = int(suite.wait_log(rf"imap\(alice@a.test\)<{pid}><.*Disconnected: Connection closed .*out=(\d+)")[1])
    assert said < 3 * MESSAGES, "at the end it would have said the number of each message"


def test_a_search_over_its_time_limit_is_refused_and_the_session_goes_on(suite):
    suite.set(imap_search_time_limit="1s")
    suite.reload()

    def limited():
        client = Client(suite, "alice")
        client.ok("EXAMINE long")
        return client

    client = limited()
    client.ok("SEARCH RETURN (SAVE) 1")
    lines, answer = client.run(SEARCH.replace(b"SEARCH", b"SEARCH RETURN (SAVE)"))
    assert lines == [] and answer.startswith("NO [LIMIT] "), answer
    assert client.ok("SEARCH $") == ["* SEARCH"]      # RFC 5182 section 2.1: nothing is saved
    lines, answer = client.run(SEARCH.replace(b"SEARCH CHARSET UTF-8", b"SORT (SUBJECT) UTF-8"))
    assert lines == [] and answer.startswith("NO [LIMIT] "), answer
    assert client.ok("FETCH 1 UID") == ["* 1 FETCH (UID 1)"]
    client.close()
