# SPDX-License-Identifier: Apache-2.0
"""Postern beside Dovecot on copies of the same Maildirs: what a client that knows one hears from the other.

Where they differ and both may, or Dovecot is wrong, is written down with the reason: everywhere in beside.py, for one command in
beside_commands/, for one message in ODD below. What users see of it: docs/beside-dovecot.md.

POSTERN_TEST_MAILS=DIRECTORY   more messages
POSTERN_TEST_SEEDS=0:500       sessions made up at random: which (usually 0:4), with POSTERN_TEST_STEPS steps each (usually 60)
"""
import os
import re
from pathlib import Path

import pytest

from beside import Pair, item, only, run_all, unlike
from beside_sessions import Unlike, play
from dovecot import Dovecot, needs_dovecot
from imap_client import Client
from lines import Pop3Client

pytestmark = needs_dovecot

DATA = Path(__file__).resolve().parents[1] / "data"
MORE = os.environ.get("POSTERN_TEST_MAILS")
SEEDS = range(*map(int, os.environ.get("POSTERN_TEST_SEEDS", "0:4").split(":")))
STEPS = int(os.environ.get("POSTERN_TEST_STEPS", "60"))

OWN = [p for d in ("mails", "broken_mime") for p in sorted((DATA / d).glob("*.eml"))]
MAILS = OWN + (sorted(Path(MORE).rglob("*.eml")) if MORE else [])

# Ten messages for commands about messages
SMALL = [f"""\
From: a@b.test
Subject: message {i}
Message-ID: <{i}@x>
Date: Mon, 02 Mar 2026 10:15:{i:02} +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

text {i}
--b
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

aGVsbG8=
--b--
""".encode() for i in range(10)]


def tries(seed):
    return [f"seed{seed}-{i}" for i in range(3)]


class Both:
    """The two servers, and accounts with the same mail at both."""

    def __init__(self, instance, dovecot, mail):
        self.instance, self.dovecot, self.mail = instance, dovecot, mail

    def fill(self, user, texts):
        for maildir in (self.instance.maildir(user), self.mail / self.instance.domain / user):
            for sub in ("cur", "new", "tmp"):
                (maildir / sub).mkdir(parents=True)
            for i, text in enumerate(texts):
                flags = "".join(f for f, n in (("F", 5), ("R", 7), ("S", 3)) if (i % n == 0) == (f != "S"))
                path = maildir / "cur" / f"{1700000000 + i}.M{i}P1.host:2,{flags}"
                path.write_bytes(text)
                os.utime(path, (1700000000 + i * 7321,) * 2)
            for path in [maildir.parent, maildir, *maildir.rglob("*")]:
                os.chown(path, self.instance.owner.pw_uid, self.instance.owner.pw_gid)

    def pair(self, user):
        return Pair(self.instance, self.dovecot, user)


@pytest.fixture(scope="module")
def both(make_instance, workdir):
    users = ["mails", "searches", "messages", "mailboxes", *(user for seed in SEEDS for user in tries(seed))]
    instance = make_instance(users=users, params={"imap_allow_plaintext_auth": "127.0.0.1", "imap_bad_command_limit": 10000,
                                                  "imap_auto_mailboxes": "Sent"})
    directory = workdir / "beside"
    mail = directory / "mail"
    for d in (directory, mail):
        d.mkdir(mode=0o755)
    os.chown(mail, instance.owner.pw_uid, instance.owner.pw_gid)
    with Dovecot(directory / "dovecot", instance, mail=mail, separator="/", settings="mail_max_userip_connections = 100") as dovecot:
        servers = Both(instance, dovecot, mail)
        servers.fill("mails", [p.read_bytes() for p in MAILS])
        for user in ("messages", "mailboxes"):
            servers.fill(user, SMALL)
        servers.fill("searches", [p.read_bytes() for p in OWN])
        for user in users[4:]:
            servers.fill(user, [])
        yield servers


@pytest.fixture(scope="module")
def mails(both):
    pair = both.pair("mails")
    pair.run("SELECT INBOX")
    yield pair
    pair.close()


# ---- messages ----

EXACT = """RFC822.SIZE|INTERNALDATE|FLAGS|UID|RFC822.HEADER|RFC822.TEXT|BODY.PEEK[]|BODY.PEEK[HEADER]|BODY.PEEK[TEXT]|BODY.PEEK[]<0.100>|\
BODY.PEEK[TEXT]<10.50>|BODY.PEEK[]<100000000.10>|BODY.PEEK[HEADER.FIELDS (Subject FROM date x-mailer)]""".split("|")


@pytest.mark.parametrize("name", EXACT)
def test_what_is_fetched_of_a_message_is_the_same_whatever_the_message(mails, name):
    a, b = mails.run(f"FETCH 1:* ({name})")
    assert len(a.fetched) == len(MAILS)
    assert not unlike(a, b)


