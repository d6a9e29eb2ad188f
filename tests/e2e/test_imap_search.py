# SPDX-License-Identifier: Apache-2.0
"""SEARCH, SORT and THREAD with their extensions, in scripted sessions of several clients."""
import pytest

from imap_client import Client, talk


def mail(subject, sender="ann@b.test", date="1 Jan 2026 10:00:00 +0000", extra="", body="body", to="all@b.test"):
    return (f"From: {sender}\r\nTo: {to}\r\nDate: {date}\r\nSubject: {subject}\r\n{extra}\r\n{body}\r\n")


MAILS = [
    mail("banana", "Zoe <ann@b.test>", "3 Jan 2026 10:00:00 +0000", "Message-ID: <1@t>\r\n"),
    mail("Re: [list] Apple", "bob@b.test", "2 Jan 2026 10:00:00 +0000",
         "Message-ID: <2@t>\r\nReferences: <1@t>\r\n", body="a longer body than the others have"),
    mail("apple", "=?utf-8?q?=C3=84nne?= <carl@b.test>", "1 Jan 2026 23:00:00 -0500",
         "Message-ID: <3@t>\r\nIn-Reply-To: <1@t>\r\n"),
    mail("=?utf-8?q?=C3=A4pfel?=", "dora@b.test", "5 Jan 2026 10:00:00 +0000", "Message-ID: <4@t>\r\n",
         body="\u00c4PFEL und B\u00e4ume"),
    mail("Re: banana (fwd)", "eve@b.test", "6 Jan 2026 10:00:00 +0000", "Message-ID: <5@t>\r\n"),
]


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make_instance(users=("alice", "bob"), params={"imap_search_depth_limit": "10", "imap_search_key_limit": "20"})
    client = Client(suite, "alice")
    for message in MAILS:
        client.append(message)
    client.close()
    return suite


@pytest.fixture
def clients(suite):
    clients = {"a": Client(suite, "alice"), "b": Client(suite, "alice")}
    for client in clients.values():
        client.ok("EXAMINE INBOX")
    yield clients
    for client in clients.values():
        client.close()


OK, BAD, NO = "OK ", "BAD ", "NO "

