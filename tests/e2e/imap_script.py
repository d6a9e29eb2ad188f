# SPDX-License-Identifier: Apache-2.0
"""Scripted IMAP sessions: plain text files that read like the examples of the RFCs, and what runs them.

imap_sessions/README.md describes the format for those who write scripts. Here: parse() makes Sessions of a file,
run() plays one against a server, said() and told() give what the scripts cover.

A session is a list of steps. What clients send is compiled to bytes (literals apart, since the client waits for the
server's go-ahead), what they expect to regular expressions, both when the step is played, because captured values
stand in them.
"""
import base64
import re
import ssl
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from instance import SLOW

DEADLINE = 15 * SLOW
QUIET = 0.1             # how long "(nothing)" listens

HEAD = re.compile(r"session: (.*\(RFC \d+ section [\w.]+(?:,? (?:and )?[\w.]+)*\))$")
STEP = re.compile(r"([A-Z])(:|<[~?!]?)(?: (.*)|$)")
ACTION = re.compile(r"([A-Z]) (connects|connects by TLS|connects signed in|starts TLS|compresses|hangs up)$")
REPEAT = re.compile(r"([A-Z]) repeats (\S.*) until (\* .*|\S+ OK.*)$")
SETUP = ("mailbox", "subscribe", "put", "file", "unlink", "drop", "loop", "deny", "quota", "check")
NAME = r"[a-z][a-z0-9_]*"
TOKEN = re.compile(r"\{(?P<text>" + NAME + r")(?P<plus>\+?)\}"
                   r'|\{"(?P<inline>(?:[^"\\]|\\.)*)"(?P<iplus>\+?)\}'
                   r"|(?P<literal>\{\.\.\.\})|(?P<any>\.\.\.)"
                   r"|<0x(?P<hex>[0-9a-f]{2})>|<(?P<times>\d+)\*(?P<what>[^>]+)>|<base64 (?P<base64>[^>]*)>"
                   r"|<(?P<kind>number|date-time|word)>"
                   r"|\$\{(?P<sum>" + NAME + r")(?P<add>[+-]\d+)\}|\$(?P<var>" + NAME + r")")
KINDS = {"number": r"\d+", "word": r'[^ ()\[\]"\r\n]+',
         "date-time": r'"[ \d]\d-[A-Z][a-z][a-z]-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"'}
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}


class ScriptError(Exception):
    """The script itself is wrong."""


class Mismatch(AssertionError):
    """The server said something else than the script expects."""


@dataclass
class Step:
    line: int
    who: str
    kind: str           # ":", "<", "<~", "<?", "<!", an action, "repeats" or a word of SETUP
    text: str = ""
    more: str = ""      # of "repeats": until


@dataclass
class Session:
    path: Path
    line: int
    title: str
    params: tuple                   # of the server: sorted (name, value)
    capabilities: tuple             # that the file is about
    texts: dict                     # messages by name, bytes
    steps: list = field(default_factory=list)

    @property
    def id(self):
        return f"{self.path.parent.name}/{self.path.stem}:{self.line} {self.title}"


# ---- reading scripts ----

