# SPDX-License-Identifier: Apache-2.0
"""Tables and certificates that are replaced while servers run: each is read again by the process that has it,
confined as it is; a broken one is refused, said once, and the old one stays in use."""
import os
import re
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from instance import SLOW, wait_until

TYPES = ("texthash", "hash", "btree", "lmdb")
FILE = {"texthash": "boxes", "hash": "boxes.db", "btree": "boxes.db", "lmdb": "boxes.lmdb"}


def replace(path, content, mode=0o644):
    """As postmap and editors do: a new file takes the name."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.chmod(mode)
    if path.exists():
        os.chown(new, path.stat().st_uid, path.stat().st_gid)
    new.rename(path)


class Boxes:
    """An instance whose table of mailboxes is of one type."""

    def __init__(self, make_instance, type, **params):
        self.type = type
        self.instance = make_instance(start=False, users=(), params={
            "virtual_mailbox_maps": f"{type}:$config_directory/boxes", "smtpd_soft_error_limit": "1000",
            "smtpd_hard_error_limit": "1000", **params})
        self.file = self.instance.config / FILE[type]
        self.write("alice")
        self.instance.start()

    def write(self, *users):
        text = "".join(f"{u}@a.test a.test/{u}/\n" for u in users).encode()
        if self.type == "texthash":
            replace(self.file, text)
        else:
            (self.instance.config / "boxes").write_bytes(text)
            self.instance.tool("postmap", f"{self.type}:{self.instance.config}/boxes")

    def break_it(self):
        replace(self.file, b"alice@a.test a.test/alice/\nno-value-behind-this-key\n" if self.type == "texthash"
                else b"this is no database\n" * 1000)

    def session(self):
        session = smtplib.SMTP("127.0.0.1", self.instance.port["smtp"], "client.test", timeout=20 * SLOW)
        session.ehlo()
        session.mail("x@b.test")
        return session

    def complaints(self, program="smtpd"):
        return self.instance.log_lines(rf"postern/{program}\[\d+\]: warning: table {self.type}:\S+ has changed but cannot "
                                       r"be read, using the old one: ")


def has(session, user):
    return session.rcpt(f"{user}@a.test")[0] == 250


@pytest.fixture(params=TYPES)
def boxes(request, make_instance):
    return Boxes(make_instance, request.param)


def test_a_new_version_is_used_within_the_session_and_a_broken_one_is_refused_and_said_once(boxes):
    session = boxes.session()
    (pid,) = boxes.instance.pids("smtpd")
    assert has(session, "alice") and not has(session, "bob")

    boxes.write("alice", "bob")
    wait_until(lambda: has(session, "bob"), 10, "the new entry")

    boxes.break_it()
    wait_until(lambda: has(session, "bob") and boxes.complaints(), 10, "the complaint")
    end = time.time() + 4
    while time.time() < end:
        assert has(session, "alice") and has(session, "bob") and not has(session, "carol")
        time.sleep(0.3)
    assert len(boxes.complaints()) == 1
    assert has(boxes.session(), "bob")              # strangers are served as well

    boxes.write("alice", "carol")
    wait_until(lambda: has(session, "carol"), 10, "the repaired table")
    assert not has(session, "bob")
    session.quit()
    assert boxes.instance.pids("smtpd") == [pid]


def test_a_process_does_not_retire_while_its_successor_could_not_start(make_instance):
    boxes = Boxes(make_instance, "texthash", max_idle="1s", max_use="3")
    assert has(boxes.session(), "alice")
    (pid,) = boxes.instance.pids("smtpd")
    boxes.break_it()
    for _ in range(6):
        boxes.session().quit()
    time.sleep(4)
    assert boxes.instance.pids("smtpd") == [pid]
    assert has(boxes.session(), "alice")
    boxes.write("alice", "bob")
    wait_until(lambda: has(boxes.session(), "bob"), 10, "the repaired table")
    wait_until(lambda: boxes.instance.pids("smtpd") != [pid], 20, "the end of the old process")
    assert has(boxes.session(), "bob")


def test_the_copy_of_a_table_that_only_root_may_read_is_renewed_too(make_instance):
    boxes = Boxes(make_instance, "texthash")
    session = boxes.session()
    assert not has(session, "bob")
    replace(boxes.file, b"bob@a.test a.test/bob/\n", 0o600)
    wait_until(lambda: has(session, "bob"), 10, "the new entry")
    session.mail("x@b.test")
    session.rcpt("bob@a.test")
    session.data("Subject: x\r\n\r\nbody\r\n")
    boxes.instance.wait_messages("bob", 1)


# ---- certificates ----

def make_certificate(workdir, name):
    key, crt = workdir / f"{name}.key", workdir / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", crt, "-days", "30", "-subj", f"/CN={name}"], check=True, capture_output=True)
    return key.read_bytes(), crt.read_bytes()


def name_shown(instance, port, starttls=False):
    """The subject of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if starttls:
        with smtplib.SMTP("127.0.0.1", instance.port[port], "client.test", timeout=20 * SLOW) as session:
            session.starttls(context=context)
            der = session.sock.getpeercert(True)
    else:
        with socket.create_connection(("127.0.0.1", instance.port[port]), 20 * SLOW) as sock, \
                context.wrap_socket(sock) as tls:
            der = tls.getpeercert(True)
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True)
    return re.search(r"CN ?= ?(\S+)", done.stdout.decode())[1]


def test_a_renewed_certificate_is_used_without_a_new_process_and_a_broken_one_is_not(make_instance, workdir):
    old, new = make_certificate(workdir, "old.test"), make_certificate(workdir, "new.test")
    settings = {"smtpd_tls_cert_file": "$config_directory/crt", "smtpd_tls_key_file": "$config_directory/key",
                "default_process_limit": 1}     # a second one, started for a moment's load, would not start with the broken one
    instance = make_instance(start=False, users=(), params=settings)

    def install(key, crt):
        replace(instance.config / "key", key, 0o600)
        replace(instance.config / "crt", crt, 0o600)

    def shown():
        return {name_shown(instance, "smtp", starttls=True), name_shown(instance, "imaps")}

    install(*old)
    instance.start()
    session = smtplib.SMTP("127.0.0.1", instance.port["smtp"], "client.test", timeout=20 * SLOW)
    assert shown() == {"old.test"}
    before = {p: instance.pids(p) for p in ("smtpd", "imapd-login")}

    install(*new)
    wait_until(lambda: shown() == {"new.test"}, 20, "the new certificate")
    install(new[0], b"-----BEGIN CERTIFICATE-----\nbroken\n")
    complaint = r"warning: service \S+: certificates have changed and cannot be read, using the old ones"
    for program in before:
        instance.wait_log(rf"{program}\[\d+\]: {complaint}", 20)
    assert shown() == {"new.test"}
    install(*old)
    wait_until(lambda: shown() == {"old.test"}, 20, "the certificate of before")
    assert {p: instance.pids(p) for p in before} == before
    assert session.noop()[0] == 250
