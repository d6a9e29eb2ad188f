# SPDX-License-Identifier: Apache-2.0
"""Thunderbird as its user sees it: one account, kept for offline use, that other programs work on as well."""
import email
import re
import smtplib

import pytest

import thunderbird
from imap_client import Client
from instance import wait_until
from thunderbird import Thunderbird

pytestmark = pytest.mark.skipif(not thunderbird.PROGRAM, reason="needs thunderbird")

FOLDERS = {"Archive": "\\Archive", "Drafts": "\\Drafts", "Junk": "\\Junk", "Sent": "\\Sent", "Trash": "\\Trash",
           "Work": "", "Work/2026": "", "Gr&APwA3w-e": ""}


def message(subject):
    return f"From: Bob <bob@a.test>\r\nTo: alice@a.test\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@a.test>\r\n\r\nThis is {subject}.\r\n"


def subjects(*numbers):
    return [f"letter {n}" for n in numbers]


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(params={"imap_hibernate_timeout": "1s"})


@pytest.fixture(scope="module")
def server(suite):
    """Another client of alice's, that sees what the server has."""
    client = Client(suite, "alice")
    for name, use in FOLDERS.items():
        client.ok(f"CREATE {name}" + (f" (USE ({use}))" if use else ""))
        client.ok(f"SUBSCRIBE {name}")
    for n in range(30):
        client.append(message(f"letter {n}"))
    for n in range(5):
        client.append(message(f"work {n}"), "Work/2026", "(\\Seen) ")
    yield client
    client.close()


@pytest.fixture(scope="module")
def tb(suite, server, workdir):
    """Thunderbird, online, all folders known and downloaded."""
    directory = workdir / "thunderbird"
    directory.mkdir()
    tb = Thunderbird(directory, suite, "alice")
    stopped = False
    try:
        online(tb.start())
        tb.run("await done(listener => server.getNewMessages(inbox(), null, listener));")
        tb.wait("return folder('Work/2026') && folder('Grüße') && folder('Trash') && true", what="the folders")
        download(tb)
        yield tb
    finally:
        stopped = tb.stop()
    assert stopped


def online(tb):
    tb.run("""Cc["@mozilla.org/messenger/offline-manager;1"].getService(Ci.nsIMsgOfflineManager).goOnline(true, true, window.msgWindow);""")


def offline(tb):
    tb.run("Services.io.offline = true;")


def download(tb):
    """Synchronise all folders for offline use; one that is busy is downloading by itself."""
    tb.wait("""
        for (const f of server.rootFolder.descendants)
            await done(listener => f.downloadAllForOffline(listener, null)).catch(e => {
                if (e.result != 0x8055000a)
                    throw e;
            });
        return server.rootFolder.descendants.every(f => headers(f).every(h => h.flags & Ci.nsMsgMessageFlags.Offline));
    """, what="all messages for offline use")


def shown(tb, path):
    """{subject: its marks} in one of Thunderbird's folders."""
    return {subject: set(marks) for subject, marks in tb.run("""
        return headers(folder(args[0])).map(h => [h.mime2DecodedSubject, [
            h.isRead && "\\\\Seen", h.isFlagged && "\\\\Flagged", h.flags & Ci.nsMsgMessageFlags.Replied && "\\\\Answered",
            ...h.getStringProperty("keywords").split(" ").filter(k => k.startsWith("$label"))].filter(Boolean)]);
    """, path)}


