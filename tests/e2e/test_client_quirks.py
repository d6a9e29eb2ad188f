# SPDX-License-Identifier: Apache-2.0
"""What particular mail programs do, and what has bitten them at other servers: their commands, written down."""
import contextlib
import imaplib
import io
import poplib
import re
import select
import shutil
import socket
import ssl
import time

import pytest

from imap_client import Client, talk
from instance import SLOW, wait_until


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "ken",
                                *(name.lower() for name in LIBRARIES)),
                         params={
        "imap_auto_mailboxes": "Drafts, Sent, Junk, Trash, Archive",
        "imap_trusted_networks": "127.0.0.9/32",
        "imap_hibernate_timeout": "1s",
        "imap_discard_capabilities": "THREAD=ORDEREDSUBJECT, LITERAL+",
        "imap_discard_capability_maps": "inline:{ { heidi@a.test = COMPRESS=DEFLATE, condstore QRESYNC } { @b.test = IDLE } }",
        "imap_discard_capability_id_maps": "inline:{ { outlook = IDLE MOVE APPENDLIMIT UNKNOWN } }",
    })


@pytest.fixture
def connect(suite):
    """connect(user): another connection, closed at the end."""
    made = []

    def go(user):
        made.append(Client(suite, user))
        return made[-1]
    yield go
    for client in made:
        client.close()


def put_file(suite, user, name, content):
    """A message file that another program has made."""
    box = suite.maildir(user)
    for sub in ("tmp", "new", "cur"):
        (box / sub).mkdir(parents=True, exist_ok=True)
    (box / "new" / name).write_bytes(content)
    for path in (box.parent, box, *box.rglob("*")):
        shutil.chown(path, suite.owner.pw_uid, suite.owner.pw_gid)


def test_thunderbird_sees_flags_in_lsub_and_may_write_a_separator_behind_a_name(connect):
    talk({"A": connect("alice")}, [
        ("A", 'CREATE "Lists/"', r"OK"),
        ("A", "CREATE Lists/c", r"OK"),
        ("A", 'CREATE "Lists/"', r"NO \[ALREADYEXISTS\]"),
        ("A", 'SUBSCRIBE "Lists/"', r"OK"),
        ("A", "SUBSCRIBE Lists/c", r"OK"),
        ("A", "SUBSCRIBE Gone/away", r"OK"),
        ("A", 'LIST "" "Lists/"', r'\* LIST \(\\HasChildren\) "/" Lists$', r"OK"),
        ("A", 'LIST "Lists/" %', r'\* LIST \(\\HasNoChildren\) "/" Lists/c$', r"OK"),
        ("A", 'LSUB "" *', r'\* LSUB \(\\Noselect\) "/" Gone/away$', r'\* LSUB \(\\HasChildren\) "/" Lists$',
         r'\* LSUB \(\\HasNoChildren\) "/" Lists/c$', r'\* LSUB \(\\HasNoChildren \\Trash\) "/" Trash$', r"OK"),
        ("A", 'LSUB "" %', r'\* LSUB \(\\Noselect\) "/" Gone$', r'\* LSUB \(\\HasNoChildren \\Junk\) "/" Junk$',
         r'\* LSUB \(\\HasChildren\) "/" Lists$', r"OK"),
        ("A", 'SELECT "Lists/"', r"OK"),
        ("A", 'STATUS "Lists/" (MESSAGES)', r"\* STATUS Lists \(MESSAGES 0\)", r"OK"),
        ("A", 'UNSUBSCRIBE "Lists/"', r"OK"),
        ("A", 'LSUB "" Lists', r"!LSUB", r"OK"),
    ])


