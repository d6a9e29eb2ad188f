# SPDX-License-Identifier: Apache-2.0
"""Storing, replacing and naming messages and mailboxes by the extensions; IMAP4rev2 beside IMAP4rev1."""
import base64
import re

import pytest

from imap_client import Client, talk

OK, BAD, NO = "OK ", "BAD ", "NO "
SMALL = "Subject: a\r\n\r\nb\r\n"                                             # 17 bytes
ATTACHED = ("Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "Gr=C3=BC=C3=9Fe   an\r\nalle\r\n"
            "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.b64encode(b"\0\1\2\xff").decode() + "\r\n"
            "--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: x-secret\r\n\r\nabc\r\n--b--\r\n")


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(users=("alice", "bob", "carol", "dora"),
                         params={"imap_append_limit": "3", "message_size_limit": "20000", "imap_fetch_item_limit": "6",
                                 "imap_list_pattern_limit": "3"})


def open_all(suite, user, names="ab"):
    return {name: Client(suite, user) for name in names}


def close_all(clients):
    for client in clients.values():
        client.close()


def lit(text, more=""):
    return f"{{{len(text.encode())}+}}\r\n{text}{more}"


STORING = [
    ("a", "CAPABILITY", r" MULTIAPPEND BINARY REPLACE ", OK),
    ("a", f"APPEND INBOX (\\Seen) {lit(SMALL)} (\\Flagged k1) \"01-Jan-2020 00:00:00 +0000\" {lit(SMALL)} {lit(SMALL)}",
     r"OK \[APPENDUID \d+ 1:3\]"),
    ("b", "SELECT INBOX", r"^\* 3 EXISTS", OK),
    ("b", "FETCH 1:* (FLAGS INTERNALDATE)", r"^\* 1 FETCH \(FLAGS \(\\Seen", r"^\* 2 FETCH \(FLAGS \(\\Flagged k1.* 1-Jan-2020",
     r"^\* 3 FETCH", OK),
    # all or none
    ("a", f"APPEND INBOX {lit(SMALL)} {lit(SMALL)} {lit(SMALL)} {lit(SMALL)}", r"NO \[LIMIT\]"),
    ("a", f"APPEND INBOX {lit(SMALL)} {{20001}}", r"NO \[TOOBIG\]"),
    ("a", f"APPEND INBOX {lit(SMALL)} {lit('x' * 20001)}", r"NO \[TOOBIG\]"),
    ("a", f"APPEND INBOX {lit(SMALL)} (\\Seen", BAD),
    ("a", f"APPEND INBOX {lit(SMALL)} bogus {lit(SMALL)}", BAD),
    ("a", f"APPEND INBOX {lit(SMALL)} {{0}}", NO),
    ("a", f"APPEND nowhere {lit(SMALL)} {lit(SMALL)}", r"NO \[TRYCREATE\]"),
    ("b", "NOOP", "!EXISTS", OK),
    # literal8; UTF8 (...)
    ("a", f"APPEND INBOX (\\Draft) ~{lit(SMALL)}", r"OK \[APPENDUID \d+ 4\]"),
    ("a", b"APPEND INBOX ~{4+}\r\na\0bc", r"NO \[UNKNOWN-CTE\]"),
    ("a", f"APPEND INBOX UTF8 (~{lit(SMALL)})", r"OK \[APPENDUID \d+ 5\]"),
    ("a", f"APPEND INBOX UTF8 (~{lit(SMALL)}", BAD),
    ("b", "NOOP", r"^\* 5 EXISTS", OK),
    # REPLACE
    ("a", f"REPLACE 1 INBOX {lit(SMALL)}", r"BAD No mailbox is selected"),
    ("a", "SELECT INBOX", OK),
    ("a", f"REPLACE 4 INBOX (\\Draft) {lit(SMALL + 'more')}", r"^\* OK \[APPENDUID \d+ 6\]", r"^\* 4 EXPUNGE|^\* 6 EXISTS", OK),
    ("b", "NOOP", r"^\* 4 EXPUNGE", r"^\* 5 EXISTS", OK),
    ("b", "UID FETCH 6 FLAGS", r"FLAGS \(\\Draft", OK),
    ("b", f"UID REPLACE 6 INBOX {lit(SMALL)}", r"\[APPENDUID \d+ 7\]", OK),
    ("a", f"REPLACE 1:2 INBOX {lit(SMALL)}", BAD), ("a", f"REPLACE 99 INBOX {lit(SMALL)}", BAD),
    ("a", f"REPLACE 1 nowhere {lit(SMALL)}", r"NO \[TRYCREATE\]"),
    ("a", f"REPLACE 1 INBOX {lit(SMALL)} {lit(SMALL)}", r"NO \[LIMIT\]"),
    ("a", "EXAMINE INBOX", r"^\* 5 EXISTS", OK),
    ("a", f"REPLACE 1 INBOX {lit(SMALL)}", r"NO \[NOPERM\]"),
    ("a", "STATUS INBOX (APPENDLIMIT MAILBOXID DELETED SIZE)",
     r"^\* STATUS INBOX \(SIZE \d+ DELETED 0 MAILBOXID \(F[0-9a-f]{16}\) APPENDLIMIT 20000\)$", OK),
]