CONVERSATIONS = {
    "sort orders by each criterion, ties by number": [
        ("a", "SORT (ARRIVAL) UTF-8 ALL", r"^\* SORT 1 2 3 4 5$", OK),
        ("a", "SORT (REVERSE ARRIVAL) UTF-8 ALL", r"^\* SORT \d \d \d \d \d$", OK),
        ("a", "SORT (DATE) US-ASCII ALL", r"^\* SORT 2 3 1 4 5$|^\* SORT 3 2 1 4 5$", OK),
        ("a", "SORT (REVERSE DATE) UTF-8 1,4,5", r"^\* SORT 5 4 1$", OK),
        ("a", "SORT (SUBJECT) UTF-8 ALL", r"^\* SORT 2 3 4 1 5$", OK),
        ("a", "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", r"^\* SORT 2 3 4 5 1$|^\* SORT 3 2 4 5 1$", OK),
        ("a", "SORT (FROM) UTF-8 ALL", r"^\* SORT 1 2 3 4 5$", OK),
        ("a", "SORT (DISPLAYFROM) UTF-8 ALL", r"^\* SORT 3 2 4 5 1$", OK),
        ("a", "SORT (TO CC DISPLAYTO) UTF-8 ALL", r"^\* SORT 1 2 3 4 5$", OK),
        ("a", "SORT (REVERSE SIZE) UTF-8 ALL", r"^\* SORT 2 ", OK),
        ("a", "UID SORT (SUBJECT) UTF-8 NOT 1", r"^\* SORT 2 3 4 5$", OK),
        ("a", "SORT (SUBJECT) UTF-8 SUBJECT nowhere", r"^\* SORT$", OK),
        ("a", "SORT (ARRIVAL) UTF-8 MODSEQ 1", r"^\* SORT 1 2 3 4 5 \(MODSEQ \d+\)$", OK),
    ],
    "sort refuses what is none": [
        ("a", "SORT () UTF-8 ALL", BAD), ("a", "SORT (REVERSE) UTF-8 ALL", BAD), ("a", "SORT (COLOUR) UTF-8 ALL", BAD),
        ("a", "SORT (ARRIVAL) ALL", BAD), ("a", "SORT (ARRIVAL) x-none ALL", r"NO \[BADCHARSET \("),
        ("a", "SORT (" + " ".join(["SIZE"] * 21) + ") UTF-8 ALL", BAD),
    ],
    "thread makes trees": [
        ("a", "THREAD REFERENCES UTF-8 ALL", r"^\* THREAD \(1 \(2\)\(3\)\(5\)\)\(4\)$|^\* THREAD \(1 \(3\)\(2\)\(5\)\)\(4\)$", OK),
        ("a", "THREAD ORDEREDSUBJECT UTF-8 ALL", r"^\* THREAD \(\d \d\)\(1 5\)\(4\)$", OK),
        ("a", "UID THREAD REFERENCES UTF-8 4", r"^\* THREAD \(4\)$", OK),
        ("a", "THREAD REFERENCES UTF-8 SUBJECT nowhere", r"^\* THREAD$", OK),
        ("a", "THREAD REFS UTF-8 ALL", BAD), ("a", "THREAD REFERENCES ALL", BAD),
        ("a", "THREAD REFERENCES x-none ALL", r"NO \[BADCHARSET"),
    ],
    "esearch returns what is asked for": [
        ("a", "SEARCH RETURN (MIN MAX COUNT ALL) NOT 3", r'^\* ESEARCH \(TAG "t\d+"\) MIN 1 MAX 5 ALL 1:2,4:5 COUNT 4$', OK),
        ("a", "UID SEARCH RETURN () ALL", r'^\* ESEARCH \(TAG "t\d+"\) UID ALL 1:5$', OK),
        ("a", "SEARCH RETURN (MIN COUNT) SUBJECT nowhere", r'^\* ESEARCH \(TAG "t\d+"\) COUNT 0$', OK),
        ("a", "SEARCH RETURN (MAX) MODSEQ 1", r" MAX 5 MODSEQ \d+$", OK),
        ("a", "SORT RETURN (MIN MAX ALL COUNT) (SUBJECT) UTF-8 ALL", r" MIN 2 MAX 5 ALL 2:4,1,5 COUNT 5$", OK),
        ("a", "SEARCH RETURN (ALL BOGUS) ALL", BAD),
    ],
    "partial gives a window of a result": [
        ("a", "SEARCH RETURN (PARTIAL 2:3) ALL", r"\) PARTIAL \(2:3 2:3\)$", OK),
        ("a", "SEARCH RETURN (PARTIAL -1:-2) ALL", r"\) PARTIAL \(-1:-2 4:5\)$", OK),
        ("a", "SEARCH RETURN (PARTIAL 4:9 COUNT) ALL", r"\) PARTIAL \(4:9 4:5\) COUNT 5$", OK),
        ("a", "SEARCH RETURN (PARTIAL 6:9) ALL", r"\) PARTIAL \(6:9 NIL\)$", OK),
        ("a", "UID SORT RETURN (PARTIAL 1:2) (SUBJECT) UTF-8 ALL", r"\) UID PARTIAL \(1:2 2:3\)$", OK),
        ("a", "SEARCH RETURN (PARTIAL 1:2 ALL) ALL", BAD), ("a", "SEARCH RETURN (PARTIAL 1:-2) ALL", BAD),
        ("a", "SEARCH RETURN (PARTIAL 0:2) ALL", BAD), ("a", "SEARCH RETURN (PARTIAL) ALL", BAD),
        ("a", "UID FETCH 1:* (UID) (PARTIAL -1:-2)", r"^\* 4 FETCH", r"^\* 5 FETCH", r"!^\* 3 FETCH", OK),
        ("a", "UID FETCH 1:* (UID) (PARTIAL 8:9)", "!FETCH", OK),
        ("a", "FETCH 1:* (UID) (PARTIAL 1:2)", BAD), ("a", "UID FETCH 1:* UID (PARTIAL 1:2 PARTIAL 1:2)", BAD),
    ],
    "a saved result is each client's own": [
        ("a", "SEARCH RETURN (SAVE) NOT 3", "!ESEARCH", OK),
        ("b", "FETCH $ UID", "!FETCH", OK),
        ("a", "FETCH $ UID", r"^\* 1 FETCH", r"^\* 5 FETCH", r"!^\* 3 FETCH", OK),
        ("a", "UID FETCH $ FLAGS", r"^\* 1 FETCH \(UID 1", OK),
        ("a", "SEARCH $ FROM ann", r"^\* SEARCH 1$", OK),
        ("a", "UID SEARCH UID $ NOT FROM ann", r"^\* SEARCH 2 4 5$", OK),
        ("a", "SEARCH RETURN (SAVE MIN MAX) 2:4", r" MIN 2 MAX 4$", OK),
        ("a", "SEARCH $", r"^\* SEARCH 2 4$", OK),
        ("a", "SEARCH RETURN (SAVE PARTIAL 1:2 MAX) ALL", r"PARTIAL \(1:2 1:2\)", OK),
        ("a", "SEARCH $", r"^\* SEARCH 1 2 5$", OK),
        ("a", "SEARCH RETURN (SAVE MIN COUNT) 2:4", r" MIN 2 COUNT 3$", OK),
        ("a", "SEARCH $", r"^\* SEARCH 2 3 4$", OK),
        ("a", "SEARCH RETURN (SAVE) CHARSET x-none ALL", r"NO \[BADCHARSET"),
        ("a", "SEARCH RETURN (SAVE) SUBJECT nowhere", OK), ("a", "SEARCH $", r"^\* SEARCH$", OK),
        ("a", "SORT RETURN (SAVE) (SUBJECT) UTF-8 4:5", OK), ("a", "SEARCH $", r"^\* SEARCH 4 5$", OK),
        ("a", "EXAMINE INBOX", OK), ("a", "SEARCH $", r"^\* SEARCH$", OK),
    ],
    "text is found in any case and charset": [
        ("a", "SEARCH CHARSET UTF-8 SUBJECT {6+}\r\n\u00c4PFEL", r"^\* SEARCH 4$", OK),
        ("a", "SEARCH CHARSET UTF-8 BODY {6+}\r\nb\u00c4umE", r"^\* SEARCH 4$", OK),
        ("a", b"SEARCH CHARSET ISO-8859-1 SUBJECT {5+}\r\n\xc4pfel", r"^\* SEARCH 4$", OK),
        ("a", b"SEARCH CHARSET WINDOWS-1252 FROM {4+}\r\n\xc4nne", r"^\* SEARCH 3$", OK),
        ("a", "SEARCH CHARSET US-ASCII SUBJECT APPLE", r"^\* SEARCH 2 3$", OK),
        ("a", "SEARCH CHARSET ../x ALL", r"NO \[BADCHARSET"), ("a", "SEARCH CHARSET \"\" ALL", BAD),
    ],
    "search programs have their limits": [
        ("a", "SEARCH " + "(" * 11 + "ALL" + ")" * 11, "BAD .* deeper than 10"),
        ("a", "SEARCH " + "(" * 9 + "ALL" + ")" * 9, r"^\* SEARCH 1", OK),
        ("a", "SEARCH " + " ".join(["ALL"] * 21), "BAD .* more than 20"),
        ("a", "SEARCH " + " ".join(["ALL"] * 19), r"^\* SEARCH 1", OK),
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(clients, name):
    talk(clients, CONVERSATIONS[name])


def test_what_a_client_saved_shrinks_when_another_expunges(suite):
    a, b = Client(suite, "bob"), Client(suite, "bob")
    for message in MAILS[:3]:
        a.append(message)
    talk({"a": a, "b": b}, [
        ("a", "SELECT INBOX", OK), ("b", "SELECT INBOX", OK),
        ("a", "SEARCH RETURN (SAVE) ALL", OK),
        ("b", "STORE 2 +FLAGS.SILENT (\\Deleted)", OK), ("b", "EXPUNGE", r"^\* 2 EXPUNGE", OK),
        ("a", "NOOP", r"^\* 2 EXPUNGE", OK),
        ("a", "UID SEARCH $", r"^\* SEARCH 1 3$", OK),
        ("a", "STORE $ +FLAGS (\\Seen)", r"^\* 1 FETCH", r"^\* 2 FETCH", OK),
        ("a", "COPY $ INBOX", r"OK \[COPYUID \d+ 1,3 4:5\]"),
    ])
    a.close()
    b.close()
