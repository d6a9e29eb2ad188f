# SPDX-License-Identifier: Apache-2.0
"""The scripted IMAP sessions in imap_sessions/, and what they have to cover.

Each session is played by a user of its own, on one instance for each set of parameters. Commands, capabilities and
response codes are taken from the source: whatever is added there has to be named by a script.
"""
import re
import shutil
import socket
import time
from pathlib import Path

import pytest

import imap_script
from instance import AS_ROOT

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
SESSIONS = [s for path in sorted((HERE / "imap_sessions").glob("rfc*/*.txt")) for s in imap_script.parse(path)]
PASSWORD = "secret"


class Account:
    """A user's part of an instance: where a session's clients connect, and what is set up there beside them."""

    def __init__(self, suite, user):
        self.suite, self.user, self.files = suite, user, 0
        self.variables = {"user": suite.address(user), "password": PASSWORD}
        self.other = None           # the client that does the set-up

    def connect(self, name, log, tls=False):
        port = self.suite.port["imaps" if tls else "imap"]
        client = imap_script.Client(socket.create_connection(("127.0.0.1", port), imap_script.DEADLINE), name, log)
        if tls:
            client.start_tls()
        return client

    def sign_in(self, client):
        """Until the mailboxes are there; not part of what is said."""
        log, client.log = client.log, []
        assert client.line(time.monotonic() + imap_script.DEADLINE).startswith(b"* OK ")
        self.command(client, f"LOGIN {self.variables['user']} {PASSWORD}".encode())
        client.log = log

    def command(self, client, command):
        client.send(b"setup " + command + b"\r\n")
        while not (line := client.line(time.monotonic() + imap_script.DEADLINE)).startswith(b"setup "):
            pass
        assert line.startswith(b"setup OK"), (command, line)

    def do(self, command):
        if not self.other:
            self.other = self.connect("set-up", [])
            self.sign_in(self.other)
        self.command(self.other, command)

    def close(self):
        if self.other:
            self.other.close()

    # set-up lines

    def mailbox(self, *names):
        for name in names:
            self.do(b"CREATE " + name.encode())

    def subscribe(self, *names):
        for name in names:
            self.do(b"SUBSCRIBE " + name.encode())

    def put(self, mailbox, message, *more):
        """By APPEND. more: flags in parentheses, a date in quotes"""
        words = " ".join([mailbox, *more]).encode()
        self.do(b"APPEND %s ~{%d+}\r\n" % (words, len(message)) + message)

    def directory(self, mailbox):
        self.do(b"NOOP")            # the first session makes the Maildir
        maildir = self.suite.maildir(self.user)
        return maildir if mailbox == "INBOX" else maildir / ("." + mailbox.strip('"').replace("/", "."))

    def file(self, mailbox, message, flags=None):
        """As another program would: into new/, or with flags ("S", "-" for none) into cur/."""
        self.files += 1
        now = time.time()
        name = f"{int(now)}.M{int(now * 1e6) % 1000000:06}P1Q{self.files}.test"
        if flags is not None:
            name += ":2," + flags.strip("-")
        directory = self.directory(mailbox)
        path = directory / "tmp" / name
        path.write_bytes(message.replace(b"\r\n", b"\n"))
        self.give(path)
        path.rename(directory / ("new" if flags is None else "cur") / name)

    def unlink(self, mailbox, number):
        """The file of the number-th message, in the order of the names."""
        directory = self.directory(mailbox)
        files = sorted([*(directory / "cur").iterdir(), *(directory / "new").iterdir()], key=lambda p: p.name)
        files[int(number) - 1].unlink()

    def drop(self, mailbox):
        """The whole mailbox, without its inferiors"""
        shutil.rmtree(self.directory(mailbox))

    def loop(self, mailbox):
        """Something that no server can read: a link to itself in the place of the mailbox"""
        directory = self.directory(mailbox)
        directory.symlink_to(directory.name)

    def deny(self, mailbox):
        """A mailbox that its owner may not enter"""
        self.directory(mailbox).chmod(0)

    def quota(self, limits):
        """Maildir++: "20480S,5C" is bytes and messages."""
        path = self.directory("INBOX") / "maildirsize"
        path.write_text(f"{limits}\n")
        self.give(path)

    def give(self, path):
        if AS_ROOT:
            shutil.chown(path, self.suite.owner.pw_uid, self.suite.owner.pw_gid)


