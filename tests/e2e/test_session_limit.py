# SPDX-License-Identifier: Apache-2.0
"""How many sessions a user may have from one address, which of them ends for another, and that the count is right whatever dies."""
import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from instance import SLOW, wait_until
from lines import LineClient

LIMIT = 3
MESSAGE = b"Subject: letter\r\n\r\nbody\r\n"
TICK = 0.02         # the kernel counts the silence of a client in ticks of up to 10 ms: two that fall silent are this far apart
FULL = r"Maximum number of connections from user\+IP exceeded \(mail_max_userip_connections=%d\)"


class Client(LineClient):
    """Of any of the four services, from an address of this machine."""

    def __init__(self, suite, service, source="127.0.0.1", receive_buffer=None):
        super().__init__(suite.port[service], source, receive_buffer)
        self.suite, self.service = suite, service
        if service.endswith("s"):
            self.wrap(suite.certificate[1])
        self.line()

    def command(self, text):
        """IMAP: the tagged answer."""
        self.send(f"a {text}")
        return self.until("a ")[2:]

    def sign_in(self, user="alice"):
        """The answer."""
        address = self.suite.address(user)
        if self.service.startswith("imap"):
            return self.command(f"LOGIN {address} {self.suite.password}")
        self.ask(f"USER {address}")
        return self.ask(f"PASS {self.suite.password}")

    def begin_append(self):
        """The session is busy from here on: it waits for the rest of a message."""
        assert self.ask(f"b APPEND INBOX {{{len(MESSAGE)}}}").startswith("+")
        self.send(MESSAGE[:5])
        return self

    def end_append(self):
        self.send(MESSAGE[5:] + b"\r\n")
        assert self.until("b ").startswith("b OK")

    def idle(self):
        assert self.command("SELECT INBOX").startswith("OK")
        assert self.ask("i IDLE").startswith("+")
        time.sleep(TICK)
        return self

    def rest(self):
        """All that comes until the end of the connection."""
        try:
            return self.file.read().decode()
        except ConnectionResetError:
            return ""


def signed_in(suite, service="imap", user="alice", **kw):
    client = Client(suite, service, **kw)
    answer = client.sign_in(user)
    assert answer.startswith(("OK", "+OK")), answer
    return client


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob"), params={
        "mail_max_userip_connections": LIMIT, "pop3_max_userip_connections": 1, "imap_hibernate_timeout": "1s",
        "auth_user_failure_limit": 3})


@pytest.fixture
def open_client(suite):
    """Opens clients that are closed after the test."""
    opened = []

    def make(*args, place_is_free=True, **kw):
        opened.append(signed_in(suite, *args, **kw) if place_is_free else Client(suite, "imap"))
        if not place_is_free:
            has_place(opened[-1])
        return opened[-1]
    yield make
    for client in opened:
        client.close()
    suite.wait_parked()


def busy(open_client, n=LIMIT, **kw):
    return [open_client(**kw).begin_append() for _ in range(n)]


def is_full(answer):
    return re.match(rf"NO \[LIMIT\] {FULL % LIMIT}", answer)


def refused(client):
    assert is_full(answer := client.sign_in()), answer


def has_place(client):
    """One has left a moment ago, which those who count may not have heard yet."""
    wait_until(lambda: client.sign_in().startswith("OK"), 10, "a place")


def refused_soon(suite):
    """A client that is refused, as soon as all fronts have told a new anvil of the sessions that there are."""
    def one_more():
        client = Client(suite, "imap")
        if is_full(client.sign_in()):
            return client
        client.close()

    return wait_until(one_more, 20, "one too many to be refused")


# ---- who makes room ----

def test_the_longest_parked_session_ends_for_a_new_one_whichever_front_has_it(suite, open_client):
    clients = []
    for service in ("imap", "imaps", "imap"):
        clients.append(open_client(service).idle())
    suite.wait_parked()
    for oldest, service in zip(list(clients), ("imap", "imap", "imaps")):
        other = open_client(service).idle()
        assert oldest.rest() == "* BYE [LIMIT] Too many sessions of this user from this address: the idle ones end.\r\n"
        clients.append(other)
        suite.wait_parked()
    for client in clients[LIMIT:]:
        client.send("DONE")
        assert client.line().startswith("i OK")
    assert len(suite.log_lines("Disconnected: Too many sessions of this user from this address in=")) == 3


