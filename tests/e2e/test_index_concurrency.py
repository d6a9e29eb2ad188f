# SPDX-License-Identifier: Apache-2.0
"""One account, everybody at once: deliveries, sessions, another program that renames files, and both sessions and deliveries
that are killed.

Each message has a number in its Subject, and the remainder of the number by 5 says who may do what with it:

    0, 1   sessions change \\Answered and a keyword; the other program changes the letter F of the file's name
    2      is expunged some day, or its file is removed by the other program
    3      is moved between the two mailboxes
    4      comes by SMTP, through agents that are killed; so it may be there more than once, and nobody changes it

One client keeps a cache and asks for changes only (QRESYNC); what it has must be what is there.
"""
import imaplib
import os
import random
import re
import shutil
import signal
import smtplib
import subprocess
import threading
import time
from collections import defaultdict

import pytest

from instance import AS_ROOT, SLOW, free_ports

SECONDS = float(os.environ.get("POSTERN_TEST_LONG", "12"))
ACCOUNT = "alice"
BOXES = ("INBOX", "Box")
FETCHED = re.compile(rb"UID (\d+) MODSEQ \((\d+)\) FLAGS \(([^)]*)\) BODY\[HEADER.FIELDS \(SUBJECT\)\] \{")
STATE = re.compile(rb"UID (\d+) MODSEQ \((\d+)\) FLAGS \(([^)]*)\)")
CHANGED = re.compile(rb"UID (\d+) MODSEQ \(\d+\) FLAGS \(([^)]*)\)")
NUMBER = re.compile(rb"number (\d+)")
NAME = re.compile(r"(\d+)\.M(\d+)P(\d+)_")     # of a file that an agent has made: when, and its process
SYSTEM_USER = f"postern-boxes-{os.getpid()}"
ROUTES = {"virtual": f"{ACCOUNT}@a.test", "lmtp": "all@lmtp.test", **({"local": f"{SYSTEM_USER}@local.test"} if AS_ROOT else {})}
GONE = (OSError, imaplib.IMAP4.abort)           # the session was killed
KEYWORD, ANSWERED, FLAGGED = "$Mine", "\\Answered", "\\Flagged"


class World:
    """What everybody knows: what was promised, and what has been seen."""

    def __init__(self, suite):
        self.suite, self.lock = suite, threading.Lock()
        self.number, self.end = 0, time.monotonic() + SECONDS
        self.accepted, self.doomed, self.gone = set(), set(), set()     # gone: expunged, and the client heard OK
        self.flags = defaultdict(dict)          # number: {flag: on, None when nobody can know}
        self.by_uid = {}                        # (box, uid): number
        self.modseq = {}                        # (box, uid): the greatest seen
        self.highest = defaultdict(int)         # box: the greatest HIGHESTMODSEQ of a finished SELECT
        self.validity = {}
        self.wrong, self.done = [], defaultdict(int)
        self.cache, self.cached = {}, None      # of the client that asks for changes: {uid: flags}, (UIDVALIDITY, HIGHESTMODSEQ)
        self.sent = {}                          # number: (agent, when it was begun to be sent)
        self.killed = {}                        # process that delivers: when it was killed
        self.suspect = set()                    # UIDs that it has and did not find: it has to hear VANISHED next time

    def running(self):
        """For its time, and until everybody has done something."""
        now = time.monotonic()
        idle = any(self.done[step.__name__] == 0 for step, _ in ACTORS)
        return not self.wrong and (now < self.end or idle and now < self.end + 60 * SLOW)

    def new_number(self, sent=False):
        with self.lock:
            self.number += 1
            while (self.number % 5 == 4) != sent:
                self.number += 1
            return self.number

    def accept(self, number):
        with self.lock:
            self.accepted.add(number)

    def check(self, right, what):
        if not right:
            with self.lock:
                self.wrong.append(what)

    def saw(self, box, uid, number):
        with self.lock:
            before = self.by_uid.setdefault((box, uid), number)
        self.check(before == number, f"{box} UID {uid} was number {before} and is number {number}")


