# SPDX-License-Identifier: Apache-2.0
"""COMPRESS=DEFLATE (RFC 4978): with and without TLS, in IDLE, and across parking."""
import pytest

from imap_client import Client, close
from instance import SLOW, wait_until


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob"), params={"imap_hibernate_timeout": "1s", "imap_compress_ratio_limit": "10"})


def both(suite, user):
    return [Client(suite, user), Client(suite, user, tls=True)]


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
        assert client.answer("x1")[1].startswith("OK") and client.answer("x2")[0] == ["* BYE Logging out"]
        assert client.line() == ""
    close(*clients)


def test_what_is_pipelined_behind_compress_is_not_taken_for_compressed(suite):
    client = Client(suite, "alice")
    client.send("a1 COMPRESS DEFLATE\r\na2 NOOP")
    assert client.answer("a1")[1].startswith("BAD") and client.answer("a2")[1].startswith("OK")
    client.ok("NOOP")
    client.close()


def test_mail_goes_through_compression_and_is_what_it_was(suite):
    body = b"".join(b"line %d\r\n" % n for n in range(50000))
    text = b"Subject: big\r\n\r\n" + body
    clients = both(suite, "alice")
    for n, client in enumerate(clients, 1):
        client.compress()
        client.append(text)
        client.ok("SELECT INBOX")
        fetched, = client.ok("FETCH * (BODY.PEEK[TEXT])")
        assert fetched == "* %d FETCH (BODY[TEXT] {%d}\r\n%s)" % (n, len(body), body.decode())
    close(*clients)


def test_a_compressed_client_parks_hears_of_mail_and_goes_on(suite):
    clients, other = both(suite, "bob"), Client(suite, "bob")
    for client in clients:
        client.compress()
        client.ok("SELECT INBOX")
        client.idle()
    for n in range(1, 4):
        suite.wait_parked()
        other.append(b"Subject: letter\r\n\r\nbody\r\n")
        for client in clients:
            assert client.line() == f"* {n} EXISTS" and client.line().endswith("RECENT")
    suite.wait_parked()
    for client in clients:
        client.done()
    for _ in range(2):
        suite.wait_parked()
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
