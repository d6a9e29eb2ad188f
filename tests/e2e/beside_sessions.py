# SPDX-License-Identifier: Apache-2.0
"""Sessions made up at random, of two clients with the same mailboxes, said to two servers: what both answer, and what both
have in the end, has to be the same."""
import random

from beside import Pair, code, found

BOXES = ("INBOX", "Box", "Other")
FLAGS = (r"\Seen", r"\Flagged", r"\Answered", r"\Draft", r"\Deleted", r"\Deleted", "$Label1", "Work", "NonJunk")
WORDS = ("apple", "Birne", "cherry", "Zürich")
MONTHS = ("Jan", "Feb", "Mar", "Apr")


class Unlike(Exception):
    """The servers have said different things."""


def message(rnd, n):
    subject = rnd.choice(("", "Re: ", "Fwd: ", "re: re: ")) + rnd.choice(WORDS)
    parent = f"In-Reply-To: <{rnd.randrange(max(n, 1))}@a.test>\r\n" if rnd.random() < 0.5 else ""
    text = f"From: {rnd.choice(WORDS[:3])} <{rnd.choice('abc')}@a.test>\r\nTo: x@a.test\r\nSubject: {subject}\r\n{parent}"
    text += f"Message-ID: <{n}@a.test>\r\nDate: {rnd.randrange(1, 28)} {rnd.choice(MONTHS)} 2026 10:{n % 60:02}:00 +0000\r\n"
    return (text + "\r\n" + (rnd.choice(WORDS) + " text\r\n") * rnd.randrange(5)).encode()


class Talker:
    """One client, at both servers. count: messages that it sees; marks: moments, by what each server calls them."""

    def __init__(self, pair, qresync):
        self.pair, self.qresync, self.box, self.uids, self.marks = pair, qresync, None, [], []
        if qresync:
            pair.run("ENABLE QRESYNC")

    @property
    def count(self):
        return len(self.uids)


