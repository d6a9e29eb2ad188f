# SPDX-License-Identifier: Apache-2.0
"""A client that sends a lot at once costs its own session work in proportion, by the CPU time of the session's process."""
import threading

import pytest

from imap_client import Client

BLANK = b"x" * 60


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make_instance(users=("alice",), params={"imap_line_limit": "1000000", "imap_literal_limit": "1000000",
                                                    "imap_search_key_limit": "100000", "imap_fetch_item_limit": "100000",
                                                    "message_size_limit": "10000000", "imap_append_limit": "100000", "imap_hibernate_timeout": "0",
                                                    "imap_list_pattern_limit": "100000", "imap_bad_command_limit": "1000000"})
    client = Client(suite, "alice")
    for n in range(20):
        client.append(f"Subject: {n}\r\n\r\nbody\r\n")
    client.ok("CREATE other")
    client.close()
    return suite


# What is sent, without its last line end, for a size n
CASES = {
    "pipelined": (300, lambda n: b"".join(b"p NOOP\r\n" for _ in range(10 * n))),
    "pipelined-fetches": (60, lambda n: b"".join(b"p FETCH 1:* (FLAGS ENVELOPE)\r\n" for _ in range(n))),
    "refused": (300, lambda n: b"".join(b"p NONSENSE (((\r\n" for _ in range(10 * n))),
    "literals": (4000, lambda n: b"p SEARCH" + b" OR SUBJECT {1+}\r\nq SEEN" * n + b" ALL\r\n"),
    "refused-literals": (4000, lambda n: b"p NONSENSE" + b" {1+}\r\nq" * n + b"\r\n"),
    "empty-literals": (4000, lambda n: b"p LIST \"\" (" + b" ".join([b"{0+}\r\n"] * n) + b")\r\n"),
    "ranges": (20000, lambda n: b"p UID FETCH " + b",".join(b"%d:%d" % (i, i + 1) for i in range(2 * n, 0, -2)) + b" FLAGS\r\n"),
    "same-ranges": (20000, lambda n: b"p UID SEARCH UID " + b",".join([b"*:1"] * n) + b"\r\n"),
    "items": (400, lambda n: b"p FETCH 1 (" + b" ".join([b"BODY.PEEK[HEADER]"] * n) + b")\r\n"),
    "flags": (20000, lambda n: b"p STORE 1 +FLAGS.SILENT (" + b" ".join([b"\\Seen"] * n) + b")\r\n"),
    "quoted": (60000, lambda n: b"p SEARCH SUBJECT \"" + b"\\\\" * n + b"\"\r\n"),
    "names": (300, lambda n: b"".join(b"p SUBSCRIBE box%d\r\np UNSUBSCRIBE box%d\r\n" % (i, i) for i in range(n // 10))),
    "long-line": (1, lambda n: b"p NOOP" + b" " * 5_000_000 * n + b"\r\n"),
    "multiappend": (150, lambda n: b"p APPEND other" + b" {17+}\r\nSubject: x\r\n\r\nb\r\n" * n + b"\r\n"),
}


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0])


def cost(suite, data):
    """CPU time of a session that is sent this at once, and then has to answer."""
    client, pid = suite.session_of("imapd", lambda: Client(suite, "alice"))
    client.ok("SELECT INBOX")
    before = cpu_ns(pid)
    sender = threading.Thread(target=client.sock.sendall, args=(data + b"last NOOP\r\n",))
    sender.start()
    while not client.line().startswith("last OK"):
        pass
    sender.join()
    spent = cpu_ns(pid) - before
    client.close()
    return spent


@pytest.mark.parametrize("case", CASES)
def test_four_times_as_much_costs_far_less_than_the_square(suite, case):
    n, make = CASES[case]
    few, many = (min(cost(suite, make(size)) for _ in range(2)) for size in (n, 4 * n))
    assert many < 8 * few + 20_000_000, f"{few / 1e6:.1f} ms, {many / 1e6:.1f} ms"
