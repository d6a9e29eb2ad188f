# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full under the mailboxes: clients hear NO and go on, mail waits, nothing is lost, and all is well when there is room."""
import contextlib
import os
import re
import smtplib
import subprocess

import pytest

from imap_client import Client
from instance import AS_ROOT, SLOW, wait_until

MESSAGE = "Subject: {}\r\n\r\n" + ("x" * 70 + "\r\n") * 100     # some 7 KB: no block that is half empty takes it
SIZE = "32m"
FULL = "NO [OVERQUOTA] No space is left."


def mount(kind, directory, image):
    if kind == "tmpfs":
        return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", directory], capture_output=True)
    with open(image, "wb") as f:
        f.truncate(int(SIZE[:-1]) << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], capture_output=True)
    return made if made.returncode else subprocess.run(["mount", "-o", "loop", image, directory], capture_output=True)


@pytest.fixture(scope="module", params=["tmpfs", "ext4"])
def suite(request, make_instance):
    """An instance whose mailboxes lie on a small file system of their own; alice has a hundred messages."""
    if not AS_ROOT:
        pytest.skip("only root can mount")
    suite = make_instance(start=False, users=("alice", "bob", "carol"), params={
        "minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s"})
    try:
        done = mount(request.param, suite.mail, suite.dir / "image")
    except FileNotFoundError:
        pytest.skip("there is no mkfs.ext4")
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small {request.param} here")
    try:
        os.chown(suite.mail, suite.owner.pw_uid, suite.owner.pw_gid)
        suite.start()
        client = Client(suite, "alice")
        for n in range(100):
            client.append(MESSAGE.format(n))
        client.close()
        yield suite
    finally:
        suite.end()
        subprocess.run(["umount", suite.mail], check=True)


@contextlib.contextmanager
def full(suite):
    """The rest of the file system is taken, to its last block."""
    ballast = suite.mail / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12, 1 << 10, 1 << 10):
            with contextlib.suppress(OSError):
                while os.write(fd, bytes(size)):
                    pass
            with contextlib.suppress(OSError):
                os.fsync(fd)        # only now ext4 has its own blocks for them
        yield
    finally:
        os.close(fd)
        ballast.unlink()


def content(client, mailbox="INBOX"):
    """UID, flags and subject of each message"""
    client.ok(f"SELECT {mailbox}")
    lines = client.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return {int(re.search(r"UID (\d+)", line)[1]): (frozenset(re.search(r"FLAGS \((.*?)\)", line)[1].split()),
                                                    re.search(r"Subject: (\S+)", line)[1]) for line in lines if " FETCH " in line}


def literal(n):
    text = MESSAGE.format(n)
    return f"{{{len(text)}+}}\r\n{text}"


def test_commands_that_need_room_are_refused_and_the_session_goes_on(suite):
    client = Client(suite, "alice")
    before = content(client)
    with full(suite):
        for command in (f"APPEND INBOX {literal(1)}", f"APPEND INBOX {literal(2)} {literal(3)}", "SUBSCRIBE here",
                        f"REPLACE 1 INBOX {literal(4)}"):
            assert client.run(command)[1] == FULL, command[:20]
        # what of these still fits depends on the file system and on the index's free pages; half of it is never done
        for command in ("COPY 1:100 INBOX", "CREATE other", "MOVE 1:2 other", "STORE 1:100 +FLAGS (key)", "STORE 3 +FLAGS (\\Seen)"):
            lines, answer = client.run(command)
            assert answer == FULL or answer.startswith(("OK", "NO [TRYCREATE]")), (command, answer, suite.log()[-1500:])
        told = content(client)
        assert client.ok("FETCH 1:* BODY.PEEK[TEXT]")
        other = Client(suite, "alice")
        assert content(other) == told
        other.close()
    assert set(before) - set(told) <= {1, 2}
    assert content(client) == told
    again = Client(suite, "alice")
    assert content(again) == told
    for c in (client, again):
        c.close()


def test_all_works_when_there_is_room_again(suite):
    client = Client(suite, "alice")
    client.ok("SELECT INBOX")
    with full(suite):
        assert client.run(f"APPEND INBOX {literal('none')}")[1] == FULL
    for command in (f"APPEND INBOX {literal('new')}", "COPY 1:10 INBOX", "CREATE room", "MOVE 1:2 room", "SUBSCRIBE room",
                    "STORE 1:10 +FLAGS (\\Seen key)", "EXPUNGE", f"REPLACE 1 INBOX {literal('newer')}"):
        client.ok(command)
    subjects = [subject for _, subject in content(client).values()]
    assert "none" not in subjects and subjects.count("new") == 1 and subjects.count("newer") == 1
    assert len(content(client, "room")) == 2
    assert '* LSUB (\\HasNoChildren) "/" room' in client.ok('LSUB "" *')
    client.close()


def test_messages_can_be_deleted_to_make_room(suite):
    client = Client(suite, "alice")
    before = content(client)
    with full(suite):
        gone = sorted(before)[-3:]
        _, answer = client.run(f"UID STORE {gone[0]}:{gone[-1]} +FLAGS.SILENT (\\Deleted)")
        answers = {answer, client.run("EXPUNGE")[1]}
        assert all(a.startswith("OK") or a == FULL for a in answers), answers
    client.ok(f"UID STORE {gone[0]}:{gone[-1]} +FLAGS.SILENT (\\Deleted)")
    client.ok("EXPUNGE")
    assert content(client) == {uid: what for uid, what in before.items() if uid not in gone}
    client.close()


def send(suite, user, subject):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], timeout=60 * SLOW) as smtp:
        smtp.sendmail("ann@b.test", [suite.address(user)], MESSAGE.format(subject))


def test_mail_waits_in_the_queue_and_is_delivered_once_when_there_is_room(suite):
    with full(suite):
        send(suite, "bob", "waits")
        suite.wait_log(r"to=<bob@a\.test>.* status=deferred ")
        assert len(suite.queue_ids()) == 1
    suite.wait_queue_empty()
    client = Client(suite, "bob")
    assert [subject for _, subject in content(client).values()] == ["waits"]
    client.close()


def test_who_signs_in_for_the_first_time_is_told_and_can_later(suite):
    with full(suite):
        try:
            client = Client(suite, "carol")
        except AssertionError as e:
            assert "NO [" in str(e)     # there is no room for an index
        else:
            client.close()
    wait_until(lambda: len(content(Client(suite, "carol"))) == 0, what="carol's mailbox")
    send(suite, "carol", "first")
    suite.wait_messages("carol", 1)
    client = Client(suite, "carol")
    assert [subject for _, subject in content(client).values()] == ["first"]
    client.close()
