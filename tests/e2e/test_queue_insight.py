# SPDX-License-Identifier: Apache-2.0
"""A large queue: it is listed, summed up and flushed from memory, and read back while new mail flows."""
import json
import os
import re
import signal
import smtplib
import subprocess
import time

import pytest

from instance import AS_ROOT, ROOT, SANITIZED, SLOW, free_ports, wait_until
from receiver import Receiver

FILL = ROOT.parent / "tests/fill"
MANY, DOMAINS = 20000, 40


def send(suite, to, sender="alice@a.test"):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        s.mail(sender)
        assert s.rcpt(to)[0] == 250
        code, text = s.data(b"Subject: test\r\n\r\nbody\r\n")
        assert code == 250
        return re.search(rb"queued as (\w+)", text)[1].decode()


def rss_kib(suite):
    pid, = suite.pids("qmgr")
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


@pytest.fixture(scope="module")
def large(make_instance):
    """MANY deferred messages for d0.test ... d39.test, due in a day; their next hop refuses connections."""
    suite = make_instance(params={"relayhost": f"[127.0.0.1]:{free_ports(1)[0]}"})
    suite.tool("postqueue", "-p")
    suite.empty_kib = rss_kib(suite)
    suite.stop()
    subprocess.run([FILL, suite.queue_dir, str(MANY), str(DOMAINS), "86400"], check=True)
    return suite.start()


def test_new_mail_is_delivered_while_the_queue_is_read_back(large):
    large.stop()
    large.start()
    send(large, "bob@a.test")
    large.wait_messages("bob", 1)


def test_the_listing_is_complete(large):
    entries = large.queue()
    assert len(entries) == MANY
    assert {e["queue_name"] for e in entries} == {"deferred"}
    e = next(e for e in entries if e["recipients"][0]["address"] == "user77@d37.test")
    assert e["sender"] == "bounces@list.a.test" and 900 < e["message_size"] < 1100
    assert e["recipients"][0]["delay_reason"] == "connect to mx.d37.test[192.0.2.1]:25: Connection timed out"
    text = large.tool("postqueue", "-p")
    assert re.search(rf"\n-- \d+ Kbytes in {MANY} Requests\.\n$", text)
    assert len(re.findall(r"(?m)^ {38}user\d+@d\d+\.test$", text)) == MANY or text.count("@d") >= MANY


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
def test_a_deferred_message_costs_less_than_200_bytes(large):
    large.tool("postqueue", "-d")
    cost = (rss_kib(large) - large.empty_kib) * 1024 / MANY
    assert cost < 200 + 1e6 * 2 / MANY, f"{cost:.0f} bytes"          # 2 MB of heap that comes and goes


def test_the_summary_has_ages_and_adds_up(large):
    rows = [json.loads(line) for line in large.tool("postqueue", "-d", "-j").splitlines()]
    row, = rows
    assert (row["transport"], row["nexthop"]) == ("smtp", large.settings["relayhost"])
    assert row["recipients"] == MANY == sum(row["age_minutes"].values())
    assert row["state"] == "waiting" and "Connection timed out" in row["last_error"]
    assert row["age_minutes"]["5"] > 0 and row["age_minutes"]["320"] > row["age_minutes"]["40"]
    head, line, reason = large.tool("postqueue", "-d").splitlines()
    assert head.split() == "-Destination- T 5 10 20 40 80 160 320 640 1280 1280+ Now/Max -State-".split()
    assert line.split()[:2] == [f"smtp:{large.settings['relayhost']}", str(MANY)]