def parse(path, text=None):
    """The sessions of a file."""
    lines = (text if text is not None else Path(path).read_text(encoding="utf-8")).split("\n")
    sessions, texts, params, capabilities = [], {}, {}, []
    at = 0

    def wrong(why):
        raise ScriptError(f"{path}:{at}: {why}: {line!r}")

    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip() or line.startswith("#"):
            continue
        while at < len(lines) and lines[at].startswith("    ") and lines[at].strip():
            line = line[:-1] + lines[at].strip() if line.endswith("\\") else f"{line} {lines[at].strip()}"
            at += 1
        word, _, rest = line.partition(" ")
        if word == "server":
            if sessions:
                wrong("parameters stand at the top of the file")
            params.update(p.split("=", 1) for p in re.split(r" (?=\w+=)", rest))
        elif word == "capability":
            capabilities += rest.split()
        elif word == "message":
            first = at
            while at < len(lines) and lines[at].startswith("| ") or lines[at] == "|":
                at += 1
            if first == at or rest in texts or not re.fullmatch(NAME, rest):
                wrong("a message has a new name and lines that begin with '| '")
            texts[rest] = "".join(text[2:] + "\r\n" for text in lines[first:at]).encode()
        elif word == "session:":
            if not (m := HEAD.match(line)):
                wrong("a session's head is a sentence that ends with its section, (RFC 3501 section 6.3.1)")
            sessions.append(Session(Path(path), at, m[1], tuple(sorted(params.items())), tuple(capabilities), texts))
        elif not sessions:
            wrong("expected 'session:' before the first step")
        elif m := STEP.match(line):
            sessions[-1].steps.append(Step(at, m[1], m[2], m[3] or ""))
        elif m := ACTION.match(line):
            sessions[-1].steps.append(Step(at, m[1], m[2]))
        elif m := REPEAT.match(line):
            sessions[-1].steps.append(Step(at, m[1], "repeats", m[2], m[3]))
        elif word in SETUP:
            sessions[-1].steps.append(Step(at, "", word, rest))
        else:
            wrong("neither a step nor set-up")
    if not sessions:
        raise ScriptError(f"{path}: no session")
    return sessions


def unescape(text):
    return re.sub(rb"\\(x[0-9a-f]{2}|.)", lambda m: bytes.fromhex(m[1][1:].decode()) if len(m[1]) > 1
                  else ESCAPES.get(m[1], m[1]), text.encode(), flags=re.DOTALL)


def tokens(text):
    """Plain pieces (str) and matches of TOKEN, in order."""
    at = 0
    for m in TOKEN.finditer(text):
        if m.start() > at:
            yield text[at:m.start()]
        yield m
        at = m.end()
    if at < len(text):
        yield text[at:]


# ---- one client ----

class Client:
    def __init__(self, sock, name, log):
        self.sock = sock
        self.name, self.log = name, log
        self.buffer = b""
        self.forbidden = []             # (step, regular expression): not in this answer
        self.tags = set()
        self.inflate = self.deflate = None

    def start_tls(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def start_deflate(self):
        self.inflate, self.deflate = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)

    def send(self, data):
        self.log.append((self.name, ":", data))
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def fill(self, timeout):
        """More bytes into the buffer; False when none came in time. EOFError at the end."""
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        self.buffer += self.inflate.decompress(data) if self.inflate else data
        return True

    def line(self, deadline):
        """A line with the literals in it, without its end; None when time is over."""
        at = 0
        while True:
            end = self.buffer.find(b"\n", at)
            if end >= 0:
                m = re.search(rb"\{(\d+)\}\r\n$", self.buffer[at:end + 1])
                if not m:
                    break
                at = end + 1 + int(m[1])
                continue
            if not self.fill(deadline - time.monotonic()) and time.monotonic() > deadline:
                return None
        line, self.buffer = self.buffer[:end + 1], self.buffer[end + 1:]
        self.log.append((self.name, "<", line))
        if not line.endswith(b"\r\n"):
            raise Mismatch(f"a line of the server does not end with CR LF: {line!r}")
        return line[:-2]

    def close(self):
        self.sock.close()


def show(data):
    return data.decode("utf-8", "backslashreplace").replace("\r\n", "\n      ")


# ---- running ----

