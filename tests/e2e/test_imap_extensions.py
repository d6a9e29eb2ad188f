# SPDX-License-Identifier: Apache-2.0
"""What a script of imap_sessions/ cannot say of the extensions: mailboxes that are too large for it, crashes, all
combinations of options."""
import itertools
import os
import re
import signal
import time

import pytest

from imap_client import Client
from instance import wait_until

REMEMBERED = 20000      # expunges of a mailbox, then the older half is forgotten: lib/mailbox/index.h
COPIES = 32768


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol", "dave"))


def code(lines, name):
    """The number in "* OK [NAME number]" among the lines."""
    return int(next(m[1] for line in lines if (m := re.search(rf"\[{name} (\d+)\]", line))))


def test_a_client_that_was_away_for_more_expunges_than_are_remembered_hears_of_all_that_is_gone(suite):
    away, there, other = (Client(suite, "alice") for _ in range(3))
    other.append("Subject: a\r\n\r\nb\r\n")
    away.ok("ENABLE QRESYNC")
    there.ok("ENABLE QRESYNC")
    lines = away.ok("SELECT INBOX")
    validity, modseq = code(lines, "UIDVALIDITY"), code(lines, "HIGHESTMODSEQ")
    away.ok("UNSELECT")
    other.ok("SELECT INBOX")
    n = 1
    while n < COPIES:
        other.ok("COPY 1:* INBOX")
        n *= 2
    lines = there.ok("SELECT INBOX")
    late = code(lines, "HIGHESTMODSEQ")
    gone = REMEMBERED + 5000
    for first in range(2, gone, 5000):      # in pieces, so that some are forgotten and some are not
        other.ok(f"UID STORE {first}:{first + 4999} +FLAGS.SILENT (\\Deleted)")
        lines = other.ok("EXPUNGE")
        assert len(lines) == 5000
        if first == 10002:
            lines = away.ok(f"SELECT INBOX (QRESYNC ({validity} {modseq}))")
            assert "* VANISHED (EARLIER) 2:15001" in lines
            late = code(lines, "HIGHESTMODSEQ")
            away.ok("UNSELECT")
    assert there.ok("NOOP")[0] == f"* VANISHED 2:{gone + 1}"
    # the oldest are forgotten, so that it hears of every UID that is not there; since `late` all are remembered
    other.ok("UID EXPUNGE 1")
    lines = away.ok(f"SELECT INBOX (QRESYNC ({validity} {modseq}))")
    assert f"* VANISHED (EARLIER) 2:{gone + 1}" in lines
    lines = away.ok(f"SELECT INBOX (QRESYNC ({validity} {late}))")
    assert f"* VANISHED (EARLIER) 15002:{gone + 1}" in lines
    # what it knows by number and UID it need not hear of
    lines = away.ok(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:{COPIES} (1:2 1,{gone + 2})))")
    assert not any("VANISHED" in line for line in lines)
    for client in (away, there, other):
        client.close()


def test_a_replace_that_is_killed_at_any_moment_loses_neither_message(suite):
    for n in range(24):
        client = Client(suite, "bob")
        pid = int(suite.wait_log(r"imap-login: Login: user=<bob@.*mpid=(\d+)", count=2 * n + 1)[1])
        lines = client.ok("SELECT INBOX")
        while "* 0 EXISTS" in lines or "* 1 EXISTS" not in lines:      # as many as the last crash has left: one to begin with
            if "* 0 EXISTS" in lines:
                client.append("Subject: draft 0\r\n\r\n")
            else:
                client.ok("STORE 2:* +FLAGS.SILENT (\\Deleted)")
                client.ok("EXPUNGE")
            lines = client.ok("SELECT INBOX")
        message = f"Subject: draft {n + 1}\r\n\r\n".encode()
        client.sock.sendall(b"x REPLACE 1 INBOX {%d+}\r\n%s\r\n" % (len(message), message))
        time.sleep(n / 4000)            # anywhere between before and after
        os.kill(pid, signal.SIGKILL)
        client.close()
        after = Client(suite, "bob")
        after.ok("SELECT INBOX")
        subjects = [line for line in after.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]") if "Subject: draft" in line]
        assert 1 <= len(subjects) <= 2, subjects
        after.close()