NO_PARTS = "a multipart without a part is the text that it holds; Dovecot shows an empty part, and hides the text"
NO_TYPE = "a Content-Type that is none is no Content-Type: text/plain (RFC 2045 section 5.2); Dovecot says that type and subtype are empty"
NESTED = "the line end before a delimiter is the delimiter's (RFC 2046 section 5.1.1), also after a multipart within; Dovecot gives it to that one"
NO_HEADER = "a part that begins with its delimiter's end has no header; the blank line, or the line end, is counted to it or not"
NO_FIELD = "HEADER.FIELDS.NOT has fields only, and the blank line after them; Dovecot gives lines that are no fields as well"

# Messages for which servers may differ, by file: {pattern of items: why}; "parts" for all items of parts
ODD = {
    "boundary-empty.eml": {".*": NO_PARTS},
    "boundary-missing-param.eml": {".*": NO_PARTS},
    "boundary-never-appears.eml": {".*": NO_PARTS},
    "multipart-base64-encoded.eml": {".*": NO_PARTS},
    "multipart-no-parts.eml": {".*": NO_PARTS},
    "mime4j-missing-inner-boundary.eml": {".*": NO_PARTS},
    "mime4j-double-semicolon.eml": {".*": "Dovecot finds no boundary after an empty parameter"},
    "boundary-prefix.eml": {r"BODY\[1\].*": NESTED},
    "boundary-same-nested.eml": {r"BODY\[1\].*": NESTED},
    "mime4j-multipartnestedemptyparts.eml": {r".*MIME\]": NO_HEADER},
    "multipart-empty-parts.eml": {r".*MIME\]": NO_HEADER},
    "content-type-garbage.eml": {"BODY|BODYSTRUCTURE": NO_TYPE},
    "content-type-no-subtype.eml": {"BODY|BODYSTRUCTURE|PREVIEW": NO_TYPE},
    "rfc2231-parameters.eml": {"BODY|BODYSTRUCTURE": "parameters stay in order and encoded; Dovecot sorts them, and undoes some of it"},
    "nul-in-mime-parameter.eml": {"BODY|BODYSTRUCTURE": "no string has a NUL; Dovecot puts U+FFFD in its place"},
    "nul-in-body.eml": {"PREVIEW": "a NUL parts words"},
    "no-blank-line.eml": {"HEADER.*": NO_FIELD},
    "headers-only-no-final-newline.eml": {"HEADER.*": NO_FIELD},
    "mime4j-hdr-fakeout.eml": {"HEADER.*": NO_FIELD},
}


def odd(path, name):
    return any(re.fullmatch(pattern, name) for pattern in ODD.get(path.name, {}))


@pytest.mark.parametrize("name", ["ENVELOPE", "BODY", "BODYSTRUCTURE", "PREVIEW", "BODY.PEEK[HEADER.FIELDS.NOT (Subject FROM date received)]"])
def test_what_is_made_of_a_message_is_the_same_but_for_known_ones(mails, name):
    a, b = mails.run(f"FETCH 1:{len(OWN)} ({name})")
    wrong = []
    for n, path in enumerate(OWN, 1):
        ours, theirs = ({k: item(k, v) for k, v in x.fetched[n].items()} for x in (a, b))
        if ours != theirs and not odd(path, name.replace("BODY.PEEK[", "")):
            wrong.append(f"{path.name}:\n  Postern {only(ours, theirs)}\n  Dovecot {only(theirs, ours)}")
    assert not wrong, "\n".join(wrong)


def parts(body, number=""):
    """(number, body) of every part; body as BODYSTRUCTURE has it"""
    if isinstance(body[0], list):
        inner = [b for b in body if isinstance(b, list) and b and b[0] is not None]
        below = [p for i, b in enumerate(inner[:next((i for i, x in enumerate(body) if not isinstance(x, list)), 0)], 1)
                 for p in parts(b, f"{number}.{i}" if number else str(i))]
        return ([(number, body)] if number else []) + below
    number = number or "1"
    if body[0].lower() == b"message" and body[1].lower() == b"rfc822":
        inner = body[8]
        return [(number, body)] + (parts(inner, number) if isinstance(inner[0], list) else parts(inner, number + ".1"))
    return [(number, body)]


def part_items(number, body):
    names = [f"BODY.PEEK[{number}]", f"BODY.PEEK[{number}.MIME]", f"BODY.PEEK[{number}]<3.20>"]
    if isinstance(body[0], list):
        return names
    if body[0].lower() == b"message" and body[1].lower() == b"rfc822":
        return names + [f"BODY.PEEK[{number}.{x}]" for x in ("HEADER", "TEXT", "HEADER.FIELDS (Subject To)")]
    if (body[5] or b"").lower() in (b"7bit", b"8bit", b"base64", b"quoted-printable"):
        names += [f"BINARY.PEEK[{number}]", f"BINARY.SIZE[{number}]", f"BINARY.PEEK[{number}]<2.7>"]
    return names


