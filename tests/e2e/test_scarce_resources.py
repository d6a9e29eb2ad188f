# SPDX-License-Identifier: Apache-2.0
"""Mailbox sessions where processes or descriptors run out: who is told what, who notices nothing, and that it passes."""
import resource
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from imap_client import Client, close
from instance import AS_ROOT, wait_until
from test_session_limit import Client as Raw, listening, signed_in

LIMITS = {"nofile": "Max open files", "nproc": "Max processes"}      # as /proc names what prlimit(1) changes
UNAVAILABLE = {"imap": "NO [UNAVAILABLE]", "pop3": "-ERR [SYS/TEMP]"}


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob"), params={"imap_hibernate_timeout": "1s", "pop3_process_min_avail": 0})


def change_limit(pid, what, limits):
    """As the user that the process runs as, who alone may."""
    ids = {line.split()[0]: int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
           if line.startswith(("Uid:", "Gid:"))}
    who = {"user": ids["Uid:"], "group": ids["Gid:"], "extra_groups": []} if AS_ROOT else {}
    text = ":".join("unlimited" if n == resource.RLIM_INFINITY else str(n) for n in limits)
    subprocess.run(["prlimit", f"--pid={pid}", f"--{what}={text}"], check=True, timeout=60, **who)


@contextmanager
def limited(pid, what, soft):
    """A process with less of something, as long as this lasts."""
    row = next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith(LIMITS[what]))
    before = [resource.RLIM_INFINITY if n == "unlimited" else int(n) for n in row[len(LIMITS[what]):].split()[:2]]
    change_limit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        change_limit(pid, what, before)


def room_for(pid, n):
    """The limit at which the process can open n descriptors more."""
    taken = {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return [fd for fd in range(len(taken) + n + 1) if fd not in taken][n]


def parent_of(suite, program):
    return next(pid for pid in suite.pids(program) if suite.parent_pid(pid) == suite.pid)


@pytest.mark.parametrize("service", ["imap", "imaps"])
def test_a_front_with_too_few_descriptors_says_unavailable_or_waits_and_its_sessions_go_on(suite, service):
    parked = Client(suite, "alice", tls=service == "imaps")
    suite.wait_parked()
    live = signed_in(suite, service).begin_append()
    front = next(pid for pid in suite.pids("imapd-login") if suite.port[service] in listening(pid))
    close(Client(suite, "bob", tls=service == "imaps"))         # so that its connection to auth is there
    wait_until(lambda: len(suite.sessions()) <= 1, 10, "the end of that session")
    answers = []
    for spare in (1, 2, 3, 7):      # the client; its session's process; with TLS the pair between, and what else it may need
        with limited(front, "nofile", room_for(front, spare)):
            client = Raw(suite, service)
            answers.append(client.sign_in("bob"))
            again = answers[-1] if answers[-1].startswith("OK") else None
        assert again or client.sign_in("bob").startswith("OK")  # on the same connection, a moment later
        client.close()
        wait_until(lambda: len(suite.sessions()) <= 1, 10, "the end of that session")
    assert {answer.split("]")[0] + "]" for answer in answers if not answer.startswith("OK")} == {UNAVAILABLE["imap"]}, answers
    assert answers[-1].startswith("OK"), answers
    suite.wait_log("imap-login: no session for user bob@a.test: ")
    with limited(front, "nofile", room_for(front, 0)):
        late = socket.create_connection(("127.0.0.1", suite.port[service]), 60)
        suite.wait_log(rf"service [0-9.:]*{suite.port[service]}: cannot accept; waiting: Too many open files")
        live.end_append()
    if service == "imap":
        assert late.recv(4) == b"* OK"                          # it has waited
    parked.ok("NOOP")
    close(parked, live, late)


def test_a_parked_session_that_cannot_be_woken_for_want_of_descriptors_hears_bye_and_others_stay(suite):
    clients = [Client(suite, "alice", tls=tls) for tls in (True, True)]
    suite.wait_parked()
    front = next(pid for pid in suite.pids("imapd-login") if suite.port["imaps"] in listening(pid))
    with limited(front, "nofile", room_for(front, 0)):
        clients[0].send("a NOOP")
        assert clients[0].line().startswith("* BYE [UNAVAILABLE]")
    clients[1].ok("NOOP")
    close(*clients)


def test_where_no_process_can_be_started_a_client_is_told_or_waits_and_is_served_when_one_can(suite):
    """pop3d forks when a client comes, imapd ahead of time."""
    before = Raw(suite, "pop3")
    assert before.sign_in().startswith("+OK")
    with limited(parent_of(suite, "pop3d"), "nproc", 1):
        client = Raw(suite, "pop3")
        assert client.sign_in().startswith(UNAVAILABLE["pop3"])
        suite.wait_log("pop3d.*: service pop3d: cannot start a session: Resource temporarily unavailable")
        assert before.ask("NOOP").startswith("+OK")
    client.send(f"PASS {suite.password}")
    client.close()
    client = Raw(suite, "pop3")
    assert client.sign_in().startswith("+OK")
    close(client, before)

    close(Client(suite, "alice"))
    waited = wait_until(lambda: len(suite.pids("imapd-waiting")) == 2 and suite.pids("imapd-waiting"), 20, "two that wait")
    with limited(parent_of(suite, "imapd"), "nproc", 1):
        clients = [Client(suite, "alice") for _ in waited]
        late = Raw(suite, "imap")
        late.send(f"a LOGIN {suite.address('bob')} {suite.password}")
        suite.wait_log("imapd.*: service imapd: cannot start a session: Resource temporarily unavailable")
        for client in clients:
            client.ok("NOOP")
    assert late.until("a ").startswith("a OK")
    close(late, *clients)