def test_of_two_clients_that_move_the_same_messages_at_once_one_has_them_and_the_other_is_told(suite):
    a, b = Client(suite, "bob"), Client(suite, "bob")
    for name in ("source", "one", "two"):
        a.ok(f"CREATE {name}")
    for _ in range(5):
        a.append("Subject: a\r\n\r\nb\r\n", "source")
        a.ok("SELECT source")
        for _ in range(6):
            a.ok("COPY 1:* source")
        lines = b.ok("SELECT source")
        assert "* 64 EXISTS" in lines
        for client, name in ((a, "one"), (b, "two")):
            client.sock.sendall(f"x MOVE 1:* {name}\r\n".encode())
        answers = []
        for client in (a, b):
            while not (line := client.line()).startswith("x "):
                pass
            answers.append(line[2:])
        assert sorted(answer.split()[0] for answer in answers) == ["NO", "OK"], answers
        assert any(answer.startswith("NO [EXPUNGEISSUED]") for answer in answers)
        kept, empty = ("one", "two") if answers[0].startswith("OK") else ("two", "one")
        assert a.ok(f"STATUS {empty} (MESSAGES)")[-1] == f"* STATUS {empty} (MESSAGES 0)"
        assert a.ok(f"STATUS {kept} (MESSAGES)")[-1] == f"* STATUS {kept} (MESSAGES 64)"
        a.ok(f"SELECT {kept}")
        a.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        a.ok("CLOSE")
    a.close()
    b.close()


MANY = 128              # for a STORE to leave names of files for the moment after its answer: lib/mailbox/account.c


def many_messages(client):
    client.append("Subject: a\r\n\r\nb\r\n")
    client.ok("SELECT INBOX")
    for _ in range(7):
        client.ok("COPY 1:* INBOX")


def flagged_names(suite, user):
    return sum("F" in path.name.rpartition(":2,")[2] for path in (suite.maildir(user) / "cur").iterdir())


