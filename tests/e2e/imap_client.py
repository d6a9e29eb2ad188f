# SPDX-License-Identifier: Apache-2.0
"""An IMAP client that speaks plainly, and conversations of several of them in tables."""
import io
import re
import zlib

from lines import LineClient


class Inflated(io.RawIOBase):
    """What comes compressed on a socket, as a file."""

    def __init__(self, sock):
        self.sock, self.inflater, self.text = sock, zlib.decompressobj(-15), b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.text:
            got = self.sock.recv(65536)
            if not got:
                return 0
            self.text = self.inflater.decompress(got)
        n = min(len(buffer), len(self.text))
        buffer[:n], self.text = self.text[:n], self.text[n:]
        return n


class Client(LineClient):
    """One signed-in IMAP connection: what is sent, what comes back, byte for byte; literals stay in their lines.
    tls: False, True or "starttls"; early: commands before it signs in."""

    def __init__(self, suite, user, tls=False, early=()):
        super().__init__(suite.port["imaps" if tls is True else "imap"])
        self.tags, self.deflater = 0, None
        if tls is True:
            self.wrap(suite.certificate[1])
        self.greeting = self.line()
        assert self.greeting.startswith("* OK")
        if tls == "starttls":
            self.ok("STARTTLS")
            self.wrap(suite.certificate[1])
        for command in early:
            self.ok(command)
        _, self.welcome = self.run(f'LOGIN {suite.address(user)} "{suite.password}"')
        assert self.welcome.startswith("OK"), self.welcome

    def compress(self):
        self.ok("COMPRESS DEFLATE")
        self.deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.file = io.BufferedReader(Inflated(self.sock))

    def packed(self, data):
        return self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)

    def send(self, data):
        if not isinstance(data, bytes):
            data = data.encode() + b"\r\n"
        super().send(self.packed(data) if self.deflater else data)

    def line(self):
        """A line with the literals in it, without its end; "" when the connection has ended."""
        line = self.file.readline()
        while m := re.search(rb"\{(\d+)\}\r\n$", line):
            line += self.file.read(int(m[1])) + self.file.readline()
        return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")

    def answer(self, tag):
        """The untagged lines up to the tagged answer, and that without its tag."""
        lines = []
        while not (line := self.line()).startswith(tag + " "):
            assert line, f"closed before {tag}: {lines}"
            lines.append(line)
        return lines, line[len(tag) + 1:]

    def run(self, command):
        """Send one command; its untagged lines and the tagged answer without its tag."""
        self.tags += 1
        tag = f"t{self.tags}"
        if not isinstance(command, bytes):
            command = command.encode()
        self.send(tag.encode() + b" " + command + b"\r\n")
        return self.answer(tag)

    def ok(self, command):
        """The untagged lines of a command that has to succeed."""
        lines, answer = self.run(command)
        assert answer.startswith("OK"), (command, answer)
        return lines

    def append(self, message, mailbox="INBOX", flags=""):
        if not isinstance(message, bytes):
            message = message.encode()
        self.ok(b"APPEND %s %s{%d+}\r\n" % (mailbox.encode(), flags.encode(), len(message)) + message)

    def idle(self):
        self.send("i1 IDLE")
        assert self.line() == "+ idling"

    def done(self):
        self.send("DONE")
        return self.answer("i1")


def close(*clients):
    for client in clients:
        client.close()


def talk(clients, script):
    """A table of (client, command, expected): clients by name; expected, in order, as regular expressions: untagged
    lines that have to come (others may come between them), and last the tagged answer. One that begins with "!" must
    not come."""
    for name, command, *expected in script:
        lines, answer = clients[name].run(command)
        said = f"{name}: {command!r}\n" + "\n".join([*lines, answer])
        at = 0
        for want in expected[:-1]:
            if want.startswith("!"):
                assert not any(re.search(want[1:], line) for line in lines), f"{said}\nunwanted: {want}"
                continue
            while at < len(lines) and not re.search(want, lines[at]):
                at += 1
            assert at < len(lines), f"{said}\nmissing: {want}"
            at += 1
        assert re.match(expected[-1], answer), f"{said}\nwanted: {expected[-1]}"