class Session:
    """An IMAP session of an actor; broken ones are made anew."""

    def __init__(self, world):
        self.world, self.client, self.box = world, None, None

    def select(self, box):
        world = self.world
        if not self.client:
            self.client = imaplib.IMAP4("127.0.0.1", world.suite.port["imap"], timeout=30 * SLOW)
            self.ok(self.client.login(world.suite.address(ACCOUNT), world.suite.password))
        with world.lock:
            before = world.highest[box]
        self.ok(self.client._simple_command("SELECT", box, "(CONDSTORE)"))
        self.client.state, self.box = "SELECTED", box
        value = lambda name: int(self.client.response(name)[1][-1])
        highest, validity = value("HIGHESTMODSEQ"), value("UIDVALIDITY")
        world.check(highest >= before, f"{box}: HIGHESTMODSEQ {highest} after {before}")
        with world.lock:
            world.highest[box] = max(world.highest[box], highest)
            first = world.validity.setdefault(box, validity)
        world.check(first == validity, f"{box}: UIDVALIDITY {validity} after {first}")

    def ok(self, answer):
        if answer[0] != "OK":
            raise imaplib.IMAP4.error(str(answer))
        return answer[1]

    def messages(self):
        """[(uid, modseq, flags, number)] of the selected mailbox; each is checked against what was seen before."""
        found = []
        for item in self.ok(self.client.uid("FETCH", "1:*", "(UID MODSEQ FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
            if not isinstance(item, tuple):
                continue
            head, number = FETCHED.search(item[0]), NUMBER.search(item[1])
            self.world.check(head and number, f"no such answer: {item}")
            uid, modseq, flags, n = int(head[1]), int(head[2]), head[3].decode().split(), int(number[1])
            self.world.saw(self.box, uid, n)
            found.append((uid, modseq, set(flags), n))
        return found

    def drop(self):
        if self.client:
            try:
                self.client.shutdown()
            except OSError:
                pass
        self.client = self.box = None


def text(number):
    return f"From: x@b.test\r\nSubject: number {number}\r\n\r\nline\r\n"


# ---- actors: one step each ----

def send(world, session):
    number, agent = world.new_number(sent=True), random.choice(list(ROUTES))
    world.sent[number] = agent, time.time()
    with smtplib.SMTP("127.0.0.1", world.suite.port["smtp"], "client.test", timeout=30 * SLOW) as smtp:
        smtp.sendmail("x@b.test", ROUTES[agent], text(number))
    world.accept(number)


def drop_into_new(world, session):
    """Another delivery program"""
    number, box = world.new_number(), world.suite.maildir(ACCOUNT)
    name = f"{int(time.time())}.M{number}P{os.getpid()}.other"
    (box / "tmp" / name).write_text(text(number).replace("\r\n", "\n"))
    if AS_ROOT:
        os.chown(box / "tmp" / name, world.suite.owner.pw_uid, world.suite.owner.pw_gid)
    (box / "tmp" / name).rename(box / "new" / name)
    world.accept(number)


def append(world, session):
    number, box = world.new_number(), random.choice(BOXES)
    if not session.client:
        session.select(box)
    answer = session.ok(session.client.append(box, f"({KEYWORD})" if number % 5 < 2 else None, None, text(number).encode()))
    world.accept(number)
    if number % 5 < 2:
        with world.lock:
            world.flags[number][KEYWORD] = True
    uid = re.search(rb"APPENDUID \d+ (\d+)", answer[0])
    world.saw(box, int(uid[1]), number)


def store(world, session):
    """Changes a flag of some messages; what was promised to be there before is there."""
    session.select(random.choice(BOXES))
    mine = [m for m in session.messages() if m[3] % 5 < 2]
    flag, on = random.choice((KEYWORD, ANSWERED)), random.random() < 0.5
    some = random.sample(mine, min(len(mine), 10))
    if not some:
        return
    with world.lock:
        some = [m for m in some if world.flags[m[3]].get(flag, False) is not None]
        for m in some:
            world.flags[m[3]][flag] = None
    if not some:
        return
    try:
        session.ok(session.client.uid("STORE", ",".join(str(m[0]) for m in some), "+FLAGS" if on else "-FLAGS", f"({flag})"))
    except GONE:
        with world.lock:
            for m in some:
                world.flags[m[3]][flag] = "unknown"     # done or not: nobody was told
        raise
    with world.lock:
        for m in some:
            world.flags[m[3]][flag] = on


def move(world, session):
    box = random.choice(BOXES)
    session.select(box)
    mine = [m for m in session.messages() if m[3] % 5 == 3]
    some = random.sample(mine, min(len(mine), 5))
    if some:
        other = BOXES[1 - BOXES.index(box)]
        answer = session.client.uid("MOVE" if random.random() < 0.8 else "COPY", ",".join(str(m[0]) for m in some), other)
        if answer[0] == "OK" and (uids := session.client.response("COPYUID")[1][-1]):
            new = expand(uids.split()[2])
            if len(new) == len(some):
                for uid, m in zip(new, sorted(some)):
                    world.saw(other, uid, m[3])


def expand(text):
    found = []
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def expunge(world, session):
    session.select(random.choice(BOXES))
    mine = [m for m in session.messages() if m[3] % 5 == 2]
    some = random.sample(mine, min(len(mine), 3))
    if len(mine) < 5:
        return
    with world.lock:
        world.doomed |= {m[3] for m in some}
    uids = ",".join(str(m[0]) for m in some)
    session.ok(session.client.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)"))
    session.ok(session.client.uid("EXPUNGE", uids))
    with world.lock:
        world.gone |= {m[3] for m in some}


def watch(world, session):
    """Modification sequences only grow."""
    box = random.choice(BOXES)
    with world.lock:
        before = dict(world.modseq)
    session.select(box)
    for uid, modseq, _, number in session.messages():
        world.check(modseq >= before.get((box, uid), 0), f"{box} UID {uid}: modseq {modseq} after {before.get((box, uid))}")
        with world.lock:
            world.modseq[box, uid] = max(modseq, world.modseq.get((box, uid), 0))


def apply_changes(world, client):
    """What the untagged answers to a SELECT say to the cache"""
    changed = {}
    for line in client.response("VANISHED")[1] or []:
        for uid in expand(line.split()[-1]) if line else []:
            world.cache.pop(uid, None)
            world.suspect.discard(uid)
    for line in client.response("FETCH")[1] or []:
        if line and (found := CHANGED.search(line)):
            changed[int(found[1])] = set(found[2].decode().split()) - {"\\Recent"}
    world.cache.update(changed)


def follow(world, session):
    """A client with a cache: whatever it is not told of has not changed."""
    try:
        session.select("Box")                   # signs in; and leaves INBOX
        client = session.client
        client.state = "AUTH"
        session.ok(client._simple_command("ENABLE", "QRESYNC"))
        for name in ("FETCH", "VANISHED", "HIGHESTMODSEQ", "UIDVALIDITY"):
            client.response(name)
        since = f"(QRESYNC ({world.cached[0]} {world.cached[1]}))" if world.cached else "(CONDSTORE)"
        session.ok(client._simple_command("SELECT", "INBOX", since))
        client.state = "SELECTED"
        highest, validity = int(client.response("HIGHESTMODSEQ")[1][-1]), int(client.response("UIDVALIDITY")[1][-1])
        if world.cached:
            world.check(validity == world.cached[0], f"UIDVALIDITY {validity} after {world.cached[0]}")
            apply_changes(world, client)
            world.check(not world.suspect, f"never VANISHED: {sorted(world.suspect)[:5]}")
        there, gone = {}, set()
        for line in session.ok(client.uid("FETCH", "1:*", "(MODSEQ FLAGS)")):
            if line and (found := STATE.search(line)):
                there[int(found[1])] = int(found[2]), set(found[3].decode().split()) - {"\\Recent"}
        for uid, (modseq, flags) in there.items():
            if world.cached and modseq <= highest:
                world.check(world.cache.get(uid) == flags,
                            f"UID {uid}, modseq {modseq} of {highest}: the cache has {world.cache.get(uid)}, there is {flags}")
            elif not world.cached:
                world.cache[uid] = flags
        world.suspect = set(world.cache) - set(there) if world.cached else set()
        world.cached = validity, highest
    finally:
        session.drop()


def remove(world, session):
    """Another program removes files."""
    for box in (world.suite.maildir(ACCOUNT), world.suite.maildir(ACCOUNT) / ".Box"):
        for path in random.sample(found := list((box / "cur").iterdir()) + list((box / "new").iterdir()), min(len(found), 4)):
            try:
                number = int(NUMBER.search(path.read_bytes())[1])
                if number % 5 == 2:
                    with world.lock:
                        world.doomed.add(number)
                    path.unlink()
            except FileNotFoundError:
                continue


def rename(world, session):
    """Another program sets and takes away the letter F, and moves files from new/ to cur/."""
    box = world.suite.maildir(ACCOUNT)
    for path in random.sample(found := list((box / "cur").iterdir()) + list((box / "new").iterdir()), min(len(found), 20)):
        try:
            number = int(NUMBER.search(path.read_bytes())[1])
            base, _, letters = path.name.partition(":2,")
            if number % 5 >= 2:
                continue
            on = "F" not in letters
            letters = set(letters) ^ {"F"}
            path.rename(box / "cur" / f"{base}:2,{''.join(sorted(letters))}")
        except FileNotFoundError:
            continue                            # a session was faster
        world.flags[number][FLAGGED] = on


def kill(world, session):
    """Any of the session processes, but not their parent"""
    pids = world.suite.pids("imapd")
    parent = lambda pid: int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    try:
        children = [pid for pid in pids if parent(pid) in pids]
        if children:
            os.kill(random.choice(children), signal.SIGKILL)
            world.done["killed"] += 1
    except (OSError, IndexError):
        pass


def kill_delivery(world, session):
    """Any agent that delivers into the account, or hands on to one that does"""
    name = min(ROUTES, key=lambda name: (world.done[f"killed {name}"], random.random()))
    for pid in world.suite.pids(name):
        world.killed[pid] = time.time()
        os.kill(pid, signal.SIGKILL)
        world.done[f"killed {name}"] += 1


ACTORS = [(send, 0.03), (send, 0.03), (drop_into_new, 0.08), (append, 0.02), (append, 0.02), (store, 0.01), (store, 0.01), (move, 0.02),
          (expunge, 0.05), (watch, 0.02), (follow, 0.02), (rename, 0.02), (remove, 0.1), (kill, 0.4),
          (kill_delivery, 0.3)]


def act(world, step, pause):
    session = Session(world)
    try:
        while world.running():
            try:
                step(world, session)
                world.done[step.__name__] += 1
            except GONE:
                world.done["broken"] += 1
                session.drop()
            except imaplib.IMAP4.error as e:
                if "no mailbox session" in str(e):      # killed while it was being handed the connection
                    world.done["unavailable"] += 1
                    session.drop()
                    continue
                # The account is in use by others: what they expunge cannot be moved.
                world.check("EXPUNGEISSUED" in str(e) or "gone" in str(e), f"{step.__name__}: {e}")
                session.drop()
            time.sleep(pause)
    except Exception as e:                      # an actor that stops early would let the test pass
        world.check(False, f"{step.__name__}: {type(e).__name__} {e}")
    session.drop()


@pytest.fixture(scope="module")
def suite(make_instance):
    """All routes end in the account: local's user has its uid, and a home in which its Maildir is the account's."""
    lmtp, = free_ports(1)
    suite = make_instance(users=(ACCOUNT,), params={
        "mydestination": "local.test", "home_mailbox": f"{ACCOUNT}/",
        "transport_maps": "inline:{{lmtp.test = lmtp:inet:127.0.0.1:%d}}" % lmtp,
        "relay_domains": "lmtp.test", "lmtp_generic_maps": "inline:{{@lmtp.test = %s}}" % ROUTES["virtual"],
        "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", "transport_retry_time": "1s",
        "smtpd_client_connection_rate_limit": "0", "mail_max_userip_connections": "100"},
        services=[f"127.0.0.1:{lmtp} inet n - n - - smtpd\n    -o smtpd_lmtp_mode=yes"])
    if AS_ROOT:
        subprocess.run(["useradd", "--system", "--non-unique", "--uid", str(suite.owner.pw_uid), "--gid", str(suite.owner.pw_gid),
                        "--no-create-home", "--home-dir", suite.maildir(ACCOUNT).parent, "--shell", "/usr/sbin/nologin", SYSTEM_USER],
                       check=True)
    yield suite
    if AS_ROOT:
        subprocess.run(["userdel", "--force", SYSTEM_USER], check=True)    # others of this uid have processes


@pytest.fixture(scope="module")
def world(suite):
    world = World(suite)
    session = Session(world)
    session.select("INBOX")
    session.ok(session.client.create("Box"))
    for _ in range(100):
        append(world, session)
    session.drop()
    world.end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=act, args=(world, step, pause), daemon=True) for step, pause in ACTORS]
    for t in threads:
        t.start()
    for t in threads:
        t.join(SECONDS + 120 * SLOW)
    assert not any(t.is_alive() for t in threads)
    suite.wait_queue_empty()
    return world


