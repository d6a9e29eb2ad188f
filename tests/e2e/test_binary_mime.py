# SPDX-License-Identifier: Apache-2.0
"""BINARYMIME (RFC 3030): bytes of an attachment are the same when fetched or relayed, whatever they are."""
import email
import email.policy
import imaplib
import random
import smtplib

import pytest

from receiver import Receiver

DATA = bytes(range(256)) * 20 + b"\r\n.\r\n\n.\n\r.\r\0\0\n--edge\r--edge\n" + random.Random(3030).randbytes(300_000) + b"\r"
HEAD = (b"From: s@b.test\r\nTo: alice@a.test\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="edge"\r\nContent-Transfer-Encoding: binary\r\n\r\n'
        b"--edge\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
        b"--edge\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n")


@pytest.fixture(scope="module")
def receivers():
    made = {"eight": Receiver(ehlo=("PIPELINING", "8BITMIME", "CHUNKING")), "seven": Receiver(ehlo=("PIPELINING",))}
    yield made
    for r in made.values():
        r.close()


@pytest.fixture(scope="module")
def suite(make_instance, receivers):
    return make_instance(params={
        "transport_maps": "inline:{%s}" % ", ".join(f"{n}.test=smtp:[127.0.0.1]:{r.port}" for n, r in receivers.items()),
        "smtpd_relay_restrictions": "permit_mynetworks, reject", "smtpd_forbid_bare_newline": "reject",
        "smtpd_forbid_bare_newline_exclusions": ""})


def converse(suite, to, message, body="BODY=BINARYMIME", chunk=70_001):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], timeout=60) as s:
        s.ehlo("c")
        assert s.has_extn("binarymime") and s.has_extn("chunking")
        assert s.docmd("MAIL", f"FROM:<s@b.test> {body}")[0] == 250
        assert s.docmd("RCPT", f"TO:<{to}>")[0] == 250
        for at in range(0, len(message), chunk):
            part = message[at:at + chunk]
            s.send(b"BDAT %d%s\r\n" % (len(part), b" LAST" if at + chunk >= len(message) else b"") + part)
            code, text = s.getreply()
        return f"{code} {text.decode()}"


def attachment(raw):
    parts = list(email.message_from_bytes(raw, policy=email.policy.SMTP).walk())
    assert [p.get_content_type() for p in parts] == ["multipart/mixed", "text/plain", "application/octet-stream"]
    assert parts[2]["Content-Transfer-Encoding"] == "base64"
    assert parts[1].get_payload(decode=True).strip() == b"words"
    return parts[2].get_payload(decode=True)


@pytest.mark.parametrize("chunk", [70_001, 1_000_000, 4096])
def test_a_binary_attachment_is_fetched_byte_for_byte(suite, chunk):
    subject = b"cut at %d" % chunk
    assert converse(suite, "alice@a.test", HEAD % subject + DATA + b"\r\n--edge--\r\n", chunk=chunk).startswith("250")
    suite.wait_queue_empty()
    with imaplib.IMAP4("127.0.0.1", suite.port["imap"]) as c:
        c.login("alice@a.test", suite.password)
        c.select()
        (number,) = c.search(None, "SUBJECT", f'"{subject.decode()}"')[1]
        raw = c.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1]
    assert attachment(raw) == DATA


@pytest.mark.parametrize("name", ["eight", "seven"])
def test_it_is_relayed_byte_for_byte_to_a_server_without_binarymime(suite, receivers, name):
    assert converse(suite, f"x@{name}.test", HEAD % b"relay" + DATA + b"\r\n--edge--\r\n").startswith("250")
    suite.wait_queue_empty()
    raw = receivers[name].messages[-1][2]
    assert b"\0" not in raw and b"\n" not in raw.replace(b"\r\n", b"")
    assert attachment(raw) == DATA


def test_data_is_refused_and_the_chunks_may_still_come(suite):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], timeout=60) as s:
        s.ehlo("c")
        s.docmd("MAIL", "FROM:<s@b.test> BODY=BINARYMIME")
        s.docmd("RCPT", "TO:<bob@a.test>")
        assert s.docmd("DATA") == (503, b"5.5.1 Error: need BDAT, not DATA, for BODY=BINARYMIME")
        s.send(b"BDAT 4 LAST\r\n\r\n\r\n")
        assert s.getreply()[0] == 250


def test_outside_of_binary_parts_a_bare_newline_is_what_it_is_elsewhere(suite):
    refused = "550 5.5.2 mx.a.test Error: bare <LF> received"
    message = b"Subject: x\r\n\r\none\ntwo\r\n"
    for body in ("BODY=BINARYMIME", "BODY=8BITMIME"):
        assert converse(suite, "bob@a.test", message, body) == refused
    assert converse(suite, "bob@a.test", b"Content-Transfer-Encoding: binary\r\n" + message).startswith("250")
