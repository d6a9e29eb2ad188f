# SPDX-License-Identifier: Apache-2.0
"""postqueue and postsuper: what operators do with the queue, while the suite runs and while it is down."""
import json
import os
import re
import smtplib
import time

import pytest

from instance import AS_ROOT, wait_until

PARAMS = {
    "transport_maps": "inline:{ {later.test=retry:4.7.0 closed today}, {never.test=error:5.1.1 no such user}, "
                      "nowhere.test=discard:, missing.test=nosuch:}",
    "minimal_backoff_time": "300s",
}


def send(suite, to, sender="alice@a.test"):
    """Queue a message; its id."""
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        s.mail(sender)
        for rcpt in [to] if isinstance(to, str) else to:
            assert s.rcpt(rcpt)[0] == 250
        code, text = s.data(f"From: {sender}\r\nSubject: test\r\n\r\nbody\r\n")
        assert code == 250
        return re.search(rb"queued as (\w+)", text)[1].decode()


def deferred(suite, to="x@later.test"):
    """A message that waits for its next attempt; its id."""
    queue_id = send(suite, to)
    suite.wait_log(rf"{queue_id}: to=<.*status=deferred")
    wait_until(lambda: state(suite, queue_id) == "deferred", 5, "a deferred message")
    return queue_id


def state(suite, queue_id):
    return next((m["queue_name"] for m in suite.queue() if m["queue_id"] == queue_id), None)


def postsuper(suite, *args, **kw):
    """What it says, without the program's name."""
    done = suite.tool("postsuper", *args, check=False, **kw)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("postsuper: ") for line in done.stderr.splitlines()]


@pytest.fixture(scope="module")
def suite(make_instance):
    return make_instance(params=PARAMS)


@pytest.fixture(autouse=True)
def empty(request):
    """Each test begins and ends with an empty queue."""
    yield
    if "suite" in request.fixturenames:
        postsuper(request.getfixturevalue("suite"), "-d", "ALL")


def test_an_empty_queue_says_so(suite):
    assert suite.tool("postqueue", "-p") == "Mail queue is empty\n"
    assert suite.tool("mailq") == "Mail queue is empty\n"
    assert suite.tool("postqueue", "-j") == ""


def test_the_listing_has_the_columns_that_scripts_cut(suite):
    queue_id = deferred(suite, ["x@later.test", "y@later.test"])
    lines = suite.tool("postqueue", "-p").splitlines()
    assert lines[0] == "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------"
    assert re.fullmatch(rf"{queue_id} +\d+ \w{{3}} \w{{3}} [ \d]\d \d\d:\d\d:\d\d alice@a\.test", lines[1])
    assert lines[2:5] == ["(closed today)".rjust(78), " " * 47 + "x@later.test", " " * 47 + "y@later.test"]
    assert lines[5] == "" and re.fullmatch(r"-- \d+ Kbytes in 1 Request\.", lines[6])


def test_json_has_the_keys_in_the_known_order(suite):
    queue_id = deferred(suite)
    line, = suite.tool("postqueue", "-j").splitlines()
    message = json.loads(line)
    assert list(message) == ["queue_name", "queue_id", "arrival_time", "message_size", "forced_expire", "sender",
                             "recipients"]
    assert message["queue_id"] == queue_id and abs(message["arrival_time"] - time.time()) < 100
    assert message["recipients"] == [{"orig_address": "x@later.test", "address": "x@later.test",
                                      "delay_reason": "closed today"}]


def test_a_flush_tries_all_or_one_or_a_site(suite):
    first, second = deferred(suite, "x@later.test"), deferred(suite, "y@later.test")

    def attempts(queue_id, n):
        suite.wait_log(rf"{queue_id}: to=.*status=deferred", count=n)

    suite.tool("postqueue", "-f")
    attempts(first, 2), attempts(second, 2)
    wait_until(lambda: {m["queue_name"] for m in suite.queue()} == {"deferred"}, 5, "the end of the attempts")
    suite.tool("postqueue", "-i", first)
    attempts(first, 3)
    wait_until(lambda: state(suite, first) == "deferred", 5, "the end of the attempt")
    suite.tool("postqueue", "-s", "LATER.test")
    attempts(first, 4), attempts(second, 3)
    assert suite.tool("postqueue", "-i", "NoSuchId", check=False).returncode == 1


