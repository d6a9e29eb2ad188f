# SPDX-License-Identifier: Apache-2.0
"""Two servers side by side: what they answer, as values, without that in which two good servers may differ; and where they part."""
import re
import time
from pathlib import Path

from imap_client import Client
from instance import SLOW

STATES = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


def tokens(data):
    """Nested lists of bytes and None; how a string is written makes no difference. What stands in [...] stays with its atom."""
    stack, at = [[]], 0
    while at < len(data):
        c = data[at:at + 1]
        if c == b" ":
            at += 1
        elif c == b"(":
            stack.append([])
            at += 1
        elif c == b")" and len(stack) > 1:
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif c == b'"':
            m = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(data, at)
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", m[1]))
            at = m.end()
        elif m := re.compile(rb"~?\{(\d+)\}\r\n").match(data, at):
            at = m.end() + int(m[1])
            stack[-1].append(data[m.end():at])
        else:
            m = re.compile(rb'(?:[^\s()"\[]+|\[(?:[^\]"]|"[^"]*")*\])+|.', re.S).match(data, at)
            stack[-1].append(None if m[0].upper() == b"NIL" else m[0])
            at = m.end()
    assert len(stack) == 1, data
    return stack[0]


def pairs(flat):
    return {key.upper(): value for key, value in zip(flat[::2], flat[1::2])}


def code_of(text):
    """The response code of what follows OK, NO or BAD: its name, and what it says."""
    m = re.match(rb"\[([A-Za-z0-9-]+)(?: ([^\]]*))?\]", text)
    return (m[1].upper(), m[2] or b"") if m else (b"", b"")


class Answer:
    """Everything that a command is answered with.
    status: OK, NO or BAD; code: of the tagged answer; fetched: {message: {item: value}}; mailboxes: {name: (LIST or LSUB, attributes, ...)};
    counts: {mailbox: {item: number}}; found: what SEARCH, SORT, THREAD or ESEARCH say; codes: of untagged lines; gone: EXPUNGE, VANISHED"""

    def __init__(self, lines, answer):
        answer = answer.encode("utf-8", "surrogateescape")
        self.status, _, self.text = answer.partition(b" ")
        self.code = code_of(self.text)
        self.fetched, self.mailboxes, self.counts, self.codes = {}, {}, {}, {}
        self.found, self.gone, self.other, self.exists = [], [], [], None
        for line in lines:
            self.take(line.encode("utf-8", "surrogateescape").partition(b" ")[2])

    def take(self, line):
        words = line.split(b" ", 2)
        kind = words[0].upper()
        if words[0].isdigit():
            self.take_number(int(words[0]), words[1].split(b"\r\n")[0].upper(), line)
        elif kind in STATES:
            name, text = code_of(line.partition(b" ")[2])
            self.codes[name] = text
        elif kind in (b"LIST", b"LSUB"):
            attributes, separator, name, *rest = tokens(line)[1:]
            self.mailboxes[name] = (kind, frozenset(a.lower() for a in attributes), separator, rest)
        elif kind == b"STATUS":
            name, items = tokens(line)[1:]
            self.counts[name] = pairs(items)
        elif kind == b"VANISHED":
            self.gone.append(line)
        elif kind in (b"SEARCH", b"SORT", b"THREAD", b"ESEARCH"):
            self.found.append(tokens(line))
        else:
            self.other.append(tokens(line))

    def take_number(self, number, kind, line):
        if kind == b"FETCH":
            self.fetched.setdefault(number, {}).update(pairs(tokens(line)[2]))
        elif kind == b"EXPUNGE":
            self.gone.append(number)
        elif kind == b"EXISTS":
            self.exists = number


class Pair:
    """One user's connections to both."""

    def __init__(self, postern, dovecot, user):
        self.servers, self.user = (postern, dovecot), user
        self.postern, self.dovecot = Client(postern, user), Client(dovecot, user)

    def close(self):
        self.postern.close()
        self.dovecot.close()

    def run(self, ours, theirs=None):
        """What Postern and Dovecot say."""
        return Answer(*self.postern.run(ours)), Answer(*self.dovecot.run(theirs or ours))


# ---- what may differ everywhere ----

OWN_CODES = {b"": b"", b"MAILBOXID": b"",      # RFC 8474, which Dovecot does not have
             b"CLIENTBUG": b"", b"CLOSED": b"", b"HIGHESTMODSEQ": b"", b"NOMODSEQ": b"", b"PERMANENTFLAGS": b"", b"UIDVALIDITY": b""}
UNTOLD = (b"", b"CLOSED", b"MAILBOXID", b"HIGHESTMODSEQ", b"NOMODSEQ")     # of untagged codes, those that one may say and the other not
CHILDREN = {b"\\haschildren", b"\\hasnochildren"}


def code(answer):
    """The response code, without what each server has its own numbers for. Postern gives one to more refusals (RFC 5530)."""
    name, text = answer.code
    if name in OWN_CODES or answer.status == b"NO":
        return b"", b""
    return (name, text.split()[1:]) if name in (b"APPENDUID", b"COPYUID") else (name, text if name == b"MODIFIED" else b"")


def body(b):
    """A BODY or BODYSTRUCTURE. US-ASCII is the charset of a text that names none (RFC 2046 section 4.1.2): Dovecot says so for all
    text, Postern where there is no Content-Type. Types are words without case."""
    if not isinstance(b, list):
        return b
    if len(b) > 6 and isinstance(b[0], bytes) and isinstance(b[6], bytes) and b[6].isdigit():
        b = [x.lower() if isinstance(x, bytes) and i in (0, 1, 5) else x for i, x in enumerate(b)]
        if b[0] == b"text" and len(b) > 7 and isinstance(b[2], list):
            at = [i for i in range(0, len(b[2]), 2) if b[2][i:i + 2] == [b"charset", b"us-ascii"]]
            b[2] = b[2][:at[0]] + b[2][at[0] + 2:] or None if at else b[2]
    return [body(x) for x in b]


