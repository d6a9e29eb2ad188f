# SPDX-License-Identifier: Apache-2.0
"""TLS with clients: levels, protocols, certificates by name and by algorithm, client certificates, session
tickets that every process can open, and what is done about those who do not play by the rules."""
import base64
import contextlib
import re
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from instance import SLOW, free_ports, wait_until

LOG = r"postern/\S+\[\d+\]: "


# ---- certificates ----

def openssl(*args, **kw):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, text=True, **kw).stdout


class Pem:
    """A key with its certificate, of its own or of an authority."""

    def __init__(self, folder, name, algorithm="ec", issuer=None):
        self.key, self.crt, self.both = (folder / f"{name}.{kind}" for kind in ("key", "crt", "pem"))
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if algorithm == "ec" else ["-newkey", "rsa:2048"]
        signed = ["-CA", issuer.crt, "-CAkey", issuer.key] if issuer else []
        openssl("req", "-x509", *new, "-nodes", "-keyout", self.key, "-out", self.crt, "-days", 30, "-subj", f"/CN={name}", *signed)
        self.both.write_text(self.key.read_text() + self.crt.read_text())

    def fingerprint(self, digest="sha256"):
        return openssl("x509", "-noout", f"-{digest}", "-fingerprint", "-in", self.crt).strip().split("=")[1]

    def key_fingerprint(self):
        public = openssl("x509", "-noout", "-pubkey", "-in", self.crt)
        der = base64.b64decode("".join(public.splitlines()[1:-1]))
        hexed = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der, capture_output=True).stdout.decode().split()[0]
        return ":".join(hexed[i:i + 2] for i in range(0, 64, 2)).upper()


@pytest.fixture(scope="module")
def pems(workdir):
    folder = workdir / "tls"
    folder.mkdir()
    made = {name: Pem(folder, name) for name in ("ec.test", "b64.test", "file.test", "wild.test", "ca.test")}
    made["rsa.test"] = Pem(folder, "rsa.test", "rsa")
    for name in ("known", "keyed", "other"):
        made[name] = Pem(folder, name, issuer=made["ca.test"])
    made["stranger"] = Pem(folder, "stranger")
    return made


# ---- clients ----

def context(pem=None, least=None, most=None, ciphers=None):
    c = ssl._create_unverified_context()
    if least or most:
        c.minimum_version = least or ssl.TLSVersion.TLSv1_2
        c.maximum_version = most or ssl.TLSVersion.TLSv1_3
    if ciphers:
        c.set_ciphers(ciphers)
    if pem:
        c.load_cert_chain(pem.crt, pem.key)
    return c


@contextlib.contextmanager
def session(port, **kw):
    """An SMTP session over STARTTLS."""
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=20 * SLOW) as s:
        s._host = kw.pop("name", "localhost")
        s.starttls(context=context(**kw))
        s.ehlo()
        yield s


def shown(port, name=None, starttls=True, **kw):
    """The name in the certificate that a client is shown."""
    c = context(**kw)
    if isinstance(starttls, bytes):     # of another protocol: the command; its answer is one line, as the greeting is
        sock = socket.create_connection(("127.0.0.1", port), 20 * SLOW)
        with sock.makefile("rb", buffering=0) as answers:
            answers.readline()
            sock.sendall(starttls)
            assert b"OK" in answers.readline()
    elif starttls:
        s = smtplib.SMTP("127.0.0.1", port, "client.test", timeout=20 * SLOW)
        s.ehlo()
        s.docmd("STARTTLS")
        sock = s.sock
    else:
        sock = socket.create_connection(("127.0.0.1", port), 20 * SLOW)
    with c.wrap_socket(sock, server_hostname=name) as tls:
        der = tls.getpeercert(True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True).stdout
    return re.search(r"CN ?= ?(\S+)", text.decode())[1]


def service(port, *options):
    return "\n".join([f"127.0.0.1:{port} inet n - n - - smtpd"] + [f"  -o {{ {o} }}" for o in options])


# ---- one instance with a service for each configuration ----

