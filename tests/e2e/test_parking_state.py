# SPDX-License-Identifier: Apache-2.0
"""What survives parking, what a parked client finds that the world has done to its mailbox, and unlucky moments."""
import random
import re
import shutil
import socket
import ssl
import threading
import time

import pytest

from imap_client import Client, close
from instance import SLOW
from test_parking import deliver, fill

USERS = ("ann", "ben", "cat", "dan", "eve", "fay", "gus", "hal")


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=USERS, params={"imap_hibernate_timeout": "1s", "mail_max_userip_connections": 100})


def with_every_layer(suite, user):
    """A client in the clear, with STARTTLS, with TLS; and both again with COMPRESS."""
    clients = [Client(suite, user), Client(suite, user, tls="starttls"), Client(suite, user, tls=True), Client(suite, user),
               Client(suite, user, tls="starttls")]
    for client in clients[3:]:
        client.compress()
    return clients


def test_all_that_was_enabled_and_saved_is_there_after_each_parking(suite):
    clients, other = with_every_layer(suite, "ann"), Client(suite, "ann")
    other.ok("CREATE &BDE-")
    fill(other, 4, "&BDE-")
    for client in clients:
        client.ok("ENABLE QRESYNC UTF8=ACCEPT")
        client.ok('SELECT "\u0431"')
        client.ok("SEARCH RETURN (SAVE) UID 2:3")
    times = []
    for _ in range(2):
        suite.wait_parked()
        for client in clients:
            began = time.monotonic()
            assert [re.sub(r" MODSEQ \(\d+\)", "", line) for line in client.ok("FETCH $ (UID)")] == [
                "* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]
            times.append(time.monotonic() - began)
            assert '* LIST (\\HasNoChildren) "/" "\u0431"' in client.ok('LIST "" "\u0431"')
    assert min(times) < 0.1 * SLOW, times
    other.ok("SELECT &BDE-")
    other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    suite.wait_parked()
    for client in clients:      # each hears VANISHED, not EXPUNGE, and "$" has lost what is gone
        assert "* VANISHED 3" in client.ok("NOOP")
        assert [re.sub(r" MODSEQ \(\d+\)", "", line) for line in client.ok("FETCH $ (UID)")] == ["* 2 FETCH (UID 2)"]
    close(*clients, other)


BYE = ["* BYE [UNAVAILABLE] The selected mailbox is gone.", ""]
STILL_THERE = ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", "a1 OK Fetch completed."]
MOVED = [
    # what another client does to a mailbox of two messages while ours is parked, and what ours hears; no other mailbox takes its place
    (["DELETE {box}"], BYE),
    (["DELETE {box}", "CREATE {box}", "APPEND {box}"], BYE),
    (["RENAME {box} {box}-away"], STILL_THERE),
    (["RENAME {box} {box}-away", "CREATE {box}", "APPEND {box}"], STILL_THERE),
]


def test_a_parked_client_keeps_its_mailbox_whatever_becomes_of_its_name(suite):
    other, waiting = Client(suite, "ben"), []
    for n, (_, heard) in enumerate(MOVED):
        other.ok(f"CREATE box{n}")
        fill(other, 2, f"box{n}")
        for client in (Client(suite, "ben"), Client(suite, "ben", tls=True)):
            client.ok(f"SELECT box{n}")
            waiting.append((client, n, heard))
    suite.wait_parked()
    for n, (commands, _) in enumerate(MOVED):
        for command in commands:
            if command.startswith("APPEND"):
                fill(other, 3, f"box{n}")
            else:
                other.ok(command.format(box=f"box{n}"))
    for client, n, heard in waiting:
        client.send("a1 FETCH 1:* (UID)")
        assert [client.line() for _ in heard] == heard, MOVED[n]
    close(other, *(client for client, _, _ in waiting))


def test_a_parked_client_in_idle_hears_at_once_that_its_empty_mailbox_was_deleted(suite):
    clients, other = [Client(suite, "ben"), Client(suite, "ben", tls=True)], Client(suite, "ben")
    other.ok("CREATE void")
    for client in clients:
        client.ok("SELECT void")
        client.idle()
    suite.wait_parked()
    other.ok("DELETE void")
    for client in clients:
        assert [client.line(), client.line()] == BYE
    close(*clients, other)


def test_a_parked_client_whose_uids_are_void_is_told(suite):
    """The index is lost: what is rebuilt has another UIDVALIDITY."""
    clients = [Client(suite, "hal"), Client(suite, "hal", tls=True)]
    fill(clients[0], 3)
    for client in clients:
        client.ok("SELECT INBOX")
        client.ok("SEARCH RETURN (SAVE) ALL")
    suite.wait_parked()
    shutil.rmtree(suite.maildir("hal") / "postern.index")
    for client in clients:
        client.send("a1 FETCH $ (UID)")
        assert [client.line(), client.line()] == BYE
    again = Client(suite, "hal")
    again.ok("SELECT INBOX")
    assert len(again.ok("FETCH 1:* (UID)")) == 3
    close(again, *clients)


def test_a_keyword_that_no_file_name_can_carry_reaches_a_parked_client_in_idle(suite):
    clients, other = [Client(suite, "cat"), Client(suite, "cat", tls=True)], Client(suite, "cat")
    fill(other, 1)
    other.ok("SELECT INBOX")
    for n in range(30):
        other.ok(f"STORE 1 +FLAGS.SILENT (word{n})")
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    for sign in "-+":
        suite.wait_parked()
        other.ok(f"STORE 1 {sign}FLAGS.SILENT (word29)")
        for client in clients:
            line = client.line()
            assert line.startswith("* 1 FETCH (FLAGS (") and ("word29" in line) == (sign == "+")
    close(*clients, other)


def halves(data):
    return data[:len(data) // 2], data[len(data) // 2:]


def test_half_a_command_half_a_tls_record_and_half_a_compressed_block_wait_for_their_other_half(suite):
    plain, packed, tls = Client(suite, "dan"), Client(suite, "dan"), Client(suite, "dan", tls=True)
    packed.compress()
    for client in (plain, packed, tls):
        client.ok("SELECT INBOX")
    suite.wait_parked()
    # A record made by hand: the bytes that this client's TLS would send, in two pieces.
    sent = []
    raw = RawTls(suite, "dan")
    suite.wait_parked()
    record = raw.record("r1 NOOP\r\n")
    for client, data in ((plain.sock, b"p1 NOOP\r\n"), (packed.sock, packed.packed(b"q1 NOOP\r\n")), (raw.sock, record)):
        first, second = halves(data)
        client.sendall(first)
        sent.append((client, second))
    tls.send(b"t1 NO")
    sent.append((tls.sock, b"OP\r\n"))
    time.sleep(1.5)     # longer than a client is waited for that says nothing
    for client, second in sent:
        client.sendall(second)
    assert plain.answer("p1")[1].startswith("OK")
    assert packed.answer("q1")[1].startswith("OK")
    assert tls.answer("t1")[1].startswith("OK")
    assert raw.until("r1 OK")
    for client in (plain, packed, tls):
        client.ok("NOOP")
    close(plain, packed, tls)
    raw.sock.close()


class RawTls:
    """TLS whose records can be cut."""

    def __init__(self, suite, user):
        self.sock = socket.create_connection(("127.0.0.1", suite.port["imaps"]), 60)
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=suite.certificate[1])
        self.tls = context.wrap_bio(self.inward, self.outward, server_hostname="localhost")
        self.text = b""
        self.turn(self.tls.do_handshake)
        self.until("* OK")
        self.sock.sendall(self.record(f'l1 LOGIN {suite.address(user)} "{suite.password}"\r\n'))
        self.until("l1 OK")

    def turn(self, act):
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outward.read())
                self.inward.write(self.sock.recv(65536))
            finally:
                if pending := self.outward.read():
                    self.sock.sendall(pending)

    def record(self, text):
        self.tls.write(text.encode())
        return self.outward.read()

    def until(self, prefix):
        while not re.search(rb"(?m)^" + re.escape(prefix.encode()), self.text):
            got = self.turn(lambda: self.tls.read(65536))
            assert got, self.text
            self.text += got
        return True