class Session:
    """seed: decides all. log: what was said, for whoever has to find out why."""

    def __init__(self, postern, dovecot, user, seed):
        self.rnd, self.log, self.made = random.Random(seed), [], 0
        self.talkers = [Talker(Pair(postern, dovecot, user), qresync) for qresync in (False, True)]

    def close(self):
        for t in self.talkers:
            t.pair.close()

    # ---- saying it ----

    def say(self, t, command, parts=None):
        """command may be a pair: one for each server."""
        ours, theirs = command if isinstance(command, tuple) else (command, command)
        self.log.append(f"{self.talkers.index(t)}: {ours[:120]!r}" + (f" / {theirs!r}" if ours != theirs else ""))
        a, b = t.pair.run(ours, theirs)
        self.compare(*[(x.status, code(x)) for x in (a, b)], "answer")
        for part in parts or ():
            self.compare(part(a), part(b), "content")
        return a, b

    def compare(self, ours, theirs, what):
        if ours != theirs:
            raise Unlike(f"{what}:\n  Postern {ours}\n  Dovecot {theirs}\n" + "\n".join(self.log[-25:]))

    def rest(self, t):
        """Hear all that there is to hear; then both have to see the same."""
        if not t.box:
            return
        self.say(t, "NOOP")
        a, _ = self.say(t, "FETCH 1:* (UID FLAGS)", [view])
        t.uids = [int(v[b"UID"]) for _, v in sorted(a.fetched.items())]

    # ---- making it up ----

    def step(self):
        t = self.rnd.choice(self.talkers)
        if t.box is None:
            return self.select(t)
        self.rest(t)
        return self.rnd.choice(STEPS)(self, t)

    def numbers(self, t):
        """Some messages by number or by UID, and the prefix that it takes."""
        rnd, uid = self.rnd, self.rnd.random() < 0.5
        of = t.uids if uid else range(1, t.count + 1)
        pick = sorted(rnd.sample(list(of), rnd.randrange(1, min(t.count, 5) + 1)))
        form = rnd.random()
        text = ",".join(map(str, pick)) if form < 0.6 else f"{pick[-1]}:{pick[0]}" if form < 0.8 else f"{pick[0]}:*"
        return ("UID " if uid else ""), text

    def flags(self):
        return " ".join(self.rnd.sample(FLAGS, self.rnd.randrange(1, 4)))

    def select(self, t):
        box = self.rnd.choice(BOXES[:2])
        command = f"{self.rnd.choice(('SELECT', 'SELECT', 'EXAMINE'))} {box}"
        t.marks, t.writable = [], command.startswith("SELECT")
        a, b = self.say(t, command, [lambda x: x.exists, lambda x: x.codes.get(b"UIDNEXT"), lambda x: x.codes.get(b"UNSEEN")])
        t.box, t.uids = box, []
        t.validity = [x.codes[b"UIDVALIDITY"].decode() for x in (a, b)]
        self.mark(t)

    def mark(self, t):
        """Remember this moment, as each server's modification sequence."""
        self.rest(t)
        a, b = self.say(t, f"STATUS {t.box} (HIGHESTMODSEQ)")
        t.marks.append([int(x.counts[t.box.encode()][b"HIGHESTMODSEQ"]) for x in (a, b)])

    def leave(self, t):
        self.say(t, self.rnd.choice(("CLOSE", "UNSELECT")))
        self.select(t)

    def store(self, t):
        if not t.count or not t.writable:
            return
        uid, numbers = self.numbers(t)
        silent = self.rnd.choice(("", ".SILENT"))
        action = f"{self.rnd.choice(('', '+', '-'))}FLAGS{silent} ({self.flags()})"
        if t.qresync and t.marks and self.rnd.random() < 0.4:
            mark = self.rnd.choice(t.marks)
            self.say(t, tuple(f"{uid}STORE {numbers} (UNCHANGEDSINCE {m}) {action}" for m in mark))
        else:
            self.say(t, f"{uid}STORE {numbers} {action}")

    def append(self, t):
        self.made += 1
        text = message(self.rnd, self.made)
        flags = f"({self.flags()}) " if self.rnd.random() < 0.7 else ""
        date = f'"{self.rnd.randrange(10, 28)}-{self.rnd.choice(MONTHS)}-2025 12:00:00 +0000" '
        self.say(t, f"APPEND {self.rnd.choice(BOXES)} {flags}{date}".encode() + b"{%d+}\r\n" % len(text) + text)

    def copy(self, t):
        if not t.count:
            return
        uid, numbers = self.numbers(t)
        command = self.rnd.choice(("COPY", "MOVE")) if t.writable else "COPY"
        self.say(t, f"{uid}{command} {numbers} {self.rnd.choice(BOXES)}")

    def expunge(self, t):
        if t.writable and self.rnd.random() < 0.5 and t.uids:
            self.say(t, f"UID EXPUNGE {self.rnd.choice(t.uids)}:{self.rnd.choice(t.uids)}")
        elif t.writable:
            self.say(t, "EXPUNGE")

    def fetch(self, t):
        if not t.count:
            return
        uid, numbers = self.numbers(t)
        items = self.rnd.choice(("FLAGS", "(UID RFC822.SIZE INTERNALDATE)", "ENVELOPE", "BODY.PEEK[]", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
                                 "BODYSTRUCTURE", "BODY[TEXT]<2.9>"))
        self.say(t, f"{uid}FETCH {numbers} {items}", [content])

    def changes(self, t):
        """What has changed since a moment, and what has gone."""
        mark = self.rnd.choice(t.marks)
        if t.qresync and self.rnd.random() < 0.5:
            self.say(t, tuple(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {m} VANISHED)" for m in mark), [view])
        else:
            self.say(t, tuple(f"FETCH 1:* (UID FLAGS) (CHANGEDSINCE {m})" for m in mark), [view])

    def resync(self, t):
        if not t.qresync:
            return self.mark(t)
        box, mark = t.box, self.rnd.choice(t.marks)
        self.say(t, tuple(f"SELECT {box} (QRESYNC ({v} {m}))" for v, m in zip(t.validity, mark)), [view])
        t.writable = True
        return self.mark(t)

    def key(self, t, depth=2):
        rnd = self.rnd
        if depth and rnd.random() < 0.4:
            a, b = self.key(t, depth - 1), self.key(t, depth - 1)
            return rnd.choice((f"NOT {self.key(t, 0)}", f"OR {a} {b}", f"({a} {b})"))     # Dovecot: NOT of a group finds too little
        day = f"{rnd.randrange(1, 28)}-{rnd.choice(MONTHS)}-{rnd.choice((2025, 2026))}"
        word = rnd.choice(WORDS[:3])[1:4]
        return rnd.choice((f"SUBJECT {word}", f"FROM {word}", f"BODY {word}", f"TEXT {word}", f"SINCE {day}", f"BEFORE {day}", f"ON {day}",
                           f"SENTSINCE {day}", f"SENTBEFORE {day}", f"LARGER {rnd.randrange(150, 300)}", f"SMALLER {rnd.randrange(150, 300)}",
                           "SEEN", "UNSEEN", "FLAGGED", "DELETED", "DRAFT", "UNANSWERED", "KEYWORD Work", "UNKEYWORD nonjunk",
                           f"UID {rnd.randrange(1, 40)}:*", "HEADER In-Reply-To @", 'HEADER Subject ""'))

    def search(self, t):
        """Dovecot loses messages from SORT when its keys have an OR, and sorts by one criterion only; so SORT gets one of each."""
        uid, sort = self.rnd.choice(("", "UID ")), self.rnd.random() < 0.5
        by = self.rnd.choice(("SORT (SUBJECT)", "SORT (FROM)", "SORT (REVERSE SIZE)", "SORT (DATE)", "THREAD REFERENCES"))
        command = f"{by} UTF-8" if sort else self.rnd.choice(("SEARCH", "SEARCH RETURN (MIN MAX COUNT ALL)"))
        self.say(t, f"{uid}{command} {self.key(t, 0 if sort else 2)}", [found])

    def status(self, t):
        box = self.rnd.choice([b for b in BOXES if b not in [x.box for x in self.talkers]])
        self.say(t, f"STATUS {box} (MESSAGES UIDNEXT UNSEEN SIZE)", [lambda x: x.counts])


def view(answer):
    """Which message has which flags."""
    return {n: (v.get(b"UID"), sorted(f.lower() for f in v.get(b"FLAGS", ()) if f != b"\\Recent"))
            for n, v in answer.fetched.items() if b"FLAGS" in v}, [g for g in answer.gone if isinstance(g, bytes)]


def content(answer):
    return {n: {k: v for k, v in items.items() if k not in (b"UID", b"FLAGS", b"MODSEQ")} for n, items in answer.fetched.items()}


STEPS = (Session.store, Session.store, Session.store, Session.append, Session.append, Session.copy, Session.expunge, Session.fetch, Session.changes,
         Session.resync, Session.search, Session.search, Session.status, Session.mark, Session.leave)


def play(postern, dovecot, user, seed, steps):
    """One session, of an empty account; an Unlike says where they part."""
    s = Session(postern, dovecot, user, seed)
    try:
        for box in BOXES[1:]:
            s.say(s.talkers[0], f"CREATE {box}")
        for _ in range(12):
            s.append(s.talkers[0])
        for _ in range(steps):
            s.step()
        for t in s.talkers:
            s.rest(t)
        for box in BOXES:
            s.say(s.talkers[0], f"STATUS {box} (MESSAGES UIDNEXT UNSEEN)", [lambda x: x.counts])
    finally:
        s.close()
