# SPDX-License-Identifier: Apache-2.0
"""Bad input to IMAP and POP3: each limit has its parameter and a reply that names it, and the connection lives where it can."""
import re
import time
from pathlib import Path

import pytest

from imap_client import Client
from instance import SLOW
from lines import LineClient

LIMITS = {
    "imap_login_line_limit": 2000, "imap_login_literal_limit": 100, "imap_login_failure_limit": 4,
    "imap_bad_command_limit": 7, "imap_line_limit": 3000, "imap_literal_limit": 1500, "imap_fetch_item_limit": 12,
    "imap_search_depth_limit": 6, "imap_search_key_limit": 15, "imap_list_pattern_limit": 5, "imap_append_limit": 3,
    "message_size_limit": 20000, "mime_nesting_limit": 4, "mime_part_limit": 6, "header_address_token_limit": 40,
    "imap_sort_criteria_limit": 8, "imap_subscription_limit": 3, "imap_tag_limit": 60, "mail_max_keyword_length": 40,
    "pop3_line_limit": 300, "auth_failure_delay": "0s", "auth_user_failure_limit": 0, "auth_network_failure_limit": 0,
}


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(params={**LIMITS, "imap_allow_plaintext_auth": "127.0.0.1"})


@pytest.fixture(scope="module")
def wide(make_instance):
    """Limits as they come."""
    return make_instance(params={"imap_allow_plaintext_auth": "127.0.0.1"})


class Raw(LineClient):
    """Texts come with the ends of their lines, or without, as they are meant to be sent."""

    def __init__(self, suite, service="imap"):
        super().__init__(suite.port[service])
        self.greeting = self.line()

    def send(self, data):
        super().send(data if isinstance(data, bytes) else data.encode())


@pytest.fixture
def raw(suite):
    made = []

    def make(service="imap"):
        made.append(Raw(suite, service))
        return made[-1]
    yield make
    for r in made:
        r.close()


def plus(text):
    """A literal that is sent unasked."""
    return "{%d+}\r\n%s" % (len(text.encode()), text)


# ---- before sign-in ----

LITERAL = re.compile(r"\{\d+\+?\}\r\n")

BEFORE = [
    ("a NOOP" + " " * 1994 + "\r\n", "a OK"),
    ("a NOOP" + " " * 1995 + "\r\n", "* BAD command line longer than 2000 bytes"),
    ("a NOOP" + " " * 200_000 + "\r\n", "* BAD command line longer than 2000 bytes"),
    ("t" * 60 + " NOOP\r\n", "t" * 60 + " OK"),
    ("t" * 61 + " NOOP\r\n", "* BAD expected a tag of at most 60 bytes"),
    ("a LOGIN " + plus("u" * 100) + " " + plus("p" * 100) + "\r\n", "a NO [AUTHENTICATIONFAILED]"),
    ("a LOGIN " + plus("u" * 101) + " x\r\n", "a BAD expected an atom, a string or a literal of at most 100 bytes"),
    ("a LOGIN x " + plus("u" * 101) + "\r\n", "a BAD expected an atom, a string or a literal of at most 100 bytes"),
    ("a LOGIN {101}\r\n", "a BAD expected an atom, a string or a literal of at most 100 bytes"),
    ("a LOGIN {99999999999999999999}\r\n", "a BAD expected an atom, a string or a literal of at most 100 bytes"),
    ("a LOGIN {100}\r\n", "+ go on"),
    ("a AUTHENTICATE PLAIN " + "A" * 1979 + "\r\n", "a BAD"),
    ("a AUTHENTICATE PLAIN " + "A" * 1980 + "\r\n", "* BAD command line longer than 2000 bytes"),
    ("a ID (" + " ".join(plus("x") + " NIL" for _ in range(30)) + ")\r\n", "* ID"),
    ("a ID (" + " ".join(plus("x") + " NIL" for _ in range(31)) + ")\r\n", "a BAD ID takes a list of at most 30 pairs"),
    ("a ID (" + " ".join(plus("x") + " NIL" for _ in range(300)) + ")\r\n", "a BAD ID takes a list of at most 30 pairs"),
    ("a LOGIN " + plus("x") + ' "' + "y" * 2000 + '"\r\n', "* BYE command longer than 2000 bytes"),
    ("a SELECT INBOX\r\n", "a BAD unknown command before sign-in"),
]