def test_another_user_and_another_address_have_places_of_their_own(suite, open_client):
    clients = [open_client() for _ in range(LIMIT)]
    clients += [open_client(user="bob"), open_client(source="127.0.0.2"), open_client("imaps", source="127.0.0.3")]
    assert all(client.command("NOOP").startswith("OK") for client in clients)


def retransmits(suite, client):
    """Of the server to this client, as the kernel says."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1].endswith(f":{suite.port[client.service]:04X}") and words[2].endswith(f":{client.port:04X}"):
            return int(words[6], 16)
    return 0


def lose_network(client):
    """From now on nothing that is sent to this client arrives: a socket filter that lets no byte pass."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))     # BPF: return 0
    program = struct.pack("HL", 1, ctypes.addressof(code))
    client.sock.setsockopt(socket.SOL_SOCKET, 26, program)                  # SO_ATTACH_FILTER


def test_a_session_whose_client_is_dead_goes_before_one_that_is_idle_for_longer(suite, open_client):
    older = [open_client().idle(), open_client().idle()]
    dead = open_client().idle()
    suite.wait_parked()
    lose_network(dead)
    with_mail = open_client(source="127.0.0.2")
    with_mail.begin_append().end_append()
    wait_until(lambda: retransmits(suite, dead) >= 3, 20, "what is sent to the dead one to be sent again and again")
    client = open_client()
    for one in older:
        assert one.line().endswith("EXISTS") and one.line().endswith("RECENT")
        one.send("DONE")
        assert one.line().startswith("i OK")
    assert client.command("NOOP").startswith("OK")


# ---- when all are busy ----

def test_if_all_are_busy_the_new_one_is_refused_and_that_is_no_failed_sign_in(suite, open_client):
    clients = busy(open_client)
    late = Client(suite, "imaps")
    for _ in range(2):          # more would be locked out by auth_user_failure_limit, were they failures
        refused(late)
    line = suite.log_lines(FULL % LIMIT)[-1]
    assert re.search(r"imap-login: Max.*\): user=<alice@a.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, TLS, session=<", line)
    clients.pop().close()
    has_place(late)                             # on the same connection
    late.close()
    for client in clients:                      # nothing has happened to those that were asked
        client.end_append()
        assert client.command("NOOP").startswith("OK")


@pytest.mark.skipif(not shutil.which("fail2ban-regex"), reason="needs fail2ban")
def test_fail2ban_sees_no_failure_in_it(suite, tmp_path):
    log = tmp_path / "log"
    lines = suite.log_lines(FULL.split("(")[0].replace("\\", "."))
    assert lines
    log.write_text("".join(re.sub(r" postern/\S+\[", " dovecot[", line) + "\n" for line in lines))
    done = subprocess.run(["fail2ban-regex", log, "dovecot[mode=aggressive]"], capture_output=True, text=True, timeout=60 * SLOW)
    assert re.search(r"\b0 matched\b", done.stdout), done.stdout


def test_pop3_makes_room_too_and_has_a_limit_of_its_own(suite, open_client):
    first = open_client("pop3s")
    time.sleep(1.1)                             # one that has just spoken is not idle
    second = open_client("pop3")
    assert first.rest() == "-ERR [SYS/TEMP] Too many sessions of this user from this address.\r\n"
    second.close()
    (suite.maildir("bob") / "cur" / "1700000000.big:2,S").write_bytes(b"Subject: big\n\n" + b"x" * 99 + b"\n" * 8_000_000)
    shutil.chown(suite.maildir("bob") / "cur" / "1700000000.big:2,S", suite.owner.pw_uid)
    reader = open_client("pop3", user="bob", receive_buffer=4096)
    reader.send("RETR 1")                       # ... and reads no further
    assert reader.line().startswith("+OK")
    time.sleep(1.1)
    late = Client(suite, "pop3s")
    answer = late.sign_in("bob")
    assert re.match(r"-ERR \[IN-USE\] " + FULL % 1, answer), answer
    suite.wait_log(r"pop3-login: " + FULL % 1)
    late.close()


