# SPDX-License-Identifier: Apache-2.0
"""Quotas of Maildir++ ("maildirsize"): honoured by delivery and by IMAP, told to clients."""
import os
import smtplib

import pytest

from imap_client import Client, talk

OK, BAD, NO = "OK ", "BAD ", "NO "
BIG = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 100       # some 7 KB


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make_instance(users=("alice", "bob", "carol"), params={
        "virtual_mailbox_limit_maps": "inline:{{carol@a.test = 20480S,1C}}", "virtual_overquota_bounce": "yes"})
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], timeout=60) as smtp:
        smtp.sendmail("ann@b.test", [suite.address("alice")], "Subject: first\r\n\r\nhello\r\n")
    suite.wait_messages("alice", 1)
    client = Client(suite, "alice")
    client.close()
    maildir = suite.maildir("alice")
    size = maildir / "maildirsize"
    size.write_text("20480S,5C\n300 1\n")
    os.chown(size, suite.owner.pw_uid, suite.owner.pw_gid)
    return suite


def deliver(suite, user, text=BIG):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], timeout=60) as smtp:
        smtp.sendmail("ann@b.test", [suite.address(user)], text)


def test_a_quota_is_told_and_stops_delivery_append_and_copy(suite):
    a, b = Client(suite, "alice"), Client(suite, "alice")
    literal = f"{{{len(BIG)}+}}\r\n{BIG}"
    talk({"a": a, "b": b}, [
        ("a", "CAPABILITY", " QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE", OK),
        ("a", "GETQUOTAROOT INBOX", r'^\* QUOTAROOT INBOX "User quota"$', r'^\* QUOTA "User quota" \(STORAGE 1 20 MESSAGE 1 5\)$', OK),
        ("a", 'GETQUOTA "User quota"', r"STORAGE 1 20 MESSAGE 1 5", OK),
        ("a", "GETQUOTA other", r"NO \[NONEXISTENT\]"), ("a", "GETQUOTA", BAD), ("a", "GETQUOTAROOT nowhere", r"NO \[NONEXISTENT\]"),
        ("a", 'SETQUOTA "User quota" (STORAGE 5)', r"NO \[NOPERM\]"),
        ("a", f"APPEND INBOX {literal}", OK), ("a", "CREATE more", OK), ("a", f"APPEND more {literal}", OK),
        ("a", f"APPEND more {literal}", r"NO \[OVERQUOTA\]"),
        ("b", "SELECT INBOX", r"^\* 2 EXISTS", OK), ("b", "COPY 2 more", r"NO \[OVERQUOTA\]"), ("b", "MOVE 2 more", OK),
        ("b", 'GETQUOTA "User quota"', r"STORAGE 15 20 MESSAGE 3 5", OK),
        ("b", "SELECT more", OK), ("b", "STORE 1 +FLAGS.SILENT (\\Deleted)", OK),
        ("b", "STATUS more (DELETED DELETED-STORAGE)", rf"\(DELETED 1 DELETED-STORAGE {len(BIG)}\)", OK),
        ("b", "EXPUNGE", OK), ("b", 'GETQUOTA "User quota"', r"STORAGE 8 20 MESSAGE 2 5", OK),
        ("a", f"APPEND more {literal}", OK),
    ])
    a.close()
    b.close()
    deliver(suite, "alice")
    suite.wait_log(r"to=<alice@a.test>.*dsn=5.2.2, status=bounced .*over its quota")


def test_a_mailbox_without_a_quota_has_no_root(suite):
    client = Client(suite, "bob")
    talk({"b": client}, [
        ("b", "GETQUOTAROOT INBOX", r"^\* QUOTAROOT INBOX$", "!QUOTA \"", OK),
        ("b", 'GETQUOTA "User quota"', r"NO \[NONEXISTENT\]"),
        ("b", f"APPEND INBOX {{{len(BIG)}+}}\r\n{BIG}", OK),
    ])
    client.close()


def test_a_quota_of_the_tables_is_written_into_the_mailbox_at_delivery(suite):
    deliver(suite, "carol")
    suite.wait_log(r"to=<carol@a.test>.*status=sent")
    client = Client(suite, "carol")
    talk({"c": client}, [("c", "GETQUOTAROOT INBOX", r"STORAGE 7 20 MESSAGE 1 1\)$|STORAGE 8 20 MESSAGE 1 1\)$", OK)])
    client.close()
    deliver(suite, "carol")
    suite.wait_log(r"to=<carol@a.test>.*dsn=5.2.2, status=bounced .*over its quota")
