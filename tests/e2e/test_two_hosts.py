# SPDX-License-Identifier: Apache-2.0
"""Two instances and a real DNS server: mail travels by MX."""
import smtplib

import pytest

from nameserver import serve

ZONE = """\
$ORIGIN b.test.
$TTL 60
@       SOA ns hostmaster 1 60 60 60 60
        NS  ns
        MX  10 dead
        MX  20 mx
ns      A   127.0.0.1
dead    A   127.0.0.9
mx      A   127.0.0.1
"""

@pytest.fixture(scope="module")
def dns(tmp_path_factory):
    """nsd with the zones of both domains; its port."""
    with serve(tmp_path_factory.mktemp("nsd"), {"b.test": ZONE, "a.test": ZONE.replace("b.test", "a.test")}) as port:
        yield port


@pytest.fixture(scope="module")
def pair(make_instance, dns):
    """Hosts of a.test and b.test. b listens on the port that a's client uses; nothing does on 127.0.0.9."""
    b = make_instance(domain="b.test", users=("carol",))
    a = make_instance(domain="a.test", users=("alice",), params={
        "smtp_dns_support_level": "enabled", "smtp_host_lookup": "dns", "dns_servers": f"127.0.0.1:{dns}",
        "smtp_tcp_port": b.port["smtp"], "smtp_connect_timeout": "5s"})
    return a, b


def send(host, to):
    with smtplib.SMTP("127.0.0.1", host.port["smtp"], "client.test") as s:
        s.sendmail("alice@a.test", to, "From: alice@a.test\r\nMessage-ID: <one@a.test>\r\nSubject: x\r\n\r\nbody\r\n")


def test_the_first_mx_is_dead_the_second_answers_and_both_logs_show_the_message(pair):
    a, b = pair
    send(a, "carol@b.test")
    b.wait_messages("carol", 1)
    sent = a.wait_log(r"(\w+): to=<carol@b\.test>, relay=mx\.b\.test\[127\.0\.0\.1\]:\d+, .*status=sent "
                      r"\(250 2\.0\.0 Ok: (?:\d+ bytes )?queued as (\w+)\)")
    assert a.log_lines(rf"{sent[1]}: message-id=<one@a\.test>")
    assert b.log_lines(rf"{sent[2]}: message-id=<one@a\.test>")
    b.wait_log(rf"{sent[2]}: to=<carol@b\.test>, relay=virtual, .*status=sent")
    a.wait_queue_empty()
    assert a.messages("alice") == []


def test_an_unknown_recipient_at_the_other_host_is_reported_to_the_sender(pair):
    a, b = pair
    send(a, "nobody@b.test")
    path, = a.wait_messages("alice", 1)
    text = path.read_text()
    assert "Final-Recipient: rfc822; nobody@b.test" in text
    assert "550 5.1.1 <nobody@b.test>: Recipient address rejected: User unknown in virtual mailbox table" \
        in text.replace("\n    ", " ").replace("\n ", " ")
    a.wait_queue_empty()


def test_a_domain_that_does_not_exist_is_returned_at_once(pair):
    a, b = pair
    before = len(a.messages("alice"))
    send(a, "x@nowhere.b.test")
    a.wait_log(r"to=<x@nowhere\.b\.test>, relay=none, .*dsn=5\.4\.4, status=bounced \(Host or domain name not found\. "
               r"Name service error for name=nowhere\.b\.test type=MX: Host not found\)")
    a.wait_messages("alice", before + 1)
