# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of the suite: the PROXY protocol, versions 1 and 2, for SMTP, IMAP and POP3."""
import contextlib
import socket
import ssl
import struct

import pytest

from instance import SLOW, free_ports

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
NAMES = ("smtp", "hurried", "smtps", "imap", "pop3")


def v1(client="192.0.2.1", server="198.51.100.2", proto="TCP4"):
    return f"PROXY {proto} {client} {server} 56324 25\r\n".encode()


def v2(client="192.0.2.1", server="198.51.100.2", family=socket.AF_INET, command=0x21, more=b""):
    body = b"" if client is None else (socket.inet_pton(family, client) + socket.inet_pton(family, server)
                                       + struct.pack("!HH", 56324, 25))
    kind = 0 if client is None else 0x11 if family == socket.AF_INET else 0x21
    return SIGNATURE + struct.pack("!BBH", command, kind, len(body + more)) + body + more


V6 = "2001:db8::1", "2001:db8::2"


@pytest.fixture(scope="module")
def suite(make_instance):
    at = dict(zip(NAMES, free_ports(len(NAMES))))
    proxied = "-o smtpd_upstream_proxy_protocol=haproxy"
    suite = make_instance(services=[
        f"127.0.0.1:{at['smtp']} inet n - n - - smtpd {proxied}",
        f"127.0.0.1:{at['hurried']} inet n - n - - smtpd {proxied} -o smtpd_upstream_proxy_timeout=1s",
        f"127.0.0.1:{at['smtps']} inet n - n - - smtpd {proxied} -o smtpd_tls_wrappermode=yes",
        f"127.0.0.1:{at['imap']} inet n - n - - imapd-login -o imap_upstream_proxy_protocol=haproxy",
        f"127.0.0.1:{at['pop3']} inet n - n - - pop3d-login -o imap_upstream_proxy_protocol=haproxy",
    ])
    suite.at = at
    return suite


def connect(suite, service="smtp"):
    return socket.create_connection(("127.0.0.1", suite.at[service]), timeout=20 * SLOW)


def first_line(sock):
    with sock.makefile("rb") as f:
        return f.readline().decode().rstrip()


# what the proxy says: whom the suite takes for the client
HEADERS = {
    "version 1": (v1(), "192.0.2.1"),
    "version 1, IPv6": (v1(*V6, proto="TCP6"), V6[0]),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "version 2": (v2("192.0.2.2"), "192.0.2.2"),
    "version 2, IPv6": (v2("2001:db8::3", V6[1], family=socket.AF_INET6), "2001:db8::3"),
    "version 2, mapped IPv4": (v2("::ffff:192.0.2.6", "::ffff:192.0.2.7", family=socket.AF_INET6), "192.0.2.6"),
    "version 2, TLVs": (v2("192.0.2.3", more=b"\x04\0\x03abc" + b"\x05\0\x02id"), "192.0.2.3"),
    "version 2, local": (v2(None, command=0x20), "127.0.0.1"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_the_client_is_whom_the_proxy_names(suite, case):
    header, client = HEADERS[case]
    ends = rf"disconnect from unknown\[{client}\] ehlo=1 quit=1 unknown=0/1 commands=2/3"
    before = len(suite.log_lines(ends))
    with connect(suite) as s:
        s.sendall(header + b"EHLO client.test\r\nXYZZY\r\nQUIT\r\n")
        with s.makefile("rb") as f:
            replies = f.read().decode()
    assert replies.startswith("220 mx.a.test ") and replies.endswith("221 2.0.0 Bye\r\n"), replies
    suite.wait_log(ends, count=before + 1)
    assert suite.log_lines(rf": connect from .*\[{client}\]")


def test_networks_and_reject_lines_are_about_the_client_of_the_proxy(suite):
    with connect(suite) as s:
        s.sendall(v1("192.0.2.77") + b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nQUIT\r\n")
        with s.makefile("rb") as f:
            replies = f.read().decode()
    assert "454 4.7.1 <c@d.example>: Relay access denied" in replies or "554 5.7.1 <c@d.example>: Relay access denied" in replies
    suite.wait_log(r"NOQUEUE: reject: RCPT from unknown\[192\.0\.2\.77\]: .*Relay access denied")


GARBAGE = {
    "smtp": b"EHLO client.test\r\n",
    "a bad address": b"PROXY TCP4 192.0.2.999 198.51.100.2 56324 25\r\n",
    "no line end": b"PROXY UNKNOWN " + b"x" * 200,
    "a bad version": SIGNATURE + b"\x31\x11\0\0",
    "too short a body": SIGNATURE + b"\x21\x11\0\x04abcd",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_what_is_no_header_is_refused(suite, case):
    n = len(suite.log_lines("haproxy read from proxy 127.0.0.1: not a PROXY header"))
    with connect(suite) as s:
        s.sendall(GARBAGE[case])
        assert first_line(s) == "421 4.3.0 mx.a.test Server local error"
    suite.wait_log(r"warning: haproxy read from proxy 127\.0\.0\.1: not a PROXY header", count=n + 1)


def test_a_header_over_the_limit_is_refused(suite):
    with connect(suite) as s:
        s.sendall(SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 1000)
        assert first_line(s) == "421 4.3.0 mx.a.test Server local error"
    suite.wait_log(r"haproxy read from proxy 127\.0\.0\.1: header too long")


def test_a_proxy_that_says_nothing_is_not_waited_for_long(suite):
    with connect(suite, "hurried") as s:
        s.sendall(b"PROXY TCP4 192.0.2.1")
        assert first_line(s) == "421 4.3.0 mx.a.test Server local error"
    suite.wait_log(r"haproxy read from proxy 127\.0\.0\.1: timeout")


def test_tls_may_follow_the_header_in_the_same_packet(suite):
    context = ssl.create_default_context(cafile=suite.certificate[1])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connect(suite, "smtps") as s:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        s.sendall(v2("192.0.2.9") + outgoing.read())

        def run(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        s.sendall(outgoing.read())
                    incoming.write(s.recv(65536))

        run(tls.do_handshake)
        s.sendall(outgoing.read())
        assert run(lambda: tls.read(1000)).startswith(b"220 mx.a.test")
    suite.wait_log(r"connect from unknown\[192\.0\.2\.9\]")


@pytest.mark.parametrize("service,greeting", [("imap", "* OK "), ("pop3", "+OK ")])
def test_imap_and_pop3_take_the_client_from_the_proxy_too(suite, service, greeting):
    with connect(suite, service) as s:
        s.sendall(v2("192.0.2.10"))
        assert first_line(s).startswith(greeting)
    suite.wait_log(rf"{service}-login: .*rip=192\.0\.2\.10, lip=198\.51\.100\.2")
    with connect(suite, service) as s:
        s.sendall(b"QUIT of no proxy\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert first_line(s) == ""
    suite.wait_log(rf"warning: {service}-login: no PROXY header from proxy 127\.0\.0\.1")