def envelope(e, depth=0):
    """An ENVELOPE. What an address lacks is an empty string for Postern, a word of Dovecot's own for Dovecot. Folds are taken out of
    Subject with the blanks after them or without (RFC 5322 section 2.2.3: without)."""
    if isinstance(e, list):
        return [envelope(x, depth + 1) for x in e]
    if depth == 1 and e:
        return b" ".join(e.split())
    return b"" if e in (b"MISSING_MAILBOX", b"MISSING_DOMAIN") else e


def item(name, value):
    """A FETCH item's value. NIL and an empty string are the same for what is not there; a day may have a blank or 0 before it (RFC 3501
    section 9: date-day-fixed); \\Recent is what was delivered, for Postern (docs/architecture.md)."""
    if name == b"FLAGS":
        return sorted(f.lower() for f in value if f != b"\\Recent")
    if name in (b"MODSEQ", b"SAVEDATE"):
        return b""
    if name == b"INTERNALDATE":
        return value.replace(b" ", b"0", 1) if value[:1] == b" " else value
    if name in (b"BODY", b"BODYSTRUCTURE"):
        return body(value)
    if name == b"ENVELOPE":
        return envelope(value)
    return b"" if value is None else value


def fetched(a, b):
    """Messages and their items, in the second answer's terms: Postern says the UID and MODSEQ of what a CONDSTORE client is told."""
    wanted = lambda n, k: k in b.fetched.get(n, {}) or (k not in (b"UID", b"MODSEQ", b"FLAGS") and n in a.fetched)
    return {n: {k.replace(b'"', b""): item(k, v) for k, v in items.items() if wanted(n, k)} for n, items in a.fetched.items()}


def listed(a, b):
    """Mailboxes; attributes that the other leaves out are no difference: \\HasChildren unasked, special use, \\Marked."""
    out = {}
    for name, (kind, attributes, separator, rest) in a.mailboxes.items():
        theirs = b.mailboxes.get(name, (kind, frozenset()))[1]
        optional = (set() if theirs & CHILDREN else CHILDREN) | {b"\\sent", b"\\marked", b"\\unmarked"}
        out[name] = (kind, sorted(attributes - optional), separator, rest)
    return out


def unlike(a, b):
    """In what two answers differ, in words; empty when they are alike."""
    codes = lambda x: {k: v.split()[1:] if k == b"COPYUID" else OWN_CODES.get(k, v) for k, v in x.codes.items() if k not in UNTOLD}
    counts = lambda x: {m: {k: v for k, v in i.items() if k not in (b"RECENT", b"HIGHESTMODSEQ")} for m, i in x.counts.items()}
    sides = {
        "answer": ((a.status, code(a)), (b.status, code(b))), "FETCH": (fetched(a, b), fetched(b, a)), "LIST": (listed(a, b), listed(b, a)),
        "STATUS": (counts(a), counts(b)), "codes": (codes(a), codes(b)), "EXISTS": (a.exists, b.exists), "gone": (a.gone, b.gone),
        "found": (found(a), found(b)),
    }
    return "\n".join(f"  {what}:\n    Postern {only(x, y)}\n    Dovecot {only(y, x)}" for what, (x, y) in sides.items() if x != y)


def only(x, y):
    """What is not the same in the other."""
    if isinstance(x, dict) and isinstance(y, dict):
        x = {k: v if not isinstance(v, dict) else only(v, y.get(k)) for k, v in x.items() if y.get(k, x) != v}
    return x if isinstance(x, dict) else str(x)[:300]


def found(answer):
    """Of searches; the order of SEARCH says nothing, and nobody compares tags and modification sequences."""
    out = []
    for line in answer.found:
        words = [w for w in line[1:] if not isinstance(w, list) or line[0] == b"THREAD"]
        if line[0] == b"ESEARCH":
            words = pairs([w for w in words if w != b"UID"])
            words.pop(b"MODSEQ", None)
        out.append((line[0], sorted(words) if line[0] == b"SEARCH" else words))
    return out


# ---- lists of commands ----

def commands(name):
    """(command, why it may be answered otherwise, or "") of a file in beside_commands/."""
    out = []
    for line in (Path(__file__).parent / "beside_commands" / name).read_text().splitlines():
        if line.startswith("    "):
            out[-1] = (out[-1][0], f"{out[-1][1]} {line.strip()}".strip())
        elif line and not line.startswith("# "):
            out.append((re.sub(r"\\r\\n", "\r\n", line), ""))
    return out


def settled(pair, command, a, b):
    """Dovecot keeps a list of its mailboxes that may be a moment behind: a question is asked again until the answers are alike, or for
    some seconds."""
    end = time.monotonic() + 3 * SLOW
    while unlike(a, b) and time.monotonic() < end:
        time.sleep(0.1)
        a, b = pair.run(command.encode())
    return a, b


def run_all(pair, name):
    """What was answered unlike without a reason in the file."""
    wrong = []
    for command, reason in commands(name):
        a, b = pair.run(command.encode())
        if command.startswith(("LIST", "LSUB", "STATUS")) and not reason:
            a, b = settled(pair, command, a, b)
        difference = unlike(a, b)
        if difference and not reason:
            wrong.append(f"{command!r}: Postern {a.status} {a.text}, Dovecot {b.status} {b.text}\n{difference}")
    return wrong