def test_outlook_finds_a_parent_that_was_deleted_selectable_and_empty(connect):
    a = connect("alice")
    a.ok("CREATE Customers/North/Old")
    a.append("Subject: in the parent\r\n\r\nx\r\n", "Customers/North")
    a.append("Subject: in the child\r\n\r\nx\r\n", "Customers/North/Old")
    talk({"A": a, "B": connect("alice")}, [
        ("A", "DELETE Customers/North", r"OK"),
        ("A", 'LIST "" Customers*', r'\* LIST \(\\HasChildren\) "/" Customers$', r'\* LIST \(\\HasChildren\) "/" Customers/North$',
         r'\* LIST \(\\HasNoChildren\b.*\) "/" Customers/North/Old$', r"OK"),
        ("B", "SELECT Customers/North", r"\* 0 EXISTS", r"OK \[READ-WRITE\]"),
        ("B", "STATUS Customers/North/Old (MESSAGES)", r"MESSAGES 1", r"OK"),
        ("A", "DELETE Customers/North/Old", r"OK"),
        ("A", "DELETE Customers/North", r"OK"),
        ("A", "DELETE Customers", r"OK"),
        ("A", 'LIST "" Customers*', r"!LIST", r"OK"),
        # Parents that nobody has made are mailboxes as well.
        ("A", "CREATE One/Two/Three", r"OK"),
        ("A", "RENAME One/Two/Three Four/Five/Six", r"OK"),
        ("A", 'LIST "" *', r"!Noselect", r'"/" Four$', r'"/" Four/Five$', r'"/" One$', r'"/" One/Two$', r"OK"),
    ])


def test_outlook_edits_by_append_and_uid_expunge_and_is_answered_exactly(connect):
    a, b = connect("bob"), connect("bob")
    a.ok("SELECT INBOX")
    draft = "Subject: draft\r\n\r\nversion %d\r\n"
    a.append(draft % 0, "INBOX", "(\\Draft \\Seen) ")
    b.ok("SELECT INBOX")
    for n in range(1, 20):
        text = (draft % n).encode()
        lines, answer = a.run(b"APPEND INBOX (\\Draft \\Seen) {%d+}\r\n" % len(text) + text)
        assert (new := int(re.search(r"APPENDUID \d+ (\d+)", answer)[1])) == n + 1
        assert "* 2 EXISTS" in lines
        a.ok(f"UID STORE {n} +FLAGS.SILENT (\\Deleted)")
        # Another client has marked a message that nobody wants removed; and the UID given twice is no error.
        b.ok(f"UID STORE {new} +FLAGS.SILENT (\\Deleted)")
        lines, answer = a.run(f"UID EXPUNGE {n},{n}")
        assert [line for line in lines if "EXPUNGE" in line] == ["* 1 EXPUNGE"]
        b.ok(f"UID STORE {new} -FLAGS.SILENT (\\Deleted)")
        lines = a.ok(f"UID EXPUNGE {n}")
        assert not any("EXPUNGE" in line for line in lines)
        lines = a.ok("UID FETCH 1:* (UID)")
        assert lines == [f"* 1 FETCH (UID {new})"]
    assert a.ok("UID SEARCH ALL") == ["* SEARCH 20"]


NUL_MESSAGE = (b"From: a\0b@b.test\nSubject: x\0y\nX-A: \0\nContent-Type: multipart/mixed; boundary=q\n\n--q\n"
               b"Content-Type: text/plain; name=\"a\0b\"\n\nab\0cd\n.\0\n--q--\n\0\n")