class Run:
    """One session being played. account: whose clients they are; see Account in test_imap_sessions.py."""

    def __init__(self, session, account):
        self.session, self.account = session, account
        self.vars = dict(account.variables)
        self.clients, self.log, self.group = {}, [], []
        self.skipping = False
        self.step = None

    # what stands in the script, as bytes to send or to expect

    def value(self, m):
        if m["sum"]:
            return str(int(self.vars[m["sum"]]) + int(m["add"])).encode()
        if m["hex"]:
            return bytes.fromhex(m["hex"])
        if m["times"]:
            return m["what"].encode() * int(m["times"])
        if m["base64"] is not None:
            plain = re.sub(r"\$(" + NAME + ")", lambda v: self.vars[v[1]], m["base64"])
            return base64.b64encode(unescape(plain))
        return None

    def literal(self, m):
        """The bytes of {name} and {"..."}, None for other tokens."""
        if m["text"]:
            if m["text"] not in self.session.texts:
                raise ScriptError(f"no message {m['text']}")
            return self.session.texts[m["text"]]
        return unescape(m["inline"]) if m["inline"] is not None else None

    def to_send(self, text):
        """Pieces to send; before each but the first the server's "+" is awaited."""
        pieces = [b""]
        for t in tokens(text):
            if isinstance(t, str):
                pieces[-1] += t.encode()
            elif (data := self.literal(t)) is not None:
                plus = t["plus"] or t["iplus"] or ""
                pieces[-1] += b"{%d%s}\r\n" % (len(data), plus.encode())
                if not plus:
                    pieces.append(b"")
                pieces[-1] += data
            elif t["var"]:
                pieces[-1] += self.vars[t["var"]].encode() if t["var"] in self.vars else t[0].encode()
            else:
                value = self.value(t)
                pieces[-1] += t[0].encode() if value is None else value
        pieces[-1] += b"\r\n"
        return pieces

    def to_match(self, text):
        pattern, new = b"", set()
        for t in tokens(text):
            if isinstance(t, str):
                pattern += re.escape(t.encode())
            elif (data := self.literal(t)) is not None:
                pattern += re.escape(b"{%d}\r\n" % len(data) + data)
            elif t["any"]:
                pattern += b".*"
            elif t["literal"]:
                pattern += rb"\{\d+\}\r\n.*"
            elif t["kind"]:
                pattern += KINDS[t["kind"]].encode()
            elif t["var"] in new:
                pattern += b"(?P=%s)" % t["var"].encode()
            elif t["var"]:
                name = t["var"]
                known = name in self.vars
                pattern += re.escape(self.vars[name].encode()) if known else \
                    b"(?P<%s>%s)" % (name.encode(), KINDS["word"].encode())
                if not known:
                    new.add(name)
            else:
                pattern += re.escape(self.value(t))
        return re.compile(pattern, re.DOTALL)

    def matches(self, text, line):
        m = self.to_match(text).fullmatch(line)
        if m:
            self.vars.update({k: v.decode() for k, v in m.groupdict().items()})
        return bool(m)

    # failing

    def fail(self, expected, came):
        __tracebackhide__ = True
        said = "".join(f"  {who}{mark} {show(data)}\n" if not data.endswith(b"\r\n") else f"  {who}{mark} {show(data[:-2])}\n"
                       for who, mark, data in self.log)
        captured = {k: v for k, v in self.vars.items() if k not in self.account.variables}
        raise Mismatch(f"{self.session.path}:{self.step.line}: {self.session.title}\n"
                       f"expected: {expected}\ncame:     {came}\n"
                       + (f"captured: {captured}\n" if captured else "") + f"all that was said:\n{said}")

    def client(self, who):
        if who not in self.clients:
            self.clients[who] = self.account.connect(who, self.log)
            self.account.sign_in(self.clients[who])
        return self.clients[who]

    def line(self, who, expected):
        __tracebackhide__ = True
        c = self.client(who)
        try:
            line = c.line(time.monotonic() + DEADLINE)
        except EOFError:
            self.fail(expected, "the end of the connection")
        if line is None:
            self.fail(expected, f"nothing in {DEADLINE:.0f} s" + (f", but {c.buffer!r}" if c.buffer else ""))
        for step, text in c.forbidden:
            if self.to_match(text).fullmatch(line):
                self.fail(f"no {text} (line {step.line})", show(line))
        return line

    # steps

    def send(self, who, text):
        c = self.client(who)
        c.forbidden = []
        c.tags.update(line.split(" ")[0].encode() for line in text.split("<0x0d><0x0a>"))
        pieces = self.to_send(text)
        c.send(pieces[0])
        for piece in pieces[1:]:
            line = self.line(who, "+ (a literal may be sent)")
            if not line.startswith(b"+ "):
                self.fail("+ (a literal may be sent)", show(line))
            c.send(piece)

    def expect(self, who, text):
        __tracebackhide__ = True
        if text == "(closed)":
            try:
                line = self.client(who).line(time.monotonic() + DEADLINE)
            except EOFError:
                return
            self.fail(text, "nothing" if line is None else show(line))
        if text == "(nothing)":
            try:
                line = self.client(who).line(time.monotonic() + QUIET)
            except EOFError:
                self.fail(text, "the end of the connection")
            if line is not None:
                self.fail(text, show(line))
            return
        if text == "...":
            self.skipping = True
            return
        while True:
            line = self.line(who, text)
            if self.matches(text, line):
                break
            # What is awaited cannot come after the answer that ends the command.
            if not self.skipping or line.split(b" ")[0] in self.client(who).tags:
                self.fail(text, show(line))
        self.skipping = False

    def expect_group(self):
        """Lines that may come in any order."""
        __tracebackhide__ = True
        waiting, self.group = self.group, []
        while waiting:
            who = waiting[0].who
            line = self.line(who, " or ".join(s.text for s in waiting))
            found = next((s for s in waiting if s.who == who and self.matches(s.text, line)), None)
            if not found:
                self.fail("in any order: " + "\n          ".join(s.text for s in waiting), show(line))
            waiting.remove(found)

    def expect_optional(self, who, text):
        c = self.client(who)
        at = len(self.log)
        line = self.line(who, f"perhaps {text}")
        if not self.matches(text, line):
            c.buffer = line + b"\r\n" + c.buffer
            del self.log[at:]

    def repeat(self, step):
        c = self.client(step.who)
        end = time.monotonic() + DEADLINE
        for n in range(1, 100000):
            tag = f"repeat{n}"
            c.forbidden = []
            c.send(f"{tag} {step.text}\r\n".encode())
            seen = False
            while True:
                line = self.line(step.who, f"the answer of {step.text}")
                seen = self.matches(step.more.replace("tag ", f"{tag} ", 1), line) or seen
                if line.startswith(tag.encode() + b" "):
                    break
            if seen:
                return
            if time.monotonic() > end:
                self.fail(step.more, f"other answers for {DEADLINE:.0f} s")
            time.sleep(0.02)

    def check(self, text):
        m = re.fullmatch(r"\$(\w+) (<|>|=|!=) (?:\$(\w+)|(\d+))", text)
        if not m:
            raise ScriptError(f"check $a > $b (or <, =, !=): {text}")
        a, b = self.vars[m[1]], self.vars[m[3]] if m[3] else m[4]
        good = {"<": lambda: int(a) < int(b), ">": lambda: int(a) > int(b), "=": lambda: a == b, "!=": lambda: a != b}
        if not good[m[2]]():
            self.fail(text, f"{a} and {b}")

    def act(self, step):
        who, kind = step.who, step.kind
        if kind in ("connects", "connects by TLS", "connects signed in"):
            if who in self.clients:
                raise ScriptError(f"{who} is connected")
            self.clients[who] = self.account.connect(who, self.log, tls=kind.endswith("TLS"))
            if kind.endswith("signed in"):
                self.account.sign_in(self.clients[who])
        elif kind == "starts TLS":
            self.client(who).start_tls()
        elif kind == "compresses":
            self.client(who).start_deflate()
        else:
            self.clients.pop(who).close()

    def play_step(self, step):
        __tracebackhide__ = True
        if step.kind == "<~":
            self.group.append(step)
            return
        if self.group:
            last, self.step = self.step, self.group[0]
            self.expect_group()
            self.step = step
        if step.kind == ":":
            self.send(step.who, step.text)
        elif step.kind == "<":
            self.expect(step.who, step.text)
        elif step.kind == "<?":
            self.expect_optional(step.who, step.text)
        elif step.kind == "<!":
            self.client(step.who).forbidden.append((step, step.text))
        elif step.kind == "repeats":
            self.repeat(step)
        elif step.kind == "check":
            self.check(step.text)
        elif step.kind in SETUP:
            getattr(self.account, step.kind)(*self.setup_arguments(step.text))
        else:
            self.act(step)

    def setup_arguments(self, text):
        """Words, quoted ones and lists as one; a message's name becomes its bytes."""
        words = re.findall(r'"(?:[^"\\]|\\.)*"|\([^)]*\)|\S+', text)
        return [self.session.texts.get(w, w) for w in words]

    def play(self):
        __tracebackhide__ = True
        try:
            for step in self.session.steps:
                self.step = step
                self.play_step(step)
            if self.group:
                self.step = self.group[0]
                self.expect_group()
            self.finish()
        except (ScriptError, KeyError) as e:
            raise ScriptError(f"{self.session.path}:{self.step.line}: {e}") from None
        except (BrokenPipeError, ConnectionResetError) as e:
            self.fail("a connection", e)
        finally:
            for c in self.clients.values():
                c.close()

    def finish(self):
        """Whoever is still there has nothing more to hear."""
        for who, c in self.clients.items():
            if c.buffer:
                self.fail(f"nothing more for {who}", repr(c.buffer))
            try:
                line = c.line(time.monotonic())
                self.fail(f"nothing more for {who}", repr(line)) if line is not None else None
            except EOFError:
                pass


