# SPDX-License-Identifier: Apache-2.0
"""A POP3 maildrop: octets exactly as announced, other sessions at work in it, deletions that fail, and very many messages."""
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from imap_client import Client
from instance import AS_ROOT, SLOW, wait_until
from lines import Pop3Client
from test_pop3 import write

OWN = Path(__file__).resolve().parents[1] / "data" / "mails"
MORE = os.environ.get("POSTERN_TEST_MAILS")
MANY = int(os.environ.get("POSTERN_TEST_MAILDROP", "3000"))     # 200000 takes a minute

USERS = ("alice", "bob", "carol", "dave", "erin", "many")


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=USERS, params={"imap_allow_plaintext_auth": "127.0.0.1"})


def put(suite, user, contents, sizes=False):
    """Files as another program would have written them."""
    box = suite.maildir(user)
    write(suite, box, {})
    for i, content in enumerate(contents):
        size = f",S={len(content)},W={len(on_wire(content))}" if sizes else ""
        path = box / "cur" / f"{1_700_000_000 + i}.M{i}P1.host{size}:2,"
        path.write_bytes(content)
        os.chown(path, suite.owner.pw_uid, suite.owner.pw_gid)


def on_wire(content):
    """Every line ends in CRLF; a lone CR is no line end. A NUL is in no protocol's text."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", content).replace(b"\0", b"\x80")


class Pop(Pop3Client):
    def __init__(self, suite, user):
        super().__init__(suite.port["pop3"])
        assert self.ask(f"USER {suite.address(user)}") == "+OK"
        assert self.ask(f"PASS {suite.password}") == "+OK Logged in."

    def list(self, command="LIST"):
        assert self.ask(command).startswith("+OK")
        return dict(line.split(" ", 1) for line in self.rest())

    def octets(self):
        """A multi-line answer as it was on the wire, up to the final dot; and without its stuffing."""
        sent = b""
        while (line := self.file.readline()) != b".\r\n":
            assert line, "closed"
            assert line.endswith(b"\r\n") or not line.endswith(b"\n")
            sent += line[1:] if line.startswith(b".") else line
        return sent

    def retrieve(self, number):
        first = self.ask(f"RETR {number}")
        m = re.fullmatch(r"\+OK (\d+) octets", first)
        assert m, first
        return int(m[1]), self.octets()


ODD = [
    b"Subject: plain\n\nbody\n",
    b"Subject: CRLF\r\n\r\nbody\r\n",
    b"Subject: mixed\r\n\nbody\r\nmore\n",
    b"Subject: dots\n\n.\n..\n...\n.text\nx.\n. \n",
    b"Subject: a dot at the very end\n\n.",
    b"Subject: no line end at all",
    b"Subject: no last line end\n\nbody",
    b"Subject: only CRs\r\rbody\r",
    b"Subject: CR at the end\n\nbody\r",
    b"Subject: CRs within\n\na\rb\r\rc\r\n\r\r\nd\n",
    b"\n",
    b"\n\n\n",
    b".\n",
    b"no header, no end",
    b"Subject: long\n\n" + b"x" * 2_000_000 + b"\n.y\n",
    b"Subject: long with dots\n\n" + b"." * 200_000 + b"\n",
    b"Subject: 8 bit\n\n" + bytes(range(1, 256)) + b"\n",
    b"Subject: NUL\n\na\0b\n\0\n",
    *(b"Subject: piece\n\n" + b"x" * (65536 - 16 - n) + tail for n in range(4) for tail in (b"\n.\n", b"\r\n.", b"\r", b".\n")),
]


def contents():
    return [*ODD, *(p.read_bytes() for d in (OWN, MORE) if d for p in sorted(Path(d).rglob("*.eml")) if p.stat().st_size)]


@pytest.mark.parametrize("sizes", [False, True], ids=["sizes measured", "sizes in names"])
def test_a_message_has_the_octets_that_were_announced(suite, sizes):
    user = "bob" if sizes else "alice"
    files = contents()
    put(suite, user, files, sizes)
    pop = Pop(suite, user)
    sizes = pop.list()
    assert len(sizes) == len(files)
    assert pop.ask("STAT") == f"+OK {len(files)} {sum(map(int, sizes.values()))}"
    for number, content in enumerate(files, 1):
        announced, sent = pop.retrieve(number)
        want = on_wire(content)
        assert announced == int(sizes[str(number)]) == len(want), content[:60]
        # a last line without an end gets one: there is no other way to say where it ends
        ended = want if want.endswith(b"\r\n") else want + (b"\n" if want.endswith(b"\r") else b"\r\n")
        assert sent == ended, content[:60]
    pop.close()
    imap = Client(suite, user)
    imap.ok("EXAMINE INBOX")
    lines = imap.ok("FETCH 1:* RFC822.SIZE")
    assert [re.search(r"SIZE (\d+)", line)[1] for line in lines] == list(sizes.values())
    imap.close()


def test_top_gives_the_header_and_as_many_lines(suite):
    put(suite, "carol", [b"Subject: x\nA: b\n\n1\n.2\n\n4", b"Subject: only a header\n", b"\nbody\n", b"Subject: CRLF\r\n\r\n1\r\n2\r\n"])
    pop = Pop(suite, "carol")
    head = b"Subject: x\r\nA: b\r\n\r\n"
    for number, lines, want in [
        (1, 0, head), (1, 1, head + b"1\r\n"), (1, 2, head + b"1\r\n.2\r\n"), (1, 3, head + b"1\r\n.2\r\n\r\n"),
        (1, 4, head + b"1\r\n.2\r\n\r\n4\r\n"), (1, 5, head + b"1\r\n.2\r\n\r\n4\r\n"), (1, 2**32 - 1, head + b"1\r\n.2\r\n\r\n4\r\n"),
        (2, 0, b"Subject: only a header\r\n"), (2, 9, b"Subject: only a header\r\n"), (3, 0, b"\r\n"), (3, 1, b"\r\nbody\r\n"),
        (4, 1, b"Subject: CRLF\r\n\r\n1\r\n"),
    ]:
        assert pop.ask(f"TOP {number} {lines}").startswith("+OK")
        assert pop.octets() == want, (number, lines)
    pop.close()


def test_what_is_old_or_not_offered_is_no_command(suite):
    pop = Pop(suite, "carol")
    for command in "LAST", "APOP a b", "UTF8", "STLS", "USER x", "XTND XMIT", "AUTH":
        assert pop.ask(command).startswith("-ERR Unknown command"), command
    pop.close()


def test_names_and_passwords_may_be_in_utf8(suite):
    """RFC 6856 section 2.2"""
    with open(suite.config / "users", "a") as f:
        f.write("j\u00fcrgen@a.test:{PLAIN}p\u00e4ssw\u00f6rd \u20ac\n")
    with open(suite.config / "vmailbox", "a") as f:
        f.write("j\u00fcrgen@a.test a.test/juergen/\n")
    talk = Pop3Client(suite.port["pop3"])
    assert talk.ask("UTF8") == "+OK UTF8 enabled"

    def signed_in():
        assert talk.ask("USER j\u00fcrgen@a.test") == "+OK"
        return talk.ask("PASS p\u00e4ssw\u00f6rd \u20ac") == "+OK Logged in."
    wait_until(signed_in, 10, "the new user")
    assert talk.ask("STAT") == "+OK 0 0"
    talk.close()


def test_stls_forgets_what_was_said_in_the_clear(suite):
    talk = Pop3Client(suite.port["pop3"])
    assert talk.ask("CAPA") == "+OK"
    assert "STLS" in talk.rest()
    assert talk.ask(f"USER {suite.address('carol')}") == "+OK"
    talk.send("STLS\r\nQUIT")       # what comes early is thrown away
    assert talk.line().startswith("+OK")
    talk.wrap(suite.certificate[1])
    assert talk.ask(f"PASS {suite.password}", "CAPA").startswith("-ERR expected USER first")
    assert talk.line() == "+OK"
    offered = talk.rest()
    assert "STLS" not in offered and "USER" in offered
    talk.send(f"STLS\r\nUSER {suite.address('carol')}\r\nPASS {suite.password}\r\nQUIT")
    assert [talk.line()[:4] for _ in range(4)] == ["-ERR", "+OK", "+OK ", "+OK "]
    talk.close()


# ---- others at work ----

def files_of(suite, user):
    return sorted(p.name.split(":")[0] for d in ("cur", "new") for p in (suite.maildir(user) / d).iterdir())


@pytest.fixture
def dave(suite):
    box = suite.maildir("dave")
    shutil.rmtree(box, ignore_errors=True)
    put(suite, "dave", [f"Subject: {i}\n\ntext {i}\n".encode() for i in range(1, 6)])
    return lambda: Pop(suite, "dave")


def test_a_connection_lost_before_quit_deletes_nothing(suite, dave):
    before = files_of(suite, "dave")
    for end in "close", "reset", "half":
        pop = dave()
        assert pop.ask("DELE 1") == "+OK Marked to be deleted."
        assert pop.ask("DELE 5") == "+OK Marked to be deleted."
        if end == "reset":
            pop.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if end == "half":
            pop.sock.sendall(b"QUI")
            pop.sock.shutdown(socket.SHUT_WR)
            assert pop.file.read() == b""
        pop.close()
        pop.file.close()
    suite.wait_log(r"pop3\(dave@a\.test\).*Disconnected: Connection closed.* del=0/5", count=3)
    assert files_of(suite, "dave") == before
    again = dave()
    assert again.ask("STAT").startswith("+OK 5 ")
    again.close()


def test_a_session_of_its_own_keeps_its_numbers_while_others_remove_messages(suite, dave):
    """There is no lock: who comes second is served as well, and is told what is gone."""
    first, second = dave(), dave()
    ids = first.list("UIDL")
    assert second.list("UIDL") == ids
    imap = Client(suite, "dave")
    imap.ok("SELECT INBOX")
    imap.ok("STORE 3 +FLAGS.SILENT \\Deleted")
    imap.ok("EXPUNGE")
    imap.close()
    assert first.ask("DELE 1") == "+OK Marked to be deleted."
    assert first.ask("QUIT").startswith("+OK Logging out")
    wait_until(lambda: len(files_of(suite, "dave")) == 3, 10, "the removal")
    assert second.ask("STAT").startswith("+OK 5 ")
    assert second.list("UIDL") == ids
    for gone in 1, 3:
        assert second.ask(f"RETR {gone}").startswith("-ERR The message is gone")
        assert second.ask(f"TOP {gone} 0").startswith("-ERR The message is gone")
    assert second.retrieve(4)[1] == b"Subject: 4\r\n\r\ntext 4\r\n"
    for number in 1, 2:
        assert second.ask(f"DELE {number}") == "+OK Marked to be deleted."
    assert second.ask("QUIT").startswith("+OK Logging out")     # that 1 was gone already is what was wanted
    wait_until(lambda: len(files_of(suite, "dave")) == 2, 10, "the second removal")
    third = dave()
    assert list(third.list("UIDL").values()) == [ids["4"], ids["5"]]
    third.close()


def test_a_message_that_is_removed_while_it_is_sent_arrives_whole(suite):
    content = b"Subject: big\n\n" + b"0123456789abcdef" * 64 * 1024 * 12 + b"\n"
    put(suite, "erin", [content, b"Subject: small\n\nx\n"])
    pop = Pop(suite, "erin")
    pop.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131072)
    assert pop.ask("RETR 1").startswith("+OK")      # it fits into no buffer: the rest is still to be read
    imap = Client(suite, "erin")
    imap.ok("SELECT INBOX")
    imap.ok("STORE 1 +FLAGS.SILENT \\Deleted")
    imap.ok("EXPUNGE")
    imap.close()
    assert pop.octets() == on_wire(content)
    assert pop.ask("RETR 1").startswith("-ERR The message is gone")
    assert pop.retrieve(2)[1] == b"Subject: small\r\n\r\nx\r\n"
    pop.close()


def test_messages_that_come_meanwhile_are_for_the_next_session(suite, dave):
    pop = dave()
    put(suite, "dave", [b""] * 0)
    box = suite.maildir("dave")
    write(suite, box, {"1800000000.M9P9.host:2,": "Subject: late\n\nx\n"})
    assert pop.ask("STAT").startswith("+OK 5 ")
    assert pop.ask("RETR 6").startswith("-ERR There is no such message")
    assert pop.ask("DELE 1").startswith("+OK")
    assert pop.ask("QUIT").startswith("+OK")
    again = dave()
    assert again.ask("STAT").startswith("+OK 5 ")
    assert again.retrieve(5)[1].startswith(b"Subject: late")
    again.close()


@pytest.mark.skipif(not AS_ROOT, reason="a directory's owner may always change its mode")
def test_a_deletion_that_fails_is_told_and_nothing_else_is_lost(suite, dave):
    box = suite.maildir("dave")
    before = files_of(suite, "dave")
    pop = dave()
    assert pop.ask("DELE 2") == "+OK Marked to be deleted."
    os.chown(box / "cur", 0, 0)     # not theirs any more
    try:
        assert pop.ask("QUIT") == "-ERR [SYS/TEMP] Some deleted messages were not removed."
        assert pop.file.read() == b""
        suite.wait_log(r"cannot remove messages")
    finally:
        os.chown(box / "cur", suite.owner.pw_uid, suite.owner.pw_gid)
    assert files_of(suite, "dave") == before
    again = dave()
    assert again.ask("STAT").startswith("+OK 5 ")
    assert again.ask("DELE 2").startswith("+OK")
    assert again.ask("QUIT").startswith("+OK Logging out")
    wait_until(lambda: len(files_of(suite, "dave")) == 4, 10, "the removal")


# ---- very many ----

def test_lists_of_very_many_messages_touch_no_message_file(suite):
    """Nobody may open the files, and none of them is looked at: the session's system calls name none."""
    box = suite.maildir("many")
    write(suite, box, {})
    for i in range(MANY):
        path = box / "cur" / f"{1_700_000_000 + i}.M{i}P1.host,S=20,W={100 + i}:2,S"
        path.touch(mode=0)
    subprocess.run(["chown", "-R", f"{suite.owner.pw_uid}:{suite.owner.pw_gid}", box / "cur"], check=True)
    Pop(suite, "many").close()      # the index is made
    begun = time.monotonic()
    pop, pid = suite.session_of("pop3d", lambda: Pop(suite, "many"))
    trace = suite.dir / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-o", trace, "-p", str(pid)], stderr=subprocess.PIPE) \
        if AS_ROOT and shutil.which("strace") else None
    if tracer:
        wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in open(f"/proc/{pid}/status").read(), 20, "strace")
    assert pop.ask("STAT") == f"+OK {MANY} {sum(100 + i for i in range(MANY))}"
    sizes = pop.list()
    assert sizes == {str(i + 1): str(100 + i) for i in range(MANY)}
    ids = pop.list("UIDL")
    assert len(set(ids.values())) == MANY
    took = time.monotonic() - begun
    assert pop.ask(f"RETR {MANY}").startswith("-ERR [SYS/TEMP]")
    assert pop.ask("QUIT").startswith("+OK")
    pop.close()
    if tracer:
        tracer.wait(20 * SLOW)
        named = [line for line in trace.read_text().splitlines() if ".host,S=20" in line]
        assert len(named) <= 2, named[:5]       # of RETR
        assert "write" in trace.read_text() or "send" in trace.read_text()
    print(f"{MANY} messages: sign-in, STAT, LIST and UIDL in {took:.2f} s")