def test_no_nul_byte_reaches_a_client_whatever_the_file_holds(suite, connect):
    put_file(suite, "carol", "1700000000.M1.x", NUL_MESSAGE)
    put_file(suite, "carol", "1700000001.M2.x", b"Subject: many\n\n" + (b"\0" * 999 + b"\n") * 200)
    seen = NUL_MESSAGE.replace(b"\0", b"\x80").replace(b"\n", b"\r\n")
    a = connect("carol")
    a.ok("SELECT INBOX")
    for items in ("ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY.PEEK[]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]",
                  "BODY.PEEK[HEADER]", "BODY.PEEK[HEADER.FIELDS (SUBJECT X-A)]", "BODY.PEEK[HEADER.FIELDS.NOT (FROM)]",
                  "BODY.PEEK[]<7.10>", "RFC822.HEADER", "PREVIEW", "ALL", "FULL"):
        lines = a.ok(f"FETCH 1:2 {items}")
        assert len(lines) == 2 and "\0" not in "".join(lines), items
    line, = a.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])")
    assert line.encode("utf-8", "surrogateescape").endswith(b"RFC822.SIZE %d BODY[] {%d}\r\n%s)" % (len(seen), len(seen), seen))
    line, = a.ok("FETCH 1 BINARY.PEEK[1]")
    assert line.endswith("~{9}\r\nab\0cd\r\n.\0)"), "a literal8 may hold it, and who asks for BINARY gets the bytes"

    pop = poplib.POP3("127.0.0.1", suite.port["pop3"])
    pop.user(suite.address("carol"))
    pop.pass_(suite.password)
    assert pop.list()[1][0] == b"1 %d" % len(seen)
    for answer in (pop.retr(1), pop.top(1, 100)):
        assert b"\r\n".join(answer[1]) + b"\r\n" == seen
    assert pop.retr(2)[1] == [b"Subject: many", b"", *[b"\x80" * 999] * 200]
    pop.quit()


def test_pop3_unique_ids_are_never_used_again(suite, connect):
    def visit(delete):
        """The unique-ids there are; of a mailbox that is then empty, or not."""
        pop = poplib.POP3("127.0.0.1", suite.port["pop3"])
        pop.user(suite.address("dave"))
        pop.pass_(suite.password)
        ids = [line.split()[1] for line in pop.uidl()[1]]
        for n in range(len(ids) if delete else 0):
            pop.dele(n + 1)
        pop.quit()
        return ids

    a = connect("dave")
    used = set()
    for lost in (False, False, True, False):
        for n in range(3):
            a.append(f"Subject: {n}\r\n\r\nx\r\n")
        ids = visit(delete=True)
        assert len(set(ids)) == 3 and not used & set(ids)
        used |= set(ids)
        if lost:
            # Even with the index gone and all that it knew; a UIDVALIDITY is a second.
            a.close()
            validity = int(ids[0][8:], 16)
            wait_until(lambda: time.time() > validity + 1, 5, "the next second")
            shutil.rmtree(suite.maildir("dave") / "postern.index")
            a = connect("dave")


def test_apple_mail_may_have_many_connections_at_once(suite, connect):
    names = ("Archive", "Drafts", "Junk", "Sent", "Trash")
    first = connect("erin")
    clients = [connect("erin") for _ in range(24)]
    for i, client in enumerate(clients):
        client.ok(f"SELECT {('INBOX', *names)[i % 6]}")
        client.sock.sendall(b"i IDLE\r\n")
        assert client.line().startswith("+")
    first.append("Subject: all hear it\r\n\r\nx\r\n")
    for i, client in enumerate(clients):
        if i % 6 == 0:
            assert client.line() == "* 1 EXISTS"


def test_uidvalidity_and_uids_survive_a_rename_with_all_below(connect):
    a = connect("frank")
    a.ok("CREATE Old/Sub")
    for name in ("Old", "Old/Sub"):
        for n in range(3):
            a.append(f"Subject: {n}\r\n\r\nx\r\n", name, "(\\Flagged $Label2) ")
        a.ok(f"SELECT {name}")
        a.ok("UID STORE 1 +FLAGS (\\Deleted)")
        a.ok("EXPUNGE")
    items = "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ MAILBOXID)"

    def state(name):
        a.run("UNSELECT")
        status, = a.ok(f"STATUS {name} {items}")
        a.ok(f"SELECT {name}")
        return status.split("(", 1)[1], a.ok("UID FETCH 1:* FLAGS")
    before = state("Old"), state("Old/Sub")
    a.ok("UNSELECT")
    a.ok("RENAME Old New/Place")
    assert (state("New/Place"), state("New/Place/Sub")) == before
    a.ok("CREATE Old")
    assert re.search(r"UIDVALIDITY (\d+)", state("Old")[0])[1] != re.search(r"UIDVALIDITY (\d+)", before[0][0])[1]


NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def say_and_hear(sock, text, end):
    """What comes, up to what matches `end`; the text is sent as the server takes it. In one thread, as TLS has to be."""
    sock.setblocking(False)
    heard = bytearray()
    while not re.search(end, heard[-300:]):
        with contextlib.suppress(*NOT_NOW):
            text = text[sock.send(text[:16384]):] if text else text
        with contextlib.suppress(*NOT_NOW):
            got = sock.recv(1 << 20)
            assert got, "closed"
            heard += got
            continue
        select.select([sock], [sock] if text else [], [], 60 * SLOW)
    sock.setblocking(True)
    return bytes(heard)


@pytest.mark.parametrize("service", ["imap", "imaps"])
def test_mbsync_may_send_500_commands_in_one_burst(suite, connect, service):
    """Commands, literals and their answers are each larger than what the sockets between take."""
    mailbox = f"Burst-{service}"
    a = connect("grace")
    a.ok(f"CREATE {mailbox}")
    body = "x" * 70 + "\r\n"
    a.append("Subject: large\r\n\r\n" + body * 4000, mailbox)
    c = imaplib.IMAP4_SSL("localhost", suite.port["imaps"], timeout=60 * SLOW,
                          ssl_context=ssl.create_default_context(cafile=suite.certificate[1])) if service == "imaps" else \
        imaplib.IMAP4("127.0.0.1", suite.port["imap"], timeout=60 * SLOW)
    c.login(suite.address("grace"), suite.password)
    c.select(mailbox)
    burst = []
    for n in range(500):
        burst.append([
            f"b{n} UID FETCH 1 (UID FLAGS BODY.PEEK[])\r\n",
            f"b{n} UID STORE 1 +FLAGS (\\Seen k{n % 5})\r\n",
            f"b{n} APPEND {mailbox} {{2011+}}\r\nSubject: {n:04d}\r\n\r\n{'y' * 1992}\r\n\r\n",
            f"b{n} UID SEARCH SUBJECT {{5+}}\r\nlarge\r\n",
            f"b{n} NOOP\r\n",
        ][n % 5 if n % 50 else 0])
    said = io.BytesIO(say_and_hear(c.sock, "".join(burst).encode(), rb"\r\nb499 [^\r]*\r\n"))
    answers, bodies = [], 0
    for line in said:
        if m := re.search(rb"\{(\d+)\}\r\n$", line):
            got = said.read(int(m[1]))
            bodies += len(got) == len(body) * 4000 + len("Subject: large\r\n\r\n")
        elif m := re.match(rb"b(\d+) (\w+)", line):
            answers.append((int(m[1]), m[2]))
    assert answers == [(n, b"OK") for n in range(500)]
    assert bodies == sum(b"BODY" in t.encode() for t in burst)
    assert c.status(mailbox, "(MESSAGES)")[1][0].endswith(b"(MESSAGES %d)" % (1 + sum("APPEND" in t for t in burst)))
    c.logout()


def test_apple_mail_finds_the_five_folders_it_would_make_otherwise(suite, connect):
    """Subscribed, with their uses; not twice, and not where another mailbox has the use."""
    uses = {"Archive": "\\Archive", "Drafts": "\\Drafts", "Junk": "\\Junk", "Sent": "\\Sent", "Trash": "\\Trash"}
    a = connect("ivan")
    for command in ('LIST (SPECIAL-USE) "" * RETURN (SUBSCRIBED)', 'LSUB "" *'):
        lines = a.ok(command)
        assert [line.rpartition(" ")[2] for line in lines] == list(uses)
        assert all(use in line for line, use in zip(lines, uses.values()))
    # What the user did away with comes back only if nothing else has its use.
    for command in ("DELETE Junk", "RENAME Sent Posted", "CREATE Outbox (USE (\\Sent))", "UNSUBSCRIBE Drafts"):
        a.ok(command)
    a = connect("ivan")
    names = [line.rpartition(" ")[2] for line in a.ok('LIST "" *')]
    assert sorted(names) == ["Archive", "Drafts", "INBOX", "Junk", "Outbox", "Posted", "Trash"]
    assert '* LSUB (\\HasNoChildren \\Drafts) "/" Drafts' not in a.ok('LSUB "" *')