def final(world):
    """{number: [flags of each copy]}, after another program's last change has made everybody look again"""
    box, found = world.suite.maildir(ACCOUNT), defaultdict(list)
    session = Session(world)
    for directory in (box, box / ".Box"):
        time.sleep(0.05)
        shutil.copystat(directory, directory)
        os.utime(directory / "cur")
    for name in BOXES:
        session.select(name)
        for _, _, flags, number in session.messages():
            found[number].append(flags)
    session.drop()
    return found


def test_nothing_is_lost_and_no_uid_is_given_twice_while_everybody_changes_everything(world, capsys):
    with capsys.disabled():
        print(f"\n    {world.number} messages; " + ", ".join(f"{n} {what}" for what, n in sorted(world.done.items())))
    assert not world.wrong, "\n".join(world.wrong[:10])
    assert min(world.done[step.__name__] for step, _ in ACTORS) > 0, dict(world.done)
    assert world.done["unavailable"] <= world.done["killed"], dict(world.done)
    found = final(world)
    lost = world.accepted - world.doomed - set(found)
    assert not lost, f"{len(lost)} lost, such as {sorted(lost)[:5]}"
    twice = [number for number, copies in found.items() if len(copies) > 1 and number % 5 < 3]   # 3: those may be copied
    assert not twice, f"{len(twice)} are there more than once, such as {sorted(twice)[:5]}"
    back = [number for number in world.gone if number in found]
    assert not back, f"{len(back)} were expunged and are there, such as {sorted(back)[:5]}"
    assert not world.wrong, "\n".join(world.wrong[:10])


