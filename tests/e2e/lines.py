# SPDX-License-Identifier: Apache-2.0
"""Connections that speak lines: what the clients of each protocol are made of."""
import socket
import ssl

from instance import SLOW


class LineClient:
    """A connection to a port of this machine, from an address of it."""

    def __init__(self, port, source="127.0.0.1", receive_buffer=None):
        self.sock = socket.socket()
        self.sock.settimeout(60 * SLOW)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.port = self.sock.getsockname()[1]
        self.file = self.sock.makefile("rb")

    def wrap(self, ca=None):
        """TLS from here on; without a CA whoever answers is trusted."""
        context = ssl.create_default_context(cafile=ca)
        if not ca:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def send(self, data):
        """Bytes as they are, a text with the end of its line."""
        self.sock.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")

    def line(self):
        """Without its end; "" when the connection has ended."""
        return self.file.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")

    def ask(self, *commands):
        """Send them in one piece; the first line that comes."""
        self.send("\r\n".join(commands))
        return self.line()

    def until(self, prefix):
        """The next line that begins so."""
        while not (line := self.line()).startswith(prefix):
            assert line, f"closed before {prefix!r}"
        return line

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SmtpClient(LineClient):
    """SMTP or LMTP, one reply at a time."""

    def reply(self):
        """All its lines, joined."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, data):
        self.send(data)
        return self.reply()


class Pop3Client(LineClient):
    def __init__(self, port):
        super().__init__(port)
        assert self.line().startswith("+OK")

    def rest(self):
        """The lines of an answer up to the lone dot."""
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            assert line, f"closed after {lines}"
            lines.append(line.decode().rstrip("\r\n"))
        return lines