def test_messages_are_stored_many_at_once_and_replaced_while_another_looks(suite):
    clients = open_all(suite, "alice")
    talk(clients, STORING)
    close_all(clients)


FETCHING = [
    ("a", "SELECT INBOX", r"^\* OK \[MAILBOXID \(F[0-9a-f]{16}\)\]", OK), ("b", "EXAMINE INBOX", OK),
    ("a", "FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2])", r"BINARY.SIZE\[1\] 18 BINARY.SIZE\[2\] 4\)$", OK),
    ("a", "FETCH 1 BINARY.PEEK[1]", "BINARY\\[1\\] \\{18\\}\r\nGr\u00fc\u00dfe   an\r\nalle", "!Seen", OK),
    ("a", "FETCH 1 BINARY.PEEK[2]", "BINARY\\[2\\] ~\\{4\\}\r\n\0\1\2", OK),
    ("a", "FETCH 1 BINARY.PEEK[1]<2.4>", "BINARY\\[1\\]<2> \\{4\\}\r\n\u00fc\u00df", OK),
    ("a", "FETCH 1 BINARY.PEEK[3]", r"NO \[UNKNOWN-CTE\]"),
    ("a", "FETCH 1 BINARY.PEEK[9]", r"BINARY\[9\] NIL", OK),
    ("a", "FETCH 1 BINARY[1.TEXT]", BAD), ("a", "FETCH 1 BINARY.SIZE[1]<0.2>", BAD), ("a", "FETCH 1 BINARY.NONE[1]", BAD),
    ("b", "NOOP", "!Seen", OK),
    ("a", "FETCH 1 BINARY[1]", "BINARY", r"OK "), ("b", "NOOP", r"^\* 1 FETCH \(FLAGS \(\\Seen", OK),
    ("b", "FETCH 1 PREVIEW (LAZY)", r"PREVIEW NIL\)", OK) ,
    ("a", "FETCH 1 PREVIEW", "PREVIEW \\{15\\}\r\nGr\u00fc\u00dfe an alle\\)", OK),
    ("b", "FETCH 1 (PREVIEW (LAZY) UID)", "PREVIEW \\{15\\}\r\nGr\u00fc\u00dfe an alle UID 1", OK),
    ("a", "FETCH 2 PREVIEW", r'PREVIEW "b"\)', OK),
    ("a", "FETCH 1 PREVIEW (EAGER)", BAD),
    ("a", "FETCH 2 SAVEDATE", r'SAVEDATE "[ \d]\d-...-20\d\d \d\d:\d\d:\d\d [+-]\d{4}"\)$', OK),
    ("a", "SEARCH SAVEDSINCE 1-Jan-2020", r"^\* SEARCH 1 2$", OK), ("a", "SEARCH SAVEDBEFORE 1-Jan-2020", r"^\* SEARCH$", OK),
    ("a", "SEARCH SAVEDON 1-Jan-2020", r"^\* SEARCH$", OK), ("a", "SEARCH SAVEDATESUPPORTED", r"^\* SEARCH 1 2$", OK),
    ("a", "SEARCH EMAILID Mnone", r"^\* SEARCH$", OK),
    ("a", "FETCH 1 (UID UID UID UID UID UID)", r"^\* 1 FETCH", OK), ("a", "FETCH 1 (UID UID UID UID UID UID UID)", "BAD .* at most 6"),
]


def test_parts_previews_and_dates_of_messages_are_told(suite):
    clients = open_all(suite, "bob")
    clients["a"].append(ATTACHED)
    clients["a"].append(SMALL)
    talk(clients, FETCHING)

    a = clients["a"]
    a.ok("COPY 2 INBOX")
    ids = [re.search(r"EMAILID \((M[0-9a-f]{32})\)", line)[1] for line in a.ok("FETCH 1:3 EMAILID")[0] if "EMAILID" in line]
    assert ids[0] != ids[1] == ids[2]                       # of the same content, the same name
    clients["b"].ok("NOOP")
    talk(clients, [("b", f"SEARCH EMAILID {ids[1]}", r"^\* SEARCH 2 3$", OK)])
    close_all(clients)


