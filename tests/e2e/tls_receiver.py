# SPDX-License-Identifier: Apache-2.0
"""A scripted SMTP and LMTP receiver with STARTTLS, for handshakes that no real server can be made to do."""
import socketserver
import ssl
import threading


class TlsReceiver:
    """fault: None; "no offer"; "refuses"; "garbage" (no handshake after 220); "early" (a reply within TLS that
    nobody has asked for). Of each session .sessions has a dict: sni, tls, resumed, taken."""

    def __init__(self, chain, fault=None):
        self.fault, self.sessions = fault, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)
        self.context.sni_callback = self.note_sni
        self.names = threading.local()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    outer.serve(self.request)
                except (OSError, ValueError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def note_sni(self, connection, name, context):
        self.names.sni = name

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, sock):
        session = {"sni": None, "tls": False, "resumed": False, "taken": 0}
        self.sessions.append(session)
        sock.sendall(b"220 scripted.test ESMTP\r\n")
        lines, rcpts, lmtp = sock.makefile("rb"), 0, False
        while line := lines.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb in (b"EHLO", b"LHLO"):
                lmtp = verb == b"LHLO"
                offer = b"" if session["tls"] or self.fault == "no offer" else b"250-STARTTLS\r\n"
                early = b"250 2.0.0 nobody asked\r\n" if session["tls"] and self.fault == "early" else b""
                sock.sendall(b"250-scripted.test\r\n" + offer + b"250 8BITMIME\r\n" + early)
            elif verb == b"STARTTLS" and self.fault == "refuses":
                sock.sendall(b"454 4.7.0 not today\r\n")
            elif verb == b"STARTTLS":
                sock.sendall(b"220 go on\r\n")
                if self.fault == "garbage":
                    sock.sendall(b"no handshake at all\r\n")
                    return
                self.names.sni = None
                sock = self.context.wrap_socket(sock, server_side=True)
                session.update(tls=True, sni=self.names.sni, resumed=sock.session_reused)
                lines = sock.makefile("rb")
            elif verb == b"DATA":
                sock.sendall(b"354 go on\r\n")
                while lines.readline() not in (b".\r\n", b""):
                    pass
                session["taken"] += 1
                sock.sendall(b"250 2.0.0 taken\r\n" * (rcpts if lmtp else 1))
                rcpts = 0
            elif verb == b"QUIT":
                sock.sendall(b"221 2.0.0 bye\r\n")
                return
            else:
                rcpts += verb == b"RCPT"
                sock.sendall(b"250 2.0.0 ok\r\n")
