# SPDX-License-Identifier: Apache-2.0
"""Garbage, limits, and disconnects at every byte leave nothing behind."""
import contextlib
import os
import random
import re
import socket

import pytest

from instance import SLOW, wait_until

SMTP = (b"EHLO client.test\r\nMAIL FROM:<alice@a.test> SIZE=100\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n"
        b"Subject: x\r\n\r\n..body\r\n.\r\nQUIT\r\n")
BDAT = b"EHLO client.test\r\nMAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nBDAT 14\r\nSubject: x\r\n\r\nBDAT 3 LAST\r\nx\r\nQUIT\r\n"
IMAP = b"a LOGIN bob@a.test secret\r\nb SELECT INBOX\r\nc FETCH 1:* (FLAGS BODY[])\r\nd APPEND INBOX {3+}\r\nx\r\n\r\ne LOGOUT\r\n"
POP3 = b"USER bob@a.test\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL\r\nQUIT\r\n"


def talk(port, data, half_close=False, timeout=20):
    """Send bytes, then end the connection at once, or only our half of it and read all that comes."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout * SLOW) as s, contextlib.suppress(ConnectionError):
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                got += piece
    return got


def is_quiet(suite):
    """No file of an unfinished message, no session process."""
    return not list((suite.queue_dir / "tmp").iterdir()) and len(suite.pids("imapd")) <= 1 \
        and len(suite.pids("pop3d")) <= 1


def check_quiet(suite):
    wait_until(lambda: is_quiet(suite), 30, "no file in tmp/ and no session process")
    bad = [line for line in suite.log_file.read_bytes().split(b"\n") if re.search(rb"[^\x20-\x7e]", line)]
    assert bad == []


@pytest.mark.parametrize("service, session", [("smtp", SMTP), ("smtp", BDAT), ("imap", IMAP), ("pop3", POP3)],
                         ids=["smtp", "bdat", "imap", "pop3"])
def test_a_disconnect_at_every_byte_leaves_nothing_behind(suite, service, session):
    for cut in range(len(session)):
        talk(suite.port[service], session[:cut])
    check_quiet(suite)
    assert suite.running()
    assert not suite.log_lines(r"panic:|fatal:|killed by signal|exit status [1-9]")


@pytest.mark.parametrize("service, session", [("smtp", SMTP), ("imap", IMAP), ("pop3", POP3)])
def test_a_half_closed_connection_is_served_to_its_end_and_closed(suite, service, session):
    got = talk(suite.port[service], session, half_close=True)
    assert {"smtp": b"\r\n221 ", "imap": b"\r\ne OK", "pop3": b"\r\n+OK"}[service] in got
    for cut in range(0, len(session), 7):
        talk(suite.port[service], session[:cut], half_close=True)
    check_quiet(suite)


@pytest.mark.parametrize("service", ["smtp", "imap", "pop3", "submission", "imaps", "pop3s"])
def test_garbage_is_answered_or_dropped_but_never_harms(suite, service):
    rnd = random.Random(1)
    for n in (1, 10, 1000, 100_000):
        for _ in range(5):
            talk(suite.port[service], rnd.randbytes(n))
            talk(suite.port[service], bytes(rnd.choice(b"\0\r\n {}()\"\\<>aA1") for _ in range(min(n, 5000))))
    check_quiet(suite)
    assert not suite.log_lines(r"panic:|fatal:|killed by signal|exit status [1-9]")


def test_a_line_over_the_limit_is_refused_and_the_connection_lives(suite):
    got = talk(suite.port["smtp"], b"EHLO " + b"x" * 100_000 + b"\r\nNOOP\r\nQUIT\r\n", half_close=True)
    replies = got.split(b"\r\n")
    assert replies[1].startswith(b"500 5.5.2")
    assert replies[2].startswith(b"250 2.0.0")
    got = talk(suite.port["pop3"], b"USER " + b"x" * 100_000 + b"\r\nNOOP\r\nQUIT\r\n", half_close=True)
    assert [r[:4] for r in got.split(b"\r\n")[:4]] == [b"+OK ", b"-ERR", b"+OK", b"+OK "]


def test_nul_and_control_characters_in_commands_are_refused_and_escaped_in_the_log(suite):
    got = talk(suite.port["smtp"], b"EHLO client.test\r\nMAIL FROM:<a\0\x1b[31mb\xff@b.test>\r\n"
                                   b"RCPT TO:<nobody\x07\x9b@a.test>\r\nQUIT\r\n", half_close=True)
    assert b"\r\n501 " in got or b"\r\n553 " in got or b"\r\n500 " in got
    check_quiet(suite)


def test_too_many_errors_end_the_session_with_421(suite):
    suite.set(smtpd_error_sleep_time="0s")
    suite.reload()
    got = talk(suite.port["smtp"], b"EHLO client.test\r\n" + b"NONSENSE\r\n" * 50, half_close=True)
    assert got.count(b"\r\n500 5.5.2") + got.count(b"\r\n502 5.5.2") < 25
    assert b"421 4.7.0" in got
    suite.wait_log(r"too many errors after \S+ from \S+\[127\.0\.0\.1\]")


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\n.\r", b"\r.\r\n", b"\r.\n"])
def test_no_other_sequence_than_crlf_dot_crlf_ends_data(suite, end):
    suite.wait_queue_empty()
    before = set(suite.messages("bob"))
    smuggled = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
    talk(suite.port["smtp"], b"EHLO client.test\r\nMAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n"
         b"Subject: outer\r\n\r\nx" + end + smuggled + b"\r\n.\r\nQUIT\r\n", half_close=True)
    suite.wait_queue_empty()
    new = set(suite.messages("bob")) - before
    assert len(new) <= 1
    assert not any(b"Return-Path: <evil" in p.read_bytes() for p in new)


def test_no_process_grows_or_dies_over_all_this(suite):
    talk(suite.port["smtp"], SMTP, half_close=True)
    sizes = {}
    for pid, name in suite.processes().items():
        try:
            with open(f"/proc/{pid}/status") as f:
                sizes[name] = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
        except (OSError, TypeError):
            pass
    assert all(os.environ.get("POSTERN_ROOT", "").find("debug") >= 0 or kb < 50_000 for kb in sizes.values()), sizes