def uids(server, mailbox):
    """{subject: UID} on the server."""
    server.ok(f"EXAMINE {mailbox}")
    lines, _ = server.run("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return {re.search(r"Subject: ([^\r\n]*)", line)[1]: re.search(r"UID (\d+)", line)[1] for line in lines if " FETCH " in line}


def bodies(tb):
    """How many messages it has fetched."""
    return sum(bool(re.match(r"< \* \d+ FETCH .*BODY\[\] ", line)) for line in tb.said())


def served(server, mailbox):
    """{subject: its marks} on the server."""
    server.ok(f"EXAMINE {mailbox}")
    lines, _ = server.run("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found = {}
    for line in lines:
        if m := re.search(r"FLAGS \(([^)]*)\).*Subject: ([^\r\n]*)", line, re.S):
            found[m[2]] = {f for f in m[1].split() if f in ("\\Seen", "\\Flagged", "\\Answered") or f.startswith("$label")}
    return found


def same(tb, server, path, expected):
    """Both have these messages with these marks, soon; expected: {subject: marks}, or subjects, whatever their marks."""
    def served_all():
        found = served(server, path)
        return found == expected if isinstance(expected, dict) else sorted(found) == sorted(expected)

    def shown_as_served():
        return shown(tb, path) == served(server, path)
    try:
        wait_until(served_all, 30, f"messages in {path}")
        # Not before the server has all: asking during the playback makes it begin again.
        tb.run("folder(args[0]).updateFolder(null);", path)
        wait_until(shown_as_served, 30, f"agreement on {path}")
    except AssertionError as e:
        raise AssertionError(f"{e}: Thunderbird shows {shown(tb, path)}, the server {served(server, path)}") from None


def test_folders_with_their_uses_and_all_messages_come_for_offline_use(tb, server):
    found = tb.run("""
        return server.rootFolder.descendants.map(f => [f.name, headers(f).length,
            headers(f).filter(h => h.flags & Ci.nsMsgMessageFlags.Offline).length]);
    """)
    empty = [[name, 0, 0] for name in ("Archive", "Drafts", "Junk", "Sent", "Trash", "Work", "Grüße")]
    assert sorted(found) == sorted([["INBOX", 30, 30], ["2026", 5, 5], *empty])
    uses = tb.run("""
        const uses = { Archive: "Archive", Drafts: "Drafts", Junk: "Junk", Sent: "SentMail", Trash: "Trash" };
        return Object.keys(uses).filter(name => folder(name).getFlag(Ci.nsMsgFolderFlags[uses[name]]));
    """)
    assert uses == ["Archive", "Drafts", "Junk", "Sent", "Trash"]
    same(tb, server, "Work/2026", {f"work {n}": {"\\Seen"} for n in range(5)})


def test_what_is_done_offline_reaches_the_server_and_what_others_did_meanwhile_arrives(tb, server):
    offline(tb)
    # It moves last, and forgets a folder's other work once that of the first message is done: so the first are moved.
    tb.run("""
        const [moved, removed, read, flagged] = args;
        await done(listener => MailServices.copy.copyMessages(inbox(), bySubject(inbox(), moved), folder("Work"), true, listener, null, true));
        inbox().deleteMessages(bySubject(inbox(), removed), null, false, false, null, true);
        inbox().markMessagesRead(bySubject(inbox(), read), true);
        inbox().markMessagesFlagged(bySubject(inbox(), flagged), true);
        await compose("a draft", "bob@a.test", "Dear Bob,\\nSoon more.\\n", Ci.nsIMsgSend.nsMsgSaveAsDraft);
        await compose("sent later", "bob@a.test", "Written in the train.\\n", Ci.nsIMsgSend.nsMsgQueueForLater);
    """, subjects(0, 1, 2), subjects(3, 4), subjects(*range(5, 15)), subjects(8, 9))
    # Meanwhile another client works.
    number = uids(server, "INBOX")
    server.ok("SELECT INBOX")
    server.ok(f"UID STORE {number['letter 20']},{number['letter 0']} +FLAGS.SILENT (\\Flagged)")
    server.ok(f"UID STORE {number['letter 15']} +FLAGS (\\Answered)")
    server.ok(f"UID MOVE {number['letter 21']} Archive")
    server.ok(f"UID STORE {number['letter 22']},{number['letter 14']} +FLAGS (\\Deleted)")
    server.ok("EXPUNGE")
    server.append(message("letter 30"))
    server.ok("RENAME Work/2026 Work/2025")
    server.ok("SUBSCRIBE Work/2025")
    server.ok("UNSUBSCRIBE Work/2026")
    fetched = bodies(tb)
    online(tb)

    expected = {f"letter {n}": set() for n in range(5, 31) if n not in (14, 21, 22)}
    for mark, numbers in (("\\Seen", range(5, 14)), ("\\Flagged", (8, 9, 20)), ("\\Answered", (15,))):
        for n in numbers:
            expected[f"letter {n}"].add(mark)
    same(tb, server, "INBOX", expected)
    same(tb, server, "Work", {"letter 0": {"\\Flagged"}, "letter 1": set(), "letter 2": set()})
    same(tb, server, "Trash", subjects(3, 4))
    same(tb, server, "Archive", subjects(21))
    same(tb, server, "Drafts", ["a draft"])
    same(tb, server, "Sent", ["sent later"])
    tb.run("server.performExpand(window.msgWindow);")
    tb.wait("return folder('Work/2025') && !folder('Work/2026');", what="the renamed folder")
    # What it had has not been fetched again.
    download(tb)
    assert bodies(tb) - fetched <= 7, "the new one, the one in the archive, and those of the renamed folder"


def test_what_is_done_online_is_on_the_server_at_once(tb, server):
    tb.run("""
        inbox().addKeywordsToMessages(bySubject(inbox(), args[0]), "$label1");
        await done(listener => MailServices.copy.copyMessages(inbox(), bySubject(inbox(), args[1]), folder("Work"), true, listener, null, true));
        inbox().markMessagesFlagged(bySubject(inbox(), args[0]), false);
        folder("Work").createSubfolder("2027", window.msgWindow);
    """, subjects(9, 10), subjects(11))
    wait_until(lambda: served(server, "INBOX").get("letter 9") == {"\\Seen", "$label1"}, 30, "the tag")
    same(tb, server, "Work", subjects(0, 1, 2, 11))
    tb.wait("return folder('Work/2027') && true;", what="the new folder")
    assert '* LSUB (\\HasNoChildren) "/" Work/2027' in server.ok('LSUB "" Work/*')


def test_new_mail_shows_by_itself_and_is_answered(tb, server, suite):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        s.sendmail("bob@a.test", "alice@a.test", message("a question"))
    tb.wait("return bySubject(inbox(), ['a question']).length", what="new mail")
    there = len(suite.messages("bob"))
    tb.run("""
        await compose("an answer", "bob@a.test", "An answer: Grüße!\\n.\\n", Ci.nsIMsgSend.nsMsgDeliverNow);
        inbox().addMessageDispositionState(bySubject(inbox(), ["a question"])[0], Ci.nsIMsgFolder.nsMsgDispositionState_Replied);
    """)
    suite.wait_messages("bob", there + 1)
    got = [email.message_from_bytes(p.read_bytes()) for p in suite.messages("bob")]
    reply = next(m for m in got if m["Subject"] == "an answer")
    assert reply.get_payload(decode=True).decode().splitlines() == ["An answer: Grüße!", ".", ""]
    assert "ESMTPSA" in reply["Received"]
    wait_until(lambda: "\\Answered" in served(server, "INBOX")["a question"], 30, "the mark")
    same(tb, server, "Sent", ["sent later", "an answer"])


def test_a_restart_asks_only_for_what_changed_meanwhile(tb, server):
    assert tb.stop()
    number = uids(server, "INBOX")
    server.ok("SELECT INBOX")
    server.ok(f"UID STORE {number['letter 25']} +FLAGS (\\Seen)")
    server.ok(f"UID STORE {number['letter 26']},{number['letter 27']} +FLAGS (\\Deleted)")
    server.ok("EXPUNGE")
    server.append(message("letter 31"))
    before = len(tb.start().said())
    fetched = bodies(tb)
    online(tb)
    tb.run("await done(listener => server.getNewMessages(inbox(), window.msgWindow, listener));")
    expected = served(server, "INBOX")
    assert expected["letter 25"] == {"\\Seen"} and "letter 31" in expected and "letter 26" not in expected
    same(tb, server, "INBOX", expected)
    download(tb)
    assert bodies(tb) - fetched <= 1
    assert any("CHANGEDSINCE" in line for line in tb.said()[before:])


def test_it_had_tls_compression_and_condstore_and_was_never_refused(tb):
    said = tb.said()
    for sign in ("> .* STARTTLS", "< .* OK DEFLATE active", "> .* IDLE", r"> .* select .*\(CONDSTORE\)", "> .* fetch .*CHANGEDSINCE",
                 "> .* append .*", "> .* move "):
        assert any(re.match(sign, line, re.I) for line in said), sign
    # But that it may have asked for the folder that was renamed, before it knew.
    assert [line for line in said if re.match(r"< \d+ (BAD|NO (?!\[NONEXISTENT\]))", line)] == []