def test_flushing_a_site_tries_its_messages_and_no_other(large):
    large.tool("postqueue", "-s", "D7.test")
    large.wait_log(r"to=<user\d+@d7\.test>.*status=deferred", 60, count=MANY // DOMAINS)
    assert not large.log_lines(r"to=<user\d+@d(?!7\.)\d+\.test>")
    row, = (json.loads(line) for line in large.tool("postqueue", "-d", "-j").splitlines())
    assert row["state"] == "suspended" and row["suspended_seconds"] > 0
    assert "Connection refused" in row["last_error"]


def test_flushing_one_message_tries_it(large):
    queue_id = next(e["queue_id"] for e in large.queue() if e["recipients"][0]["address"] == "user8@d8.test")
    large.tool("postqueue", "-i", queue_id)
    large.wait_log(rf"{queue_id}: to=<user8@d8\.test>.*status=deferred \(connect to 127")


def test_after_a_flush_everything_arrives(large):
    receiver = Receiver()
    large.set(relayhost=f"[127.0.0.1]:{receiver.port}")
    large.reload()
    ids = [e["queue_id"] for e in large.queue()][200:]
    large.tool("postsuper", "-d", "-", input="\n".join(ids))
    large.tool("postqueue", "-f")
    wait_until(lambda: len(receiver.messages) == 200, 60, "the flushed messages")
    large.wait_queue_empty()
    receiver.close()
    assert large.tool("postqueue", "-d") == ""


# ---- holding, requeueing, crashes ----

@pytest.fixture(scope="module")
def waiting(make_instance):
    return make_instance(params={"transport_maps": "inline:{ {later.test=retry:4.7.0 closed today} }"})


def deferred(suite):
    queue_id = send(suite, "x@later.test")
    suite.wait_log(rf"{queue_id}: to=<.*status=deferred")
    return queue_id


def kill_qmgr(suite):
    pid, = suite.pids("qmgr")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: suite.pids("qmgr") not in ([], [pid]), 20, "another qmgr")


def names(suite):
    return {m["queue_id"]: m["queue_name"] for m in suite.queue()}


def test_what_is_on_hold_stays_there_over_crash_and_restart(waiting):
    held, other = deferred(waiting), deferred(waiting)
    waiting.tool("postsuper", "-h", held)
    kill_qmgr(waiting)
    assert names(waiting)[held] == "hold"
    waiting.stop()
    waiting.start()
    assert names(waiting) == {held: "hold", other: "deferred"}
    waiting.tool("postsuper", "-H", held)
    waiting.wait_log(rf"{held}: to=<x@later\.test>.*status=deferred", count=2)
    waiting.tool("postsuper", "-d", "ALL")


def test_a_requeued_message_is_taken_at_once(waiting):
    old = deferred(waiting)
    start = time.monotonic()
    waiting.tool("postsuper", "-r", old)
    wait_until(lambda: names(waiting) and old not in names(waiting) and "maildrop" not in names(waiting).values(), 20)
    assert time.monotonic() - start < 10 * SLOW          # pickup's own wakeup comes once a minute
    waiting.tool("postsuper", "-d", "ALL")


def test_what_was_settled_before_a_crash_is_not_delivered_again(waiting):
    """The files of settled messages wait to be unlinked; cur/.settled says which."""
    settled, other, torn = deferred(waiting), deferred(waiting), deferred(waiting)
    waiting.stop()
    note = waiting.queue_dir / "cur/.settled"
    note.write_text(f"{settled}\n../../etc/passwd\n\n{torn}")
    waiting.start()
    waiting.wait_log(r"removed 1 delivered messages that an interrupted queue manager had left")
    wait_until(lambda: set(names(waiting)) == {other, torn}, 10)
    assert note.read_bytes() == b""
    send(waiting, "alice@a.test")
    waiting.wait_messages("alice", 1)
    wait_until(lambda: re.fullmatch(rb"\w+\n", note.read_bytes()), 10)
    waiting.tool("postsuper", "-d", "ALL")


# ---- who may ----

@pytest.mark.skipif(not AS_ROOT, reason="needs another user")
def test_only_the_users_named_may_look_or_flush(waiting):
    waiting.set(authorized_mailq_users="!nobody, static:all", authorized_flush_users="daemon")
    waiting.reload()
    deferred(waiting)
    waiting.prefix = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    try:
        for args, verb in ((["-p"], "view"), (["-j"], "view"), (["-d"], "view"), (["-f"], "flush"), (["-s", "a.test"], "flush")):
            done = waiting.tool("postqueue", *args, check=False)
            assert done.returncode != 0
            assert re.search(rf"User nobody\(\d+\) is not allowed to {verb} the mail queue", done.stderr)
        waiting.prefix = ("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups")
        assert len(waiting.queue()) == 1
        waiting.tool("postqueue", "-f")
    finally:
        waiting.prefix = ()
    waiting.tool("postsuper", "-d", "ALL")