def made_by(world):
    """{number: [(when, process) of each file]} of what has come by SMTP"""
    found = defaultdict(list)
    for path in world.suite.messages(ACCOUNT):
        number, name = int(NUMBER.search(path.read_bytes())[1]), NAME.match(path.name)
        if number in world.sent:
            found[number].append((int(name[1]) + int(name[2]) / 1e6, int(name[3])))
    return found


def test_a_message_comes_twice_only_where_its_delivery_was_killed_before_the_answer(world, capsys):
    made, more = made_by(world), 0
    for number, copies in made.items():
        agent, begun = world.sent[number]
        answered = [pid for _, pid in copies if pid not in world.killed]
        last, more = max(copies)[0], more + len(copies) - 1
        kills = [t for t in world.killed.values() if begun <= t <= last]
        assert len(copies) == 1 or kills, f"number {number} came through {agent} {len(copies)} times, and nobody was killed"
        assert len(answered) <= 1 or agent == "lmtp", f"number {number} came through {agent}, made by {copies}"
    with capsys.disabled():
        print(f"\n    {len(made)} by SMTP, {more} of them once more; {len(world.killed)} agents killed")
    assert world.killed


def test_no_flag_is_lost_whoever_has_set_it(world):
    wrong = []
    for number, copies in final(world).items():
        for flag, on in world.flags[number].items():
            if on in (True, False):
                wrong += [f"{number}: {flag} is {not on}" for flags in copies if (flag in flags) != on]
    assert not wrong, f"{len(wrong)}: {wrong[:10]}"
