# SPDX-License-Identifier: Apache-2.0
"""Mail programs that people use: mbsync, offlineimap, fetchmail, getmail, mutt, and Python's imaplib in a long session.
(Thunderbird has a file of its own.)
"""
import email
import imaplib
import itertools
import re
import shutil
import smtplib
import ssl
import subprocess
import threading

import pytest

from instance import SLOW, wait_until
from mbsync import Mbsync

MIRRORED = 2000


def run(*args, check=True, **kw):
    done = subprocess.run(list(map(str, args)), text=True, capture_output=True, timeout=120 * SLOW, **kw)
    assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def imap(suite, user):
    context = ssl.create_default_context(cafile=suite.certificate[1])
    client = imaplib.IMAP4_SSL("localhost", suite.port["imaps"], ssl_context=context, timeout=30 * SLOW)
    assert client.login(suite.address(user), suite.password)[0] == "OK"
    return client


def ok(answer):
    """The data of an imaplib answer that has to be OK."""
    status, data = answer
    assert status == "OK", data
    return data


def send(suite, to, n, what="message"):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        for i in range(n):
            s.sendmail("alice@a.test", suite.address(to),
                       f"From: alice@a.test\r\nTo: {suite.address(to)}\r\nSubject: {what} {i}\r\n\r\nThis is {what} {i}.\r\n.dot\r\n")


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"))


# ---- mbsync ----

@pytest.fixture
def mbsync(suite, tmp_path):
    """Mirrors alice's mailbox."""
    return Mbsync(tmp_path, suite.port["imaps"], suite.address("alice"), suite.password, suite.certificate[1])


def fill(suite, user, n):
    """Message files made directly, as another program may do at any time."""
    box = suite.maildir(user)
    for sub in ("tmp", "new", "cur"):
        (box / sub).mkdir(parents=True, exist_ok=True)
    for i in range(n):
        (box / "new" / f"1700000000.M{i:06}.test").write_text(
            f"From: x@b.test\nSubject: number {i}\nMessage-ID: <{i}@b.test>\n\nline {i}\n" + "text\n" * (i % 7))
    for path in (*box.parents[:1], box, *box.rglob("*")):
        shutil.chown(path, suite.owner.pw_uid, suite.owner.pw_gid)


def mirrored(inbox):
    """{number: (path, flags)} of a Maildir."""
    found = {}
    for sub in ("new", "cur"):
        for path in (inbox / sub).iterdir():
            number = int(re.search(r"^Subject: number (\d+)", path.read_text(), re.M)[1])
            assert number not in found, "mirrored twice"
            found[number] = (path, set(path.name.partition(":2,")[2]))
    return found