def run(session, account):
    __tracebackhide__ = True
    Run(session, account).play()


# ---- what scripts cover ----

def commands(sessions):
    """(command, all that is sent with its tag) of each; "UID" is a part of the command, "UID FETCH"."""
    for s in sessions:
        for step in s.steps:
            text = step.text if step.kind == ":" else f"tag {step.text}" if step.kind == "repeats" else ""
            for line in text.split("<0x0d><0x0a>"):
                if m := re.match(r"\S+ ((?:UID )?[A-Za-z]+)(?=$| )", line):
                    yield m[1].upper(), line


def said(sessions):
    """{(command, how it was answered)}: OK, NO, BAD, or "" for all that are given."""
    found = {(command, "") for command, line in commands(sessions)}
    for s in sessions:
        open_tags = {}
        for step in s.steps:
            if step.kind == ":" and (m := re.match(r"(\S+) (?:UID (?=[A-Z]))?([A-Za-z]+)(?=$| |\\r)", step.text)):
                open_tags[step.who, m[1]] = m[2].upper()
            elif step.kind in ("<", "<~") and (m := re.match(r"(\S+) (OK|NO|BAD)\b", step.text)):
                if (step.who, m[1]) in open_tags:
                    found.add((open_tags[step.who, m[1]], m[2]))
            elif step.kind == "repeats":
                found.add((step.text.split()[0], "OK"))
    return found


def told(sessions):
    """What servers say in the scripts: names of untagged responses, and "[CODE" of response codes."""
    found = set()
    for s in sessions:
        for step in s.steps:
            text = step.more if step.kind == "repeats" else step.text
            if step.kind not in ("<", "<~", "repeats"):
                continue
            if m := re.match(r"\* (?:[\d$<]\S* )?([A-Z]+)", text):
                found.add(m[1])
            if text.startswith("+"):
                found.add("+")
            if m := re.match(r"\S+ (OK|NO|BAD|BYE)\b(?: (\[[A-Z0-9-]+))?", text):
                found.update(g for g in m.groups() if g)
    return found
