# SPDX-License-Identifier: Apache-2.0
"""What plays the scripted IMAP sessions fails when it should: a server of canned answers, right and wrong."""
import socket
import threading

import pytest

import imap_script

HEAD = "session: one thing holds (RFC 3501 section 1)\n"
MESSAGE = "message m\n| Subject: a\n|\n| b\n"


class Canned:
    """An account whose server answers each line of ANSWERS, and sends nothing else."""

    variables = {"user": "u@a.test", "password": "secret"}

    def __init__(self, answers):
        self.answers, self.ends, self.setup = answers, [], []

    def connect(self, name, log, tls=False):
        ours, theirs = socket.socketpair()
        self.ends.append(theirs)
        threading.Thread(target=self.serve, args=(theirs,), daemon=True).start()
        return imap_script.Client(ours, name, log)

    def sign_in(self, client):
        pass

    def put(self, *words):
        self.setup.append(words)

    def serve(self, sock):
        with sock, sock.makefile("rb") as lines:
            for line in lines:
                answer = self.answers.get(line.rstrip(b"\r\n").decode())
                if answer == "(close)":
                    return
                if answer is not None:
                    sock.sendall(answer.encode("latin-1"))


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(imap_script, "DEADLINE", 0.5)


def play(script, answers):
    session, = imap_script.parse("x.txt", HEAD + script + MESSAGE)
    account = Canned({k: v.replace("\n", "\r\n") for k, v in answers.items()})
    imap_script.run(session, account)
    return account


NOOP = {"a1 NOOP": "* 1 EXISTS\n* 2 EXPUNGE\na1 OK done\n"}
MORE = {**NOOP, "a2 NOOP": "a2 OK done\n"}