def test_done_and_commands_in_one_packet_wake_a_compressed_client_once(suite):
    clients = with_every_layer(suite, "eve")
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    suite.wait_parked()
    for client in clients:
        client.send("DONE\r\na1 NOOP\r\na2 IDLE")
        assert client.answer("i1")[1].startswith("OK") and client.answer("a1")[1].startswith("OK")
        assert client.line() == "+ idling"
    suite.wait_parked()
    for client in clients:
        client.send("DONE")
        assert client.answer("a2")[1].startswith("OK")
    close(*clients)


def test_nothing_is_lost_that_happens_while_a_session_parks(suite):
    """Deliveries at random moments around those at which six sessions park and wake."""
    clients, rng, n = with_every_layer(suite, "fay") + [Client(suite, "fay")], random.Random(1), 25
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()

    def deliver_some():
        for _ in range(n):
            time.sleep(rng.choice((0.01, 0.2, rng.uniform(0.9, 1.1))) * SLOW ** 0.5)
            deliver(suite, "fay")

    sender = threading.Thread(target=deliver_some)
    sender.start()
    for client in clients:
        heard = []
        while f"* {n} EXISTS" not in heard:
            heard.append(client.line())
            assert heard[-1].startswith("* "), heard
        counts = [int(line.split()[1]) for line in heard if line.endswith("EXISTS")]
        assert counts == sorted(set(counts))
    sender.join()
    suite.wait_parked()
    for client in clients:
        client.done()
        assert len(client.ok("FETCH 1:* (UID)")) == n
    close(*clients)


