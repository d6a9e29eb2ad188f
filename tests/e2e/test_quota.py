# SPDX-License-Identifier: Apache-2.0
"""Quotas of Maildir++ ("maildirsize"): honoured by delivery and by IMAP, told to clients."""
import os
import shutil
import smtplib

import pytest

from imap_client import Client, talk
from instance import wait_until

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
        ("a", "STATUS INBOX (MESSAGES)", OK), ("a", "GETQUOTA other", r"NO \[NONEXISTENT\]"), ("a", "GETQUOTA", BAD), 
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


def test_a_rule_in_the_users_file_counts_from_the_next_sign_in_more_than_the_tables_and_ends_with_it(suite):
    users = suite.config / "users"

    def write(text):
        """In one step: auth may read it at any moment."""
        other = users.with_suffix(".new")
        shutil.copy2(users, other)
        os.chown(other, users.stat().st_uid, users.stat().st_gid)
        other.write_text(text)
        other.rename(users)

    def rule(text):
        lines = [line.rstrip(":") + "::::::" + text if line.startswith("carol@") else line for line in before.splitlines()]
        write("".join(f"{line}\n" for line in lines))

    def told():
        """As soon as auth has read the file again."""
        client = Client(suite, "carol")
        lines = client.ok("GETQUOTAROOT INBOX")
        client.close()
        return lines[-1].partition('" ')[2]

    before = users.read_text()
    wait_until(lambda: told() == "(STORAGE 8 20 MESSAGE 1 1)", what="the table's quota")
    rule("userdb_quota_rule=*:storage=1M:messages=3 nologin=n")
    wait_until(lambda: told() == "(STORAGE 8 1024 MESSAGE 1 3)", what="the rule's quota")
    deliver(suite, "carol")     # there is room, whatever the table says
    suite.wait_log(r"to=<carol@a.test>.*status=sent", count=2)
    assert told() == "(STORAGE 15 1024 MESSAGE 2 3)"
    rule("userdb_quota_rule=Trash:ignore")
    wait_until(lambda: told() and suite.log_lines(r"imap\(carol@a.test\): the quota rule has no effect: Invalid argument"),
               what="a word about it")
    assert told() == "(STORAGE 15 1024 MESSAGE 2 3)"
    write(before)
    wait_until(lambda: told() == "", what="the end of the rule")