@pytest.fixture(scope="module")
def instances(make_instance):
    """An instance for each set of parameters, made when the first of its sessions is played."""
    made = {}

    def get(params):
        if params not in made:
            suite = make_instance(start=False, users=(), params={
                "auth_failure_delay": "0s", "auth_failure_exceptions": "127.0.0.0/8", **dict(params)})
            users = [f"u{n}" for n, s in enumerate(SESSIONS) if s.params == params]
            (suite.config / "users").write_text("".join(f"{suite.address(u)}:{{PLAIN}}{PASSWORD}::::::\n" for u in users))
            (suite.config / "vmailbox").write_text("".join(f"{suite.address(u)} {suite.domain}/{u}/\n" for u in users))
            made[params] = suite.start()
        return made[params]

    return get


@pytest.mark.parametrize("number", range(len(SESSIONS)), ids=[s.id for s in SESSIONS])
def test_session(instances, number):
    session = SESSIONS[number]
    __tracebackhide__ = True
    account = Account(instances(session.params), f"u{number}")
    try:
        imap_script.run(session, account)
    finally:
        account.close()


# ---- what the scripts cover ----

SAID, TOLD = imap_script.said(SESSIONS), imap_script.told(SESSIONS)

# PREAUTH is never sent: every connection signs in.
RESPONSES = ("+ OK NO BAD BYE CAPABILITY ENABLED FLAGS EXISTS RECENT EXPUNGE VANISHED FETCH LIST LSUB STATUS SEARCH ESEARCH "
             "NAMESPACE ID SORT THREAD QUOTA QUOTAROOT").split()

# All that the registry of IMAP response codes has: RFC 3501 and RFC 9051 (both section 7.1), RFC 5530 and the extensions
CODES = ("ALERT ALREADYEXISTS ANNOTATE APPENDUID AUTHENTICATIONFAILED AUTHORIZATIONFAILED BADCHARSET BADCOMPARATOR BADEVENT BADURL "
         "CANNOT CAPABILITY CLIENTBUG CLOSED COMPRESSIONACTIVE CONTACTADMIN COPYUID CORRUPTION EXPIRED EXPUNGEISSUED HASCHILDREN "
         "HIGHESTMODSEQ INPROGRESS INUSE LIMIT MAILBOXID MAXCONVERTMESSAGES MAXCONVERTPARTS MESSAGELIMIT METADATA MODIFIED "
         "NEWNAME NOMODSEQ NONEXISTENT NOPERM NOTIFICATIONOVERFLOW NOTSAVED NOUPDATE OVERQUOTA PARSE PERMANENTFLAGS "
         "PRIVACYREQUIRED READ-ONLY READ-WRITE REFERRAL SERVERBUG TEMPFAIL TOOBIG TRYCREATE UIDNEXT UIDNOTSTICKY UIDREQUIRED "
         "UIDVALIDITY UNAVAILABLE UNDEFINED-FILTER UNKNOWN-CTE UNSEEN URLMECH USEATTR").split()

# "| `CODE`, `CODE` | why |" of the page for those who ask
NEVER_SENT = {code for row in re.findall(r"^\| (`[A-Z].*?) \|", (SOURCE / "docs/mail-programs.md").read_text()
                                         .partition("## Response codes that are never sent")[2], re.M)
              for code in re.findall(r"`([A-Z-]+)`", row)}

# Commands that are refused however they are given
NEVER_OK = {"SETQUOTA": "limits are the operator's"}

STRING = r'"((?:[^"\\\n]|\\.)*)"'


