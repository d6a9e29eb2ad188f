# SPDX-License-Identifier: Apache-2.0
"""What the SMTP client changes on a message's way out: encodings, addresses, checks, lines, and DSN and SMTPUTF8."""
import email
import email.policy

import pytest

from outbound import Case, Outbound

SEVEN = ("PIPELINING",)
CASES = {
    "seven": Case(ehlo=SEVEN),
    "sevenchunk": Case(ehlo=("PIPELINING", "CHUNKING")),
    "raw": Case(ehlo=SEVEN, params={"disable_mime_output_conversion": "yes"}),
    "eight": Case(ehlo=("PIPELINING", "8BITMIME")),
    "lines": Case(ehlo=("PIPELINING",), params={"smtp_line_length_limit": "50"}),
    "linesoff": Case(ehlo=("PIPELINING", "CHUNKING"), params={"smtp_line_length_limit": "0"}),
    "generic": Case(params={"smtp_generic_maps": "inline:{ {alice@a.test = public@example.org}, "
                                                 "{@inner.test = @outer.test}, {bob = robert@example.org} }",
                            "myorigin": "a.test"}),
    "checks": Case(params={
        "smtp_header_checks": "pcre:DIR/header", "smtp_mime_header_checks": "pcre:DIR/mime",
        "smtp_nested_header_checks": "pcre:DIR/nested", "smtp_body_checks": "pcre:DIR/body"},
        files={"header": "/^X-Secret:/ IGNORE\n/^Subject: (.*)/ REPLACE Subject: [out] $1\n"
                         "/^X-Fold: a\\n b/ STRIP folded\n/^X-Look:/ WARN look here\n"
                         "/^X-Before:/ PREPEND X-Put: in front\n/^X-Reject:/ REJECT too late\n",
               "mime": "/^Content-Description:/ IGNORE\n", "nested": "/^X-Inner:/ IGNORE\n",
               "body": "/^password: / REPLACE password: ***\n/^gone$/ IGNORE\n"}),
    "dsn": Case(ehlo=("PIPELINING", "DSN")),
    "nodsn": Case(ehlo=("PIPELINING",)),
    "utf8": Case(ehlo=("PIPELINING", "SMTPUTF8", "8BITMIME")),
    "ascii": Case(ehlo=("PIPELINING", "8BITMIME")),
}


@pytest.fixture(scope="module")
def out(make_instance, tmp_path_factory):
    directory = tmp_path_factory.mktemp("content")
    directory.chmod(0o755)
    ascii_port = CASES["ascii"].receiver.port
    yield Outbound(make_instance, directory, CASES, smtp_tls_security_level="none",
                   routes=[f"bücher.test t-ascii:[127.0.0.1]:{ascii_port}"])
    for case in CASES.values():
        case.receiver.close()


def last(out, name):
    return out.message(name, len(out[name].messages))


MULTIPART = """\
MIME-Version: 1.0
Subject: parts
Content-Type: multipart/mixed; boundary="=_b"
Content-Transfer-Encoding: 8bit

preamble
--=_b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße aus Köln = schön 
.
--=_b
Content-Type: application/octet-stream
Content-Transfer-Encoding: 8bit

daß
Ende
--=_b
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: inner
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

innen: äöü

--=_b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

R3LDvMOfZQ==
--=_b--
""".replace("\n", "\r\n").encode()


def test_8bit_parts_are_encoded_for_a_server_without_8bitmime(out):
    for name in ("seven", "sevenchunk"):
        out.send(f"x@{name}.test", content=MULTIPART, options=("BODY=8BITMIME",))
        sender, _, content = last(out, name)
        assert "BODY=" not in sender
        assert all(b < 128 for b in content)
        m = email.message_from_bytes(content, policy=email.policy.default)
        text, data, inner, encoded = m.get_payload()
        assert m["Content-Transfer-Encoding"] == "7bit"
        assert text["Content-Transfer-Encoding"] == "quoted-printable"
        assert text.get_content().splitlines() == ["Grüße aus Köln = schön ", "."]
        assert data["Content-Transfer-Encoding"] == "base64"
        assert data.get_content() == "daß\r\nEnde".encode()
        assert inner.get_payload()[0].get_content().split() == ["innen:", "äöü"]
        assert encoded["Content-Transfer-Encoding"] == "base64" and encoded.get_content().strip() == "Grüße"


def test_8bit_text_stays_as_it_is_where_it_may_or_where_conversion_is_off(out):
    for name, has_body in (("eight", True), ("raw", False)):
        out.send(f"x@{name}.test", content=MULTIPART, options=("BODY=8BITMIME",))
        sender, _, content = last(out, name)
        assert ("BODY=8BITMIME" in sender) == has_body
        assert "Grüße aus Köln".encode() in content