def test_every_part_of_a_message_is_the_same_but_of_known_ones(mails):
    structures, _ = mails.run(f"FETCH 1:{len(OWN)} BODYSTRUCTURE")
    wrong, compared = [], 0
    for n, path in enumerate(OWN, 1):
        if odd(path, "parts"):
            continue
        for number, body in parts(structures.fetched[n][b"BODYSTRUCTURE"])[:25]:
            for name in part_items(number, body):
                a, b = mails.run(f"FETCH {n} {name}")
                compared += 1
                if unlike(a, b) and not odd(path, name.replace(".PEEK", "")):
                    wrong.append(f"{path.name} {name}:\n{unlike(a, b)}")
    assert not wrong, "\n".join(wrong)
    assert compared > 100


# ---- commands ----

@pytest.mark.parametrize("account", ["searches", "messages", "mailboxes"])
def test_commands_are_answered_alike(both, account):
    """By the list of the account's name in beside_commands/"""
    pair = both.pair(account)
    pair.run("SELECT INBOX" if account == "searches" else "NOOP")
    wrong = run_all(pair, f"{account}.txt")
    pair.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_clients_that_do_anything_see_the_same_at_both(both, seed):
    """Dovecot takes a file that is renamed while it reads the Maildir for a new message now and then, so each gets a second and third
    try with another account: what Postern does wrong, it does each time."""
    for user in tries(seed):
        try:
            return play(both.instance, both.dovecot, user, seed, STEPS)
        except Unlike as e:
            failure = e
    raise failure


# ---- POP3 ----

class Pop3:
    """One account at both."""

    def __init__(self, both, user):
        self.clients = [Pop3Client(server.port["pop3"]) for server in (both.instance, both.dovecot)]
        for client in self.clients:
            assert client.ask(f"USER {both.instance.address(user)}").startswith("+OK")
            assert client.ask(f"PASS {both.instance.password}").startswith("+OK")

    def run(self, command, many):
        """What each says: +OK or -ERR, numbers behind it, and the lines that follow."""
        out = []
        for client in self.clients:
            client.send(command)
            line = client.file.readline()
            lines = []
            while many and line.startswith(b"+OK") and (text := client.file.readline()) != b".\r\n":
                lines.append(text)
            numbers = line.split()[1:] if command.startswith(("STAT", "LIST ", "UIDL ")) and line.startswith(b"+OK") else []
            if command.startswith("UIDL"):      # UID and UIDVALIDITY, which is when each server has seen the mailbox first
                numbers, lines = numbers[:1] + [n[:8] for n in numbers[1:]], [re.sub(rb"[0-9a-f]{8}\r", b"\r", x) for x in lines]
            out.append((line[:3], numbers, lines))
        return out

    def close(self):
        for client in self.clients:
            client.close()


POP3 = """\
STAT|LIST*|UIDL*|LIST 1|LIST 0|LIST 9999|LIST abc|LIST 1 2|LIST -1|UIDL 1|UIDL 0|UIDL 9999|UIDL x|TOP 1 0*|TOP 1 5*|TOP 1|TOP 1 -1|TOP 1 x|\
TOP 0 1|TOP 9999 1|TOP|RETR|RETR 0|RETR 9999|RETR x|RETR 1 2|DELE 1|DELE 1|DELE|DELE 0|DELE 9999|DELE x|RETR 1|TOP 1 0|LIST 1|UIDL 1|STAT|LIST*|\
UIDL*|RSET|STAT|LAST|NOOP|BOGUS|USER x|PASS y|APOP x y|STLS|AUTH|AUTH PLAIN|AUTH BOGUS|XCLIENT a|list 1|LIST 01""".split("|")


def test_pop3_commands_are_answered_alike(both):
    pop = Pop3(both, "mails")
    wrong = []
    for command in POP3:
        ours, theirs = pop.run(command.rstrip("*"), command.endswith("*"))
        if ours != theirs:
            wrong.append((command, ours, theirs))
    pop.close()
    assert not wrong


def as_sent(lines):
    """Postern sends no NUL, by POP3 either: mail programs cut lines there (pop3d/retrieve.c); and what ends with a CR alone has its LF
    added, where Dovecot adds both."""
    return [re.sub(rb"\r+\n$", b"\r\n", line.replace(b"\0", b"\x80")) for line in lines]


def test_pop3_gives_the_same_messages(both):
    pop = Pop3(both, "mails")
    wrong = []
    for n, path in enumerate(MAILS, 1):
        for command in (f"RETR {n}", f"TOP {n} 0", f"TOP {n} 3"):
            ours, theirs = pop.run(command, True)
            if ours[0] != theirs[0] or as_sent(ours[2]) != as_sent(theirs[2]):
                wrong.append((path.name, command))
    pop.close()
    assert not wrong