SERVICES = {
    "may": ["smtpd_tls_security_level = may"],
    "none": ["smtpd_tls_security_level = none"],
    "encrypt": ["smtpd_tls_security_level = encrypt"],
    "use": ["smtpd_tls_security_level =", "smtpd_use_tls = yes"],
    "enforce": ["smtpd_tls_security_level =", "smtpd_enforce_tls = yes"],
    "wrapper": ["smtpd_tls_wrappermode = yes"],
    "open_auth": ["smtpd_sasl_auth_enable = yes", "smtpd_tls_auth_only = no"],
    "tls_auth": ["smtpd_sasl_auth_enable = yes", "smtpd_tls_auth_only = yes"],
    "old": ["smtpd_tls_protocols = TLSv1.2", "smtpd_tls_exclude_ciphers = AES256, CHACHA20"],
    "new": ["smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2"],
    "strict": ["smtpd_tls_security_level = encrypt", "smtpd_tls_mandatory_protocols = >=TLSv1.3",
               "smtpd_tls_eecdh_grade = ultra"],
    "ask": ["smtpd_tls_ask_ccert = yes", "smtpd_tls_received_header = yes",
            "smtpd_relay_restrictions = permit_tls_clientcerts, reject"],
    "trust": ["smtpd_tls_ask_ccert = yes", "smtpd_relay_restrictions = permit_tls_all_clientcerts, reject"],
    "access": ["smtpd_tls_ask_ccert = yes", "smtpd_relay_restrictions = reject_unauth_destination",
               "smtpd_recipient_restrictions = check_ccert_access texthash:$config_directory/ccert"],
    "bykey": ["smtpd_tls_ask_ccert = yes", "smtpd_relay_restrictions = reject_unauth_destination",
              "smtpd_recipient_restrictions = check_ccert_access { texthash:$config_directory/bykey, "
              "{ search_order = pubkey_fingerprint } }"],
    "require": ["smtpd_tls_security_level = encrypt", "smtpd_tls_req_ccert = yes"],
    "hurried": ["smtpd_starttls_timeout = 1s"],
}


@pytest.fixture(scope="module")
def tls(make_instance, pems):
    ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
    instance = make_instance(start=False, users=("alice",), services=[service(ports[n], *o) for n, o in SERVICES.items()],
                             params={
        "smtpd_tls_cert_file": pems["rsa.test"].crt, "smtpd_tls_key_file": pems["rsa.test"].key,
        "smtpd_tls_eccert_file": pems["ec.test"].crt, "smtpd_tls_eckey_file": pems["ec.test"].key,
        "smtpd_tls_loglevel": "1", "smtpd_tls_CAfile": pems["ca.test"].crt, "mynetworks": "192.0.2.0/24",
        "relay_clientcerts": "texthash:$config_directory/relay",
        "tls_server_sni_maps": "hash:$config_directory/stored, texthash:$config_directory/names",
        "smtpd_hard_error_limit": "1000", "smtpd_soft_error_limit": "1000",
    })
    instance.tls_port = ports
    known, keyed = pems["known"].fingerprint(), pems["keyed"].key_fingerprint()
    (instance.config / "relay").write_text(f"{known} x\n{keyed} x\n")
    (instance.config / "bykey").write_text(f"{known} OK\n{pems['known'].key_fingerprint()} REJECT your key\n")
    (instance.config / "ccert").write_text(f"{known} REJECT not you\n{keyed} OK\n")
    (instance.config / "stored").write_text(f"B64.test {pems['b64.test'].both}\n"
                                            f".wild.test {pems['wild.test'].key},{pems['wild.test'].crt}\n")
    (instance.config / "names").write_text(f"file.test {pems['file.test'].both}\nbroken.test bm90aGluZw==\n")
    instance.tool("postmap", "-F", f"hash:{instance.config}/stored")
    instance.expected_trouble += ["certificate of broken.test"]
    return instance.start()


# ---- levels ----

@pytest.mark.parametrize("name, offered, plain", [
    ("may", True, 250), ("none", False, 250), ("encrypt", True, 530), ("use", True, 250), ("enforce", True, 530)])
def test_a_level_offers_tls_or_demands_it(tls, name, offered, plain):
    with smtplib.SMTP("127.0.0.1", tls.tls_port[name], "client.test", timeout=20 * SLOW) as s:
        s.ehlo()
        assert s.has_extn("starttls") == offered
        code, text = s.docmd("MAIL FROM:<x@b.test>")
        assert code == plain
        if plain == 530:
            assert text == b"5.7.0 Must issue a STARTTLS command first"
        s.rset()
        assert s.docmd("STARTTLS")[0] == (220 if offered else 502)


