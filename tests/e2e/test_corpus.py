# SPDX-License-Identifier: Apache-2.0
"""Every real message goes in by SMTP and comes out by IMAP and POP3 with its body unchanged."""
import imaplib
import os
import poplib
import re
import smtplib
from pathlib import Path

import pytest

OWN = Path(__file__).resolve().parents[1] / "data" / "mails"
MORE = os.environ.get("POSTERN_TEST_MAILS")

imaplib._MAXLINE = poplib._MAXLINE = 20_000_000


def corpus():
    return sorted([*OWN.rglob("*.eml"), *(Path(MORE).rglob("*.eml") if MORE else [])])


def on_the_wire(raw):
    """What a client sends: CRLF line ends (RFC 5321 section 2.3.8), the last line ended."""
    text = re.sub(rb"\r*\n", b"\r\n", raw)
    return text if text.endswith(b"\r\n") or not text else text + b"\r\n"


def body(message):
    """All behind the header section: from the first empty line on, or from a line that can be no header
    field (a server puts an empty line before that one)."""
    at = 0
    for line in message.split(b"\r\n"):
        if not line:
            return message[at + 2:]
        if b":" not in line and line[:1] not in b" \t":
            return message[at:]
        at += len(line) + 2
    return b""


@pytest.fixture(scope="module")
def loaded(make_instance):
    """An instance with the corpus in bob's INBOX: (instance, the messages as sent, in order)."""
    files = corpus()
    suite = make_instance(params={"message_size_limit": "50000000", "hopcount_limit": "1000",
                                  "header_size_limit": "1000000"})
    sent = []
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test", timeout=120) as s:
        for path in files:
            text = on_the_wire(path.read_bytes())
            s.ehlo_or_helo_if_needed()
            assert s.mail("alice@a.test", ["BODY=8BITMIME"])[0] == 250
            assert s.rcpt("bob@a.test")[0] == 250
            code, reply = s.data(text)
            assert code == 250, f"{path}: refused: {code} {reply}"
            sent.append((path.name, text, reply))
    suite.wait_messages("bob", len(files), 120)
    return suite, sent


def by_queue_id(messages):
    """{queue id in the topmost Received: message}"""
    found = {}
    for m in messages:
        id_ = re.search(rb"\r\n\s+(?:by [^\r\n]*?with )?E?SMTPS?A? id (\w+)|with E?SMTPS?A? id (\w+)", m)
        found[(id_[1] or id_[2]).decode()] = m
    return found


def compare(sent, got):
    wrong = []
    for name, text, reply in sent:
        id_ = re.search(rb"queued as (\w+)", reply)[1].decode()
        message = got.get(id_)
        if message is None:
            wrong.append(f"{name}: missing")
        elif not message.endswith(body(text).replace(b"\0", b"\x80")):     # no client is ever sent a NUL
            wrong.append(f"{name}: body changed")
    assert wrong == []


def test_all_messages_come_out_by_imap_with_the_body_unchanged(loaded):
    suite, sent = loaded
    imap = imaplib.IMAP4("127.0.0.1", suite.port["imap"])
    imap.login("bob@a.test", suite.password)
    imap.select("INBOX")
    status, parts = imap.fetch("1:*", "(BODY.PEEK[])")
    assert status == "OK"
    compare(sent, by_queue_id(p[1] for p in parts if isinstance(p, tuple)))
    imap.logout()


def test_every_message_has_an_envelope_and_a_body_structure(loaded):
    suite, sent = loaded
    imap = imaplib.IMAP4("127.0.0.1", suite.port["imap"])
    imap.login("bob@a.test", suite.password)
    imap.select("INBOX", readonly=True)
    for what in ("ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE"):
        status, parts = imap.fetch("1:*", f"({what})")
        assert status == "OK"
        heads = [p[0] if isinstance(p, tuple) else p for p in parts]
        assert sum(1 for h in heads if re.match(rb"\d+ \(", h)) == len(sent)
    imap.logout()


def test_the_announced_size_is_the_size_of_what_is_fetched(loaded):
    suite, sent = loaded
    imap = imaplib.IMAP4("127.0.0.1", suite.port["imap"])
    imap.login("bob@a.test", suite.password)
    imap.select("INBOX", readonly=True)
    status, parts = imap.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])")
    wrong = [p[0] for p in parts if isinstance(p, tuple)
             and int(re.search(rb"RFC822\.SIZE (\d+)", p[0])[1]) != len(p[1])]
    assert wrong == []
    imap.logout()


def test_all_messages_come_out_by_pop3_with_the_body_unchanged(loaded):
    suite, sent = loaded
    pop = poplib.POP3("127.0.0.1", suite.port["pop3"], timeout=120)
    pop.user("bob@a.test")
    pop.pass_(suite.password)
    got = []
    for i in range(1, len(sent) + 1):
        _, lines, _ = pop.retr(i)
        got.append(b"\r\n".join(lines) + b"\r\n")
    compare(sent, by_queue_id(got))
    pop.quit()
