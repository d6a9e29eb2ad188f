# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of each process behind a mailbox session, while others live and are parked: who notices, and who does not."""
import os
import random
import signal

import pytest

from instance import wait_until
from test_session_limit import Client, listening, signed_in

BYE = "* BYE [UNAVAILABLE] Server shutting down.\r\n"    # also of a session whose front has gone


class People:
    """Of each kind of session one, of users of their own, on both fronts."""

    def __init__(self, suite):
        self.suite = suite
        self.parked = {s: signed_in(suite, s, "alice").idle() for s in ("imap", "imaps")}
        self.silent = {s: signed_in(suite, s, "alice") for s in ("imap", "imaps")}
        suite.wait_parked()
        self.busy = {s: signed_in(suite, s, "bob").begin_append() for s in ("imap", "imaps")}
        self.pop3 = signed_in(suite, "pop3", "bob")

    def all(self):
        return [*self.parked.values(), *self.silent.values(), *self.busy.values(), self.pop3]

    def close(self):
        for client in self.all():
            client.close()
        self.suite.wait_parked()


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob"), params={"imap_hibernate_timeout": "1s"})


@pytest.fixture
def people(suite):
    people = People(suite)
    yield people
    people.close()


def parent_of(suite, program):
    return next((pid for pid in suite.pids(program) if suite.parent_pid(pid) == suite.pid), None)


def front_of(suite, service):
    return next(pid for pid in suite.pids("imapd-login") if suite.port[service] in listening(pid))


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def lives(client):
    return client.command("NOOP").startswith("OK")


def wakes(client):
    """One that is parked in IDLE goes on as if nothing had been."""
    client.send("DONE")
    return client.line().startswith("i OK") and lives(client)


def serves(suite):
    """All services take sign-ins, and at once."""
    for service in ("imap", "imaps", "pop3", "pop3s"):
        signed_in(suite, service, "alice").close()
    return True


def test_a_killed_parent_is_missed_by_no_session_and_parked_ones_wake_under_the_next(suite, people):
    old = parent_of(suite, "imapd")
    waited = set(suite.pids("imapd-waiting"))
    kill(old)
    assert serves(suite)
    for client in people.busy.values():
        client.end_append()
    assert all(wakes(client) for client in people.parked.values())
    assert all(lives(client) for client in [*people.silent.values(), *people.busy.values()])
    assert people.pop3.sock.send(b"NOOP\r\n") and people.pop3.line().startswith("+OK")
    assert parent_of(suite, "imapd") not in (None, old)
    wait_until(lambda: not waited & set(suite.pids("imapd-waiting")), 10, "those that waited to end with their parent")


def test_a_killed_session_is_noticed_by_its_client_only(suite, people):
    for service, client in people.busy.items():
        victim, pid = suite.session_of("imapd", lambda: signed_in(suite, service, "alice"))
        kill(pid)
        assert victim.rest() == ""
        client.end_append()
    assert all(lives(client) for client in people.busy.values())
    assert all(wakes(client) for client in people.parked.values())
    assert serves(suite)


@pytest.mark.parametrize("service, other", [("imap", "imaps"), ("imaps", "imap")])
def test_a_killed_front_takes_its_own_clients_along_and_no_others(suite, people, service, other):
    kill(front_of(suite, service))
    assert people.parked[service].rest() == "" and people.silent[service].rest() == ""
    if service == "imap":                       # it has the client's own socket
        people.busy[service].end_append()
        assert people.busy[service].rest() == BYE
    else:
        assert people.busy[service].rest() == ""
    assert serves(suite)
    people.busy[other].end_append()
    assert lives(people.busy[other]) and lives(people.silent[other]) and wakes(people.parked[other])


def test_a_killed_auth_is_missed_by_no_session(suite, people):
    kill(suite.pids("auth")[0])
    assert serves(suite)
    for client in people.busy.values():
        client.end_append()
    assert people.pop3.sock.send(b"NOOP\r\n") and people.pop3.line().startswith("+OK")
    assert all(wakes(client) for client in people.parked.values())
    assert all(lives(client) for client in [*people.silent.values(), *people.busy.values()])


def test_whatever_is_killed_and_however_often_the_next_client_is_served(suite):
    rng, ends = random.Random(1), []
    for _ in range(30):
        clients = [Client(suite, service) for service in ("imap", "imaps")]
        name = rng.choice(("imapd", "imapd", "imapd-waiting", "imapd-login", "auth", "anvil", "pop3d"))
        victims = suite.pids(name)
        if victims:
            kill(rng.choice(victims))
        for client in clients:                  # these may have lost their front, or be told to try again
            try:
                ends.append(client.sign_in()[:2])
            except (AssertionError, OSError):
                ends.append("")
            client.close()
    assert "OK" in ends
    suite.wait_parked()
    assert serves(suite)
    wait_until(lambda: len(suite.pids("imapd")) == 1 and len(suite.pids("imapd-waiting")) == 2, 20,
               "as many processes as there were")