def test_long_lines_are_broken_as_the_parameter_says(out):
    line = b"x" * 120
    out.send("x@lines.test", content=b"Subject: x\r\n\r\n" + line + b"\r\nshort\r\n")
    content = last(out, "lines")[2]
    assert max(len(part) for part in content.split(b"\r\n")) <= 50
    assert b"x" * 50 + b"\r\n " + b"x" * 49 + b"\r\n " + b"x" * 21 + b"\r\nshort" in content
    out.send("x@linesoff.test", content=b"Subject: x\r\n\r\n" + b"y" * 1500 + b"\r\n")
    assert b"y" * 1500 + b"\r\n" in last(out, "linesoff")[2]
    out.send("y@lines.test", content=b"Subject: x\r\n\r\n" + (b"z" * 49 + b"\r\n") * 3000)
    assert last(out, "lines")[2].count(b"z" * 49 + b"\r\n") == 3000


def test_generic_maps_change_envelope_and_header(out):
    out.send("x@generic.test", content="From: Alice <alice@a.test>\r\nTo: me@inner.test, bob@a.test, o@else.test\r\n"
             "Subject: to alice@a.test\r\n\r\nalice@a.test\r\n")
    sender, rcpts, content = last(out, "generic")
    assert sender.startswith("FROM:<public@example.org>")
    text = content.decode()
    assert "From: Alice <public@example.org>\r\n" in text
    assert "To: me@outer.test, robert@example.org, o@else.test\r\n" in text
    assert "Subject: to alice@a.test\r\n" in text and text.endswith("\r\n\r\nalice@a.test\r\n")


def test_checks_do_what_their_actions_say(out):
    out.send("x@checks.test", content=(
        "X-Secret: a\r\nSubject: hello\r\nX-Fold: a\r\n b\r\nX-Look: 1\r\nX-Before: 1\r\nX-Reject: 1\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Description: d\r\nX-Secret: part\r\n\r\npassword: 1234\r\ngone\r\nend\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: 1\r\nX-Secret: nested\r\n\r\nbody\r\n--b--\r\n"))
    text = last(out, "checks")[2].decode()
    for gone in ("X-Secret: a", "X-Fold", "Content-Description", "X-Inner", "1234", "\r\ngone\r\n"):
        assert gone not in text, gone
    for there in ("Subject: [out] hello\r\n", "X-Look: 1\r\n", "X-Put: in front\r\nX-Before: 1\r\n", "X-Reject: 1",
                  "X-Secret: part", "X-Secret: nested", "password: ***\r\nend"):
        assert there in text, there
    log = out.instance.log()
    assert ": warning: header X-Look: 1: look here" in log
    assert ": strip: header X-Fold: a" in log
    assert ": replace: header Subject: hello: Subject: [out] hello" in log
    assert ": replace: body password: 1234: password: ***" in log
    assert "warning: " in log and "reject is for cleanup only" in log


def test_dsn_parameters_are_passed_on_to_a_server_that_knows_them(out):
    for name in ("dsn", "nodsn"):
        out.send(f"x@{name}.test", options=("RET=HDRS", "ENVID=a+20b"),
                 rcpt_options=("NOTIFY=SUCCESS,DELAY", f"ORCPT=rfc822;Orig+2Bx@{name}.test"))
    assert last(out, "dsn")[0].endswith(" RET=HDRS ENVID=a+20b")
    assert last(out, "dsn")[1] == ["TO:<x@dsn.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Orig+2Bx@dsn.test"]
    assert last(out, "nodsn")[1] == ["TO:<x@nodsn.test>"] and "RET" not in last(out, "nodsn")[0]


def submit_utf8(out, rcpt, sender="alice@a.test", subject="x"):
    import smtplib
    with smtplib.SMTP("127.0.0.1", out.instance.port["smtp"], "client.test") as s:
        s.ehlo()
        s.send(f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME\r\n".encode())
        assert s.getreply()[0] == 250
        s.send(f"RCPT TO:<{rcpt}>\r\n".encode())
        assert s.getreply()[0] == 250
        code, text = s.data(f"Subject: {subject}\r\n\r\nbody\r\n".encode())
        assert code == 250, text
    return out.outcome(rcpt, 0)


def test_internationalised_mail_goes_on_as_it_is_to_a_server_that_takes_it(out):
    assert "status=sent" in submit_utf8(out, "jürgen@utf8.test")
    sender, rcpts, _ = last(out, "utf8")
    assert " SMTPUTF8" in sender and rcpts[0].encode("utf-8", "surrogateescape") == "TO:<jürgen@utf8.test>".encode()


def test_internationalised_mail_goes_the_old_way_where_only_a_domain_needed_more(out):
    assert "status=sent" in submit_utf8(out, "x@bücher.test")
    sender, rcpts, _ = last(out, "ascii")
    assert rcpts == ["TO:<x@xn--bcher-kva.test>"] and "SMTPUTF8" not in sender


@pytest.mark.parametrize("rcpt, sender, subject", [
    ("jürgen@ascii.test", "alice@a.test", "x"), ("y@ascii.test", "jürgen@a.test", "x"),
    ("z@ascii.test", "alice@a.test", "Grüße")])
def test_internationalised_mail_is_returned_where_it_cannot_go_on(out, rcpt, sender, subject):
    line = submit_utf8(out, rcpt, sender, subject)
    assert "dsn=5.6.7, status=bounced (SMTPUTF8 is required, but was not offered by host 127.0.0.1[127.0.0.1])" in line