def test_web_mail_says_for_whom_it_signs_in_and_nobody_else_may(suite):
    def sign_in(source, identity, password):
        with socket.create_connection(("127.0.0.1", suite.port["imap"]), 60, source_address=(source, 0)) as sock, sock.makefile("rwb") as file:
            file.readline()
            file.write(f'a ID {identity}\r\nb LOGIN judy@a.test {password}\r\n'.encode())
            file.flush()
            said = []
            while not (line := file.readline()).startswith(b"b "):
                assert line, said
                said.append(line)
            return said

    pairs = '("x-originating-ip" "%s" "name" "Roundcube" "x-originating-port" "4711" "x-connected-ip" NIL)'
    assert sign_in("127.0.0.9", pairs % "192.0.2.7", suite.password)[-1] == b"a OK ID completed.\r\n"
    suite.wait_log(r"imap-login: Login: user=<judy@a.test>, method=\S+, rip=192\.0\.2\.7, lip=127\.0\.0\.1")
    sign_in("127.0.0.9", pairs % "2001:db8::7", suite.password)
    suite.wait_log(r"imap-login: Login: user=<judy@a.test>, method=\S+, rip=2001:db8::7, lip=")
    # A literal, as some libraries send all strings
    sign_in("127.0.0.9", '("x-originating-ip" {9+}\r\n192.0.2.8)', suite.password)
    suite.wait_log(r"Login: user=<judy@a.test>, method=\S+, rip=192\.0\.2\.8,")
    sign_in("127.0.0.9", pairs % "not an address", suite.password)
    suite.wait_log(r"127\.0\.0\.9: x-originating-ip is no address")
    suite.wait_log(r"Login: user=<judy@a.test>, method=\S+, rip=127\.0\.0\.9,")
    sign_in("127.0.0.8", pairs % "192.0.2.66", suite.password)
    suite.wait_log(r"Login: user=<judy@a.test>, method=\S+, rip=127\.0\.0\.8,")
    # The delays and lock-outs are those of the one who tries, not of the web mail.
    sign_in("127.0.0.9", pairs % "192.0.2.9", "wrong")
    suite.wait_log(r"auth failed, 1 attempts in \d+ secs\): user=<judy@a.test>, method=\S+, rip=192\.0\.2\.9,")
    assert "192.0.2.66" not in suite.log()


@pytest.mark.parametrize("identity", ["(", "()x", '("name")', '("name" "x"', '("name" "x") y', "foo", '("a" {3}', '("a" foo)',
                                      "(" + '"a" "b" ' * 31 + ")"])
def test_an_id_that_is_none_is_refused_before_and_after_sign_in(suite, connect, identity):
    with socket.create_connection(("127.0.0.1", suite.port["imap"]), 60) as sock, sock.makefile("rwb") as file:
        file.readline()
        file.write(f"a ID {identity}\r\n".encode() + b"b NOOP\r\n")
        file.flush()
        lines = [file.readline(), file.readline()]
        assert lines[0].startswith((b"a BAD", b"+ ")), lines
    if "{" not in identity:
        assert connect("ken").run(f"ID {identity}")[1].startswith("BAD")