def test_names_of_files_follow_the_flags_of_many_messages_whatever_the_client_does(suite):
    client = Client(suite, "carol")
    many_messages(client)
    client.send("x STORE 1:* +FLAGS (\\Flagged)")         # and the client does not read
    wait_until(lambda: flagged_names(suite, "carol") == MANY, 30, "names of the files")
    assert len(client.answer("x")[0]) == MANY
    client.send("x STORE 1:* -FLAGS (\\Flagged)\r\ny FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
    assert client.answer("x")[1].startswith("OK")
    lines, answer = client.answer("y")
    assert answer.startswith("OK") and sum("Subject: a" in line for line in lines) == MANY
    assert flagged_names(suite, "carol") == 0
    client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    assert len(client.ok("EXPUNGE")) == MANY
    client.ok("CLOSE")
    client.close()


def test_what_a_killed_session_has_said_of_the_flags_of_many_messages_stays_true(suite):
    client = Client(suite, "dave")
    many_messages(client)
    client.close()
    for n in range(24):
        on, answered = n % 2 == 0, n % 4 < 2
        client = Client(suite, "dave")
        pid = int(suite.wait_log(r"imap-login: Login: user=<dave@.*mpid=(\d+)", count=2 * n + 2)[1])
        client.ok("SELECT INBOX")
        command = f"STORE 1:* {'+' if on else '-'}FLAGS.SILENT (\\Flagged)"
        client.send("x " + command)
        if answered:
            client.until("x OK")        # some names have followed by now, or none
        else:
            time.sleep(n / 8000)        # anywhere between before and after
        os.kill(pid, signal.SIGKILL)
        client.close()
        after = Client(suite, "dave")
        after.ok("SELECT INBOX")
        lines = after.ok("FETCH 1:* FLAGS")
        flagged = sum("\\Flagged" in line for line in lines)
        assert len(lines) == MANY and flagged == flagged_names(suite, "dave")
        # not answered: done or not, but for the one file that shows whether it can be
        assert flagged in ([MANY * on] if answered else [0, 1, MANY - 1, MANY]), (n, flagged)
        after.ok(command)
        after.close()


# name: does it exist, is it subscribed, its use
MAILBOXES = {
    "INBOX": (True, True, None), "Work": (True, False, None), "Work/a": (True, True, None), "Work/Sent": (True, False, None),
    "Drafts": (True, True, "\\Drafts"), "Old": (True, False, None), "Old/Archive": (True, True, "\\Archive"),
    "Gone": (False, False, None), "Gone/x": (False, True, None), "Trash": (True, False, "\\Trash"),
}
SELECT_OPTIONS = ("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE")
RETURN_OPTIONS = ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS (MESSAGES)")
PATTERNS = {"*": ".*", "%": "[^/]*", "(% Old/%)": "[^/]*|Old/[^/]*"}


def below(name):
    return [other for other in MAILBOXES if other.startswith(name + "/")]


def listed(selection, returned, pattern):
    """What RFC 5258 section 3 and RFC 6154 section 5 say: {name: (attributes, criteria of CHILDINFO, has it a STATUS)}"""
    def selected(name):
        exists, subscribed, use = MAILBOXES[name]
        return ((subscribed if "SUBSCRIBED" in selection else exists) and (use is not None or "SPECIAL-USE" not in selection))

    lines = {}
    for name, (exists, subscribed, use) in MAILBOXES.items():
        child = "RECURSIVEMATCH" in selection and any(
            selected(other) and not re.fullmatch(PATTERNS[pattern], other) for other in below(name))
        if not re.fullmatch(PATTERNS[pattern], name) or not (selected(name) or child):
            continue
        attributes = {use} - {None}
        if exists:
            attributes.add("\\HasChildren" if any(MAILBOXES[other][0] for other in below(name)) else "\\HasNoChildren")
        else:
            attributes |= {"\\NonExistent", "\\Noselect"}
        if subscribed and "SUBSCRIBED" in selection + returned:
            attributes.add("\\Subscribed")
        criteria = {o for o in selection if o in ("SUBSCRIBED", "SPECIAL-USE")} if child else set()
        lines[name] = (attributes, criteria, exists and any(o.startswith("STATUS") for o in returned))
    return lines


def subsets(options):
    return [c for n in range(len(options) + 1) for c in itertools.combinations(options, n)]


def test_list_takes_its_options_in_all_combinations(suite):
    client = Client(suite, "carol")
    for name, (exists, subscribed, use) in MAILBOXES.items():
        if exists and name not in ("INBOX", "Drafts", "Trash"):
            client.ok(f"CREATE {name}" + (f" (USE ({use}))" if use else ""))
        if subscribed:
            client.ok(f"SUBSCRIBE {name}")
    for name in ("Drafts", "Trash"):
        client.ok(f"CREATE {name}")
    for selection, returned, pattern in itertools.product(subsets(SELECT_OPTIONS), subsets(RETURN_OPTIONS), PATTERNS):
        command = f'LIST ({" ".join(selection)}) "" {pattern} RETURN ({" ".join(reversed(returned))})'
        lines, answer = client.run(command)
        if "RECURSIVEMATCH" in selection and not {"SUBSCRIBED", "SPECIAL-USE"} & set(selection):
            assert lines == [] and answer.startswith("BAD "), command
            client.ok("NOOP")       # so that these are not too many in a row
            continue
        got = {}
        for line in lines:
            if m := re.fullmatch(r'\* LIST \((.*?)\) "/" (\S+)(?: \("CHILDINFO" \((.*)\)\))?', line):
                assert m[2] not in got, (command, line)
                got[m[2]] = (set(m[1].split()), set((m[3] or "").replace('"', "").split()), False)
            else:
                m = re.fullmatch(r"\* STATUS (\S+) \(MESSAGES 0\)", line)
                assert m and m[1] == list(got)[-1], (command, line)
                got[m[1]] = (*got[m[1]][:2], True)
        assert answer.startswith("OK ") and got == listed(selection, returned, pattern), command
    client.close()