def source(pattern, *places):
    """What the pattern finds in the source, tests apart."""
    paths = [p for place in places for p in ([SOURCE / place] if "." in place else (SOURCE / place).iterdir())]
    return {m for p in paths if p.suffix in (".c", ".def") and not p.stem.endswith("_test")
            for m in re.findall(pattern, p.read_text(), re.M)}


def source_codes():
    """Response codes stand at the beginning of a text: "[CODE] why", "* OK [CODE argument] ..."."""
    return {c for s in source(STRING, "imapd", "login/imap.c")
            for c in re.findall(r"(?:^|OK |NO |BAD |BYE )\[([A-Z][A-Z-]+)(?=[\] ])", s)}


def test_every_command_of_the_source_is_given_well_and_badly_by_a_script():
    commands = source(r'^ *\{ SPAN\("([A-Z]+)"\),', "imapd/command.c", "login/imap.c")
    assert {"LOGIN", "SELECT", "IDLE"} <= commands
    missing = {f"{c}-{how}" for c in commands for how in ("NO" if c in NEVER_OK else "OK", "BAD") if (c, how) not in SAID}
    assert missing == set()


def test_every_command_that_takes_uids_is_given_them_by_a_script():
    commands = source(r'^ *\{ SPAN\("([A-Z]+)"\), +\w+, +MAY_UID,', "imapd/command.c")
    assert {"FETCH", "MOVE"} <= commands
    assert {c for c in commands if (f"UID {c}", "") not in SAID} == set()


WORDS = [
    # commands that take them, where the source has the table, a row of it
    (("SEARCH", "UID SEARCH"), "imapd/search_parse.c", r'^ *\{ "([A-Z]+)", +SEARCH_'),
    (("SEARCH", "UID SEARCH"), "imapd/search_return.c", r'\{ "([A-Z]+)", RETURN_'),
    (("FETCH", "UID FETCH"), "imapd/fetch_item.c", r'^ *\{ "([A-Z0-9.]+)", '),
    (("FETCH", "UID FETCH"), "imapd/fetch_parse.c", r'^ *\{ "([A-Z]+)", '),
    (("STATUS",), "imapd/status.c", r'\[[A-Z_]+\] = "([A-Z-]+)"'),
    (("SORT", "UID SORT"), "imapd/sort.c", r'\[[A-Z]+\] = \{ "([A-Z]+)"'),
    (("LIST",), "imapd/list.c", r'\{ "([A-Z-]+)", (?:SELECT|RETURN)_'),
    (("ENABLE",), "imapd/misc.c", r'^ *\{ "(\S+)", [A-Z_0-9]+ \},'),
]


@pytest.mark.parametrize("commands, place, pattern", WORDS, ids=[w[1] for w in WORDS])
def test_every_word_of_a_table_is_used_by_a_script(commands, place, pattern):
    words = source(pattern, place)
    assert len(words) > 2
    lines = [line.upper() for command, line in imap_script.commands(SESSIONS) if command in commands]
    unused = {w for w in words if not any(re.search(rf"(?<![\w.-]){re.escape(w.upper())}(?![\w.-])", line) for line in lines)}
    assert unused == set()


def test_every_capability_is_named_by_a_script():
    offered = source(r'^CAPABILITY\("([^"]+)"', "imapd/capability.def")
    assert {"IMAP4rev1", "IDLE", "QRESYNC"} <= offered
    offered |= {"STARTTLS", "LOGINDISABLED", "AUTH=PLAIN", "COMPRESS=DEFLATE", "APPENDLIMIT"}      # added by code
    named = {c for s in SESSIONS for c in s.capabilities}
    assert named - offered == set()
    assert offered - named == set()


def test_every_response_is_heard_by_a_script():
    assert set(RESPONSES) - TOLD == set()


def test_every_response_code_is_heard_by_a_script_or_never_sent():
    sent, heard = source_codes(), {t[1:] for t in TOLD if t.startswith("[")}
    assert {"TRYCREATE", "READ-ONLY", "AUTHENTICATIONFAILED"} <= sent
    assert sent - set(CODES) == set()
    assert (sent | heard) & NEVER_SENT == set()
    assert set(CODES) - heard - NEVER_SENT == set()
