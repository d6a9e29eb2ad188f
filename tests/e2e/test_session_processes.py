# SPDX-License-Identifier: Apache-2.0
"""The processes of mailbox sessions: those that wait, those that serve, and what happens when one of them is killed."""
import os
import re
import signal
import time
from pathlib import Path

import pytest

from instance import wait_until
from lines import LineClient, Pop3Client

KEPT = 3


def imap(suite, user):
    client = LineClient(suite.port["imap"])
    client.send(f"a LOGIN {suite.address(user)} {suite.password}")
    assert client.until("a ").startswith("a OK")
    return client


def pop3(suite, user):
    client = Pop3Client(suite.port["pop3"])
    client.ask(f"USER {suite.address(user)}")
    assert client.ask(f"PASS {suite.password}").startswith("+OK")
    return client


OPEN = {"imapd": imap, "pop3d": pop3}


def status(pid, field):
    return re.search(rf"^{field}:\s+(\S+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def is_zombie(pid):
    try:
        return status(pid, "State") == "Z"
    except OSError:     # it is no more
        return False


def parent_of(suite, program):
    return next((pid for pid in suite.pids(program) if suite.parent_pid(pid) == suite.pid), None)


def waiting(suite, program, n=KEPT):
    """The n processes that wait."""
    def look():
        found = set(suite.pids(program + "-waiting"))
        return [found] if len(found) == n else None
    return wait_until(look, 20, f"{n} waiting {program}")[0]


@pytest.fixture(scope="module")
def suite(make_instance):
    """One that keeps KEPT waiting, with at most five IMAP processes at once."""
    instance = make_instance(users=("alice", "bob"), params={
        "imap_process_min_avail": KEPT, "pop3_process_min_avail": KEPT, "imap_process_limit": 5,
        "imap_hibernate_timeout": "0"})
    for begin in OPEN.values():
        begin(instance, "alice").close()
    return instance


@pytest.mark.parametrize("program", OPEN)
def test_a_client_is_served_by_a_process_that_waited_and_that_is_replaced(suite, program):
    before = waiting(suite, program)
    client, pid = suite.session_of(program, lambda: OPEN[program](suite, "bob"))
    assert pid in before
    after = waiting(suite, program)
    assert len(before & after) == KEPT - 1
    client.close()
    wait_until(lambda: not suite.sessions(program), 10, "the end of the session")
    assert waiting(suite, program) == after


def switches(pids):
    return {pid: status(pid, "voluntary_ctxt_switches") for pid in pids}


def test_a_client_wakes_no_process_but_its_own(suite):
    for _ in range(5):
        pids = waiting(suite, "imapd")
        suite.settle()          # a fresh one is not asleep yet
        before = switches(pids)
        client, pid = suite.session_of("imapd", lambda: imap(suite, "alice"))
        assert pid in before
        still = {p: n for p, n in before.items() if p != pid}
        assert switches(still) == still
        client.close()


def test_waiting_and_serving_processes_together_stay_within_the_limit(suite):
    clients = [imap(suite, "alice") for _ in range(2)]
    waiting(suite, "imapd", 3)
    clients += [imap(suite, "bob") for _ in range(3)]
    waiting(suite, "imapd", 0)
    late = LineClient(suite.port["imap"])
    late.line()
    late.send(f"a LOGIN {suite.address('bob')} {suite.password}")
    suite.wait_log('service "imapd" .* has reached its process limit "5"')
    assert len(suite.sessions("imapd")) == 5
    clients.pop().close()       # and one that waits for a session gets it
    assert late.line().startswith("a OK")
    clients.append(late)
    for client in clients:
        client.send("b NOOP")
        assert client.until("b ").startswith("b OK")
        client.close()
    waiting(suite, "imapd")


def test_a_killed_one_is_replaced_and_the_more_often_the_later(suite):
    parent = parent_of(suite, "imapd")
    for delay in (0.1, 0.2, 0.4):
        victim = min(waiting(suite, "imapd"))
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in suite.pids("imapd-waiting"), 10, "its end")
        assert victim not in waiting(suite, "imapd")
        assert time.monotonic() - began >= delay
        client = imap(suite, "alice") if delay == 0.4 else None      # the others serve meanwhile
    assert parent_of(suite, "imapd") == parent
    client.close()
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    wait_until(lambda: not any(is_zombie(pid) for pid in children), 10, "no zombies")


def test_a_reload_replaces_those_that_wait_and_no_session(suite):
    clients = [imap(suite, "alice"), pop3(suite, "alice")]
    old = {program: waiting(suite, program) for program in OPEN}
    suite.reload()
    for program, pids in old.items():
        assert not pids & waiting(suite, program)   # by themselves: they were in use
    clients[0].send("b NOOP")
    assert clients[0].until("b ").startswith("b OK") and clients[1].ask("NOOP").startswith("+OK")
    for client in clients:
        client.close()
    client, pid = suite.session_of("imapd", lambda: imap(suite, "bob"))
    assert pid not in old["imapd"]
    client.close()


def test_nothing_is_left_after_a_stop(suite):
    waiting(suite, "imapd")
    suite.stop()
    wait_until(lambda: not suite.processes(), 10, "the end of all processes")
    suite.start()
    imap(suite, "alice").close()
