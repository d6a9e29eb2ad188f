# SPDX-License-Identifier: Apache-2.0
"""A reload is nothing that clients of mailboxes notice: parked or not, with each layer, over many reloads; and what does take effect."""
import signal
import threading
import time

import pytest

from imap_client import Client, close
from instance import wait_until
from test_parking import MESSAGE, deliver
from test_session_limit import Client as Raw, signed_in

BYE = "* BYE [UNAVAILABLE] Server shutting down."


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol", "dan", "eve"), params={"imap_hibernate_timeout": "1s"})


def one_of_each(suite, user):
    """In the clear, with TLS, and both with compression."""
    clients = [Client(suite, user, tls=tls) for tls in (False, True, False, True)]
    for client in clients[2:]:
        client.compress()
    return clients


def fronts(suite):
    return set(suite.pids("imapd-login"))


def begin_append(client):
    """The session is busy from here on."""
    client.send(b"b1 APPEND INBOX {%d}\r\n" % len(MESSAGE))
    assert client.line().startswith("+")
    client.send(MESSAGE[:9])


def end_append(client):
    client.send(MESSAGE[9:] + b"\r\n")
    assert client.answer("b1")[1].startswith("OK")


def test_three_reloads_pass_unnoticed_whatever_a_client_does(suite):
    waiting, idling, busy, pop3 = [], [], [], []
    for _ in range(3):          # of each kind some from before the first reload, and some from between
        waiting += one_of_each(suite, "alice")
        idling += one_of_each(suite, "alice")
        for client in waiting[-4:] + idling[-4:]:
            client.ok("SELECT INBOX")
        for client in idling[-4:]:
            client.idle()
        suite.wait_parked(busy=len(busy) + len(pop3))
        busy += one_of_each(suite, "bob")
        for client in busy[-4:]:
            begin_append(client)
        pop3 += [signed_in(suite, service, "carol") for service in ("pop3", "pop3s")]
        suite.reload()
    deliver(suite, "alice")
    for client in idling:
        assert client.line() == "* 1 EXISTS"
        assert client.line().endswith("RECENT")
        assert client.done()[1].startswith("OK")
    for client in waiting:
        assert "* 1 EXISTS" in client.ok("NOOP")
    for client in busy:
        end_append(client)
        client.ok("NOOP")
    for client in pop3:
        client.send("STAT")
        assert client.line() == "+OK 0 0"
    close(*waiting, *idling, *busy, *pop3)
    assert not suite.log_lines("Server shutting down|BYE")
    new = signed_in(suite, "imap"), signed_in(suite, "imaps")
    wait_until(lambda: len(fronts(suite)) == 2, 20, "the end of fronts that have no clients any more")
    close(*new)


def test_sign_ins_under_way_at_a_reload_succeed(suite):
    answers, over = [], threading.Event()

    def sign_in_again_and_again(service):
        while not over.is_set():
            client = Raw(suite, service)
            answers.append(client.sign_in("bob"))
            client.close()

    threads = [threading.Thread(target=sign_in_again_and_again, args=(service,)) for service in ("imap", "imaps", "pop3", "pop3s")]
    for thread in threads:
        thread.start()
    for n in range(1, 9):
        suite.reload()
        wait_until(lambda: len(answers) >= 4 * n or not any(t.is_alive() for t in threads), 60, "sign-ins after a reload")
    over.set()
    for thread in threads:
        thread.join()
    failed = [answer for answer in answers if not answer.startswith(("OK", "+OK"))]
    assert not failed and len(answers) >= 32, (failed, suite.log_lines("warning|error|fatal"))


def test_what_was_set_meanwhile_holds_for_a_session_that_is_woken(suite):
    clients = one_of_each(suite, "alice")
    for client in clients:
        assert "APPENDLIMIT=4321000" not in client.ok("CAPABILITY")[0]
    suite.wait_parked()
    suite.set(message_size_limit=4321000)
    suite.reload()
    for client in clients:
        assert "APPENDLIMIT=4321000" in client.ok("CAPABILITY")[0].split()
    close(*clients)


