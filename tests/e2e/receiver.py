# SPDX-License-Identifier: Apache-2.0
"""A scripted SMTP or LMTP receiver, for answers that no real server can be made to give."""
import socketserver
import threading

CLOSE = "CLOSE"         # an answer: cut the connection instead


class Receiver:
    """answer(verb, argument, attempt): the reply to a command ("250 ok"), CLOSE, or None for the usual one.
    Further verbs: CONNECT, END (of the content; with LMTP for each recipient, who is the argument), AUTH-DATA (a line
    after 334). `attempt` counts MAIL commands from 1. Messages taken are in .messages as (sender, recipients, bytes),
    all command lines in .commands."""

    def __init__(self, answer=lambda verb, argument, attempt: None, ehlo=("PIPELINING", "8BITMIME", "DSN"),
                 lmtp=False, path=None, host="127.0.0.1", port=0, name="receiver.test"):
        self.answer, self.ehlo, self.lmtp, self.name = answer, ehlo, lmtp, name
        self.messages, self.commands, self.attempts, self.sessions, self.peers = [], [], 0, 0, []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.sessions += 1
                outer.peers.append(self.client_address[0] if self.client_address else "")
                try:
                    outer.serve(self.rfile, self.wfile)
                except (ConnectionError, ValueError):
                    pass

        class Server(socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True
            request_queue_size = 128        # with 5, connections hang that the kernel took and dropped

        if ":" in host:
            Server.address_family = 10
        self.server = Server(path or (host, port), Handler)
        self.port = None if path else self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, sender, rcpts, content, attempt, say):
        """The verdict on a message: one reply, with LMTP one for each recipient."""
        replies = [self.answer("END", rcpt if self.lmtp else "", attempt) or "250 2.0.0 taken"
                   for rcpt in (rcpts if self.lmtp else [""])]
        taken = [r for r, reply in zip(rcpts, replies) if reply.startswith("2")] if self.lmtp else rcpts
        if any(reply.startswith("2") for reply in replies):
            self.messages.append((sender, taken, content))
        for reply in replies:
            say(reply)

    def serve(self, rfile, wfile):
        def say(text):
            if text == CLOSE:
                raise ConnectionError
            wfile.write((text + "\r\n").encode())
            wfile.flush()

        sender, rcpts, attempt, chunks = None, [], 0, b""
        say(self.answer("CONNECT", "", 0) or f"220 {self.name} ESMTP")
        while line := rfile.readline():
            line = line.decode(errors="surrogateescape").rstrip("\r\n")
            self.commands.append(line)
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if verb == "MAIL":
                self.attempts += 1
                attempt = self.attempts
                sender, rcpts, chunks = argument, [], b""
            reply = self.answer(verb, argument, attempt)
            while reply and reply.startswith("334"):
                say(reply)
                line = rfile.readline().decode().rstrip("\r\n")
                self.commands.append(line)
                reply = self.answer("AUTH-DATA", line, attempt)
            if verb in ("EHLO", "LHLO") and reply is None:
                say("\r\n".join(f"250-{k}" for k in (self.name, *self.ehlo)) + "\r\n250 SIZE 20000000")
            elif verb == "DATA" and rcpts and (reply is None or reply.startswith("3")):
                say("354 go on")
                content = b""
                while (line := rfile.readline()) not in (b".\r\n", b""):
                    content += line[1:] if line.startswith(b".") else line
                if not line:
                    return                      # cut off: nothing has been taken
                self.take(sender, rcpts, content, attempt, say)
            elif verb == "BDAT":
                chunks += rfile.read(int(argument.split()[0]))
                if not rcpts:
                    say("503 5.5.1 no recipients")
                elif argument.upper().endswith("LAST"):
                    self.take(sender, rcpts, chunks, attempt, say)
                else:
                    say(reply or "250 2.0.0 chunk")
            elif verb == "DATA" and reply is None:
                say("503 5.5.1 no recipients")
            elif verb == "QUIT":
                say(reply or "221 2.0.0 bye")
                return
            else:
                if verb == "RCPT" and (reply is None or reply.startswith("2")):
                    rcpts.append(argument)
                say(reply or "250 2.0.0 ok")