# ---- the count stays right ----

def kill(suite, program, sign=signal.SIGKILL):
    for pid in suite.pids(program):
        os.kill(pid, sign)


def test_a_killed_session_counts_no_more_and_its_neighbours_live_on(suite, open_client):
    clients = busy(open_client, LIMIT - 1)
    victim, pid = suite.session_of("imapd", open_client)
    victim.begin_append()
    os.kill(pid, signal.SIGKILL)
    assert victim.rest() == ""
    assert open_client(place_is_free=False).command("NOOP").startswith("OK")
    for client in clients:
        client.end_append()


def test_clients_that_vanish_count_no_more(suite, open_client):
    for _ in range(3):
        for client in busy(open_client, place_is_free=False):
            client.close()
        suite.wait_parked()
        for client in [open_client(place_is_free=False).idle() for _ in range(LIMIT)]:
            client.close()
        suite.wait_parked()


def test_the_sessions_of_a_killed_front_end_and_count_no_more(suite, open_client):
    plain = [open_client().idle()] + busy(open_client, 1)
    other = open_client("imaps").begin_append()
    front = next(pid for pid in suite.pids("imapd-login") if suite.port["imap"] in listening(pid))
    os.kill(front, signal.SIGKILL)
    assert plain[0].rest() in ("", "* BYE [UNAVAILABLE] Server shutting down.\r\n")
    plain[1].end_append()                       # it was busy: it may finish
    assert plain[1].line().startswith("* BYE [UNAVAILABLE]")
    clients = busy(open_client, LIMIT - 1, place_is_free=False)     # a new front
    late = Client(suite, "imap")
    refused(late)                               # the other front's session is counted yet
    late.close()
    for client in [other, *clients]:
        client.end_append()


def listening(pid):
    """Ports that a process listens on."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):        # closed meanwhile
            inodes.add(os.readlink(fd).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(words[1].split(":")[1], 16) for words in rows if words[9] in inodes and words[3] == "0A"}


def test_a_new_anvil_learns_of_the_sessions_that_there_are(suite, open_client):
    clients = busy(open_client, LIMIT - 1) + [open_client("imaps").begin_append()]
    old = suite.pids("anvil")
    kill(suite, "anvil")
    wait_until(lambda: suite.pids("anvil") not in ([], old), 20, "a new anvil")
    late = refused_soon(suite)
    clients[0].close()
    has_place(late)
    late.close()


def test_after_a_reload_those_that_the_old_fronts_still_have_are_counted(suite, open_client):
    clients = busy(open_client, LIMIT - 1) + [open_client("imaps").begin_append()]
    old = set(suite.pids("imapd-login"))
    suite.reload()
    late = refused_soon(suite)
    assert set(suite.pids("imapd-login")) - old, "a new front"
    for client in clients:
        client.end_append()
        client.close()
    wait_until(lambda: not set(suite.pids("imapd-login")) & old, 20, "the end of the old fronts")
    has_place(late)
    late.close()


# ---- sessions that are not parked ----

def test_a_silent_session_that_is_not_parked_ends_for_a_new_one(make_instance):
    suite = make_instance(users=("alice",), params={"mail_max_userip_connections": 2, "imap_hibernate_timeout": "0"})
    first, second = signed_in(suite, "imaps"), signed_in(suite)
    second.idle()
    time.sleep(1.1)
    third = signed_in(suite)
    assert first.rest().startswith("* BYE [LIMIT]")
    time.sleep(1.1)
    fourth = signed_in(suite, "imaps")
    assert second.rest().startswith("* BYE [LIMIT]")
    assert third.command("NOOP").startswith("OK")
    suite.set(imap_max_userip_connections=0)
    suite.reload()
    many = [signed_in(suite) for _ in range(5)]
    assert all(client.command("NOOP").startswith("OK") for client in many)
    for client in (first, second, third, fourth, *many):
        client.close()