MAILBOXES = [
    ("a", "CREATE Post (USE (\\Sent))", r"OK \[MAILBOXID \(F[0-9a-f]{16}\)\]"),
    ("b", "CREATE Sent", OK),
    ("b", 'LIST "" *', r'^\* LIST \(.*\\Sent\) "/" Post', r'!\\Sent.* Sent$', OK),
    ("b", 'LIST (SPECIAL-USE) "" *', r'^\* LIST \(.*\\Sent\) "/" Post', OK),
    ("b", "CREATE Other (USE (\\Sent))", r"NO \[USEATTR\]"), ("b", "CREATE Other (USE (\\Bogus))", r"NO \[USEATTR\]"),
    ("b", "CREATE Other (USE (\\Junk \\Trash))", r"NO \[USEATTR\]"), ("b", "CREATE Other (NOUSE)", BAD),
    ("a", 'LIST "" Other', "!LIST", OK),
    ("a", "RENAME Post Mail", OK), ("b", 'LIST "" Mail', r"\\Sent", OK),          # it goes with the mailbox
    ("a", "DELETE Mail", OK), ("b", 'LIST "" Sent', r"\\Sent", OK),
    # one separator at the end is tolerated everywhere
    ("a", "CREATE x/", OK), ("a", "STATUS x/ (MESSAGES)", r"^\* STATUS x \(MESSAGES 0\)$", OK), ("a", "DELETE x/", OK),
    ("a", 'LIST "" (a b c d)', "BAD .* at most 3"),
    ("a", "NAMESPACE", r'^\* NAMESPACE \(\("" "/"\)\) NIL NIL$', OK),
]

UTF8 = [
    ("a", "CREATE &AOQ-", OK),
    ("b", "ENABLE UTF8=ACCEPT", r"^\* ENABLED UTF8=ACCEPT$", OK), ("b", "ENABLE UTF8=ACCEPT", r"^\* ENABLED$", OK),
    ("b", 'LIST "" "\u00e4"', '"\u00e4"$', OK), ("a", 'LIST "" *', "&AOQ-$", OK),
    ("b", 'STATUS "\u00e4" (MESSAGES)', '^\\* STATUS "\u00e4" ', OK),
    ("b", "CREATE &-x", OK), ("b", 'LIST "" "&-x"', "&-x$", OK),
    ("b", "SELECT INBOX", OK), ("b", "SEARCH CHARSET US-ASCII ALL", BAD), ("b", "SEARCH CHARSET UTF-8 ALL", OK),
    ("b", "DELETE \"\u00e4\"", OK), ("b", "DELETE &-x", OK),
]

REV2 = [
    ("a", "CAPABILITY", r"^\* CAPABILITY IMAP4rev1 IMAP4rev2 ", OK),
    ("a", f"APPEND INBOX {lit(SMALL)}", OK),
    ("a", "ENABLE IMAP4rev2", r"^\* ENABLED IMAP4rev2$", OK),
    ("a", "SELECT inbox", r'^\* LIST \(.*\) "/" INBOX$', r"^\* 1 EXISTS", "!RECENT", r"!\[UNSEEN", r"OK \[READ-WRITE\]"),
    ("b", "SELECT INBOX", r"^\* 1 EXISTS", r"^\* \d RECENT", "!LIST", OK),
    ("a", "SEARCH ALL", r'^\* ESEARCH \(TAG "t\d+"\) ALL 1$', "!SEARCH 1", OK), ("b", "SEARCH ALL", r"^\* SEARCH 1$", OK),
    ("a", "UID SEARCH RETURN (COUNT) UNSEEN", r'\) UID COUNT 1$', OK),
    ("b", f"APPEND INBOX {lit(SMALL)}", r"^\* 2 EXISTS", r"^\* \d RECENT", OK),
    ("a", "NOOP", r"^\* 2 EXISTS", "!RECENT", OK),
    ("a", "FETCH 1:2 FLAGS", r"^\* 1 FETCH \(FLAGS \(\)\)", r"!Recent", OK),
    ("a", "STATUS INBOX (MESSAGES SIZE DELETED)", r"^\* STATUS INBOX \(MESSAGES 2 SIZE 34 DELETED 0\)", OK),
    ("a", "SELECT nowhere", r"^\* OK \[CLOSED\]", r"NO \[NONEXISTENT\]"),
    ("a", "SUBSCRIBE ghost", OK), ("a", 'LIST (SUBSCRIBED) "" *', r'^\* LIST \(.*\\NonExistent.*\) "/" ghost', OK),
    ("a", 'LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES))', "!STATUS ghost", OK), ("a", "UNSUBSCRIBE ghost", OK),
    ("a", "SELECT INBOX", OK), ("a", "MOVE 1 nowhere", r"NO \[TRYCREATE\]"), ("a", "CREATE INBOX", r"NO \[ALREADYEXISTS\]"),
    ("a", "DELETE nowhere", r"NO \[NONEXISTENT\]"), ("a", "CLOSE", OK), ("a", "UNSELECT", BAD),
]


@pytest.mark.parametrize("name, user", [("MAILBOXES", "carol"), ("UTF8", "carol"), ("REV2", "dora")])
def test_conversation(suite, name, user):
    clients = open_all(suite, user)
    talk(clients, globals()[name])
    close_all(clients)