def served(client):
    """{number: (uid, flags)} of the selected mailbox."""
    lines = ok(client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    found = {}
    for line in lines:
        if isinstance(line, tuple):
            head, subject = line[0].decode(), line[1].decode()
            found[int(re.search(r"number (\d+)", subject)[1])] = (
                re.search(r"UID (\d+)", head)[1], set(re.search(r"FLAGS \(([^)]*)\)", head)[1].split()) - {"\\Recent"})
    return found


LETTERS = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft", "T": "\\Deleted"}


def add_flag(path, letter):
    """As a program does that works on the Maildir; the new path."""
    name = path.name if ":2," in path.name else path.name + ":2,"
    base, _, letters = name.rpartition(",")
    return path.rename(path.parent.parent / "cur" / f"{base},{''.join(sorted({*letters, letter}))}")


def test_mbsync_mirrors_2000_messages_and_changes_on_both_sides_converge(suite, mbsync):
    fill(suite, "alice", MIRRORED)
    mbsync()
    assert sorted(mirrored(mbsync.inbox)) == list(range(MIRRORED))
    for number, (path, _) in list(mirrored(mbsync.inbox).items())[:50]:
        assert path.read_text().replace("\r\n", "\n").endswith(f"\n\nline {number}\n" + "text\n" * (number % 7))

    # Both sides change flags; one deletes here, the other there; both get new messages.
    near = {number: path for number, (path, _) in mirrored(mbsync.inbox).items()}
    for letter, numbers in (("S", range(0, 300)), ("F", range(100, 200)), ("T", range(300, 310))):
        for number in numbers:
            near[number] = add_flag(near[number], letter)
    client = imap(suite, "alice")
    ok(client.select())
    far = served(client)
    uids = lambda a, b: ",".join(far[n][0] for n in range(a, b))
    ok(client.uid("STORE", uids(150, 400), "+FLAGS", "(\\Answered)"))
    ok(client.uid("STORE", uids(1990, 2000), "+FLAGS", "(\\Deleted)"))
    ok(client.expunge())
    ok(client.append("INBOX", "(\\Flagged)", None, b"Subject: number 5000\r\n\r\nfrom the other side\r\n"))
    (mbsync.inbox / "cur/1700000001.x.near:2,S").write_text("Subject: number 6000\n\nfrom this side\n")
    mbsync()

    expected = {**{n: set() for n in range(MIRRORED) if not 300 <= n < 310 and n < 1990}, 5000: {"\\Flagged"}, 6000: {"\\Seen"}}
    for flag, numbers in (("\\Seen", range(0, 300)), ("\\Flagged", range(100, 200)), ("\\Answered", range(150, 400))):
        for n in numbers:
            if n in expected:
                expected[n].add(flag)
    ok(client.noop())
    assert {n: flags for n, (_, flags) in served(client).items()} == expected
    assert {n: {LETTERS[f] for f in flags} for n, (_, flags) in mirrored(mbsync.inbox).items()} == expected
    assert len([p for sub in ("new", "cur") for p in (suite.maildir("alice") / sub).iterdir()]) == len(expected)

    # Nothing is left to do.
    before = sorted(p.name for p in (mbsync.inbox / "cur").iterdir())
    mbsync()
    assert sorted(p.name for p in (mbsync.inbox / "cur").iterdir()) == before
    client.logout()


def move_file(path, mailbox):
    """As a program does that moves a message within the Maildir: a new name, that no mark of the old place goes along."""
    flags = path.name.partition(":2,")[2]
    path.rename(mailbox / "cur" / f"{next(fresh)}.x.near:2,{flags}")


fresh = itertools.count(1700100000)


def uidvalidities(client, names):
    return {name: re.search(rb"UIDVALIDITY (\d+)", ok(client.status(name, "(UIDVALIDITY)"))[0])[1] for name in names}


def test_mbsync_makes_folders_on_the_side_that_lacks_them_and_follows_moves(suite, mbsync):
    client = imap(suite, "alice")
    ok(client.create("Far/Deep"))
    for n in (1, 3, 4, 5):
        ok(client.append("Far/Deep", "(\\Flagged)", None, f"Subject: number {n}\r\n\r\n{n}\r\n".encode()))
    for sub in ("tmp", "new", "cur"):
        (mbsync.mirror / "Near" / sub).mkdir(parents=True)
    (mbsync.mirror / "Near/new/1700000002.x.near").write_text("Subject: number 2\n\ntwo\n")
    mbsync()
    deep, near = mbsync.mirror / "Far/Deep", mbsync.mirror / "Near"
    assert sorted(mirrored(deep)) == [1, 3, 4, 5]
    ok(client.select("Near"))
    assert list(served(client)) == [2]

    # Each side moves messages while it hears nothing of the other, and one is moved there and deleted here.
    before = uidvalidities(client, ("INBOX", "Far/Deep", "Near"))
    ok(client.select("Far/Deep"))
    far = served(client)
    ok(client.uid("MOVE", f"{far[3][0]},{far[5][0]}", "Near"))
    files = {n: path for n, (path, _) in mirrored(deep).items()}
    move_file(files[4], near)
    add_flag(files[5], "T")
    mbsync()
    mbsync()
    for name, folder, numbers in (("Far/Deep", deep, [1]), ("Near", near, [2, 3, 4, 5])):
        ok(client.select(name))
        assert sorted(served(client)) == sorted(mirrored(folder)) == numbers
        assert all("\\Flagged" in flags for n, (_, flags) in served(client).items() if n != 2)
    assert uidvalidities(client, before) == before
    client.logout()


# ---- offlineimap ----

OFFLINEIMAPRC = """\
[general]
accounts = a
metadata = {dir}/meta
ui = basic

[Account a]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {dir}/mirror

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = yes
sslcacertfile = {ca}
"""


def test_offlineimap_mirrors_and_changes_on_both_sides_converge(suite, tmp_path):
    (tmp_path / "rc").write_text(OFFLINEIMAPRC.format(dir=tmp_path, port=suite.port["imaps"], user=suite.address("grace"),
                                                      password=suite.password, ca=suite.certificate[1]))
    (tmp_path / "mirror").mkdir()
    sync = lambda: run("offlineimap", "-o", "-c", tmp_path / "rc", env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    fill(suite, "grace", 40)
    client = imap(suite, "grace")
    ok(client.create("Far"))
    ok(client.append("Far", None, None, b"Subject: number 1\r\n\r\none\r\n"))
    sync()
    inbox = tmp_path / "mirror/INBOX"
    assert sorted(mirrored(inbox)) == list(range(40)) and list(mirrored(tmp_path / "mirror/Far")) == [1]

    near = {number: path for number, (path, _) in mirrored(inbox).items()}
    for number in range(10):
        add_flag(near[number], "S")
    near[10].unlink()
    (inbox / "cur/1700000001.x.near:2,S").write_text("Subject: number 60\n\nfrom this side\n")
    ok(client.select())
    far = served(client)
    ok(client.uid("STORE", ",".join(far[n][0] for n in range(5, 15)), "+FLAGS", "(\\Flagged)"))
    ok(client.uid("STORE", far[39][0], "+FLAGS", "(\\Deleted)"))
    ok(client.expunge())
    sync()

    expected = {n: {f for f, numbers in (("\\Seen", range(10)), ("\\Flagged", range(5, 15))) if n in numbers}
                for n in range(39) if n != 10}
    expected[60] = {"\\Seen"}
    ok(client.noop())
    assert {n: flags for n, (_, flags) in served(client).items()} == expected
    assert {n: {LETTERS[f] for f in flags} for n, (_, flags) in mirrored(inbox).items()} == expected
    before = sorted(p.name for p in (inbox / "cur").iterdir())
    sync()
    assert sorted(p.name for p in (inbox / "cur").iterdir()) == before

    # A folder that is new here, moves on both sides, and a keyword that it does not know and must not lose
    validity = uidvalidities(client, ("INBOX", "Far"))
    ok(client.uid("STORE", far[20][0], "+FLAGS", "($Label1)"))
    ok(client.uid("MOVE", far[21][0], "Far"))
    for sub in ("tmp", "new", "cur"):
        (tmp_path / "mirror/Near" / sub).mkdir(parents=True)
    move_file(mirrored(inbox)[22][0], tmp_path / "mirror/Near")
    sync()
    sync()
    for name, numbers in (("Far", [1, 21]), ("Near", [22])):
        ok(client.select(name))
        assert sorted(served(client)) == sorted(mirrored(tmp_path / "mirror" / name)) == numbers
    ok(client.select())
    found = served(client)
    assert sorted(found) == sorted(mirrored(inbox)) == sorted(set(expected) - {21, 22})
    assert found[20] == (far[20][0], {"$Label1"})
    assert uidvalidities(client, validity) == validity
    client.logout()


# ---- getmail ----

# It misses the end of a command that is too quick (SIGCHLD comes before it waits), and then gives up after minutes. So the
# command ends when its parent sleeps.
GETMAILRC = """\
[retriever]
type = {type}
server = localhost
port = {port}
username = {user}
password = {password}
ca_certs = {ca}
{more}

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >> '{dir}/got'; until grep -q '^State:.S' /proc/$PPID/status; do sleep 0.02; done")
allow_root_commands = true

[options]
read_all = false
delete = {delete}
"""


@pytest.mark.parametrize("kind, service, more, delete", [
    ("SimplePOP3SSLRetriever", "pop3s", "", False),
    ("SimpleIMAPSSLRetriever", "imaps", 'mailboxes = ("INBOX",)', False),
    ("SimpleIMAPSSLRetriever", "imaps", 'mailboxes = ("INBOX",)', True),
])
def test_getmail_fetches_each_message_once(suite, tmp_path, kind, service, more, delete):
    (tmp_path / "getmailrc").write_text(GETMAILRC.format(
        type=kind, port=suite.port[service], user=suite.address("heidi"), password=suite.password, ca=suite.certificate[1],
        more=more, dir=tmp_path, delete=str(delete).lower()))
    get = lambda: run("getmail", f"--getmaildir={tmp_path}", env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    there = len(suite.messages("heidi"))
    send(suite, "heidi", 3)
    suite.wait_messages("heidi", there + 3)
    get()
    send(suite, "heidi", 1, "later")
    suite.wait_messages("heidi", (0 if delete else there + 3) + 1)
    get()
    got = re.findall(r"^This is (message|later) \d\.\n\.dot$", (tmp_path / "got").read_text(), re.M)
    assert len(got) == there + 4 and got[-1] == "later"
    assert len(suite.messages("heidi")) == (0 if delete else there + 4)


# ---- fetchmail ----

def fetchmail(tmp_path, text, *args):
    (tmp_path / "fetchmailrc").write_text(text)
    (tmp_path / "fetchmailrc").chmod(0o600)
    return run("fetchmail", "-f", tmp_path / "fetchmailrc", "--pidfile", tmp_path / "pid", "--nosyslog", "-v", *args,
               check=False, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "FETCHMAILHOME": str(tmp_path)})


@pytest.mark.parametrize("service, options", [
    ("pop3s", 'ssl sslproto "auto"'),
    ("pop3", 'sslproto "TLS1.2+"'),           # STLS
])
def test_fetchmail_drains_a_pop3_mailbox_to_another(suite, tmp_path, service, options):
    before = len(suite.messages("dave"))
    send(suite, "carol", 20, f"fetched by {service}")
    suite.wait_messages("carol", 20)
    done = fetchmail(tmp_path, f"""\
poll localhost proto pop3 port {suite.port[service]}
    user "carol@a.test" password "{suite.password}" {options} sslcertck sslcertfile "{suite.certificate[1]}"
    smtphost 127.0.0.1/{suite.port["smtp"]} smtpname dave@a.test
    nokeep fetchall norewrite
""")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert suite.messages("carol") == []
    suite.wait_messages("dave", before + 20)
    assert len(suite.messages("dave")) == before + 20
    got = [email.message_from_bytes(p.read_bytes()) for p in suite.messages("dave")]
    texts = {m["Subject"]: m.get_payload() for m in got}
    for i in range(20):
        assert texts[f"fetched by {service} {i}"] == f"This is fetched by {service} {i}.\n.dot\n"


def test_fetchmail_that_keeps_messages_fetches_each_once(suite, tmp_path):
    send(suite, "erin", 3)
    suite.wait_messages("erin", 3)
    rc = f"""\
poll localhost proto pop3 port {suite.port["pop3s"]} uidl
    user "erin@a.test" password "{suite.password}" ssl sslcertck sslcertfile "{suite.certificate[1]}"
    mda "cat >> {tmp_path}/fetched" keep
"""
    assert fetchmail(tmp_path, rc).returncode == 0
    send(suite, "erin", 1, "later")
    suite.wait_messages("erin", 4)
    assert fetchmail(tmp_path, rc).returncode == 0
    assert fetchmail(tmp_path, rc).returncode == 1          # no new mail
    text = (tmp_path / "fetched").read_text()
    assert text.count("Subject: message ") == 3 and text.count("Subject: later ") == 1
    assert len(suite.messages("erin")) == 4


def test_fetchmail_fetches_from_folders_by_imap_with_starttls(suite, tmp_path):
    client = imap(suite, "erin")
    ok(client.create("Lists"))
    for n in range(3):
        ok(client.append("Lists", "(\\Seen)" if n == 0 else None, None, f"From: x@b.test\r\nSubject: listed {n}\r\n\r\ntext {n}\r\n".encode()))
    rc = f"""\
poll localhost proto imap port {suite.port["imap"]}
    user "erin@a.test" password "{suite.password}" sslproto "TLS1.2+" sslcertck sslcertfile "{suite.certificate[1]}"
    folder Lists mda "cat >> {tmp_path}/fetched" keep
"""
    assert fetchmail(tmp_path, rc).returncode == 0
    assert fetchmail(tmp_path, rc).returncode == 1          # what it has fetched is read
    assert re.findall(r"^Subject: (.*)$", (tmp_path / "fetched").read_text(), re.M) == ["listed 1", "listed 2"]
    ok(client.select("Lists"))
    assert ok(client.search(None, "UNSEEN")) == [b""]
    client.logout()


# ---- curl ----

def test_curl_stores_lists_searches_flags_and_removes(suite, tmp_path):
    def curl(url, *more):
        return run("curl", "-sS", "--cacert", suite.certificate[1], "--user", f"judy@a.test:{suite.password}", *more, url).stdout

    message = "From: x@b.test\r\nSubject: stored by curl\r\n\r\nHello\r\n.\r\n"
    (tmp_path / "message").write_text(message, newline="")
    box = f"imaps://localhost:{suite.port['imaps']}/"
    curl(box, "-X", "CREATE Kept")
    curl(f"{box}Kept", "-T", tmp_path / "message")
    assert '* LIST (\\HasNoChildren) "/" Kept' in curl(box)
    assert "* STATUS Kept (MESSAGES 1 UNSEEN 0)" in curl(box, "-X", "STATUS Kept (MESSAGES UNSEEN)")
    assert curl(f"{box}Kept;UID=1").replace("\r\n", "\n") == message.replace("\r\n", "\n")
    assert curl(f"{box}Kept;MAILINDEX=1;SECTION=TEXT").split() == ["Hello", "."]
    assert curl(f"{box}Kept?SUBJECT%20curl").strip() == "* SEARCH 1"
    assert "\\Flagged" in curl(f"{box}Kept", "-X", "STORE 1 +FLAGS (\\Flagged \\Deleted)")
    # Without TLS from the start, it has to switch it on.
    plain = f"imap://localhost:{suite.port['imap']}/"
    assert "* 1 EXPUNGE" in curl(f"{plain}Kept", "--ssl-reqd", "-X", "EXPUNGE")
    assert "MESSAGES 0" in curl(plain, "--ssl-reqd", "-X", "STATUS Kept (MESSAGES)")

    curl(f"smtp://localhost:{suite.port['submission']}/client.test", "--ssl-reqd", "--mail-from", "judy@a.test", "--mail-rcpt",
         "judy@a.test", "-T", tmp_path / "message")
    suite.wait_messages("judy", 1)
    pop = f"pop3://localhost:{suite.port['pop3']}/"
    assert curl(pop, "--ssl-reqd").split()[0] == "1"
    assert re.fullmatch(r"1 [0-9a-f]{16}\s*", curl(pop, "--ssl-reqd", "-X", "UIDL"))
    assert curl(f"{pop}1", "--ssl-reqd").replace("\r\n", "\n").endswith("\n\nHello\n.\n")
    curl(pop, "--ssl-reqd", "--head", "-X", "DELE 1")
    wait_until(lambda: suite.messages("judy") == [], 10, "the end of the message")


# ---- mutt ----

MUTTRC = """\
set imap_user="{user}@a.test" imap_pass="{password}"
set smtp_url="smtp://{user}%40a.test@localhost:{submission}/" smtp_pass="{password}"
set ssl_starttls=yes ssl_force_tls=yes certificate_file="{ca}" ssl_usesystemcerts=no
set from="{user}@a.test" realname="{user}" use_from=yes hostname="client.test"
set folder="imaps://localhost:{imaps}/" spoolfile="+INBOX" record="+Sent" header_cache=""
set sort=subject resolve=no wait_key=no delete=yes move=no mark_old=no confirmappend=no confirmcreate=no sleep_time=0 quit=yes
{more}
"""


@pytest.fixture
def mutt(suite, tmp_path):
    """mutt(user, arguments, input=, more=): runs it on a terminal, with more settings."""
    def go(user, arguments, input="", more=""):
        (tmp_path / "muttrc").write_text(MUTTRC.format(user=user, password=suite.password, ca=suite.certificate[1],
                                                       more=more, **suite.port))
        command = f"mutt -n -F {tmp_path}/muttrc {arguments}"
        env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TERM": "xterm", "LANG": "C.UTF-8"}
        if input:
            return run("sh", "-c", command, input=input, env=env)
        return run("script", "-qec", command, "/dev/null", stdin=subprocess.DEVNULL, env=env)
    return go


def test_mutt_submits_with_starttls_and_keeps_its_copy_by_imap(suite, mutt):
    client = imap(suite, "alice")
    ok(client.create("Sent"))
    before = len(suite.messages("bob"))
    mutt("alice", "-s 'from mutt' -- bob@a.test", input="Hello\n.\n")
    suite.wait_messages("bob", before + 1)
    text = next(t for t in (p.read_text() for p in suite.messages("bob")) if "Subject: from mutt\n" in t)
    assert "From: alice <alice@a.test>\n" in text and text.endswith("\n\nHello\n.\n")
    ok(client.select("Sent"))
    (_, copy), *_ = ok(client.fetch("1", "(BODY[] FLAGS)"))
    assert b"Subject: from mutt\r\n" in copy and copy.endswith(b"\r\n\r\nHello\r\n.\r\n")
    client.logout()


def test_mutt_flags_moves_and_deletes_by_imap(suite, mutt):
    client = imap(suite, "frank")
    ok(client.create("Saved"))
    send(suite, "frank", 3, "for mutt")
    suite.wait_messages("frank", 3)
    mutt("frank", "", more='push "<first-entry><flag-message><next-entry><save-message>=Saved<enter>'
                           '<next-entry><delete-message><sync-mailbox><exit>"')
    ok(client.select())
    (head, text), *_ = ok(client.fetch("1:*", "(FLAGS BODY.PEEK[])"))
    assert ok(client.search(None, "ALL")) == [b"1"]
    assert b"\\Flagged" in head and b"Subject: for mutt 0\r\n" in text
    ok(client.select("Saved"))
    (_, text), *_ = ok(client.fetch("1:*", "(BODY.PEEK[])"))
    assert b"Subject: for mutt 1\r\n" in text
    client.logout()


def test_mutt_works_offline_and_resynchronises_by_qresync(suite, mutt, tmp_path):
    """What another client did meanwhile is seen, and messages that are in its cache are not fetched again."""
    (tmp_path / "headers").mkdir()
    (tmp_path / "bodies").mkdir()
    cached = (f'set header_cache="{tmp_path}/headers" message_cachedir="{tmp_path}/bodies" imap_condstore=yes '
              f'imap_qresync=yes delete=no\n')
    client = imap(suite, "ivan")
    ok(client.create("Saved"))
    for i in range(20):
        ok(client.append("INBOX", None, None, f"From: x@b.test\r\nSubject: number {i}\r\n\r\ntext {i}\r\n".encode()))
    mutt("ivan", "", more=cached + 'push "<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >/dev/null<enter><quit>"')
    assert any((tmp_path / "headers").rglob("*"))

    ok(client.select())
    far = served(client)
    ok(client.uid("STORE", ",".join(far[n][0] for n in (3, 4)), "+FLAGS", "(\\Flagged)"))
    ok(client.uid("STORE", far[5][0], "+FLAGS", "(\\Deleted)"))
    ok(client.expunge())
    ok(client.append("INBOX", "(\\Flagged)", None, b"From: x@b.test\r\nSubject: number 77\r\n\r\nnew\r\n"))
    suite.wait_log(r"imap\(ivan@a\.test\).*hdr_count=20 .*body_count=20 ")
    validity = uidvalidities(client, ("INBOX", "Saved"))
    mutt("ivan", "", more=cached + 'set delete=yes\npush "<tag-pattern>~F<enter><tag-prefix><save-message>=Saved<enter>'
                                                      '<sync-mailbox><exit>"')
    ok(client.select("Saved"))
    assert sorted(served(client)) == [3, 4, 77]
    ok(client.select())
    assert sorted(served(client)) == [n for n in range(20) if n not in (3, 4, 5)]
    assert uidvalidities(client, validity) == validity
    # Of 20 messages that it had, no header and no body was fetched again.
    suite.wait_log(r"imap\(ivan@a\.test\).*expunged=3 .*hdr_count=1 .*body_count=0 ")
    client.logout()


# ---- imaplib ----

def test_a_session_of_all_everyday_commands_with_imaplib(suite):
    c = imap(suite, "dave")
    names = lambda data: sorted(re.search(rb'"?([^" ]+)"?$', line)[1].decode() for line in data if line)

    # list, create, delete, rename, subscribe
    for name in ("Work", "Work/2026", "Tr&APw-be"):
        ok(c.create(name))
    assert names(ok(c.list())) == ["INBOX", "Tr&APw-be", "Work", "Work/2026"]
    assert names(ok(c.list('""', "%"))) == ["INBOX", "Tr&APw-be", "Work"]
    assert c.create("Work")[0] == "NO"
    ok(c.rename("Work", "Job"))
    assert names(ok(c.list('""', "Job*"))) == ["Job", "Job/2026"]
    ok(c.subscribe("Job/2026"))
    assert names(ok(c.lsub())) == ["Job/2026"]
    ok(c.unsubscribe("Job/2026"))
    assert names(ok(c.lsub())) == []
    ok(c.delete("Tr&APw-be"))
    assert c.delete("INBOX")[0] == "NO"

    # append, status, select
    for i in range(5):
        text = f"From: Ann <ann@b.test>\r\nTo: dave@a.test\r\nSubject: letter {i}\r\nDate: Mon, 02 Mar 2026 10:0{i}:00 +0000\r\n\r\nbody {i}\r\n"
        flags = "(\\Seen)" if i == 0 else None
        answer = ok(c.append("Job", flags, f'"0{i + 1}-Mar-2026 12:00:00 +0000"', text.encode()))
        assert re.search(rb"\[APPENDUID \d+ \d+\]", answer[0])
    assert re.search(rb"MESSAGES 5 .*UNSEEN 4", ok(c.status("Job", "(MESSAGES UIDNEXT UNSEEN)"))[0])
    assert ok(c.select("Job")) == [b"5"]
    assert c.response("UIDVALIDITY")[1][0].isdigit()

    # search
    found = lambda *criteria: ok(c.search(None, *criteria))[0].split()
    assert found("ALL") == [b"1", b"2", b"3", b"4", b"5"]
    assert found("UNSEEN", "SUBJECT", '"letter 3"') == [b"4"]
    assert found("OR", "BODY", '"body 1"', "SEEN") == [b"1", b"2"]
    assert found("SINCE", "03-Mar-2026", "NOT", "FROM", "bob") == [b"3", b"4", b"5"]
    assert found("LARGER", "100000") == []

    # fetch
    (_, part), *_ = ok(c.fetch("2", "(BODY.PEEK[TEXT])"))
    assert part == b"body 1\r\n"
    line = ok(c.fetch("3", "(UID FLAGS RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)"))[0]
    assert b'INTERNALDATE " 3-Mar-2026 12:00:00 +0000"' in line
    assert b'"letter 2"' in line and b'(("Ann" NIL "ann" "b.test"))' in line
    assert re.search(rb'BODYSTRUCTURE \("text" "plain" ', line, re.I)
    (_, part), *_ = ok(c.fetch("2", "(BODY[TEXT]<2.3>)"))
    assert part == b"dy "
    assert found("SEEN") == [b"1", b"2"]            # BODY[] without PEEK marks as read

    # store
    assert b"\\Flagged" in ok(c.store("3:4", "+FLAGS", "(\\Flagged keyword)"))[0]
    assert found("FLAGGED") == found("KEYWORD", "keyword") == [b"3", b"4"]
    ok(c.store("4", "-FLAGS", "(\\Flagged)"))
    ok(c.store("3", "FLAGS.SILENT", "(\\Answered)"))
    assert found("FLAGGED") == [] and found("ANSWERED") == [b"3"]

    # copy, expunge
    assert re.search(rb"\[COPYUID \d+ [\d:,]+ [\d:,]+\]", c.copy("2:3", "Job/2026")[1][0])
    assert c.copy("2", "Nowhere")[0] == "NO"
    ok(c.store("2:3", "+FLAGS", "(\\Deleted)"))
    assert ok(c.expunge()) in ([b"3", b"2"], [b"2", b"2"])
    assert found("ALL") == [b"1", b"2", b"3"]
    ok(c.select("Job/2026", readonly=True))
    (_, part), *_ = ok(c.fetch("2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    assert part == b"Subject: letter 2\r\n\r\n"
    assert c.store("1", "+FLAGS", "(\\Seen)")[0] == "NO"
    ok(c.unselect())

    # idle
    ok(c.select("INBOX"))
    before = len(suite.messages("dave"))
    c.send(b"i1 IDLE\r\n")
    assert c.readline().startswith(b"+ ")
    threading.Thread(target=send, args=(suite, "dave", 1, "wakes")).start()
    while (line := c.readline()) != f"* {before + 1} EXISTS\r\n".encode():
        assert line.startswith(b"* "), line
    c.send(b"DONE\r\n")
    while not (line := c.readline()).startswith(b"i1 "):
        assert line.startswith(b"* ")
    assert line.startswith(b"i1 OK")
    ok(c.close())
    assert c.logout()[0] == "BYE"