def test_delete_by_id_by_stdin_and_all(suite):
    ids = [deferred(suite) for _ in range(4)]
    assert postsuper(suite, "-d", ids[0]) == [f"{ids[0]}: removed", "Deleted: 1 message"]
    said = postsuper(suite, "-d", "-", input=f"{ids[1]}\nNoSuchId\n../../etc/passwd\n\n")
    assert said == ['warning: invalid queue ID: "../../etc/passwd"', f"{ids[1]}: removed", "Deleted: 1 message"]
    assert sorted(postsuper(suite, "-d", "ALL"))[-1] == "Deleted: 2 messages"
    assert suite.queue_files() == [] and postsuper(suite, "-d", ids[0]) == []


def test_held_mail_stays_held_over_a_restart_and_is_tried_when_released(suite):
    queue_id = deferred(suite)
    assert postsuper(suite, "-h", queue_id) == [f"{queue_id}: placed on hold", "Placed on hold: 1 message"]
    assert f"{queue_id}!" in suite.tool("postqueue", "-p")
    suite.tool("postqueue", "-f")
    suite.stop()
    suite.start()
    assert state(suite, queue_id) == "hold"
    assert len(suite.log_lines(rf"{queue_id}: to=.*status=")) == 1
    assert postsuper(suite, "-H", "ALL")[-1] == "Released from hold: 1 message"
    suite.wait_log(rf"{queue_id}: to=.*status=deferred", count=2)


def test_an_expired_message_is_returned_after_one_more_attempt(suite):
    queue_id = deferred(suite)
    n = len(suite.messages("alice"))
    assert postsuper(suite, "-e", queue_id) == [f"{queue_id}: expired", "Force-expired: 1 message"]
    suite.wait_log(rf"{queue_id}: from=<alice@a\.test>, status=force-expired, returned to sender")
    suite.wait_log(rf"{queue_id}: sender non-delivery notification: \w+")
    suite.wait_messages("alice", n + 1)


def test_f_expires_held_mail_as_well(suite):
    queue_id = deferred(suite)
    postsuper(suite, "-h", queue_id)
    assert postsuper(suite, "-f", "ALL", "hold")[-1] == "Force-expired: 1 message"
    suite.wait_log(rf"{queue_id}: from=<alice@a\.test>, status=force-expired")


def test_a_requeued_message_goes_again_only_to_those_who_wait_for_it(suite):
    queue_id = deferred(suite, ["x@later.test", "y@nowhere.test"])
    assert postsuper(suite, "-r", queue_id) == [f"{queue_id}: requeued", "Requeued: 1 message"]
    suite.reload()          # pickup looks into maildrop/ when it starts
    suite.wait_log(r"to=<x@later\.test>.*status=deferred", timeout=20)
    wait_until(lambda: suite.queue() and suite.queue_ids() != [queue_id] and not suite.queue_files("maildrop"),
               20, "the message under a new id")
    assert len(suite.log_lines(rf"to=<y@nowhere\.test>.*status=sent")) >= 1
    assert [r["address"] for r in suite.queue()[0]["recipients"]] == ["x@later.test"]


@pytest.mark.skipif(not AS_ROOT, reason="needs another user")
def test_other_users_may_list_and_flush_but_not_change(suite):
    queue_id = deferred(suite)
    nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    assert queue_id in suite.tool("postqueue", "-p", **nobody)
    suite.tool("postqueue", "-f", **nobody)
    done = suite.tool("postsuper", "-d", queue_id, check=False, **nobody)
    assert done.returncode == 1 and "reserved for the superuser" in done.stderr
    assert queue_id in suite.queue_ids()


def test_mail_for_a_transport_that_does_not_exist_waits_and_harms_no_other(suite):
    queue_id = send(suite, ["x@missing.test", "bob@a.test"])
    suite.wait_log(rf"{queue_id}: to=<bob@a\.test>.*status=sent")
    suite.wait_log(rf"{queue_id}: to=<x@missing\.test>, relay=none, .*dsn=4\.3\.0, status=deferred "
                   r"\(mail transport unavailable\)")


