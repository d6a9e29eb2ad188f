# SPDX-License-Identifier: Apache-2.0
"""Parameters that no other test has a reason to change: what each is for is seen when it has another value than its default.

One suite has all of them, some as -o settings of a service of its own.
"""
import base64
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from instance import SLOW, free_ports, wait_until
from lines import LineClient, SmtpClient

SERVICES = {
    # name: (program, settings)
    "strict": ("smtpd", {
        "smtputf8_enable": "no", "smtpd_helo_required": "yes", "strict_rfc821_envelopes": "yes", "line_length_limit": "600",
        "smtpd_recipient_limit": "1", "smtpd_recipient_overshoot_limit": "1", "smtpd_junk_command_limit": "2",
        "smtpd_hard_error_limit": "2", "smtpd_forbidden_commands": "HELLO", "smtpd_sasl_response_limit": "512",
        "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "no"}),
    "lenient": ("smtpd", {"smtpd_recipient_limit": "1", "smtpd_hard_error_limit": "2", "smtpd_sasl_auth_enable": "yes",
                          "smtpd_tls_auth_only": "no"}),
    "small processes": ("smtpd", {"process_sessions": "1"}),
    "noted": ("smtpd", {"notify_classes": "protocol", "error_notice_recipient": "alice@a.test"}),
    "chain": ("imapd-login", {"imap_tls_security_level": "wrapper", "imap_tls_chain_files": "CHAIN"}),
    "pair": ("imapd-login", {"imap_tls_security_level": "wrapper", "imap_tls_cert_file": "CERT", "imap_tls_key_file": "KEY"}),
    "pop pair": ("pop3d-login", {"imap_tls_security_level": "wrapper", "imap_tls_cert_file": "CERT", "imap_tls_key_file": "KEY"}),
    "proxied": ("imapd-login", {"imap_upstream_proxy_protocol": "haproxy", "imap_upstream_proxy_timeout": "1s"}),
}
PARAMS = {
    "imap_id_send": "name Other vendor Nobody", "message_drop_headers": "x-secret", "header_section_limit": "4096",
    "body_checks_size_limit": "2000", "empty_address_recipient": "NOBODY",
    "delay_logging_resolution_limit": "0", "default_database_type": "lmdb", "extract_recipient_limit": "2",
    "transport_maps": "inline:{ {slow.test=retry:4.7.0 closed today} }", "minimal_backoff_time": "1h",
    "smtpd_error_sleep_time": "0",
}


@pytest.fixture(scope="module")
def other(workdir):
    """A certificate for other.test: (certificate, key, both in one file)"""
    crt, key, both = (workdir / f"other-{n}.pem" for n in ("crt", "key", "both"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                    "-out", crt, "-days", "30", "-subj", "/CN=other.test"], check=True, capture_output=True)
    both.write_text(key.read_text() + crt.read_text())
    return crt, key, both


@pytest.fixture(scope="module")
def suite(make_instance, other):
    ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
    files = dict(zip(("CERT", "KEY", "CHAIN"), map(str, other)))
    services = ["\n".join([f"127.0.0.1:{ports[name]} inet n - n - - {program}",
                           *(f"    -o {{ {k} = {files.get(v, v)} }}" for k, v in settings.items())])
                for name, (program, settings) in SERVICES.items()]
    instance = make_instance(start=False, services=services, params=PARAMS)
    (instance.config / "body").write_text("/forbidden/ REJECT not that\n")
    instance.set(body_checks=f"regexp:{instance.config}/body")
    instance.at = ports
    return instance.start()


def smtp(suite, service, greet=True):
    client = SmtpClient(suite.at.get(service) or suite.port[service])
    assert client.reply().startswith("220 ")
    if greet:
        assert client.say("EHLO client.test").startswith("250")
    return client


def submit(suite, content, to="bob@a.test", sender="ann@b.test"):
    """The reply to a message."""
    with smtp(suite, "smtp") as s:
        assert s.say(f"MAIL FROM:<{sender}>").startswith("250") and s.say(f"RCPT TO:<{to}>").startswith("250")
        assert s.say("DATA").startswith("354")
        return s.say(content.replace("\n", "\r\n") + "\r\n.")


# ---- smtpd ----

LONG = "NOOP " + "x" * 700
# parameter: (what is said after EHLO, the last reply of the strict service, and of one with the default)
TALKS = {
    "smtputf8_enable": (["MAIL FROM:<ann@b.test> SMTPUTF8"], r"5\d\d ", r"250 "),
    "strict_rfc821_envelopes": (["MAIL FROM: ann@b.test"], r"501 ", r"250 "),
    "line_length_limit": ([LONG], r"500 5\.5\.2 Error: line longer than 600 bytes", r"250 "),
    "smtpd_recipient_overshoot_limit": (["MAIL FROM:<a@b.test>", *["RCPT TO:<bob@a.test>"] * 5], r"421 .*too many errors", r"452 "),
    "smtpd_junk_command_limit": (["NOOP"] * 4, r"421 .*too many errors", r"250 "),
    "smtpd_forbidden_commands": (["HELLO there"], r"221 2\.7\.0 ", r"50\d "),
    "smtpd_sasl_response_limit": (["AUTH PLAIN", base64.b64encode(b"\0alice@a.test\0" + b"x" * 500).decode()], r"501 ", r"535 "),
}


@pytest.mark.parametrize("parameter", TALKS)
def test_smtpd_answers_as_the_parameter_says(suite, parameter):
    lines, strict, usual = TALKS[parameter]
    for service, wanted in (("strict", strict), ("lenient", usual)):
        with smtp(suite, service) as s:
            for line in lines:
                reply = s.say(line)
            assert re.match(wanted, reply), (service, reply)


def test_smtputf8_enable_decides_what_is_announced(suite):
    for service, announced in (("strict", False), ("lenient", True)):
        with smtp(suite, service, greet=False) as s:
            assert ("SMTPUTF8" in s.say("EHLO x")) == announced


def test_smtpd_helo_required_refuses_mail_before_a_greeting(suite):
    with smtp(suite, "strict", greet=False) as s:
        assert s.say("MAIL FROM:<>") == "503 5.5.1 Error: send HELO/EHLO first"
    with smtp(suite, "lenient", greet=False) as s:
        assert s.say("MAIL FROM:<>").startswith("250")


def sockets(pid):
    """The inodes of a process's sockets."""
    links = (os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}


def servers_of(suite, client):
    """The processes that have the other end of a connection."""
    row = re.search(rf"^ *\d+: \S+ \w+:{client.port:04X} 01 (.*)", Path("/proc/net/tcp").read_text(), re.M)
    return [pid for pid in suite.pids("smtpd") if row[1].split()[5] in sockets(pid)]


def test_process_sessions_bounds_the_sessions_of_one_process(suite):
    with smtp(suite, "small processes") as one, smtp(suite, "small processes") as two:
        (first,), (second,) = servers_of(suite, one), servers_of(suite, two)
        assert first != second


def test_error_notice_recipient_gets_the_transcript_of_a_session(suite):
    with smtp(suite, "noted") as s:
        assert s.say("NONSENSE").startswith("50")
        s.say("QUIT")
    message, = suite.wait_messages("alice", 1)
    assert "NONSENSE" in message.read_text()


# ---- what becomes of a message ----

def newest(suite, id):
    return wait_until(lambda: [p.read_text() for p in suite.messages("bob") if f"Subject: {id}\n" in p.read_text()], 20, id)[0]


def test_message_drop_headers_are_left_out_up_to_header_section_limit(suite):
    filling = "".join(f"X-Filling-{i}: {'x' * 70}\n" for i in range(60))
    assert submit(suite, "Subject: drop\nX-Secret: early\n" + filling + "X-Secret: late\nBcc: c@a.test\n\nbody").startswith("250")
    text = newest(suite, "drop")
    assert "X-Secret: early" not in text and "X-Secret: late" in text and "Bcc: c@a.test" in text


@pytest.mark.parametrize("lines, reply", [(10, "550 5.7.1 not that"), (60, "250 ")])
def test_body_checks_look_at_the_beginning_of_a_body(suite, lines, reply):
    assert submit(suite, f"Subject: body {lines}\n\n" + ("x" * 60 + "\n") * lines + "forbidden").startswith(reply)


def test_the_null_sender_is_shown_as_empty_address_recipient_says_and_times_as_delay_logging_resolution_limit(suite):
    assert submit(suite, "Subject: late\n\nbody", to="x@slow.test", sender="").startswith("250")
    line = suite.wait_log(r"to=<x@slow\.test>.* delay=([\d.]+), delays=(\S+),.*status=deferred")
    assert re.fullmatch(r"\d+", line[1]) and re.fullmatch(r"\d+/\d+/\d+/\d+", line[2]), line[0]
    wait_until(lambda: suite.queue_ids(), 10, "a message that waits")
    assert re.search(r"^\S+ +\d+ \w+ \w+ +\d+ [\d:]+ +NOBODY$", suite.tool("postqueue", "-p"), re.M), suite.tool("postqueue", "-p")


def test_extract_recipient_limit_bounds_the_recipients_of_sendmail_t(suite):
    done = suite.tool("sendmail", "-t", "-f", "alice@a.test", input="Subject: t\nTo: bob@a.test, bob@a.test, alice@a.test\n\nx\n",
                      check=False)
    assert done.returncode != 0 or suite.wait_log(r"extract_recipient_limit|too many recipients"), done.stderr


def test_default_database_type_is_what_postmap_makes(suite):
    (suite.config / "plain").write_text("a b\n")
    suite.tool("postmap", suite.config / "plain")
    assert (suite.config / "plain.lmdb").exists() and not (suite.config / "plain.db").exists()


# ---- retrieval ----

def imap(suite, service="imap"):
    client = LineClient(suite.at.get(service) or suite.port[service])
    assert client.line().startswith("* OK ")
    return client


def test_imap_id_send_is_the_answer_to_ID_before_and_after_sign_in(suite):
    with imap(suite) as c:
        for tag in "a", "b":
            assert c.ask(f"{tag} ID NIL") == '* ID ("name" "Other" "vendor" "Nobody")'
            c.until(f"{tag} OK")
            c.ask(f"login LOGIN bob@a.test {suite.password}")


@pytest.mark.parametrize("service, name", [("chain", "other.test"), ("pair", "other.test"), ("pop pair", "other.test"), ("imaps", "localhost")])
def test_the_fronts_may_have_a_certificate_of_their_own(suite, service, name):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", suite.at.get(service) or suite.port[service]), 20 * SLOW) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            shown = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], capture_output=True, check=True,
                                   input=tls.getpeercert(binary_form=True)).stdout.decode()
    assert re.search(rf"CN ?= ?{name}", shown), shown


def test_a_proxy_that_does_not_say_who_the_client_is_in_time_is_hung_up_on(suite):
    with LineClient(suite.at["proxied"]) as c:
        assert c.line() == ""
    suite.wait_log(r"imapd?-login: no PROXY header from proxy 127\.0\.0\.1: Connection timed out")
