# SPDX-License-Identifier: Apache-2.0
"""Clients with strict parsers (mutt, meli, imap-codec) can read what is said of every message, however broken it is."""
import os
import re
import shutil
from pathlib import Path

import pytest

import structure
from imap_client import Client

DATA = Path(__file__).resolve().parents[1] / "data"
MORE = os.environ.get("POSTERN_TEST_MAILS")
# A message a line: file name, tab, BODYSTRUCTURE with its line ends as "\r\n". Judged by eye; a change is a decision.
EXPECTED = dict(line.split("\t") for line in (DATA / "broken_mime/expected.txt").read_text().splitlines())


def corpus():
    return [*sorted((DATA / "broken_mime").glob("*.eml")), *sorted((DATA / "mails").glob("*.eml")),
            *(sorted(Path(MORE).rglob("*.eml")) if MORE else [])]


@pytest.fixture(scope="module")
def said(make_instance):
    """said[item]: what is said of each message of the corpus, as bytes. The files lie there as they are."""
    suite = make_instance()
    box = suite.maildir("alice")
    for sub in ("tmp", "new", "cur"):
        (box / sub).mkdir(parents=True)
    for n, path in enumerate(corpus()):
        shutil.copy(path, box / f"new/{1700000000 + n}.M1.x")
    for path in (box.parent, box, *box.rglob("*")):
        shutil.chown(path, suite.owner.pw_uid, suite.owner.pw_gid)
    client = Client(suite, "alice")
    client.ok("SELECT INBOX")
    found = {}
    for item in ("BODYSTRUCTURE", "BODY", "ENVELOPE"):
        lines = client.ok(f"FETCH 1:* {item}")
        found[item] = [re.match(rf"\* \d+ FETCH \({item} (.*)\)$", line, re.S)[1].encode("utf-8", "surrogateescape")
                       for line in lines if " FETCH " in line]
        assert len(found[item]) == len(corpus())
    client.close()
    return found


def test_the_structure_of_broken_messages_is_what_we_have_decided(said):
    given = {path.name: text.decode("utf-8", "surrogateescape").replace("\r\n", r"\r\n")
             for path, text in zip(corpus(), said["BODYSTRUCTURE"]) if path.parent.name == "broken_mime"}
    assert given == EXPECTED


@pytest.mark.parametrize("item, check", [
    ("BODYSTRUCTURE", lambda tree: structure.check_body(tree, extended=True)),
    ("BODY", lambda tree: structure.check_body(tree, extended=False)),
    ("ENVELOPE", structure.check_envelope),
])
def test_every_answer_follows_the_grammar(said, item, check):
    wrong = []
    for path, text in zip(corpus(), said[item]):
        try:
            check(structure.nested(text))
        except structure.Violation as e:
            wrong.append(f"{path.name}: {e}")
    assert wrong == []


@pytest.mark.parametrize("text", [
    b'("text" "plain" NIL NIL NIL NIL 5 1)', b'("text" "plain" NIL NIL NIL "" 5 1)', b'("text" "plain" () NIL NIL "7bit" 5 1)',
    b'("text" "plain" ("a") NIL NIL "7bit" 5 1)', b'("text" "plain" NIL NIL NIL "7bit" 5)', b'("text" "plain" NIL NIL NIL "7bit" NIL 1)',
    b'("a" "b" NIL NIL NIL "7bit" 5 NIL NIL NIL NIL NIL)', b'("a"  "b" NIL NIL NIL "7bit" 5)', b'("a" "b" NIL NIL NIL "7bit" 5 )',
    b'("mixed" NIL)', b'(("a" "b" NIL NIL NIL "7bit" 5))', b'(("a" "b" NIL NIL NIL "7bit" 5) "x" NIL "inline")',
    b'("message" "rfc822" NIL NIL NIL "7bit" 5 3)', b'("a" "b" ("n" "\xc3\xbc") NIL NIL "7bit" 5)', b'("a" "b" ("n" {1}\r\n\0) NIL NIL "7bit" 5)',
    b'("a" "b" NIL NIL NIL "7bit" 5', b'("a""b" NIL NIL NIL "7bit" 5)', b'("a" "b" NIL NIL NIL "7bit" 5) ',
])
def test_the_judge_sees_what_is_wrong(text):
    with pytest.raises(structure.Violation):
        structure.check_body(structure.nested(text), extended=True)