def test_wrapper_mode_speaks_tls_from_the_first_byte(tls):
    with smtplib.SMTP_SSL("127.0.0.1", tls.tls_port["wrapper"], "client.test", timeout=20 * SLOW, context=context()) as s:
        s.ehlo()
        assert not s.has_extn("starttls")
        assert s.docmd("STARTTLS") == (554, b"5.5.1 Error: TLS already active")
        assert s.mail("x@b.test")[0] == 250


def test_sign_in_is_offered_without_tls_only_where_that_is_allowed(tls):
    for name, before in (("open_auth", True), ("tls_auth", False)):
        with smtplib.SMTP("127.0.0.1", tls.tls_port[name], "client.test", timeout=20 * SLOW) as s:
            s.ehlo()
            assert s.has_extn("auth") == before, name
            s.starttls(context=context())
            s.ehlo()
            assert s.has_extn("auth"), name


# ---- protocols, ciphers, algorithms ----

@pytest.mark.parametrize("name, client, line", [
    ("may", {}, r"TLSv1\.3 with cipher TLS_AES_256_GCM_SHA384 \(256/256 bits\) key-exchange X25519 "
                r"server-signature ECDSA \(P-256\) server-digest SHA256"),
    ("may", {"most": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"},
     r"TLSv1\.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 \(128/128 bits\)"),
    ("old", {"ciphers": "ECDHE+AES"}, r"TLSv1\.2 with cipher ECDHE-ECDSA-AES128-\S+ \(128/128 bits\)"),
    ("new", {}, r"TLSv1\.3 with .*"),
    ("strict", {}, r"TLSv1\.3 with .* key-exchange ECDHE \(P-384\) server-signature .*"),
])
def test_each_side_gets_the_protocol_and_the_cipher_that_both_allow(tls, name, client, line):
    with session(tls.tls_port[name], **client) as s:
        assert s.mail("x@b.test")[0] == 250
    tls.wait_log(rf"{LOG}Anonymous TLS connection established from unknown\[127\.0\.0\.1\]: {line}\n")


@pytest.mark.parametrize("name, client", [
    ("new", {"most": ssl.TLSVersion.TLSv1_2}), ("old", {"least": ssl.TLSVersion.TLSv1_3}),
    ("strict", {"most": ssl.TLSVersion.TLSv1_2}),
    ("old", {"most": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE+AES256"})])
def test_nothing_in_common_ends_the_session_with_a_reason(tls, name, client):
    before = len(tls.log_lines("SSL_accept error"))
    with pytest.raises((ssl.SSLError, smtplib.SMTPException, OSError)):
        with session(tls.tls_port[name], **client):
            pass
    tls.wait_log(rf"{LOG}SSL_accept error from unknown\[127\.0\.0\.1\]: \S+", count=before + 1)
    tls.wait_log(rf"{LOG}lost connection after STARTTLS from unknown\[127\.0\.0\.1\]")


def test_a_client_gets_the_certificate_of_an_algorithm_that_it_knows(tls):
    old = ssl.TLSVersion.TLSv1_2
    assert shown(tls.tls_port["may"]) == "ec.test"
    assert shown(tls.tls_port["may"], most=old, ciphers="aRSA") == "rsa.test"
    assert shown(tls.tls_port["may"], most=old, ciphers="aECDSA") == "ec.test"


# ---- names ----

NAMES = [("b64.test", "b64.test"), ("B64.TEST", "b64.test"), ("x.wild.test", "wild.test"), ("a.b.wild.test", "wild.test"),
         ("wild.test", "ec.test"), ("file.test", "file.test"), ("else.test", "ec.test"), (None, "ec.test")]


def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(tls):
    assert {n: shown(tls.tls_port["may"], n) for n, _ in NAMES} == dict(NAMES)
    assert {n: shown(tls.port["imaps"], n, starttls=False) for n, _ in NAMES} == dict(NAMES)
    for service, starttls in (("pop3s", False), ("imap", b"a STARTTLS\r\n"), ("pop3", b"STLS\r\n")):
        assert [shown(tls.port[service], n, starttls=starttls) for n in ("b64.test", None)] == ["b64.test", "ec.test"], service


def test_a_broken_certificate_of_a_name_is_logged_and_never_replaced_by_another(tls):
    with pytest.raises(ssl.SSLError):
        shown(tls.tls_port["may"], "broken.test")
    tls.wait_log(rf"{LOG}warning: certificate of broken\.test in tls_server_sni_maps: expected the Base64 of a key")
    assert shown(tls.tls_port["may"], "b64.test") == "b64.test"


def test_what_is_no_host_name_gets_the_usual_certificate(tls):
    client = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.tls_port['wrapper']}", "-servername",
                             "../../etc/passwd"], input="QUIT\n", capture_output=True, text=True, timeout=20 * SLOW)
    assert re.search(r"subject=CN ?= ?ec\.test", client.stdout)


def replace(path, text):
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


def test_changed_names_and_files_count_without_a_new_process_and_broken_ones_do_not(make_instance, pems, workdir):
    folder = workdir / "sni"
    folder.mkdir()
    chain, authority = folder / "chain.pem", folder / "ca.pem"
    chain.write_text(pems["file.test"].both.read_text())
    authority.write_text(pems["stranger"].crt.read_text())
    instance = make_instance(start=False, users=(), params={
        "tls_server_sni_maps": "texthash:$config_directory/names", "smtpd_tls_loglevel": "1",
        "smtpd_tls_ask_ccert": "yes", "smtpd_tls_CAfile": authority})
    names = instance.config / "names"
    names.write_text(f"a.test {chain}\nb.test {base64.b64encode(pems['b64.test'].both.read_bytes()).decode()}\n")
    instance.start()
    port = instance.port["smtp"]
    held = smtplib.SMTP("127.0.0.1", port, "client.test", timeout=20 * SLOW)
    assert (shown(port, "a.test"), shown(port, "b.test")) == ("file.test", "b64.test")
    pid = instance.pids("smtpd")

    with session(port, pem=pems["known"]):
        instance.wait_log(rf"{LOG}Untrusted TLS connection established")
    replace(authority, pems["ca.test"].crt.read_text())
    replace(chain, pems["wild.test"].both.read_text())
    wait_until(lambda: shown(port, "a.test") == "wild.test", 20, "the changed file")
    with session(port, pem=pems["known"]):
        instance.wait_log(rf"{LOG}Trusted TLS connection established")
    replace(chain, "-----BEGIN PRIVATE KEY-----\nbroken\n")
    instance.wait_log(rf"{LOG}warning: service \S+: certificates have changed and cannot be read, using the old ones", 20)
    assert shown(port, "a.test") == "wild.test"

    replace(names, f"b.test {base64.b64encode(pems['ec.test'].both.read_bytes()).decode()}\n")
    wait_until(lambda: shown(port, "b.test") == "ec.test", 20, "the changed table")
    replace(names, "b.test AAAA\n")
    wait_until(lambda: shown(port, "b.test") == "ec.test" and instance.log_lines(
        r"warning: certificate of b\.test in tls_server_sni_maps: .*using the old one"), 20, "the complaint")
    assert shown(port, "b.test") == "ec.test"
    assert instance.pids("smtpd") == pid
    assert held.noop()[0] == 250


# ---- client certificates ----

@pytest.mark.parametrize("name, client, code, text", [
    ("ask", "known", 250, ""), ("ask", "keyed", 250, ""), ("ask", "other", 554, "Access denied"),
    ("ask", None, 554, "Access denied"), ("ask", "stranger", 554, "Access denied"),
    ("trust", "other", 250, ""), ("trust", "stranger", 554, "Access denied"), ("trust", None, 554, "Access denied"),
    ("access", "known", 554, "Client certificate rejected: not you"), ("access", "keyed", 250, ""), ("access", "other", 250, ""),
    ("bykey", "known", 554, "Client certificate rejected: your key"), ("bykey", "keyed", 250, ""),
])
def test_a_certificate_opens_the_doors_that_its_fingerprint_or_its_authority_opens(tls, pems, name, client, code, text):
    pem = pems[client] if client else None
    with session(tls.tls_port[name], pem=pem) as s:
        s.mail("x@b.test")
        answer = s.rcpt("alice@a.test")
        assert answer[0] == code, answer
        assert text in answer[1].decode()
    if name == "access" and code == 554:
        tls.wait_log(rf"{LOG}NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.1\]: 554 5\.7\.1 "
                     rf"<{pem.fingerprint()}>: Client certificate rejected: not you; from=<x@b\.test>")


def test_a_certificate_is_told_in_the_log_and_in_the_received_header(tls, pems):
    words = {"known": ("Trusted", "verified OK", "ca.test"), "stranger": ("Untrusted", "not verified", "stranger")}
    for name, (trust, verified, issuer) in words.items():
        pem = pems[name]
        with session(tls.tls_port["access"] if name == "stranger" else tls.tls_port["trust"], pem=pem) as s:
            s.sendmail("x@b.test", ["alice@a.test"], f"Subject: of {name}\r\n\r\nbody\r\n")
        tls.wait_log(rf"{LOG}unknown\[127\.0\.0\.1\]: {trust}: subject_CN={name}, issuer={issuer}, "
                     rf"fingerprint={pem.fingerprint()}, pkey_fingerprint={pem.key_fingerprint()}\n")
        tls.wait_log(rf"{LOG}{trust} TLS connection established from unknown\[127\.0\.0\.1\]: TLSv1\.3 with .* "
                     r"client-signature ECDSA \(P-256\) client-digest SHA256\n")
        found = wait_until(lambda: [m.read_text() for m in tls.messages("alice") if f"of {name}\n" in m.read_text()], 20, "mail")
        assert (f'(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n\tkey-exchange X25519 server-signature '
                f'ECDSA (P-256) server-digest SHA256\n\tclient-signature ECDSA (P-256) client-digest SHA256)\n'
                f'\t(Client CN "{name}", Issuer "{issuer}" ({verified}))\n') in found[0]


def test_a_session_without_the_required_certificate_is_told_and_ends(tls, pems):
    for client, why in ((None, "No client certificate presented"), ("stranger", "Client certificate not trusted")):
        with smtplib.SMTP("127.0.0.1", tls.tls_port["require"], "client.test", timeout=20 * SLOW) as s:
            s.starttls(context=context(pem=pems[client] if client else None))
            code, text = s.getreply()
            assert (code, text.decode()) == (421, f"4.7.1 mx.a.test Error: {why}")
        tls.wait_log(rf"{LOG}NOQUEUE: abort: TLS from unknown\[127\.0\.0\.1\]: {why}")
    with session(tls.tls_port["require"], pem=pems["other"]) as s:
        assert s.mail("x@b.test")[0] == 250


# ---- those who do not play by the rules ----

def converse(port):
    s = socket.create_connection(("127.0.0.1", port), 20 * SLOW)
    f = s.makefile("rb")
    assert f.readline().startswith(b"220 ")
    s.sendall(b"EHLO client.test\r\n")
    while not f.readline().startswith(b"250 "):
        pass
    return s, f


def test_plaintext_behind_starttls_is_thrown_away_and_logged(tls):
    s, f = converse(tls.tls_port["may"])
    injected = b"EHLO evil.test\r\nMAIL FROM:<evil@b.test>\r\n"
    s.sendall(b"STARTTLS\r\n" + injected)
    assert f.readline().startswith(b"220 2.0.0")
    with context().wrap_socket(s) as t:
        t.sendall(b"NOOP\r\n")
        assert t.recv(100) == b"250 2.0.0 Ok\r\n"       # and not the answers to what was injected
        t.sendall(b"RCPT TO:<alice@a.test>\r\n")
        assert t.recv(100).startswith(b"503 5.5.1")
    tls.wait_log(rf"{LOG}warning: improper command pipelining after STARTTLS from unknown\[127\.0\.0\.1\]: "
                 rf"{len(injected)} bytes discarded")


def test_what_was_said_before_starttls_is_forgotten(tls):
    with smtplib.SMTP("127.0.0.1", tls.tls_port["may"], "client.test", timeout=20 * SLOW) as s:
        s.ehlo()
        s.docmd("STARTTLS")
        s.sock = context().wrap_socket(s.sock)
        s.file = None
        s.docmd("NOOP")
        assert s.docmd("STARTTLS")[0] == 554
        assert s.docmd("STARTTLS now")[0] == 501


@pytest.mark.parametrize("garbage", [b"EHLO again\r\n", b"\x16\x03\x01\x40\x00\x01" + b"\x00" * 100, b"\x80\x2e\x01\x00\x02",
                                     b"\x15\x03\x01\x00\x02\x02\x28", b"\x00" * 64], ids=repr)
def test_garbage_for_a_handshake_ends_the_session_and_nothing_else(tls, garbage):
    before = len(tls.log_lines("SSL_accept error"))
    s, f = converse(tls.tls_port["may"])
    s.sendall(b"STARTTLS\r\n")
    assert f.readline().startswith(b"220 ")
    s.sendall(garbage)
    s.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):     # by a server that did not read it all
        while s.recv(1000):
            pass
    tls.wait_log("SSL_accept error", count=before + 1)
    with session(tls.tls_port["may"]) as other:
        assert other.noop()[0] == 250


def test_a_handshake_that_does_not_come_to_an_end_is_cut_off(tls):
    s, f = converse(tls.tls_port["hurried"])
    s.sendall(b"STARTTLS\r\n")
    assert f.readline().startswith(b"220 ")
    start = time.time()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    with contextlib.suppress(OSError):
        while time.time() < start + 20 * SLOW:      # a byte now and then does not help
            s.sendall(hello[:1] or b"\x00")
            hello = hello[1:]
            s.settimeout(0.2)
            with contextlib.suppress(socket.timeout):
                if s.recv(10) == b"":
                    break
    assert time.time() - start < 15 * SLOW
    tls.wait_log(rf"{LOG}timeout after STARTTLS from unknown\[127\.0\.0\.1\]")


# ---- sessions resumed ----

def s_client(port, *args):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp", "-name", "client.test",
                           "-crlf", "-ign_eof", *map(str, args)], input="quit\n", capture_output=True, text=True, timeout=30 * SLOW)
    return "Reused, " in done.stdout


