# SPDX-License-Identifier: Apache-2.0
"""What a submission server owes its users and everybody else (RFC 6409), by the settings that master.cf suggests."""
import re
import smtplib
import ssl

import pytest

from instance import SLOW, free_ports

SETTINGS = ["smtpd_tls_security_level=encrypt", "smtpd_sasl_auth_enable=yes",
            "local_header_rewrite_clients=permit_sasl_authenticated",
            "{ smtpd_recipient_restrictions = reject_non_fqdn_sender, reject_non_fqdn_recipient }",
            "{ smtpd_relay_restrictions = permit_sasl_authenticated, reject }",
            "{ smtpd_sender_restrictions = reject_sender_login_mismatch }",
            "{ smtpd_sender_login_maps = inline:{alice@a.test=alice@a.test, bob@a.test=bob@a.test, x@short=alice@a.test} }"]


@pytest.fixture(scope="module")
def suite(make_instance):
    port, complete = free_ports(2)
    service = "\n".join([f"127.0.0.1:{port} inet n - n - - smtpd", *(f"    -o {s}" for s in SETTINGS)])
    other = f"127.0.0.1:{complete} inet n - n - - smtpd\n    -o local_header_rewrite_clients="
    instance = make_instance(services=[service, other], params={
        "smtpd_error_sleep_time": "0", "append_dot_mydomain": "no", "append_at_myorigin": "yes", "myorigin": "a.test",
        "always_add_missing_headers": "yes"})
    instance.ports = {"submission": port, "complete": complete}
    return instance


def connect(suite, user="alice"):
    s = smtplib.SMTP("localhost", suite.ports["submission"], "client.test", timeout=20 * SLOW)
    if user:
        s.starttls(context=ssl.create_default_context(cafile=suite.certificate[1]))
        s.login(f"{user}@a.test", suite.password)
    return s


def test_without_tls_and_without_signing_in_nothing_is_taken(suite):
    with connect(suite, None) as s:
        s.ehlo()
        assert s.mail("alice@a.test") == (530, b"5.7.0 Must issue a STARTTLS command first")
        s.starttls(context=ssl.create_default_context(cafile=suite.certificate[1]))
        s.ehlo()
        s.mail("someone@b.test")
        assert s.rcpt("bob@a.test")[0] == 554
    suite.wait_log(r"NOQUEUE: reject: RCPT from .*: 554 5\.7\.1 <bob@a\.test>: .* rejected: Access denied")


@pytest.mark.parametrize("sender, rcpt, reply", [
    ("alice@a.test", "x@far.test", "250 2.1.5 Ok"),
    ("bob@a.test", "x@far.test", "553 5.7.1 <bob@a.test>: Sender address rejected: not owned by user alice@a.test"),
    ("alice@a.test", "x@short", "504 5.5.2 <x@short>: Recipient address rejected: need fully-qualified address"),
    ("x@short", "bob@a.test", "504 5.5.2 <x@short>: Sender address rejected: need fully-qualified address"),
    ("alice@a.test", "x@far.test extra", "501 5.1.3 Bad recipient address syntax"),
])
def test_rights_and_qualified_names_are_enforced(suite, sender, rcpt, reply):
    with connect(suite) as s:
        s.ehlo()
        assert s.mail(sender)[0] == 250
        code, text = s.docmd("RCPT", f"TO:<{rcpt}>")
        assert f"{code} {text.decode()}" == reply


def newest(suite, subject):
    suite.wait_queue_empty()
    text, = (p.read_text() for p in suite.messages("bob") if f"Subject: {subject}\n" in p.read_text())
    return text


def test_missing_fields_and_short_addresses_are_completed(suite):
    with connect(suite) as s:
        s.sendmail("alice@a.test", ["bob@a.test"], "Subject: incomplete\r\nTo: bob\r\n\r\nx\r\n")
        s.sendmail("alice@a.test", ["bob@a.test"], "Subject: complete\r\nFrom: A <alice@a.test>\r\n"
                   "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@a.test>\r\n\r\nx\r\n")
    text = newest(suite, "incomplete")
    assert "\nTo: bob@a.test\n" in text
    assert re.search(r"^Message-I[dD]: <\S+@mx\.a\.test>$", text, re.M) and re.search(r"^Date: .* [+-]\d{4}", text, re.M)
    assert re.search(r"^From: .*alice@a\.test", text, re.M)
    text = newest(suite, "complete")
    assert len(re.findall(r"^(Message-ID|Date|From):", text, re.M | re.I)) == 3


def test_always_add_missing_headers_completes_but_does_not_rewrite_other_clients_mail(suite):
    with smtplib.SMTP("localhost", suite.ports["complete"], "client.test", timeout=20 * SLOW) as s:
        s.sendmail("s@b.test", ["bob@a.test"], "Subject: remote\r\nTo: bob\r\n\r\nx\r\n")
    text = newest(suite, "remote")
    assert "\nTo: bob\n" in text and re.search(r"^Message-I[dD]: <\S+@mx\.a\.test>$", text, re.M)