# script, answers of the server, what the message of the failure says; None: it passes
CASES = {
    "each line as written": ("A: a1 NOOP\nA< * 1 EXISTS\nA< * 2 EXPUNGE\nA< a1 OK done\n", NOOP, None),
    "another number": ("A: a1 NOOP\nA< * 3 EXISTS\nA< * 2 EXPUNGE\nA< a1 OK done\n", NOOP, "x.txt:3: .*\nexpected: ..3 EXISTS\ncame: .*1 EXISTS"),
    "a line too many": ("A: a1 NOOP\nA< * 1 EXISTS\nA< a1 OK done\n", NOOP, "came: .* 2 EXPUNGE"),
    "a line too few": ("A: a1 NOOP\nA< * 1 EXISTS\nA< * 2 EXPUNGE\nA< * 5 EXPUNGE\nA< a1 OK done\n", NOOP, "expected: .* 5 EXPUNGE\ncame: .*a1 OK"),
    "another order": ("A: a1 NOOP\nA< * 2 EXPUNGE\nA< * 1 EXISTS\nA< a1 OK done\n", NOOP, "x.txt:3"),
    "a line that goes on": ("A: a1 NOOP\nA< * 1 EXIST\nA< * 2 EXPUNGE\nA< a1 OK done\n", NOOP, "x.txt:3"),
    "another answer": ("A: a1 NOOP\nA< * 1 EXISTS\nA< * 2 EXPUNGE\nA< a1 NO ...\n", NOOP, "came: .*a1 OK"),
    "another tag": ("A: a1 NOOP\nA< * 1 EXISTS\nA< * 2 EXPUNGE\nA< a2 OK ...\n", NOOP, "came: .*a1 OK"),
    "more than is read": ("A: a1 NOOP\nA< * 1 EXISTS\n", NOOP, "nothing more for A"),
    "a dot is a dot": ("A: a1 NOOP\nA< . 1 EXISTS\n", NOOP, "x.txt:3"),
    "an ellipsis for text": ("A: a1 NOOP\nA< * 1 ...\nA< * ... EXPUNGE\nA< a1 OK ...\n", NOOP, None),
    "an ellipsis holds no line": ("A: a1 NOOP\nA< * ...\nA< a1 OK ...\n", NOOP, "came: .* 2 EXPUNGE"),
    "lines left out": ("A: a1 NOOP\nA< ...\nA< a1 OK done\n", NOOP, None),
    "lines left out, then none that fits": ("A: a1 NOOP\nA< ...\nA< * 3 EXPUNGE\nA< a1 OK done\n", NOOP, "expected: .* 3 EXPUNGE\ncame: .*a1 OK"),
    "any order": ("A: a1 NOOP\nA<~ * 2 EXPUNGE\nA<~ * 1 EXISTS\nA< a1 OK done\n", NOOP, None),
    "any order, one missing": ("A: a1 NOOP\nA<~ * 2 EXPUNGE\nA<~ * 1 EXISTS\nA<~ * 3 EXISTS\nA< a1 OK done\n", NOOP, "came: .*a1 OK"),
    "any order, one too many": ("A: a1 NOOP\nA<~ * 2 EXPUNGE\nA< a1 OK done\n", NOOP, "came: .* 1 EXISTS"),
    "any order at the end": ("A: a1 NOOP\nA<~ * 2 EXPUNGE\nA<~ * 1 EXISTS\nA<~ a1 BAD\n", NOOP, "x.txt:3"),
    "an optional line that comes": ("A: a1 NOOP\nA<? * 1 EXISTS\nA< * 2 EXPUNGE\nA< a1 OK done\n", NOOP, None),
    "an optional line that does not": ("A: a1 NOOP\nA< * 1 EXISTS\nA<? * 7 EXISTS\nA< * 2 EXPUNGE\nA< a1 OK done\n", NOOP, None),
    "a forbidden line": ("A: a1 NOOP\nA<! * ... EXPUNGE\nA< ...\nA< a1 OK done\n", NOOP, "expected: no .* EXPUNGE .line 3.\ncame: .* 2 EXPUNGE"),
    "a forbidden line that stays away": ("A: a1 NOOP\nA<! * ... RECENT\nA< ...\nA< a1 OK done\n", NOOP, None),
    "forbidden for one command only": ("A: a1 NOOP\nA<! * ... RECENT\nA< ...\nA< a1 OK done\nA: a2 NOOP\nA< a2 OK ...\n", MORE, None),
    "numbers": ("A: a1 NOOP\nA< * <number> EXISTS\nA< * <number> EXPUNGE\nA< a1 OK <number>\n", NOOP, "x.txt:5"),
    "a value that comes again": ("A: a1 NOOP\nA< * $n EXISTS\nA< * $n EXPUNGE\n", NOOP, "captured: .'n': '1'"),
    "a value that is sent": ("A: a1 NOOP\nA< * $n EXISTS\nA< * ${n+1} EXPUNGE\nA< a$n OK done\nA: a${n+1} NOOP\nA< a2 OK ...\n", MORE, None),
    "values compared": ("A: a1 NOOP\nA< * $n EXISTS\nA< * $m EXPUNGE\nA< a1 OK ...\ncheck $m > $n\ncheck $n != 2\n", NOOP, None),
    "values compared in vain": ("A: a1 NOOP\nA< * $n EXISTS\nA< * $m EXPUNGE\nA< a1 OK ...\ncheck $n > $m\n", NOOP, "1 and 2"),
    "no answer": ("A: a1 WAIT\nA< a1 OK done\n", NOOP, "came: .*nothing in"),
    "half a line": ("A: a1 NOOP\nA< a1 OK done\n", {"a1 NOOP": "a1 OK do"}, "nothing in .* but b'a1 OK do'"),
    "a line without CR": ("A: a1 NOOP\nA< a1 OK done\n", {"a1 NOOP": "a1 OK done\x0a"}, None),
    "the end instead": ("A: a1 NOOP\nA< a1 OK done\n", {"a1 NOOP": "(close)"}, "came: .*the end of the connection"),
    "the end": ("A: a1 NOOP\nA< (closed)\n", {"a1 NOOP": "(close)"}, None),
    "no end": ("A: a1 NOOP\nA< * 1 EXISTS\nA< * 2 EXPUNGE\nA< a1 OK done\nA< (closed)\n", NOOP, "came: .*nothing"),
    "nothing": ("A: a1 WAIT\nA< (nothing)\n", NOOP, None),
    "something": ("A: a1 NOOP\nA< (nothing)\n", NOOP, "came: .*1 EXISTS"),
    "a literal": ('A: a1 NOOP\nA< * 1 FETCH (X {"a\\r\\nb"} Y)\nA< a1 OK ...\n', {"a1 NOOP": "* 1 FETCH (X {4}\na\nb Y)\na1 OK x\n"}, None),
    "any literal": ('A: a1 NOOP\nA< * 1 FETCH (X {...} Y)\nA< a1 OK ...\n', {"a1 NOOP": "* 1 FETCH (X {4}\na\nb Y)\na1 OK x\n"}, None),
    "another literal": ('A: a1 NOOP\nA< * 1 FETCH (X {"a\\r\\nc"} Y)\nA< a1 OK ...\n', {"a1 NOOP": "* 1 FETCH (X {4}\na\nb Y)\na1 OK x\n"}, "x.txt:3"),
    "a literal of another length": ('A: a1 NOOP\nA< * 1 FETCH (X {"a\\r\\nb"} Y)\nA< a1 OK ...\n', {"a1 NOOP": "* 1 FETCH (X {5}\na\nb Y)\na1 OK x\n"}, "x.txt:3"),
    "a message sent": ("A: a1 APPEND x {m} y\nA< a1 OK done\n", {"a1 APPEND x {17}": "+ go\n", " y": "a1 OK done\n"}, None),
    "a message sent at once": ("A: a1 APPEND x {m+}\nA< a1 OK done\n", {"a1 APPEND x {17+}": "a1 OK done\n"}, None),
    "a message not wanted": ("A: a1 APPEND x {m}\nA< a1 NO ...\n", {"a1 APPEND x {17}": "a1 NO\n"}, "expected: .* literal may be sent.*\ncame: .*a1 NO"),
    "base64 and bytes": ('A: <base64 \\0$user\\0$password><0x41><3*b>\nA< a1 OK done\n', {"AHVAYS50ZXN0AHNlY3JldA==Abbb": "a1 OK done\n"}, None),
    "long lines": ("A: a1 NOOP\nA< * 1\n    EXISTS\nA< * 2 EXP\\\n    UNGE\nA< a1 OK done\n", NOOP, None),
    "two clients": ("A: a1 NOOP\nB: a2 NOOP\nB< a2 OK done\nA< ...\nA< a1 OK done\n", MORE, None),
    "repeated until it comes": ("A repeats NOOP until * 5 EXISTS\n", {"repeat1 NOOP": "repeat1 OK x\n", "repeat2 NOOP": "* 5 EXISTS\nrepeat2 OK x\n"}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_script_passes_only_when_the_server_says_what_it_expects(case):
    script, answers, wanted = CASES[case]
    if case == "a line without CR":
        session, = imap_script.parse("x.txt", HEAD + script)
        with pytest.raises(imap_script.Mismatch, match="does not end with CR LF"):
            imap_script.run(session, Canned(answers))
    elif wanted is None:
        play(script, answers)
    else:
        with pytest.raises(imap_script.Mismatch, match=wanted):
            play(script, answers)


def test_a_failure_shows_the_whole_conversation():
    with pytest.raises(imap_script.Mismatch) as failure:
        play("A: a1 NOOP\nA< * 1 EXISTS\nB: a2 NOOP\nB< a2 NO ...\n", MORE)
    text = str(failure.value)
    assert "x.txt:5: one thing holds (RFC 3501 section 1)" in text
    assert "A: a1 NOOP\n  A< * 1 EXISTS\n  B: a2 NOOP\n  B< a2 OK done\n" in text


@pytest.mark.parametrize("script", [
    "A; a1 NOOP\n",
    "a: a1 NOOP\n",
    "A<< a1 OK\n",
    "frobnicate INBOX\n",
    "message m\n",
    "A: a1 APPEND x {nothing}\n",
    "A: a1 NOOP ${unknown+1}\n",
    "check a > b\n",
    "session: a sentence without a section\n",
    "server a=b\n",
])
def test_a_script_that_is_none_is_refused(script):
    with pytest.raises(imap_script.ScriptError, match="x.txt:"):
        play(script, NOOP)


def test_set_up_lines_reach_the_account_with_messages_as_bytes():
    account = play('put "My box" m (\\Seen k) "1-Jan-2020 00:00:00 +0000"\n', {})
    assert account.setup == [('"My box"', b"Subject: a\r\n\r\nb\r\n", r"(\Seen k)", '"1-Jan-2020 00:00:00 +0000"')]


def test_what_scripts_say_and_hear_is_counted():
    sessions = imap_script.parse("x.txt", HEAD + "A: a1 UID FETCH 1 FLAGS\nA< * 1 FETCH (FLAGS ())\nA< a1 OK [X-Y] ...\n"
                                 "A: a2 frob\nA< + ...\nA<! * 3 EXPUNGE\nA< a2 BAD ...\n")
    assert imap_script.said(sessions) == {("UID FETCH", ""), ("FETCH", "OK"), ("FROB", ""), ("FROB", "BAD")}
    assert imap_script.told(sessions) == {"FETCH", "OK", "[X-Y", "+", "BAD"}
