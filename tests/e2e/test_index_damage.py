# SPDX-License-Identifier: Apache-2.0
"""What sessions on a damaged index come to, in the sandbox that servers have; lib/mailbox/index_damage_test.c has many more kinds of damage."""
import shutil
import struct

import pytest

from imap_client import Client, close
from instance import SLOW

USERS = ("ann", "ben")
MESSAGES = 320


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=USERS, params={"imap_hibernate_timeout": 0})   # who is woken opens the index anew


def fill(suite, user):
    client = Client(suite, user)
    for n in range(MESSAGES // 16):
        client.append(f"Subject: {n}\r\n\r\nx\r\n")
    client.ok("SELECT INBOX")
    for _ in range(4):     # twice as many each time
        client.ok("COPY 1:* INBOX")
        client.ok("NOOP")
    return client


def spoil_leaves(index):
    """A page as it was met, whose head makes LMDB 0.9 search for ever: see index_guard_test.c."""
    head = bytes.fromhex("2e7379737465352c00003600 0000 0500")
    pages, spoilt = bytearray(index.read_bytes()), 0
    for at in range(2 * 4096, len(pages), 4096):
        kind, = struct.unpack_from("<H", pages, at + 10)
        node, = struct.unpack_from("<H", pages, at + 16)
        key_length = struct.unpack_from("<H", pages, at + node + 6)[0] if kind == 2 else 1
        if key_length not in (1, 8):    # that of the account, and those of lists of free pages
            pages[at:at + 16] = head
            spoilt += 1
    with index.open("r+b") as f:
        f.write(pages)
    return spoilt


def test_a_search_without_end_costs_one_session(suite):
    close(fill(suite, "ann"))
    suite.wait_log(r"imap\(ann@.*Connection closed")
    suite.expected_trouble.append("killed by signal 26")    # SIGVTALRM
    index = suite.maildir("ann") / "postern.index"
    assert spoil_leaves(index / "data.mdb") > 3
    client = Client(suite, "ann")
    client.sock.settimeout(300 * SLOW)     # five seconds of a processor that others want, too
    client.send("a1 SELECT INBOX")
    assert client.line() == ""
    assert index.with_name("postern.index.damaged").is_dir()
    again = Client(suite, "ann")
    again.ok("SELECT INBOX")
    assert len(again.ok("FETCH 1:* (FLAGS)")) == MESSAGES
    close(again, client)


def test_who_has_an_index_open_that_was_put_aside_is_asked_to_connect_again(suite):
    client, other = fill(suite, "ben"), Client(suite, "ben")
    other.ok("SELECT INBOX")
    shutil.rmtree(suite.maildir("ben") / "postern.index")
    for session, command in ((client, "STORE 1 +FLAGS (\\Seen)"), (other, "COPY 1 INBOX")):
        session.send(f"a1 {command}")
        assert session.line().startswith("* BYE [UNAVAILABLE] ")
        assert session.line().startswith("a1 NO [UNAVAILABLE] ")
    again = Client(suite, "ben")
    again.ok("SELECT INBOX")
    again.ok("STORE 1 +FLAGS (\\Seen)")
    close(again, client, other)
