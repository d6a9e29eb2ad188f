# SPDX-License-Identifier: Apache-2.0
"""Sender and recipient verification: probes that deliver nothing, and what is remembered of them."""
import getpass
import os
import pwd
import re
import smtplib
import threading

import pytest

from instance import AS_ROOT, SLOW, free_ports
from receiver import Receiver

USER = "nobody" if AS_ROOT else getpass.getuser()


slow_may_answer = threading.Event()


def answer(verb, argument, attempt):
    if verb == "RCPT":
        if "unknown" in argument:
            return "550 5.1.1 no such user"
        if "busy" in argument:
            return "451 4.3.0 come back"
        if "slow" in argument:
            slow_may_answer.wait(60 * SLOW)
    return None


@pytest.fixture(scope="module")
def remote():
    r = Receiver(answer)
    yield r
    r.close()


SERVICES = {
    "rcpt": {"smtpd_recipient_restrictions": "reject_unverified_recipient"},
    "strict": {"smtpd_recipient_restrictions": "reject_unverified_recipient", "unverified_recipient_reject_code": "550",
               "unverified_recipient_tempfail_action": "defer", "unverified_recipient_defer_code": "451"},
    "reason": {"smtpd_recipient_restrictions": "reject_unverified_recipient", "unverified_recipient_reject_code": "550",
               "unverified_recipient_reject_reason": "Address lookup failed"},
    "sender": {"smtpd_sender_restrictions": "reject_unverified_sender", "unverified_sender_reject_code": "550"},
    "impatient": {"smtpd_recipient_restrictions": "reject_unverified_recipient", "address_verify_poll_count": "1",
                  "address_verify_poll_delay": "1s"},
}


@pytest.fixture(scope="module")
def suite(make_instance, remote, workdir):
    commands = workdir / "commands"
    commands.mkdir()
    if AS_ROOT:
        os.chown(commands, pwd.getpwnam(USER).pw_uid, -1)
    touch = commands / "touch"
    touch.write_text(f"#!/bin/sh\ncat > {commands}/ran\n")
    touch.chmod(0o755)
    ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
    services = []
    for name, settings in SERVICES.items():
        services.append("\n".join([f"127.0.0.1:{ports[name]} inet n - n - - smtpd",
                                   "    -o { smtpd_relay_restrictions = permit, reject }"]
                                  + [f"    -o {{ {k} = {v} }}" for k, v in settings.items()]))
    services.append(f"command unix - n n - - pipe user={USER} argv={touch}")
    silent, = free_ports(1)
    instance = make_instance(services=services, params={
        "transport_maps": f"inline:{{far.test=smtp:[127.0.0.1]:{remote.port}, gone.test=smtp:[127.0.0.1]:{silent},"
                          "{bad.test=error:5.7.1 not here}, command.test=command:, {nowhere.test=discard:silently dropped}}",
        "mydestination": "mx.a.test", "alias_maps": f"inline:{{team=alice@a.test, {{trap=bob@a.test, x@command.test}}}}", "smtpd_reject_unlisted_recipient": "no",
        "smtpd_error_sleep_time": "0"})
    instance.ports = ports
    instance.commands = commands
    return instance


def ask(suite, service, rcpt="x@far.test", sender="s@b.test"):
    with smtplib.SMTP("127.0.0.1", suite.ports[service], timeout=30 * SLOW) as s:
        s.ehlo("c")
        code, text = s.mail(sender)
        if code == 250:
            code, text = s.rcpt(rcpt)
        return f"{code} {text.decode()}"


CASES = [
    ("rcpt", "known@far.test", r"250 2\.1\.5 Ok"),
    ("rcpt", "unknown@far.test", r"450 4\.1\.1 <unknown@far\.test>: Recipient address rejected: undeliverable address: "
     r"host 127\.0\.0\.1\[127\.0\.0\.1\] said: 550 5\.1\.1 no such user \(in reply to RCPT TO command\)"),
    ("strict", "unknown@far.test", r"550 5\.1\.1 <unknown@far\.test>: Recipient address rejected: undeliverable address: host .*"),
    ("rcpt", "busy@far.test", r"450 4\.1\.1 <busy@far\.test>: Recipient address rejected: unverified address: host .* said: 451 "
     r"4\.3\.0 come back .*"),
    ("strict", "busy2@far.test", r"451 4\.1\.1 <busy2@far\.test>: Recipient address rejected: unverified address: host .*"),
    ("reason", "unknown@far.test", r"550 5\.1\.1 <unknown@far\.test>: Recipient address rejected: Address lookup failed"),
    ("strict", "x@gone.test", r"451 4\.1\.1 <x@gone\.test>: Recipient address rejected: unverified address: connect to .*"
     r"Connection refused"),
    ("strict", "x@bad.test", r"550 5\.1\.1 <x@bad\.test>: Recipient address rejected: undeliverable address: not here"),
    ("strict", "alice@a.test", r"250 2\.1\.5 Ok"),
    ("strict", "nobody@a.test", r"550 5\.1\.1 <nobody@a\.test>: Recipient address rejected: undeliverable address: .*"),
    ("strict", "team@mx.a.test", r"250 2\.1\.5 Ok"),
]