def label(data):
    return f"{LITERAL.sub('{}', data)[:40].strip()} {len(data)}"


@pytest.mark.parametrize("data,answer", BEFORE, ids=[label(data) for data, _ in BEFORE])
def test_limits_before_sign_in_are_named_and_the_connection_lives(raw, data, answer):
    r = raw()
    got = r.ask(data)
    assert got.startswith(answer), got
    if answer.startswith("* BYE"):
        return
    if answer == "+ go on":
        assert r.ask("u" * 100 + ' "' + "p" * 10 + '"\r\n').startswith("a NO [AUTHENTICATIONFAILED]")
    if answer == "* ID":
        assert r.line().startswith("a OK")
    assert r.ask("z NOOP\r\n") == "z OK NOOP completed."


STOLEN = "x NOOP\r\ny NOOP\r\n"     # what is inside a literal is no command, whatever becomes of the command


@pytest.mark.parametrize("before", ["a UNKNOWN ", "a LOGIN (", "a LOGIN x y" + "z" * 3000 + " ", "! ", "a APPEND INBOX ",
                                    "a LOGIN " + plus("x" * 101) + " ", "a AUTHENTICATE PLAIN " + "A" * 2100 + " "])
def test_a_literal_of_a_refused_command_is_never_taken_for_commands_before_sign_in(raw, before):
    r = raw()
    assert "BAD" in r.ask(before + plus(STOLEN) + "\r\n")
    assert r.ask("z NOOP\r\n") == "z OK NOOP completed."


def test_a_literal_too_long_to_be_read_away_ends_the_connection_before_sign_in(raw):
    for n in ("2001", "18446744073709551615", "18446744073709551616", "9" * 40):
        r = raw()
        assert r.ask("a APPEND INBOX {%s+}\r\n" % n).startswith("a BAD")
        assert r.line() == "* BYE literal longer than 2000 bytes"
        assert r.line() == ""


def test_too_many_bad_commands_and_too_many_failures_are_told_apart(raw):
    r = raw()
    for _ in range(7):
        assert r.ask("a X\r\n").startswith("a BAD")
    assert r.line() == "* BYE Too many invalid commands."
    r = raw()
    for n in range(4):
        assert "AUTHENTICATIONFAILED" in r.ask(f"a LOGIN nobody@a.test {n}\r\n")
    assert r.line() == "* BYE Too many failed sign-ins."
    p = raw("pop3")
    for _ in range(7):
        assert p.ask("X\r\n").startswith("-ERR unknown")
    assert p.line() == "-ERR Too many invalid commands."
    p = raw("pop3")
    for n in range(4):
        assert p.ask("USER nobody@a.test\r\n") == "+OK"
        assert p.ask(f"PASS {n}\r\n").startswith("-ERR [AUTH]")
    assert p.line() == "-ERR Too many failed sign-ins."


# ---- after sign-in ----

@pytest.fixture(scope="module")
def client(suite):
    client = Client(suite, "alice")
    client.append("Subject: one\r\nX-A: 1\r\n\r\ntext\r\n")
    client.ok("SELECT INBOX")
    yield client
    client.close()


def nested(depth):
    return "(" * depth + "ALL" + ")" * depth


