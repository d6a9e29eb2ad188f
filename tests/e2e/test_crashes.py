# SPDX-License-Identifier: Apache-2.0
"""Processes are killed with SIGKILL while mail flows: what was answered with 250 arrives all the same."""
import os
import random
import re
import shutil
import signal
import smtplib
import subprocess
import threading
import time
from collections import Counter

import pytest

from instance import AS_ROOT, SLOW, wait_until
from receiver import Receiver

MESSAGES = 1000
SENDERS = 8
KILLS_EACH = 10
VICTIMS = ("qmgr", "cleanup", "smtpd", "smtp", "virtual", *(["local"] if AS_ROOT else []))
SYSTEM_USER = f"postern-test-{os.getpid()}"      # two runs at once do not share it
NUMBER = re.compile(rb"^X-Number: (\d+)\r?$", re.M)


@pytest.fixture(scope="module")
def system_user(workdir):
    """A system user made for these tests; its home directory. None when we may not make one."""
    if not AS_ROOT:
        yield None
        return
    home = workdir / SYSTEM_USER
    subprocess.run(["useradd", "--system", "--home-dir", home, "--shell", "/usr/sbin/nologin", SYSTEM_USER],
                   check=True)
    try:
        home.mkdir()
        shutil.chown(home, SYSTEM_USER)
        yield home
    finally:
        subprocess.run(["userdel", SYSTEM_USER], check=True)


class Traffic:
    """Senders that send numbered messages to a virtual mailbox, another host and a system user until
    MESSAGES have been answered with 250. A message that was not is sent again under a new number."""

    def __init__(self, suite, home, receiver):
        self.suite, self.home, self.receiver = suite, home, receiver
        self.lock, self.go_on = threading.Lock(), threading.Condition()
        self.number = self.errors = 0
        self.accepted = {}              # number: recipients
        self.limit = MESSAGES
        self.threads = [threading.Thread(target=self.send_all, daemon=True) for _ in range(SENDERS)]

    def recipients(self, number):
        kinds = ["alice@a.test", "far@b.test"] + ([f"{SYSTEM_USER}@local.test"] if self.home else [])
        return kinds if number % 10 == 0 else [kinds[number % len(kinds)]]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def allow(self, limit):
        """Do not send beyond this many accepted messages for now."""
        with self.go_on:
            self.limit = limit
            self.go_on.notify_all()

    def send_all(self):
        smtp = None
        while True:
            with self.go_on:
                # A victim may need traffic to be running at all, so nobody waits for ever.
                self.go_on.wait_for(lambda: len(self.accepted) < self.limit, timeout=0.5)
            with self.lock:
                if len(self.accepted) >= MESSAGES:
                    break
                self.number += 1
                number = self.number
            try:
                smtp = smtp or smtplib.SMTP("127.0.0.1", self.suite.port["smtp"], "client.test", timeout=20 * SLOW)
                refused = smtp.sendmail("bob@a.test", self.recipients(number),
                                        f"X-Number: {number}\r\nSubject: {number}\r\n\r\n{'x' * 70}\r\n")
                assert not refused
                with self.lock:
                    self.accepted[number] = self.recipients(number)
            except (OSError, smtplib.SMTPException):        # 4xx, or the connection is gone
                with self.lock:
                    self.errors += 1
                smtp = None
                time.sleep(0.02)                            # as a client does before it tries again
        if smtp:
            smtp.close()

    def busy(self):
        return any(t.is_alive() for t in self.threads)

    def arrived(self):
        """Counter of (number, recipient)."""
        boxes = {"alice@a.test": self.suite.messages("alice")}
        if self.home:
            boxes[f"{SYSTEM_USER}@local.test"] = [p for sub in ("new", "cur") for p in (self.home / "Maildir" / sub).glob("*")]
        found = Counter((int(NUMBER.search(p.read_bytes())[1]), to) for to, files in boxes.items() for p in files)
        strange = [m for m in list(self.receiver.messages) if not NUMBER.search(m[2])]
        assert strange == [], "messages that nobody sent"
        found.update((int(NUMBER.search(text)[1]), "far@b.test") for _, _, text in list(self.receiver.messages))
        return found

    def verdict(self, say):
        """After the last message: nothing accepted is missing or stays queued, nothing came back."""
        self.suite.wait_queue_empty(60)
        arrived = self.arrived()
        wanted = {(n, to) for n, recipients in self.accepted.items() for to in recipients}
        lost = wanted - set(arrived)
        assert not lost, f"{len(lost)} lost, such as {sorted(lost)[:5]}"
        assert len(self.accepted) >= MESSAGES
        assert self.suite.messages("bob") == [], "a report about mail that could be delivered"
        duplicates = sum(arrived[key] - 1 for key in arrived)
        unanswered = len({n for n, _ in arrived} - set(self.accepted))
        say(f"{len(self.accepted)} messages accepted, {len(wanted)} deliveries, none lost; {duplicates} duplicate deliveries; "
            f"{self.errors} attempts cut off or refused, {unanswered} of their messages delivered without a 250")


@pytest.fixture
def traffic(make_instance, system_user):
    receiver = Receiver()
    suite = make_instance(params={
        "mydestination": "local.test", "home_mailbox": "Maildir/", "relayhost": f"[127.0.0.1]:{receiver.port}",
        "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", "queue_run_delay": "1s",
        "transport_retry_time": "1s",
        "notify_classes": ""})              # the postmaster would be told of transactions that a kill cut off
    if system_user:
        shutil.rmtree(system_user / "Maildir", ignore_errors=True)
    yield Traffic(suite, system_user, receiver)
    suite.stop()
    receiver.close()


@pytest.fixture
def say(capsys, request):
    def print_line(text):
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}")
    return print_line


def kill_one(suite, program, killed):
    """SIGKILL for a process of this program as soon as there is one that was not killed already."""
    def kill():
        pids = set(suite.pids(program)) - killed
        for pid in random.sample(sorted(pids), len(pids)):
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
                return True
            except ProcessLookupError:
                pass
        return False
    wait_until(kill, 20, f"a process {program}")


def test_no_accepted_message_is_lost_when_its_processes_are_killed(traffic, say):
    victims = [v for v in VICTIMS for _ in range(KILLS_EACH)]
    random.shuffle(victims)
    traffic.allow(MESSAGES // len(victims))
    traffic.start()
    killed = set()
    for i, program in enumerate(victims):
        time.sleep(random.uniform(0, 0.05))         # at any moment, not only between messages
        kill_one(traffic.suite, program, killed)
        traffic.allow((i + 2) * MESSAGES // len(victims))
    wait_until(lambda: not traffic.busy(), 60, "the last message to be accepted")
    traffic.verdict(say)
    told = traffic.suite.log_lines(r"master\[\d+\]: warning: process \S+ pid \d+ killed by signal 9$")
    assert len(told) == len(killed) == len(victims)


def test_no_accepted_message_is_lost_when_master_is_killed_and_started_again(traffic, say):
    traffic.allow(MESSAGES // 4)
    traffic.start()
    for part in (2, 3, 4):
        wait_until(lambda: len(traffic.accepted) >= (part - 1) * MESSAGES // 4 - SENDERS, 60, "some mail to flow")
        traffic.suite.kill_master()
        wait_until(lambda: not traffic.suite.running(), 10, "the end of master")
        traffic.suite.start()
        traffic.allow(part * MESSAGES // 4)
    wait_until(lambda: not traffic.busy(), 60, "the last message to be accepted")
    traffic.verdict(say)