def test_more_parked_sessions_than_are_woken_at_once_all_hear_of_it(suite):
    """Those that wait for their turn may leave or speak meanwhile, and more may happen."""
    clients = [Client(suite, "gus") for _ in range(80)]
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    suite.wait_parked()
    deliver(suite, "gus")
    for client in clients[60:70]:
        client.close()
    for client in clients[70:]:
        client.send("DONE")
    deliver(suite, "gus")
    for client in clients[:60]:
        while client.line() != "* 2 EXISTS":
            pass
    for client in clients[70:]:
        assert client.answer("i1")[1].startswith("OK")
        client.ok("NOOP")       # the second message may be told only now, or within the answer to any command
        assert len([line for line in client.ok("FETCH 1:* (UID)") if " FETCH " in line]) == 2
    suite.wait_parked()
    for client in clients[:60]:
        assert not any("EXISTS" in line for line in client.done()[0])
    close(*clients[:60], *clients[70:])


def test_more_sessions_than_a_front_has_descriptors_for_and_more_than_may_be_awake(make_instance):
    """In IDLE each needs three; with 220 a process, 100 sessions are spread over several fronts, and nobody is refused. When all
    clients speak at once, and 60 may be served, the others wait until those say nothing."""
    suite = make_instance(users=("ann",), start=False,
                          params={"imap_hibernate_timeout": "1s", "mail_max_userip_connections": "0", "imap_process_limit": 60})
    suite.prefix = ("prlimit", "--nofile=220:220")
    suite.start()
    suite.prefix = ()
    clients = [Client(suite, "ann") for _ in range(100)]
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    suite.wait_parked()
    deliver(suite, "ann")
    for client in clients:
        assert client.line() == "* 1 EXISTS"
    assert len(suite.pids("imapd-login")) > 2
    suite.wait_parked()
    for client in clients:
        client.send("DONE")
    for client in clients:
        assert client.answer("i1")[1].startswith("OK")
    assert not suite.log_lines("cannot accept|Too many open files|cannot be woken")
    close(*clients)
