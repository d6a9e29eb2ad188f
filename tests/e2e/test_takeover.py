# SPDX-License-Identifier: Apache-2.0
"""A Maildir that Dovecot or Courier has served moves to Postern, and no mail program notices."""
import imaplib
import os
import poplib
import re

import pytest

from dovecot import Dovecot, needs_dovecot
from instance import AS_ROOT, SLOW
from mbsync import Mbsync

MESSAGES = 20000 if SLOW == 1 else 2000      # what a sanitizer build does as well with fewer
@pytest.fixture(scope="module")
def instance(make_instance):
    return make_instance(users=("alice", "bob", "carol"), params={"imap_allow_plaintext_auth": "127.0.0.1"})


@pytest.fixture
def work(workdir, request):
    """A directory below one that Dovecot's users may enter."""
    path = workdir / f"takeover-{abs(hash(request.node.name))}"
    path.mkdir(mode=0o755)
    return path


def own(maildir, owner):
    for path in [maildir.parent, maildir, *maildir.rglob("*")]:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def fill(maildir, owner, numbers):
    for sub in "", "cur", "new", "tmp":
        (maildir / sub).mkdir(parents=True, exist_ok=True)
    for i in numbers:
        name = f"{1700000000 + i}.M{i}P1.host:2,{'S' if i % 3 else ''}"
        (maildir / "cur" / name).write_text(f"From: bob@a.test\nMessage-ID: <{i}@a.test>\nSubject: message {i}\n\nText {i}.\n")
    own(maildir, owner)


def sign_in(server, user, password):
    client = imaplib.IMAP4("127.0.0.1", server.port["imap"], timeout=120 * SLOW)
    client.login(f"{user}@a.test", password)
    return client


def uids(client, mailbox):
    """UIDVALIDITY and {UID: flags}."""
    assert client.select(mailbox)[0] == "OK"
    validity = client.response("UIDVALIDITY")[1][0]
    flags = client.uid("FETCH", "1:*", "(FLAGS)")[1]
    return validity, {re.search(rb"UID (\d+)", x).group(1): frozenset(re.search(rb"FLAGS \(([^)]*)\)", x).group(1).split()) - {b"\\Recent"}
                      for x in flags if x}


def subscriptions(client, separator):
    return {re.search(rb'"?([^" ]+)"?$', line)[1].decode().replace(separator, "/") for line in client.lsub()[1] if line}


def uidl(server, user, password):
    """{message: unique-id}, by POP3."""
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=120 * SLOW)
    pop.user(f"{user}@a.test")
    pop.pass_(password)
    ids = dict(line.split() for line in pop.uidl()[1])
    pop.quit()
    return ids


FOLDERS = ("INBOX", "Work", "Work/2026", "Gr&APwA3w-e", "Sent")


@needs_dovecot
def test_a_maildir_of_dovecot_is_taken_over_without_a_message_fetched_again(instance, work):
    fill(instance.maildir("alice"), instance.owner, range(MESSAGES))
    user = ("alice", instance.password)
    with Dovecot(work / "dovecot", instance) as dovecot:
        client = sign_in(dovecot, *user)
        for name in ("Work", "Work.2026", "Gr&APwA3w-e"):
            assert client.create(name)[0] == "OK"
        for name in ("Work.2026", "Gr&APwA3w-e", "INBOX"):
            assert client.subscribe(name)[0] == "OK"
        client.select("INBOX")
        for messages, folder in (("100:199", "Work.2026"), ("50:60", "Gr&APwA3w-e"), ("1:2", "Sent")):
            assert client.copy(messages, folder)[0] == "OK"
        assert client.store("5", "+FLAGS", "($Forwarded Project)")[0] == "OK"
        assert client.store("1:3", "+FLAGS", r"(\Deleted)")[0] == "OK" and client.expunge()[0] == "OK"
        client.select("Work.2026")
        assert client.store("1:10", "+FLAGS", r"(Other Project \Flagged)")[0] == "OK"
        assert client.store("20", "+FLAGS", r"(\Deleted)")[0] == "OK" and client.expunge()[0] == "OK"
        client.logout()
        mbsync = Mbsync(work, dovecot.port["imap"], "alice@a.test", instance.password, separator=".")
        mbsync()
        client = sign_in(dovecot, *user)
        there = {name: uids(client, name.replace("/", ".")) for name in FOLDERS}
        subscribed = subscriptions(client, ".")
        client.logout()
        ids = uidl(dovecot, *user)

    client = sign_in(instance, *user)
    assert {name: uids(client, name) for name in FOLDERS} == there
    assert len(there["INBOX"][1]) == MESSAGES - 3 and any(b"Project" in flags for flags in there["INBOX"][1].values())
    assert sum(b"Other" in flags for flags in there["Work/2026"][1].values()) == 10 and len(there["Work/2026"][1]) == 99
    assert subscriptions(client, "/") == subscribed == {"INBOX", "Work/2026", "Gr&APwA3w-e", "Sent"}
    assert any(b"\\Sent" in line and line.endswith(b"Sent") for line in client.list()[1])
    client.logout()
    assert uidl(instance, *user) == ids and len(ids) == MESSAGES - 3

    before = mbsync.files()
    again = Mbsync(work, instance.port["imap"], "alice@a.test", instance.password)
    said = again()
    assert f"far side: {MESSAGES - 3} messages" in said and "Opening far side box Work/2026" in said
    assert again.files() == before and len(before) == MESSAGES - 3 + 99 + 11 + 2