def refused(client):
    client.send("x NOOP")
    assert client.line().startswith("* BYE [UNAVAILABLE]")
    assert client.line() == ""
    client.close()


def test_a_user_who_was_removed_or_closed_is_not_woken_and_the_others_are(suite):
    gone, closed, others = one_of_each(suite, "dan"), one_of_each(suite, "eve"), one_of_each(suite, "alice")
    suite.wait_parked()
    suite.tool("postuser", "delete", suite.address("dan"))
    users = suite.config / "users"
    users.write_text("".join(line.rstrip("\n") + ("nologin" if line.startswith("eve@") else "") + "\n"
                             for line in users.read_text().splitlines()))
    suite.reload()
    for client in gone + closed:
        refused(client)
    for client in others:
        client.ok("NOOP")
    suite.wait_log("session of dan@a.test refused: unknown user")
    suite.wait_log(r"session of eve@a.test refused: the account is closed \(nologin\)")
    close(*others)


def test_a_service_with_one_process_does_not_wait_for_the_sessions_of_its_old_front(suite):
    """maxproc 1 of imapd-login and of imapd."""
    port = suite.port["imap"]
    old_master_cf = (suite.config / "master.cf").read_text()
    suite.write_master_cf(services=(f"127.0.0.1:{port} inet n - n - 1 imapd-login", "imapd unix - n n 1000? 1 imapd"))
    suite.reload()
    client = Client(suite, "alice")
    begin_append(client)
    suite.reload()
    other = Raw(suite, "imap")
    other.send(f"a LOGIN {suite.address('bob')} {suite.password}")
    assert other.line().startswith("a OK")
    end_append(client)
    close(client, other)
    (suite.config / "master.cf").write_text(old_master_cf)
    suite.reload()


def test_a_stop_says_bye_at_once_to_all_that_reloads_have_left(suite):
    clients = []
    for _ in range(3):
        clients += [Client(suite, "alice"), Client(suite, "alice", tls=True)]
        suite.reload()
    for client in clients[:4]:
        client.ok("SELECT INBOX")
        client.idle()
    suite.wait_parked()
    clients += [Client(suite, "bob"), Client(suite, "bob", tls=True)]   # these have processes
    began = time.monotonic()
    suite.stop()
    assert [client.line() for client in clients] == [BYE] * len(clients)
    assert time.monotonic() - began < 30
    assert not suite.processes()
    close(*clients)
    suite.start()


def test_sessions_outlive_the_parent_that_started_them_but_not_the_suite(suite):
    before = len(suite.log_lines("BYE|Server shutting down"))
    busy = [Client(suite, user, tls=tls) for user in ("alice", "bob") for tls in (False, True)]
    pop3 = signed_in(suite, "pop3s", "carol")
    for client in busy:
        begin_append(client)
    for program in ("imapd", "pop3d"):
        parent = next(pid for pid in suite.pids(program) if suite.parent_pid(pid) == suite.pid)
        suite.kill(parent)
    close(signed_in(suite, "imap"), signed_in(suite, "pop3"))           # under new parents
    for client in busy[:2]:
        end_append(client)
    suite.reload()
    pop3.send("STAT")
    assert pop3.line() == "+OK 0 0"
    for client in busy[:2]:
        client.ok("NOOP")
    suite.wait_parked(busy=3)
    for client in busy[:2]:                                             # and what parks is woken under those
        client.ok("NOOP")
    assert len(suite.log_lines("BYE|Server shutting down")) == before
    suite.stop()
    for client in busy[:2]:
        assert client.line() == BYE
    assert pop3.rest() == "-ERR [SYS/TEMP] Server shutting down.\r\n"
    assert not suite.processes()
    close(*busy, pop3)
    suite.start()


def test_an_orphan_that_does_not_end_is_killed_with_the_suite(suite):
    client, pid = suite.session_of("imapd", lambda: Client(suite, "alice"))
    suite.kill(suite.parent_pid(pid))
    suite.kill(pid, signal.SIGSTOP)
    suite.stop()
    suite.wait_log("processes that did not end in time are killed")
    assert not suite.processes()
    assert client.line() == ""
    client.close()
    suite.start()