def test_an_operator_hides_capabilities_by_account_and_by_the_client_s_name(suite, connect):
    def capabilities(client):
        line, = client.ok("CAPABILITY")
        return set(line.split()[2:])

    everybody = capabilities(connect("ken"))
    assert {"IDLE", "MOVE", "CONDSTORE", "QRESYNC", "COMPRESS=DEFLATE"} < everybody and "THREAD=ORDEREDSUBJECT" not in everybody
    assert "THREAD=REFERENCES" in everybody and "LITERAL+" not in everybody
    assert "LITERAL+" not in connect("ken").greeting
    a = connect("heidi")
    assert everybody - capabilities(a) == {"COMPRESS=DEFLATE", "CONDSTORE", "QRESYNC"} and capabilities(a) < everybody
    a.ok("SELECT INBOX (CONDSTORE)")         # hidden, not switched off
    limit = {c for c in everybody if c.startswith("APPENDLIMIT=")}
    assert limit
    # By the name, also of one who says it before the sign-in, and after the session has slept.
    early = Client(suite, "ken", early=['ID ("vendor" "Microsoft" "name" "Outlook")'])
    late = connect("ken")
    assert " IDLE " not in early.welcome and " IDLE " in late.welcome
    late.ok('ID ("name" "OUTLOOK" "version" NIL)')
    for client in (early, late):
        assert everybody - capabilities(client) == {"IDLE", "MOVE"} | limit
    time.sleep(1.5)     # longer than imap_hibernate_timeout
    for client in (early, late):
        assert everybody - capabilities(client) == {"IDLE", "MOVE"} | limit
    early.close()