@needs_dovecot
def test_unique_ids_that_dovecot_has_kept_from_before_itself_stay(instance, work):
    """pop3_save_uidl: what POP3 clients were told is in the UID list, whatever the format is today."""
    fill(instance.maildir("bob"), instance.owner, range(5))
    user = ("bob", instance.password)
    with Dovecot(work / "first", instance, uidl_format="%g", save_uidl="yes") as dovecot:
        ids = uidl(dovecot, *user)
    fill(instance.maildir("bob"), instance.owner, range(5, 11))     # of these nobody was told then
    with Dovecot(work / "second", instance) as dovecot:
        ids = uidl(dovecot, *user)
    assert sum(i.endswith(b"P1.host") for i in ids.values()) == 5 and len(ids) == 11
    assert uidl(instance, *user) == ids


# As a Courier 5.0 has left it: two mailboxes, the second named in UTF-8; a keyword that is not in the list yet.
COURIER = {
    "courierimapuiddb": "1 795357921 6\n2 1700000002.M2.host\n3 1700000003.M3.host\n4 1700000004.M4.host\n5 1700000005.M5.host\n",
    "courierpop3dsizelist": "/3 5 1795357924\n1700000002.M2.host:2,S 45 1:1795357924:0\n1700000003.M3.host:2,F 45 2:1795357924:0\n"
                            "1700000004.M4.host:2, 45 3:1795357924:0\n1700000005.M5.host:2, 45 4:1795357924:0\n",
    "courierimapsubscribed": "INBOX.Grüße.Sub\nINBOX.Sent\n",
    "courierimapkeywords/:list": "Project\n$Label1\n$Label2\n\n1700000002.M2.host:1 0\n1700000003.M3.host:2\n",
    "courierimapkeywords/.5984527.1700000002.M2.host": "$Label1\nProject\n",
    "courierimapkeywords/1700000002.M2.host": "$Label1\n",
    "courierimapkeywords/1700000004.M4.host": "Late\nNew$thing\n",
    **{f"cur/170000000{n}.M{n}.host:2,{flags}": f"From: a@b.test\nSubject: number {n}\n\ntext {n}\n"
       for n, flags in ((2, "S"), (3, "F"), (4, ""), (5, ""))},
    ".Grüße.Sub/courierimapuiddb": "1 795357918 4\n1 1795357921.M1.vm,S=41\n3 1795357921.M3.vm,S=41\n",
    ".Grüße.Sub/courierimapkeywords/:list": "Project\n\n1795357921.M3.vm,S=41:0\n",
    ".Grüße.Sub/maildirfolder": "",
    **{f".Grüße.Sub/cur/1795357921.M{n}.vm,S=41:2,S": f"From: a@b.test\nSubject: number {n}\n\ntext {n}\n" for n in (1, 3)},
    ".Sent/courierimapuiddb": "1 795357919 1\n",
    ".Sent/maildirfolder": "",
}


@pytest.mark.skipif(not AS_ROOT, reason="makes another user's files")
def test_a_maildir_of_courier_keeps_uids_keywords_subscriptions_and_unique_ids(instance):
    maildir = instance.maildir("carol")
    for folder in (maildir, maildir / ".Grüße.Sub", maildir / ".Sent"):
        for sub in ("cur", "new", "tmp"):
            (folder / sub).mkdir(parents=True)
    for name, text in COURIER.items():
        (maildir / name).parent.mkdir(exist_ok=True)
        (maildir / name).write_text(text)
    own(maildir, instance.owner)
    user = ("carol", instance.password)
    assert uidl(instance, *user) == {b"%d" % n: b"UID%d-1795357924" % n for n in range(1, 5)}

    client = sign_in(instance, *user)
    assert b'(\\HasNoChildren) "/" Gr&APwA3w-e/Sub' in client.list()[1]
    assert subscriptions(client, "/") == {"Gr&APwA3w-e/Sub", "Sent"}
    assert uids(client, "INBOX") == (b"795357921", {
        b"2": {b"\\Seen", b"$Label1"}, b"3": {b"\\Flagged", b"$Label2"}, b"4": {b"Late", b"New$thing"}, b"5": set()})
    assert uids(client, "Gr&APwA3w-e/Sub") == (b"795357918", {b"1": {b"\\Seen"}, b"3": {b"\\Seen", b"Project"}})
    # What comes now goes on where Courier has stopped.
    assert client.append("INBOX", None, None, b"Subject: new\r\n\r\nx\r\n")[1][0].startswith(b"[APPENDUID 795357921 6]")
    assert client.append("Sent", None, None, b"Subject: new\r\n\r\nx\r\n")[1][0].startswith(b"[APPENDUID 795357919 1]")
    client.logout()
    ids = uidl(instance, *user)
    assert ids[b"1"] == b"UID1-1795357924" and ids[b"5"] == b"%08x%08x" % (6, 795357921)
