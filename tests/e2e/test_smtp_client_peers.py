# SPDX-License-Identifier: Apache-2.0
"""The SMTP and LMTP clients before other programs: Postfix, its smtp-sink, and our own server as a mail store."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import postfix
from instance import free_ports, wait_until
from outbound import Case, Outbound

LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%07d 0123456789 abcdefghijklmnopqrstuvwxyz\r\n.\r\n" % i for i in range(8000))


@pytest.fixture(scope="module")
def peer(workdir, certificate):
    if not shutil.which("postfix", path="/usr/sbin:/usr/bin") or os.geteuid() != 0:
        pytest.skip("needs Postfix and root")
    directory = Path(tempfile.mkdtemp(prefix="postfix", dir=workdir))
    directory.chmod(0o755)
    with postfix.run(directory, certificate[0], smtpd_authorized_xforward_hosts="127.0.0.0/8",
                     smtpd_recipient_restrictions="check_recipient_access inline:{ {no@real.test = REJECT not here} }, "
                                                  "permit_mynetworks, reject") as it:
        yield it


@pytest.fixture(scope="module")
def sink():
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
    if not program:
        pytest.skip("needs smtp-sink")
    port, = free_ports(1)
    server = subprocess.Popen([program, *(["-u", "nobody"] if os.geteuid() == 0 else []), f"127.0.0.1:{port}", "100"])
    yield port
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def store(make_instance):
    port, = free_ports(1)
    return port, make_instance(domain="store.test", users=("carol", "dave"), services=[
        f"127.0.0.1:{port} inet n - n - - smtpd\n    -o smtpd_lmtp_mode=yes"])


@pytest.fixture(scope="module")
def out(make_instance, workdir, peer, sink, store):
    directory = Path(tempfile.mkdtemp(prefix="peers", dir=workdir))
    directory.chmod(0o755)
    to_peer = f"[127.0.0.1]:{peer.port}"
    cases = {"real": Case(to_peer), "clear": Case(to_peer, params={"smtp_tls_security_level": "none"}),
             "filter": Case(to_peer, params={"smtp_send_xforward_command": "yes"}),
             "sink": Case(f"[127.0.0.1]:{sink}"), "store": Case(f"inet:127.0.0.1:{store[0]}", program="lmtp")}
    return Outbound(make_instance, directory, cases, smtp_tls_security_level="may", lmtp_tls_security_level="none")


def queued(line):
    found = re.search(r"status=sent \(250 2\.0\.0 Ok: (?:\d+ bytes )?queued as (\w+)\)", line)
    assert found, line
    return found[1]


@pytest.mark.parametrize("domain", ["real", "clear"])
def test_postfix_takes_small_and_large_mail_for_many_recipients(out, peer, domain):
    for content, least in (("Subject: s\r\n\r\n.dot\r\n", 200), (LARGE, len(LARGE))):
        rcpts = [f"u{i}@{domain}.test" for i in range(30)]
        id = queued(out.send(*rcpts, content=content, options=("BODY=8BITMIME",)))
        size, n = wait_until(lambda: re.search(rf"{id}: from=<alice@a\.test>, size=(\d+), nrcpt=(\d+)", peer.log()),
                             10, "the line of Postfix's qmgr").groups()
        assert int(n) == 30 and int(size) >= least


def test_what_postfix_refuses_is_returned_and_the_rest_arrives_over_the_same_connection(out):
    out.send("no@real.test", "yes@real.test")
    assert "dsn=5.7.1, status=bounced (host 127.0.0.1[127.0.0.1] said: 554 5.7.1 <no@real.test>: Recipient address " \
           "rejected: not here (in reply to RCPT TO command))" in out.outcome("no@real.test")
    assert ", conn_use=" in out.send("again@real.test")


def test_postfix_learns_whose_mail_it_is(out, peer):
    id = queued(out.send("x@filter.test"))
    line, = re.findall(rf"{id}: client=.*", peer.log())
    assert re.search(r"client=unknown\[127\.0\.0\.1\], orig_queue_id=\w+, orig_client=unknown\[127\.0\.0\.1\]", line), line


def test_smtp_sink_takes_mail(out):
    for i in range(5):
        assert "status=sent (250 2.0.0 Ok)" in out.send(f"u{i}@sink.test", content=LARGE if i == 4 else "Subject: x\r\n\r\n\r\n")


def test_our_own_store_answers_for_each_recipient(out, store):
    _, instance = store
    out.send("carol@store.test", "nobody@store.test", "dave@store.test", content=LARGE)
    assert "status=sent (250 2.0.0 " in out.outcome("carol@store.test")
    assert "dsn=5.1.1, status=bounced" in out.outcome("nobody@store.test")
    for user in ("carol", "dave"):
        message, = instance.wait_messages(user, 1)
        assert message.read_bytes().endswith(LARGE.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n"))