# Conversations as the libraries have them that other programs are made of
LIBRARIES = {
    "JavaMail": [
        ("A", "CAPABILITY", r"\* CAPABILITY .*IMAP4rev1", r"OK"),
        ("A", 'LIST "" ""', r'\* LIST \(\\Noselect\) "/" ""', r"OK"),
        ("A", 'LIST "" INBOX', r'\* LIST \(.*\) "/" INBOX', r"OK"),
        ("A", "SELECT INBOX", r"\* 3 EXISTS", r"OK \[READ-WRITE\]"),
        ("A", "FETCH 1:3 (ENVELOPE INTERNALDATE RFC822.SIZE FLAGS BODYSTRUCTURE)", r"\* 1 FETCH \(ENVELOPE \(.*INTERNALDATE .*RFC822.SIZE \d+ FLAGS \(.*BODYSTRUCTURE \(", r"OK"),
        ("A", "FETCH 2 (BODY[1]<0.16384>)", r"\* 2 FETCH \(BODY\[1\]<0> \{8\}\r\ntext 1\r\n FLAGS \(\\Seen", r"OK"),
        ("A", "FETCH 2 (BODY[1]<8.16384>)", r'\* 2 FETCH \(BODY\[1\]<8> (""|\{0\}\r\n)\)', r"OK"),
        ("A", "FETCH 2 (BODY.PEEK[HEADER])", r"\* 2 FETCH \(BODY\[HEADER\] \{\d+\}\r\n", r"OK"),
        ("A", "STORE 1:2 +FLAGS (\\Deleted)", r"\* 1 FETCH \(FLAGS \(.*\\Deleted", r"\* 2 FETCH", r"OK"),
        ("A", "STORE 1:2 -FLAGS (\\Deleted)", r"\* 1 FETCH", r"OK"),
        ("A", "SEARCH OR SUBJECT letter FROM x@b.test ALL", r"\* SEARCH 1 2 3$", r"OK"),
        ("A", "NOOP", r"OK"), ("A", "CLOSE", r"OK"),
    ],
    "MailKit": [
        ("A", 'ID ("name" "MailKit" "version" "4.8.0.0" "vendor" "Xamarin Inc." "address" NIL)', r"\* ID ", r"OK"),
        ("A", "NAMESPACE", r'\* NAMESPACE \(\("" "/"\)\) NIL NIL', r"OK"),
        ("A", 'LIST "" "INBOX" RETURN (SUBSCRIBED CHILDREN)', r'\* LIST \(.*\) "/" INBOX', r"OK"),
        ("A", 'LIST (SPECIAL-USE) "" "*" RETURN (SUBSCRIBED CHILDREN)', r"OK"),
        ("A", "ENABLE QRESYNC CONDSTORE UTF8=ACCEPT", r"\* ENABLED CONDSTORE QRESYNC UTF8=ACCEPT|\* ENABLED", r"OK"),
        ("A", "SELECT INBOX (CONDSTORE)", r"\* 3 EXISTS", r"HIGHESTMODSEQ", r"OK"),
        ("A", "UID SEARCH RETURN (ALL COUNT MIN MAX) NOT DELETED", r"\* ESEARCH \(TAG .*\) UID ", r"OK"),
        ("A", "UID SORT RETURN (ALL) (REVERSE ARRIVAL) UTF-8 ALL", r"\* ESEARCH .* UID ALL ", r"OK"),
        ("A", "UID THREAD REFERENCES UTF-8 ALL", r"\* THREAD ", r"OK"),
        ("A", "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ PREVIEW "
         "BODY.PEEK[HEADER.FIELDS (REFERENCES X-MAILER)])", r"\* 1 FETCH \(UID .*BODY\[HEADER.FIELDS \(REFERENCES X-MAILER\)\]", r"OK"),
        ("A", "UID FETCH 1 (BODY.PEEK[1.MIME] BODY.PEEK[1])", r"BODY\[1.MIME\] \{", r"OK"),
        ("A", "UID STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)", r"OK \[(HIGHESTMODSEQ|MODIFIED)"),
        ("A", "GETQUOTAROOT INBOX", r"\* QUOTAROOT INBOX", r"OK"),
        ("A", "UNSELECT", r"OK"),
    ],
    "imaplib": [
        ("A", "SELECT INBOX", r"\* FLAGS", r"\* 3 EXISTS", r"OK"),
        ("A", "SEARCH (UNSEEN SUBJECT letter)", r"\* SEARCH 1 2 3", r"OK"),
        ("A", "FETCH 1 (RFC822)", r"\* 1 FETCH \(RFC822 \{\d+\}\r\n(.*\r\n)*text 0\r\n FLAGS \(", r"OK"),
        ("A", "FETCH 2 (RFC822.HEADER RFC822.TEXT)", r"RFC822.HEADER \{\d+\}\r\n(.*\r\n)*.*RFC822.TEXT \{8\}", r"OK"),
        ("A", "FETCH 1:2 (BODY[HEADER.FIELDS (FROM)])", r'BODY\[HEADER.FIELDS \(FROM\)\]', r"OK"),
        ("A", "STORE 1 +FLAGS \\Deleted", r"\* 1 FETCH \(FLAGS \(.*\\Deleted", r"OK"),
        ("A", "EXPUNGE", r"\* 1 EXPUNGE", r"OK"),
        ("A", "CHECK", r"OK"),
    ],
    "Roundcube": [
        ("A", 'ID ("name" "Roundcube" "version" "1.6.9" "php" "8.2" "os" "Linux" "command" "/?_task=mail")', r"\* ID", r"OK"),
        ("A", 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)', r"OK"),
        ("A", 'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE)', r"\* LIST", r"\* STATUS INBOX \(MESSAGES 3 UNSEEN \d\)", r"OK"),
        ("A", "SELECT INBOX", r"\* 3 EXISTS", r"OK"),
        ("A", "UID SORT (ARRIVAL) UTF-8 ALL UNDELETED", r"\* SORT \d+ \d+ \d+", r"OK"),
        ("A", "UID THREAD REFERENCES US-ASCII ALL UNDELETED", r"\* THREAD \(", r"OK"),
        ("A", "UID FETCH 1:3 (UID RFC822.SIZE FLAGS INTERNALDATE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT "
         "CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO X-PRIORITY)])", r"\* 1 FETCH \(UID 1 RFC822.SIZE", r"OK"),
        ("A", "UID SEARCH RETURN (ALL) HEADER SUBJECT {6+}\r\nletter", r"\* ESEARCH", r"OK"),
        ("A", "LOGOUT", r"\* BYE", r"OK"),
    ],
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_commands_of_a_library_are_answered_as_it_expects(suite, connect, library):
    user = library.lower()
    a = connect(user)
    for n in range(3):
        a.append(f"From: x@b.test\r\nSubject: letter {n}\r\nMessage-ID: <{n}@b.test>\r\n\r\ntext {n}\r\n")
    for _ in range(2 if library == "Roundcube" else 1):      # a web mail comes again with each click
        client = connect(user)
        talk({"A": client}, LIBRARIES[library])