def test_a_broken_queue_file_goes_to_corrupt_with_one_line_and_the_rest_is_delivered(make_instance):
    suite = make_instance(params=PARAMS)
    queue_id = deferred(suite)
    suite.stop()
    good = (suite.queue_dir / "cur" / queue_id).read_bytes()
    for name, content in (("4broken1", good[:200]), ("4broken2", b"hello\n" * 100), ("4broken3", b"")):
        path = suite.queue_dir / "cur" / name
        path.write_bytes(content)
        if AS_ROOT:
            os.chown(path, *(getattr((suite.queue_dir / "cur").stat(), k) for k in ("st_uid", "st_gid")))
    suite.start()
    for n in (1, 2, 3):
        suite.wait_log(rf"warning: 4broken{n}: unreadable queue file: .*; moved to corrupt/")
    assert len(suite.queue_files("corrupt")) == 3
    time.sleep(1)
    assert len(suite.log_lines("unreadable queue file")) == 3
    assert suite.queue_ids() == [queue_id]


def test_of_what_lies_in_new_without_a_notice_the_complete_is_taken_and_nothing_acknowledged_is_lost(make_instance):
    """Cleanup writes small messages in new/; when it was killed, or the power failed, they may be there in part."""
    suite = make_instance(params=PARAMS)
    queue_id = deferred(suite)
    suite.stop()
    whole = (suite.queue_dir / "cur" / queue_id).read_bytes()
    torn = whole.replace(b"Subject: test", b"Subject: tear", 1)
    hour, days = 3600, 2 * 86400                            # "4fresh" stays fresh however slow the machine is
    for name, content, age in (("4whole", whole, 0), ("4begun", b"", 0), ("4blank", bytes(len(whole)), hour),
                               ("4fresh", torn, -hour), ("4torn", torn, hour), ("4older", b"", days)):
        path = suite.queue_dir / "new" / name
        path.write_bytes(content)
        os.utime(path, times=(time.time() - age,) * 2)
        if AS_ROOT:
            os.chown(path, *(getattr((suite.queue_dir / "cur").stat(), k) for k in ("st_uid", "st_gid")))
    suite.start()
    suite.wait_log(r"warning: 4torn: unreadable queue file: sum of the content is wrong; moved to corrupt/")
    suite.wait_log(r"4older: incomplete message in new/ removed, older than a day")
    wait_until((suite.queue_dir / "cur/4whole").exists, 10, "the complete message to wait for its next attempt")
    assert set(suite.queue_ids()) == {queue_id, "4whole"}
    assert {p.name for p in (suite.queue_dir / "new").iterdir()} == {"4begun", "4blank", "4fresh"}
    assert [p.name for p in suite.queue_files("corrupt")] == ["4torn"]


def test_while_the_suite_is_down_the_tools_work_on_the_directories(make_instance):
    suite = make_instance(params=PARAMS)
    first, second = deferred(suite), deferred(suite)
    suite.stop()
    done = suite.tool("postqueue", "-p", check=False)
    assert "warning: Mail system is down -- accessing queue directly" in done.stderr
    assert first in done.stdout and "(closed today)" in done.stdout and "in 2 Requests." in done.stdout
    down = suite.tool("postqueue", "-f", check=False)
    assert down.returncode == 69 and "mail system is down" in down.stderr
    assert postsuper(suite, "-h", first) == [f"{first}: placed on hold", "Placed on hold: 1 message"]
    assert postsuper(suite, "-d", second) == [f"{second}: removed", "Deleted: 1 message"]
    suite.start()
    assert [(m["queue_id"], m["queue_name"]) for m in suite.queue()] == [(first, "hold")]


def test_reloads_under_load_deliver_each_message_once(make_instance):
    suite = make_instance(params=PARAMS)
    for i in range(40):
        send(suite, ["bob@a.test", "x@nowhere.test"])
        if i % 8 == 0:
            suite.reload()
    suite.wait_queue_empty(30)
    assert len(suite.wait_messages("bob", 40)) == 40
    assert len(suite.log_lines(r"to=<x@nowhere\.test>.*status=sent")) == 40


def test_a_killed_agent_delays_mail_by_seconds_not_by_the_backoff_time(make_instance):
    suite = make_instance(params=PARAMS)
    send(suite, "bob@a.test")
    suite.wait_messages("bob", 1)
    for _ in range(20):
        send(suite, "bob@a.test")
        for pid in suite.pids("virtual"):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
    suite.wait_queue_empty(30)
    assert len(suite.messages("bob")) >= 21
