# SPDX-License-Identifier: Apache-2.0
"""An IMAP client that speaks plainly, and conversations of several of them in tables."""
import re
import socket


class Client:
    """One IMAP connection: what is sent, what comes back, byte for byte; literals stay in their lines."""

    def __init__(self, suite, user, early=()):      # early: commands before it signs in
        self.sock = socket.create_connection(("127.0.0.1", suite.port["imap"]), 60)
        self.file = self.sock.makefile("rb")
        self.tags = 0
        self.greeting = self.file.readline()
        assert self.greeting.startswith(b"* OK")
        for command in early:
            self.ok(command)
        _, self.welcome = self.ok(f'LOGIN {suite.address(user)} "{suite.password}"')

    def line(self):
        """A line with the literals in it, without its end."""
        line = self.file.readline()
        assert line, "closed"
        while m := re.search(rb"\{(\d+)\}\r\n$", line):
            line += self.file.read(int(m[1])) + self.file.readline()
        return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")

    def run(self, command):
        """Send one command; its untagged lines and the tagged answer without its tag."""
        self.tags += 1
        tag = f"t{self.tags}"
        if not isinstance(command, bytes):
            command = command.encode()
        self.sock.sendall(tag.encode() + b" " + command + b"\r\n")
        lines = []
        while not (line := self.line()).startswith(tag + " "):
            lines.append(line)
        return lines, line[len(tag) + 1:]

    def ok(self, command):
        lines, answer = self.run(command)
        assert answer.startswith("OK"), (command, answer)
        return lines, answer

    def append(self, message, mailbox="INBOX", flags=""):
        if not isinstance(message, bytes):
            message = message.encode()
        self.ok(b"APPEND %s %s{%d+}\r\n" % (mailbox.encode(), flags.encode(), len(message)) + message)

    def close(self):
        self.sock.close()
        self.file.close()


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
