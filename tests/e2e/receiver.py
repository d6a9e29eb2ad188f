# SPDX-License-Identifier: Apache-2.0
"""A scripted SMTP receiver, for answers that no real server can be made to give."""
import socketserver
import threading


class Receiver:
    """answer(verb, argument, attempt): the reply to a command ("250 ok"), or None for the usual one.
    `attempt` counts MAIL commands from 1. Messages taken are in .messages as (sender, recipients, bytes)."""

    def __init__(self, answer=lambda verb, argument, attempt: None, ehlo=("PIPELINING", "8BITMIME", "DSN")):
        self.answer, self.ehlo = answer, ehlo
        self.messages, self.attempts, self.sessions = [], 0, 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.sessions += 1
                try:
                    outer.serve(self.rfile, self.wfile)
                except (ConnectionError, ValueError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True
            request_queue_size = 128        # with 5, connections hang that the kernel took and dropped

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, rfile, wfile):
        def say(text):
            wfile.write((text + "\r\n").encode())
            wfile.flush()

        sender, rcpts, attempt = None, [], 0
        say(self.answer("CONNECT", "", 0) or "220 receiver.test ESMTP")
        while line := rfile.readline():
            verb, _, argument = line.decode(errors="replace").rstrip("\r\n").partition(" ")
            verb = verb.upper()
            if verb == "MAIL":
                self.attempts += 1
                attempt = self.attempts
                sender, rcpts = argument, []
            reply = self.answer(verb, argument, attempt)
            if verb == "EHLO" and reply is None:
                say("\r\n".join(f"250-{k}" for k in ("receiver.test", *self.ehlo)) + "\r\n250 SIZE 20000000")
            elif verb == "DATA" and rcpts and (reply is None or reply.startswith("3")):
                say("354 go on")
                content = b""
                while (line := rfile.readline()) not in (b".\r\n", b""):
                    content += line[1:] if line.startswith(b".") else line
                if not line:
                    return                      # cut off: nothing has been taken
                reply = self.answer("END", "", attempt) or "250 2.0.0 taken"
                if reply.startswith("2"):
                    self.messages.append((sender, rcpts, content))
                say(reply)
            elif verb == "DATA" and reply is None:
                say("503 5.5.1 no recipients")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                if verb == "RCPT" and (reply is None or reply.startswith("2")):
                    rcpts.append(argument)
                say(reply or "250 2.0.0 ok")
