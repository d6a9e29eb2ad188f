# SPDX-License-Identifier: Apache-2.0
"""A mail filter that speaks the milter protocol and does what a test has scripted; it remembers what it was told.

script: {event: answers}. An event is CONNECT HELO MAIL RCPT DATA UNKNOWN HEADER EOH BODY EOM; answers are a list of
packets ("y550 5.7.1 no\\0"), or one of the words of FAULTS. Events that are not scripted are answered "continue".
"""
import os
import socket
import struct
import threading
import time

EVENTS = {"C": "CONNECT", "H": "HELO", "M": "MAIL", "R": "RCPT", "T": "DATA", "U": "UNKNOWN", "L": "HEADER", "N": "EOH",
          "B": "BODY", "E": "EOM", "A": "ABORT", "Q": "QUIT", "O": "OPTNEG", "D": "MACRO"}
NO_ANSWER = {"ABORT", "QUIT", "MACRO"}

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, SHUTDOWN, SKIP, PROGRESS = "c", "a", "r", "t", "d", "4", "s", "p"
FAULTS = ("close", "hang", "garbage", "huge", "empty", "half")


def number(n):
    return struct.pack(">I", n).decode("latin-1")


def reply(text):
    return f"y{text}\0"


def add_header(name, value):
    return f"h{name}\0{value}\0"


def insert_header(i, name, value):
    return f"i{number(i)}{name}\0{value}\0"


def change_header(i, name, value):
    return f"m{number(i)}{name}\0{value}\0"


class Conversation:
    """What one connection was told: events as (name, text), macros by event."""

    def __init__(self):
        self.events, self.macros, self.ended = [], {}, False

    def names(self):
        return [name for name, _ in self.events]

    def until_quit(self):
        """Without the QUIT that comes once the client has gone, a moment before or after a test looks."""
        return [name for name in self.names() if name != "QUIT"]

    def texts(self, event):
        return [text for name, text in self.events if name == event]


class MilterServer:
    def __init__(self, script=None, steps=0, actions=0x1FF, version=6, symlists=(), path=None):
        self.script, self.steps, self.actions = script or {}, steps, actions
        self.version, self.symlists = version, symlists
        self.conversations, self.offers, self.released = [], [], threading.Event()
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            os.chmod(path, 0o666)
            self.endpoint = f"unix:{path}"
        else:
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", 0))
            self.endpoint = "inet:127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self, script=None, steps=0, actions=0x1FF, version=6, symlists=()):
        """Another script, for connections from now on; what was told is forgotten."""
        self.script, self.steps, self.actions = script or {}, steps, actions
        self.version, self.symlists = version, symlists
        self.conversations, self.offers, self.released = [], [], threading.Event()

    @property
    def told(self):
        """The last conversation."""
        return self.conversations[-1]

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        talk = Conversation()
        self.conversations.append(talk)
        try:
            with client, client.makefile("rb") as f:
                while self.serve_packet(client, f, talk):
                    pass
        except OSError:
            pass
        talk.ended = True

    def serve_packet(self, client, f, talk):
        head = f.read(5)
        if len(head) < 5:
            return False
        data = f.read(struct.unpack(">I", head[:4])[0] - 1).decode("latin-1")
        event = EVENTS[chr(head[4])]
        if event == "MACRO":
            words = data[1:].split("\0")
            talk.macros.setdefault(EVENTS[data[0]], []).append(dict(zip(words[0::2], words[1::2])))
            return True
        talk.events.append((event, data.rstrip("\0") if event != "BODY" else data))
        if event == "QUIT":
            return False
        if event == "OPTNEG":
            self.offers.append(struct.unpack(">III", data.encode("latin-1")))
            answers = self.script.get("OPTNEG", ["O" + number(self.version) + number(self.actions) + number(self.steps)
                                                 + "".join(number(s) + m + "\0" for s, m in self.symlists)])
        else:
            answers = self.script.get(event, [CONTINUE])
        if callable(answers):
            answers = answers(data)
        return True if event in NO_ANSWER else self.answer(client, answers)

    def answer(self, client, answers):
        for a in [answers] if isinstance(answers, str) else answers:
            if a == "close":
                return False
            if a == "hang":
                self.released.wait(60)
                return False
            if a.startswith("sleep "):
                time.sleep(float(a[6:]))
                continue
            client.sendall({"garbage": b"\0\0\0\5?what", "huge": b"\x7f\xff\xff\xffc", "empty": b"\0\0\0\0",
                            "half": b"\0\0\0\5y550"}.get(a) or struct.pack(">I", len(a)) + a.encode("latin-1"))
            if a == "half":
                return False
        return True

    def close(self):
        self.released.set()
        self.socket.close()
