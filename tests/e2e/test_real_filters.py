# SPDX-License-Identifier: Apache-2.0
"""rspamd, opendkim and clamav-milter, as docs/spam-and-viruses.md sets them up, do their work behind this suite."""
import base64
import contextlib
import re
import smtplib
from email.message import EmailMessage
from types import SimpleNamespace

import dkim
import pytest

import real_filters
from instance import free_ports, wait_until
from real_filters import EICAR, GTUBE


@pytest.fixture(scope="module")
def f(make_instance, tmp_path_factory):
    """A service for each filter, and one with all of them."""
    with contextlib.ExitStack() as stack:
        dirs = {name: tmp_path_factory.mktemp(name) for name in ("rspamd", "dkim", "clamav")}
        record = real_filters.make_key(dirs["dkim"])
        filters = {
            "spam": stack.enter_context(real_filters.rspamd(dirs["rspamd"])),
            "sign": stack.enter_context(real_filters.opendkim(dirs["dkim"])),
            "virus": stack.enter_context(real_filters.clamav(dirs["clamav"])),
        }
        filters["all"] = f"{filters['virus']}, {filters['spam']}, {filters['sign']}"
        ports = dict(zip(filters, free_ports(len(filters))))
        services = [f"127.0.0.1:{ports[name]} inet n - n - - smtpd\n    -o {{ smtpd_milters = {endpoint} }}\n"
                    for name, endpoint in filters.items()]
        suite = make_instance(services=services, params={
            "local_header_rewrite_clients": "", "milter_mail_macros": "i {mail_addr} {client_addr} {client_name} {auth_authen}"})
        yield SimpleNamespace(suite=suite, ports=ports, record=record, filters=filters)


def message(body="Good morning.\n", subject="hello"):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "ann@b.test", "alice@a.test", subject
    m["Date"], m["Message-ID"] = "Mon, 01 Jan 2024 10:00:00 +0000", "<1@b.test>"
    m.set_content(body)
    return m.as_bytes().replace(b"\n", b"\r\n")


def send(f, service, content, source="127.0.0.1"):
    """The reply to the content, and the message as it arrived, with CRLF, or None."""
    with smtplib.SMTP("127.0.0.1", f.ports[service], local_hostname="mail.b.test", timeout=60,
                      source_address=(source, 0)) as smtp:
        smtp.ehlo()
        smtp.mail("ann@b.test")
        smtp.rcpt("alice@a.test")
        try:
            code, text = smtp.data(content)
        except smtplib.SMTPDataError as e:
            code, text = e.smtp_code, e.smtp_error
    if code != 250:
        return f"{code} {text.decode()}", None
    mark = f" id {text.decode().split()[-1]}\n".encode()
    found = wait_until(lambda: [b for b in (p.read_bytes() for p in f.suite.messages("alice")) if mark in b], 20,
                       "the message")
    return "250", found[0].replace(b"\n", b"\r\n")


def test_rspamd_refuses_gtube(f):
    answer, _ = send(f, "spam", message(GTUBE + "\n"))
    assert re.match(r"5\d\d ", answer), answer
    f.suite.wait_log(r"milter-reject: END-OF-MESSAGE from unknown\[127\.0\.0\.1\]: 5\.7\.1 .*; from=<ann@b\.test> "
                     r"to=<alice@a\.test> proto=ESMTP helo=<mail\.b\.test>")


def test_rspamd_lets_other_mail_pass(f):
    answer, arrived = send(f, "spam", message())
    assert answer == "250" and arrived.endswith(b"Good morning.\r\n")


def test_clamav_refuses_a_virus(f):
    answer, _ = send(f, "virus", message("Look:\n" + EICAR + "\n"))
    assert re.match(r"550 5\.7\.1 .*Virus Eicar-Test-Signature\S* found", answer), answer
    f.suite.wait_log(r"milter-reject: END-OF-MESSAGE from .*Eicar-Test-Signature")


def test_clamav_refuses_a_virus_in_an_attachment(f):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "ann@b.test", "alice@a.test", "attached"
    m.set_content("see there\n")
    m.add_attachment(EICAR.encode(), maintype="application", subtype="octet-stream", filename="eicar.com")
    content = m.as_bytes().replace(b"\n", b"\r\n")
    assert base64.b64encode(EICAR.encode())[:40] in content
    answer, _ = send(f, "virus", content)
    assert answer.startswith("550 5.7.1 "), answer


def test_clamav_marks_what_it_has_seen(f):
    answer, arrived = send(f, "virus", message())
    assert answer == "250" and re.search(rb"^X-Virus-Scanned: clamav-milter", arrived, re.M)
    assert re.search(rb"^X-Virus-Status: Clean", arrived, re.M)


def signed(f, service="sign", body="Good morning.\n"):
    answer, arrived = send(f, service, message(body))
    assert answer == "250"
    return arrived


def verifies(f, content):
    return dkim.verify(content, dnsfunc=lambda name, timeout=5: f.record.encode()
                       if name == b"s1._domainkey.b.test." else None)


@pytest.mark.parametrize("body", ["Good morning.\n", "", ".\n..\n", "x" * 900 + "\n" + " blanks  \n\n\n",
                                  "line\n" * 100000], ids=["short", "empty", "dots", "long line", "large"])
def test_a_message_signed_by_opendkim_verifies_as_it_arrives(f, body):
    arrived = signed(f, body=body)
    assert b"DKIM-Signature: " in arrived and verifies(f, arrived)
    assert not verifies(f, arrived + b"more\r\n")


def strip_trace(content):
    """Without what our delivery has put in front."""
    return content[content.index(b"DKIM-Signature: "):]


def test_opendkim_verifies_a_signed_message_and_says_so(f):
    _, arrived = send(f, "sign", strip_trace(signed(f)), "127.0.0.2")
    assert re.search(rb"^Authentication-Results: mx\.b\.test;\s+dkim=pass", arrived, re.M), arrived
    _, arrived = send(f, "sign", strip_trace(signed(f)).replace(b"morning", b"evening"), "127.0.0.2")
    assert re.search(rb"^Authentication-Results: mx\.b\.test;\s+dkim=fail", arrived, re.M), arrived


def test_all_filters_work_together(f):
    arrived = signed(f, "all")
    assert verifies(f, arrived) and b"X-Virus-Status: Clean" in arrived
    assert send(f, "all", message(EICAR + "\n"))[0].startswith("550 ")
    assert re.match(r"5\d\d ", send(f, "all", message(GTUBE + "\n"))[0])


def test_local_mail_is_signed_too(f):
    f.suite.set(non_smtpd_milters=f.filters["sign"])
    f.suite.reload()
    f.suite.tool("sendmail", "-f", "ann@b.test", "alice@a.test",
                 input="From: ann@b.test\nTo: alice@a.test\nSubject: from here\n\nHello\n")
    found = wait_until(lambda: [b for b in (p.read_bytes() for p in f.suite.messages("alice")) if b"Subject: from here" in b],
                       20, "the message")
    assert verifies(f, found[0].replace(b"\n", b"\r\n"))


def test_the_settings_of_the_page_are_settings(make_instance):
    blocks = re.findall(r"^```main\.cf\n(.*?)^```", real_filters.page(), re.M | re.S)
    assert len(blocks) >= 4
    for block in blocks:
        text = re.sub(r"\n\s+", " ", block)
        params = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in text.splitlines())
        suite = make_instance(start=False, users=(), params=params)
        done = suite.tool("postconf", "-n", check=False)
        assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