def connect_once(port, path, version):
    """A new session, whose ticket is kept in path."""
    assert not s_client(port, f"-tls{version}", "-sess_out", path)
    return path


@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_a_session_is_resumed_by_another_process(tls, tmp_path, version):
    first, second = tls.tls_port["may"], tls.tls_port["old" if version == "1_2" else "new"]
    ticket = connect_once(first, tmp_path / "ticket", version)
    assert len(tls.pids("smtpd")) > 1
    assert s_client(second, f"-tls{version}", "-sess_in", ticket)
    assert s_client(first, f"-tls{version}", "-sess_in", ticket)


def test_a_session_is_not_resumed_where_more_is_asked_of_the_client(tls, tmp_path):
    ticket = connect_once(tls.tls_port["may"], tmp_path / "ticket", "1_3")
    assert not s_client(tls.tls_port["ask"], "-sess_in", ticket)


def test_keys_of_tickets_are_renewed_and_old_ones_are_forgotten(make_instance, tmp_path):
    instance = make_instance(users=(), params={"smtpd_tls_session_cache_timeout": f"{4 * SLOW:.0f}s"})
    port = instance.port["smtp"]
    ticket = connect_once(port, tmp_path / "ticket", "1_2")
    assert s_client(port, "-tls1_2", "-sess_in", ticket)
    wait_until(lambda: not s_client(port, "-tls1_2", "-sess_in", ticket), 20, "the end of the key")
    ticket = connect_once(port, tmp_path / "ticket", "1_3")
    assert s_client(port, "-tls1_3", "-sess_in", ticket)