@pytest.mark.parametrize("service, rcpt, reply", CASES, ids=[f"{s}-{r}" for s, r, _ in CASES])
def test_a_recipient_is_refused_as_the_probe_was_answered(suite, service, rcpt, reply):
    got = ask(suite, service, rcpt)
    assert re.fullmatch(reply, got), got
    if got[0] != "2":
        suite.wait_log(re.escape(f"NOQUEUE: reject: RCPT from unknown[127.0.0.1]: {got[:9]} <{rcpt}>: Recipient address rejected"))


def test_a_sender_is_refused_likewise_but_never_the_null_sender(suite):
    assert ask(suite, "sender", sender="known@far.test").startswith("250")
    assert ask(suite, "sender", sender="").startswith("250")
    got = ask(suite, "sender", sender="unknown@far.test")
    assert got.startswith("550 5.1.7 <unknown@far.test>: Sender address rejected: undeliverable address: host ")


def test_a_probe_delivers_nothing_is_logged_as_such_and_leaves_no_message_and_no_bounce(suite, remote):
    before = len(remote.messages)
    ask(suite, "rcpt", "first@far.test")
    ask(suite, "rcpt", "unknown1@far.test")
    suite.wait_log(r"to=<first@far\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*dsn=2\.\d\.\d, status=deliverable \(250 ")
    suite.wait_log(r"to=<unknown1@far\.test>, relay=.*dsn=5\.1\.1, status=undeliverable \(host ")
    suite.wait_queue_empty()
    assert len(remote.messages) == before
    assert suite.messages("alice") == []
    assert not suite.log_lines("non-delivery notification")


def test_the_outcome_is_remembered_also_over_a_restart(suite, remote):
    ask(suite, "rcpt", "kept@far.test")
    ask(suite, "rcpt", "unknown-kept@far.test")
    attempts = remote.attempts
    assert ask(suite, "rcpt", "KEPT@far.test").startswith("250")
    assert remote.attempts == attempts
    suite.stop()
    suite.start()
    assert ask(suite, "rcpt", "kept@far.test").startswith("250")
    assert ask(suite, "rcpt", "unknown-kept@far.test").startswith("450")
    assert remote.attempts == attempts
    assert any((suite.dir / "data").glob("verify_cache*"))


def test_many_who_ask_at_once_share_one_probe(suite, remote):
    clients = [smtplib.SMTP("127.0.0.1", suite.ports["rcpt"], timeout=30 * SLOW) for _ in range(10)]
    attempts = remote.attempts
    for c in clients:
        c.ehlo("c")
        c.mail("")
    for c in clients:
        c.send("RCPT TO:<shared@far.test>\r\n")
    assert [c.getreply()[0] for c in clients] == [250] * 10
    assert remote.attempts == attempts + 1
    for c in clients:
        c.quit()


def test_a_client_that_waits_too_long_is_asked_to_come_back(suite):
    got = ask(suite, "impatient", "slow@far.test")
    assert got == "450 4.1.1 <slow@far.test>: Recipient address rejected: unverified address: Address verification in progress"
    slow_may_answer.set()
    suite.wait_log(r"to=<slow@far\.test>, .*status=deliverable")
    assert ask(suite, "rcpt", "slow@far.test").startswith("250")


def test_servers_that_check_the_sender_of_our_probes_find_that_it_exists(suite):
    assert ask(suite, "strict", "double-bounce@mx.a.test", sender="").startswith("250")


def test_mail_to_the_sender_of_our_probes_is_accepted_and_thrown_away(suite):
    with smtplib.SMTP("127.0.0.1", suite.ports["strict"], timeout=30 * SLOW) as s:
        s.sendmail("s@b.test", "double-bounce@mx.a.test", "Subject: back\r\n\r\nx\r\n")
    suite.wait_log(r"to=<double-bounce@mx\.a\.test>, relay=none, .*dsn=2\.0\.0, status=sent "
                   r"\(undeliverable postmaster notification discarded\)")
    suite.wait_queue_empty()


@pytest.mark.parametrize("domain, says", [("command.test", r"deliverable \(delivers to command\)"),
                                          ("nowhere.test", r"deliverable \(silently dropped\)"),
                                          ("bad.test", r"undeliverable \(not here\)"),
                                          ("a.test", r"deliverable \(delivers to maildir\)"),
                                          ("mx.a.test", r"deliverable \(aliased to .*\)")])
def test_no_agent_delivers_a_probe(suite, domain, says):
    rcpt = {"a.test": "bob", "mx.a.test": "trap"}.get(domain, "x1") + "@" + domain
    ask(suite, "rcpt", rcpt)
    suite.wait_log(rf"to=<{re.escape(rcpt)}>, .*status={says}")
    suite.wait_queue_empty()
    assert not (suite.commands / "ran").exists()
    assert suite.messages("bob") == []


def test_the_command_of_that_test_does_run_for_mail(suite):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], timeout=30 * SLOW) as s:
        s.sendmail("s@b.test", "y@command.test", "Subject: run\r\n\r\nx\r\n")
    suite.wait_log(r"to=<y@command\.test>, relay=command, .*status=sent")
    assert (suite.commands / "ran").exists()