MESSAGE = "Subject: x\r\n\r\ny\r\n"
CASES = [
    # a line; the literals of a command together; literals that announce more than there is
    ("NOOP" + " " * 2990, "OK"),
    ("NOOP" + " " * 2999, r"BAD \[TOOBIG\] A command line has at most 3000 bytes"),
    ("NOOP" + " " * 300_000, r"BAD \[TOOBIG\] A command line has at most 3000 bytes"),
    ("SEARCH SUBJECT " + plus("x" * 1500), "OK"),
    ("SEARCH SUBJECT " + plus("x" * 1501), r"BAD \[TOOBIG\] The literals of a command have at most 1500 bytes"),
    ("SEARCH SUBJECT " + plus("x" * 150_000), r"BAD \[TOOBIG\] The literals of a command have at most 1500 bytes"),
    ("SEARCH SUBJECT " + plus("x" * 750) + " SUBJECT " + plus("x" * 750), "OK"),
    ("SEARCH SUBJECT " + plus("x" * 750) + " SUBJECT " + plus("x" * 751), r"BAD \[TOOBIG\] The literals of a command"),
    ("SEARCH SUBJECT {1501}", r"BAD \[TOOBIG\] The literals of a command have at most 1500 bytes"),
    ("SEARCH SUBJECT {99999999999999999999}", r"BAD \[TOOBIG\] The literals of a command have at most 1500 bytes"),
    ("SEARCH SUBJECT " + plus("x") + " " * 3000, r"BAD \[TOOBIG\] A command line has at most 3000 bytes"),
    # search programs
    ("SEARCH " + nested(6), "OK"),
    ("SEARCH " + nested(7), "BAD Search keys are malformed, more than 15, or nest deeper than 6"),
    ("SEARCH " + nested(1000), "BAD Search keys are malformed, more than 15, or nest deeper than 6"),
    ("SEARCH " + "NOT " * 6 + "ALL", "OK"),
    ("SEARCH " + "NOT " * 500 + "ALL", "BAD Search keys are malformed, more than 15"),
    ("SEARCH " + "OR ALL " * 300 + "ALL", "BAD Search keys are malformed, more than 15"),
    ("SEARCH " + "ALL " * 14 + "ALL", "OK"),
    ("SEARCH " + "ALL " * 15 + "ALL", "BAD Search keys are malformed, more than 15"),
    ("SORT (DATE) UTF-8 " + nested(7), "BAD"),
    ("SORT (" + "REVERSE DATE " * 7 + "DATE) UTF-8 ALL", "OK"),
    ("SORT (" + "DATE " * 8 + "DATE) UTF-8 ALL", "BAD At most 8 sort criteria"),
    ("SORT (" + "REVERSE DATE " * 200 + "DATE) UTF-8 ALL", "BAD At most 8 sort criteria"),
    ("SEARCH CHARSET " + "x" * 2000 + " ALL", r"NO \[BADCHARSET "),
    ("THREAD REFERENCES UTF-8 " + nested(7), "BAD"),
    ("SEARCH LARGER 9223372036854775807", "OK"),
    ("SEARCH LARGER 9223372036854775808", "BAD"),
    ("SEARCH UID 4294967295", "OK"),
    ("SEARCH UID 4294967296", "BAD"),
    ("SEARCH MODSEQ 9223372036854775808", "BAD"),
    ("SEARCH OLDER 0", "BAD"),
    ("SEARCH ON 32-Jan-2026", "BAD"),
    # sequence sets
    ("FETCH " + ",".join(["1"] * 1400) + " FLAGS", "OK"),
    ("UID FETCH " + ",".join(["4294967295:1"] * 200) + " FLAGS", "OK"),
    ("FETCH 1:4294967296 FLAGS", "BAD"),
    ("FETCH 0 FLAGS", "BAD"),
    ("FETCH 1,,1 FLAGS", "BAD"),
    ("FETCH 2 FLAGS", "BAD"),
    ("FETCH 99999999999999999999 FLAGS", "BAD"),
    # items of FETCH, and fields in them
    ("FETCH 1 (" + "UID " * 11 + "UID)", "OK"),
    ("FETCH 1 (" + "UID " * 12 + "UID)", "BAD .*at most 12 items, of as many header fields"),
    ("FETCH 1 (BODY.PEEK[HEADER.FIELDS (" + "a " * 11 + "a)])", "OK"),
    ("FETCH 1 (BODY.PEEK[HEADER.FIELDS (" + "a " * 12 + "a)])", "BAD .*at most 12 items, of as many header fields"),
    ("FETCH 1 (BODY.PEEK[HEADER.FIELDS.NOT (" + "a " * 1000 + "a)])", "BAD .*at most 12 items"),
    ("FETCH 1 " + "(" * 500 + "FLAGS" + ")" * 500, "BAD"),
    ("FETCH 1 BODY.PEEK[" + "1." * 1000 + "1]", "OK"),
    ("FETCH 1 BODY.PEEK[4294967296]", "BAD"),
    ("FETCH 1 BODY.PEEK[]<9223372036854775807.9223372036854775807>", "OK"),
    ("FETCH 1 BODY.PEEK[]<9223372036854775808.1>", "BAD"),
    ("FETCH 1 BODY.PEEK[]<0.0>", "BAD"),
    # patterns of LIST
    ('LIST "" (' + "* " * 4 + "*)", "OK"),
    ('LIST "" (' + "* " * 5 + "*)", "BAD .*at most 5 patterns"),
    ('LIST "" "' + "*%" * 1000 + '"', "OK"),
    # names
    ("CREATE " + "n" * 254, "OK"),
    ("CREATE " + "n" * 255, r"NO \[CANNOT\] The mailbox name is too long: a folder's name has at most 255 bytes"),
    ("CREATE " + "n" * 2900, r"NO \[CANNOT\] The mailbox name is too long"),
    ("CREATE " + "/".join("d" * 127), "OK"),
    ("CREATE " + "/".join("d" * 128), r"NO \[CANNOT\] The mailbox name is too long"),
    ("CREATE " + "/".join("d" * 1400), r"NO \[CANNOT\] The mailbox name is too long"),
    ("SUBSCRIBE " + "n" * 300, r"NO \[CANNOT\] The mailbox name is too long"),
    ("RENAME " + "n" * 254 + " " + "n" * 255, r"NO \[CANNOT\] The mailbox name is too long"),
    ("STATUS " + "n" * 300 + " (MESSAGES)", "NO"),
    ("CREATE a//b", r"NO \[CANNOT\]"),
    # ID (RFC 2971 section 3.3)
    ("ID (" + '"x" NIL ' * 29 + '"x" NIL)', "OK"),
    ("ID (" + '"x" NIL ' * 30 + '"x" NIL)', "BAD ID takes a list of at most 30 pairs"),
    # keywords
    ("STORE 1 +FLAGS (" + "k" * 40 + ")", "OK"),
    ("STORE 1 +FLAGS (" + "k" * 41 + ")", r"NO \[CANNOT\] This keyword is not allowed: .* at most 40 bytes"),
    ("STORE 1 -FLAGS (" + "k" * 41 + ")", "OK"),
    ("STORE 1 +FLAGS (" + " ".join(f"k{i}" for i in range(63)) + ")", "OK"),
    ("STORE 1 +FLAGS (one-more)", r"NO \[LIMIT\] A mailbox has at most 64 keywords"),
    ("STORE 1 +FLAGS (" + " ".join(f"more{i}" for i in range(300)) + ")", r"NO \[LIMIT\] A mailbox has at most 64 keywords"),
    # subscriptions
    ("SUBSCRIBE s1", "OK"),
    ("SUBSCRIBE s2", "OK"),
    ("SUBSCRIBE s3", "OK"),
    ("SUBSCRIBE s4", r"NO \[LIMIT\] An account has at most 3 subscriptions"),
    ("SUBSCRIBE s1", "OK"),
    ("UNSUBSCRIBE s4", "OK"),
    ("UNSUBSCRIBE s1", "OK"),
    ("SUBSCRIBE s4", "OK"),
    ("SUBSCRIBE s1", r"NO \[LIMIT\] An account has at most 3 subscriptions"),
    # APPEND
    ("APPEND INBOX " + " ".join([plus(MESSAGE)] * 3), "OK"),
    ("APPEND INBOX " + " ".join([plus(MESSAGE)] * 4), r"NO \[LIMIT\] This command stores at most 3 messages"),
    ("APPEND INBOX " + " ".join([plus(MESSAGE)] * 100), r"NO \[LIMIT\] This command stores at most 3 messages"),
    ("APPEND INBOX " + plus("x" * 20000), "OK"),
    ("APPEND INBOX " + plus("x" * 20001), r"NO \[TOOBIG\] A message has at most 20000 bytes"),
    ("APPEND INBOX " + plus("x" * 2_000_000), r"NO \[TOOBIG\] A message has at most 20000 bytes"),
    ("APPEND INBOX {20001}", r"NO \[TOOBIG\] A message has at most 20000 bytes"),
    ("APPEND INBOX {18446744073709551615}", r"NO \[TOOBIG\] A message has at most 20000 bytes"),
    ("APPEND INBOX {99999999999999999999}", r"NO \[TOOBIG\] A message has at most 20000 bytes"),
    ("APPEND INBOX (" + " ".join(f"f{i}" for i in range(300)) + ") " + plus(MESSAGE), "OK"),
    ("APPEND INBOX (" + "f" * 200 + ") " + plus(MESSAGE), "OK"),
    ("APPEND INBOX (" + "\\Seen " * 400 + "\\Seen) " + plus(MESSAGE), "OK"),
    ("APPEND INBOX (" + "f" * 3000 + ") " + plus(MESSAGE), r"BAD \[TOOBIG\] A command line has at most 3000 bytes"),
    ("APPEND " + plus("n" * 1501) + " " + plus(MESSAGE), r"BAD \[TOOBIG\] The literals of a command have at most 1500"),
    ("APPEND INBOX {0+}\r\n", "NO A message has at least one byte"),
    # lists within lists where none belong
    ('LIST ' + "(" * 500 + ")" * 500 + ' "" *', "BAD"),
    ('LIST "" ' + "(" * 500 + "*" + ")" * 500, "BAD"),
    ('LIST "" * RETURN ' + "(" * 500 + ")" * 500, "BAD"),
    ("STATUS INBOX " + "(" * 500 + "MESSAGES" + ")" * 500, "BAD"),
    ("STORE 1 +FLAGS " + "(" * 500 + "x" + ")" * 500, "BAD"),
    ("ID " + "(" * 500 + ")" * 500, "BAD"),
    ("SORT " + "(" * 500 + "DATE" + ")" * 500 + " UTF-8 ALL", "BAD"),
    ("SEARCH RETURN " + "(" * 500 + ")" * 500 + " ALL", "BAD"),
    ("SELECT INBOX " + "(" * 500 + "CONDSTORE" + ")" * 500, "BAD"),
    ("NOOP", "OK"),
    ("SELECT INBOX", "OK"),
    ("CREATE x " + "(" * 500 + "USE" + ")" * 500, "BAD"),
    ("APPEND INBOX " + "(" * 500 + "x" + ")" * 500 + " " + plus(MESSAGE), "BAD"),
    ("FETCH 1 (BODY.PEEK[HEADER.FIELDS " + "(" * 500 + "a" + ")" * 500 + "])", "BAD"),
    ("SETQUOTA x " + "(" * 500 + ")" * 500, "BAD|NO"),
    ("ENABLE " + "X " * 1000 + "X", "OK"),
    # strange numbers elsewhere
    ("SELECT INBOX (QRESYNC (4294967296 1))", "BAD"),
    ("EXAMINE INBOX", "OK"),
    ("SELECT INBOX", "OK"),
    ("UID FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "BAD"),
    ("UID FETCH 1 FLAGS (PARTIAL 1:4294967296)", "BAD"),
    ("SEARCH RETURN (PARTIAL 0:1) ALL", "BAD"),
    ("STORE 1 (UNCHANGEDSINCE 99999999999999999999) +FLAGS x", "BAD"),
]


@pytest.mark.parametrize("command,answer", CASES, ids=[label(c) for c, _ in CASES])
def test_limits_after_sign_in_are_named_and_the_connection_lives(client, command, answer):
    client.ok("NOOP")
    begun = time.monotonic()
    _, got = client.run(command)
    assert re.match(answer, got), got
    assert time.monotonic() - begun < 5 * SLOW
    client.ok("NOOP")


@pytest.mark.parametrize("before", [
    "NONSENSE ", "SEARCH SUBJECT " + plus("x" * 1501) + " SUBJECT ", "NOOP " + "x" * 4000 + " ",
    "SEARCH SUBJECT " + plus("x") + " " * 3000 + " SUBJECT ", "SELECT " + "(" * 100 + " ",
    "APPEND INBOX " + plus(MESSAGE) + " (" + "f" * 3000 + ") ", "APPEND INBOX " + plus("x" * 20001) + " ",
    "APPEND INBOX " + plus(MESSAGE) + " ) ", "APPEND INBOX UTF8 (~" + plus(MESSAGE) + " ",
])
def test_a_literal_of_a_refused_command_is_never_taken_for_commands(client, before):
    client.ok("NOOP")
    _, answer = client.run(before + plus(STOLEN))
    assert answer[:3] in ("BAD", "NO "), answer
    lines = client.ok("CAPABILITY")
    assert len(lines) == 1 and lines[0].startswith("* CAPABILITY")


def test_a_synchronising_literal_that_is_refused_is_not_asked_for(client):
    client.sock.sendall(b"s SEARCH SUBJECT {1501}\r\ns2 NOOP\r\n")
    assert client.line().startswith("s BAD [TOOBIG]")
    assert client.line().startswith("s2 OK")


def test_a_tag_over_the_limit_is_refused_without_it_and_the_connection_lives(client):
    client.sock.sendall(b"t" * 60 + b" NOOP\r\n" + b"t" * 61 + b" NOOP\r\n" + b"t" * 5000 + b" NOOP\r\n")
    assert client.line().startswith("t" * 60 + " OK")
    assert client.line() == "* BAD A tag has at most 60 bytes."
    assert client.line().startswith("* BAD [TOOBIG] A command line has at most 3000 bytes")
    client.ok("NOOP")


def test_a_line_over_the_limit_ends_idle_and_is_no_command(client):
    for line in (b"x NOOP " + b"y" * 2000, b"x NOOP " + b"y" * 5000):
        client.sock.sendall(b"i IDLE\r\n")
        while client.line() != "+ idling":
            pass
        client.sock.sendall(line + b"\r\n")
        assert client.line() == "i BAD DONE is expected."
    client.ok("NOOP")


def test_keywords_that_cannot_be_are_left_out_by_append(client):
    client.append(MESSAGE, flags="(" + "j" * 41 + " \\Seen) ")
    lines = client.ok("FETCH * FLAGS")
    assert "\\Seen" in lines[-1] and "jjj" not in lines[-1]


def test_subscriptions_of_another_program_beyond_the_limit_stay(suite):
    c = Client(suite, "bob")
    (suite.maildir("bob") / "subscriptions").write_text("V\t2\n\n" + "".join(f"box{n}\n" for n in range(20)))
    assert c.run("SUBSCRIBE more")[1].startswith("NO [LIMIT]")
    c.ok("UNSUBSCRIBE box7")
    assert len(c.ok('LSUB "" *')) == 19
    c.close()


def test_structures_are_taken_apart_to_their_limits_and_no_further(client):
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n" for i in range(50)) + "\r\nend\r\n"
    wide = ("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 500 + "--b--\r\n")
    many = "To: " + ", ".join(f"u{i}@b.test" for i in range(500)) + "\r\n\r\nx\r\n"
    for message, what, want in [
        (deep, "BODYSTRUCTURE", lambda s: 1 <= s.count('"mixed"') <= 5 or 1 <= s.count('"MIXED"') <= 5),
        (wide, "BODYSTRUCTURE", lambda s: 1 <= s.lower().count('"plain"') <= 6),
        (many, "ENVELOPE", lambda s: 1 <= s.count('"b.test"') <= 40),
    ]:
        client.append(message)
        lines = client.ok(f"FETCH * ({what})")
        assert want(lines[-1]), lines[-1]
        lines = client.ok("FETCH * BODY.PEEK[]")
        assert message in lines[-1]


def test_bad_commands_count_only_in_a_row(suite):
    c = Client(suite, "bob")
    for _ in range(3):
        for _ in range(6):
            assert c.run("NONSENSE")[1].startswith("BAD")
        c.ok("NOOP")
    for _ in range(7):
        assert c.run("NONSENSE")[1].startswith("BAD")
    assert c.line() == "* BYE Too many invalid commands."
    c.close()


def test_no_pattern_takes_more_than_a_moment(wide):
    """Names and patterns that make a matcher go back again and again."""
    c = Client(wide, "bob")
    for i in range(30):
        c.ok(f"CREATE {'a' * (150 + i)}")
    c.ok("CREATE " + "/".join("a" * 120))
    patterns = ["*%a" * 80 + "b", "%a" * 100 + "b", "*a" * 100 + "b", "%*" * 5000, "*" * 30000, "a%" * 100 + "*b", "*/%a%a%a%b"]
    begun = time.monotonic()
    for p in patterns:
        c.ok(f'LIST "" "{p}"')
        c.ok(f'LSUB "" "{p}"')
    c.ok('LIST "" (' + " ".join(f'"{p}"' for p in patterns[:3] * 33) + ")")
    assert time.monotonic() - begun < 20 * SLOW
    c.close()


def test_limits_as_they_come_take_thousands_of_pieces(wide):
    c = Client(wide, "alice")
    c.append("Subject: one\r\n\r\ntext\r\n")
    c.ok("SELECT INBOX")
    pieces = ",".join(str(n) for n in range(1, 22_000, 2))
    assert pieces.count(",") > 10_000
    for command in ["UID FETCH {} FLAGS", "UID SEARCH UID {}", "UID STORE {} +FLAGS.SILENT x", "UID COPY {} INBOX", "UID EXPUNGE {}",
                    "SELECT INBOX (QRESYNC (1 1 {}))", "SEARCH {}"]:
        _, answer = c.run(command.format(pieces))
        assert answer.startswith("BAD" if "QRESYNC" in command else "OK"), (command, answer)
        c.ok("SELECT INBOX")
    lines = c.ok("UID FETCH " + ",".join(["1:*", "*:1"] * 5000) + " FLAGS")
    assert len(lines) == 2
    lines = c.ok("FETCH 1 (" + " ".join(["BODY.PEEK[HEADER]"] * 1000) + ")")
    assert lines[0].count("Subject: one") == 1000
    assert c.run("FETCH 1 (" + " ".join(["UID"] * 1001) + ")")[1].startswith("BAD")
    lines = c.ok("SEARCH " + " ".join(["OR SEEN UNSEEN"] * 300))
    assert lines == ["* SEARCH 1 2"]
    c.ok("SEARCH " + nested(50))
    assert c.run("SEARCH " + nested(51))[1].startswith("BAD Search keys are malformed, more than 1000, or nest deeper than 50")
    c.close()


# ---- POP3 ----

def test_limits_of_pop3_are_named_and_the_connection_lives(raw, suite):
    p = raw("pop3")
    assert p.ask("NOOP" + " " * 1996 + "\r\n") == "+OK"
    assert p.ask("NOOP" + " " * 1997 + "\r\n") == "-ERR command line longer than 2000 bytes"
    assert p.ask("USER " + "x" * 200_000 + "\r\n") == "-ERR command line longer than 2000 bytes"
    assert p.ask(f"USER {suite.address('bob')}\r\n") == "+OK"
    assert p.ask(f"PASS {suite.password}\r\n") == "+OK Logged in."
    assert p.ask("NOOP" + " " * 296 + "\r\n") == "+OK"
    assert p.ask("NOOP" + " " * 297 + "\r\n") == "-ERR Line longer than 300 bytes."
    assert p.ask("NOOP" + " " * 300_000 + "\r\n") == "-ERR Line longer than 300 bytes."
    for command in ("RETR 4294967296", "RETR 99999999999999999999", "TOP 1 99999999999999999999", "DELE -1", "LIST 0", "UIDL 1 1",
                    "RETR 1 1"):
        assert p.ask(command + "\r\n").startswith("-ERR")
        assert p.ask("NOOP\r\n") == "+OK"
    for _ in range(7):
        assert p.ask("X\r\n").startswith("-ERR Unknown")
    assert p.line() == "-ERR Too many bad commands."
    assert p.line() == ""


def test_the_manual_names_each_limit_with_its_default(suite):
    page = (Path(__file__).resolve().parents[2] / "docs/limits.md").read_text()
    named = dict(re.findall(r"`((?:imap|pop3|mail|mime|header|message)_[a-z_0-9]+)`(?: (\w+))?", page))
    assert len(named) > 20
    defaults = dict(line.split(" = ") for line in suite.tool("postconf", "-d", *named).splitlines())
    for name, default in named.items():
        assert not re.match(r"\d", default) or defaults[name] == default, name