def test_without_tlsmgr_or_with_a_time_of_0_sessions_are_still_served(make_instance, tmp_path):
    alone = make_instance(users=(), drop_services=("tlsmgr",))
    ticket = connect_once(alone.port["smtp"], tmp_path / "ticket", "1_3")
    assert s_client(alone.port["smtp"], "-tls1_3", "-sess_in", ticket)
    alone.wait_log(rf"{LOG}warning: cannot get the keys of TLS session tickets from service tlsmgr: ")
    never = make_instance(users=(), params={"smtpd_tls_session_cache_timeout": "0"})
    assert not s_client(never.port["smtp"], "-tls1_2", "-sess_out", tmp_path / "none")
    assert not s_client(never.port["smtp"], "-tls1_2", "-sess_in", tmp_path / "none")


# ---- other clients ----

def test_swaks_sends_by_starttls_and_by_wrapper_mode(tls):
    before = len(tls.messages("alice"))
    for name, flag in (("may", "--tls"), ("wrapper", "--tls-on-connect")):
        done = subprocess.run(["swaks", "--server", f"127.0.0.1:{tls.tls_port[name]}", flag, "--from", "x@b.test", "--to",
                               "alice@a.test"], capture_output=True, text=True, timeout=30 * SLOW)
        assert done.returncode == 0, done.stdout + done.stderr
    tls.wait_messages("alice", before + 2)
