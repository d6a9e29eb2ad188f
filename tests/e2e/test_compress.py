# SPDX-License-Identifier: Apache-2.0
"""COMPRESS=DEFLATE (RFC 4978): with and without TLS, in IDLE, and across parking."""
import zlib

import pytest

from instance import SLOW, wait_until
from test_parking import Client, close, parked


class Deflated(Client):
    """A client that compresses once it was told that it may."""

    inflater = deflater = None

    def compress(self):
        self.ok("COMPRESS DEFLATE")
        self.inflater, self.deflater = zlib.decompressobj(-15), zlib.compressobj(9, zlib.DEFLATED, -15)
        self.text = b""

    def line(self):
        if not self.inflater:
            return super().line()
        while b"\n" not in self.text:
            got = self.sock.recv(65536)
            if not got:
                return ""
            self.text += self.inflater.decompress(got)
        line, _, self.text = self.text.partition(b"\n")
        return line.decode().rstrip("\r")

    def send(self, text):
        if not self.deflater:
            return super().send(text)
        self.sock.sendall(self.packed(text if isinstance(text, bytes) else text.encode() + b"\r\n"))

    def packed(self, text):
        return self.deflater.compress(text) + self.deflater.flush(zlib.Z_SYNC_FLUSH)


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob"), params={"imap_hibernate_timeout": "1s", "imap_compress_ratio_limit": "10"})


def both(suite, user):
    return [Deflated(suite, user), Deflated(suite, user, tls=True)]


def test_compression_is_offered_until_it_is_active_and_refused_where_it_makes_no_sense(suite):
    clients = both(suite, "alice")
    for client in clients:
        assert "COMPRESS=DEFLATE" in client.ok("CAPABILITY")[0].split()
        assert client.run("COMPRESS LZW")[1].startswith("BAD")
        assert client.run("COMPRESS")[1].startswith("BAD")
        client.compress()
        assert "COMPRESS=DEFLATE" not in client.ok("CAPABILITY")[0]
        assert client.run("COMPRESS DEFLATE")[1].startswith("NO [COMPRESSIONACTIVE]")
        client.send("x1 NOOP\r\nx2 LOGOUT")
        assert client.until("x1")[1].startswith("OK") and client.until("x2")[0] == ["* BYE Logging out"]
        assert client.line() == ""
    close(*clients)


def test_what_is_pipelined_behind_compress_is_not_taken_for_compressed(suite):
    client = Client(suite, "alice")
    client.send("a1 COMPRESS DEFLATE\r\na2 NOOP")
    assert client.until("a1")[1].startswith("BAD") and client.until("a2")[1].startswith("OK")
    client.ok("NOOP")
    client.close()


def test_mail_goes_through_compression_and_is_what_it_was(suite):
    body = b"".join(b"line %d\r\n" % n for n in range(50000))
    text = b"Subject: big\r\n\r\n" + body
    clients = both(suite, "alice")
    for client in clients:
        client.compress()
        client.send(b"a1 APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
        assert client.until("a1")[1].startswith("OK")
        client.ok("SELECT INBOX")
        lines = client.ok("FETCH * (BODY.PEEK[TEXT])")
        assert "\r\n".join(lines[1:-1]).encode() + b"\r\n" == body
    close(*clients)


def test_a_compressed_client_parks_hears_of_mail_and_goes_on(suite):
    clients, other = both(suite, "bob"), Client(suite, "bob")
    for client in clients:
        client.compress()
        client.ok("SELECT INBOX")
        client.idle()
    for n in range(1, 4):
        parked(suite)
        other.append(1)
        for client in clients:
            assert client.line() == f"* {n} EXISTS" and client.line().endswith("RECENT")
    parked(suite)
    for client in clients:
        client.done()
    for _ in range(2):
        parked(suite)
        for client in clients:
            assert len(client.ok("FETCH 1:* (UID FLAGS)")) == 3
    close(*clients, other)


def test_damaged_compressed_input_ends_the_connection(suite):
    clients = both(suite, "alice")
    for client in clients:
        client.compress()
        client.sock.sendall(b"\x07\xff\xff\xff\xff")
        client.sock.settimeout(20 * SLOW)
        assert client.line() == ""
    close(*clients)
    wait_until(lambda: suite.log_lines("compressed input of a client is refused: it is damaged"), 10, "the log line")


def test_input_that_expands_too_much_ends_the_connection(suite):
    clients = both(suite, "alice")
    for client in clients:
        client.compress()
        bomb = client.packed(bytes(16 << 20))

        def refused():
            try:
                client.sock.sendall(bomb)
            except OSError:
                return True

        wait_until(refused, 60, "the end of the connection")
        other = Client(suite, "alice")
        other.ok("NOOP")
        other.close()
    close(*clients)
    wait_until(lambda: len(suite.log_lines("compressed input of a client is refused: it expands too much")) == 2, 20,
               "the log lines")
