# SPDX-License-Identifier: Apache-2.0
"""A policy server whose answers are scripted: it remembers what it was asked."""
import os
import socket
import threading


class PolicyServer:
    """Listens on 127.0.0.1, or on a Unix socket; answers the next action of `actions`, the last one for ever.
    An action of None closes the connection without an answer."""

    def __init__(self, path=None):
        self.actions, self.requests, self.connections = ["DUNNO"], [], 0
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            os.chmod(path, 0o666)
            self.endpoint = f"unix:{path}"
        else:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.endpoint = "inet:127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rw", newline="\n") as f:
            request = {}
            for line in f:
                line = line.rstrip("\n")
                if line:
                    name, _, value = line.partition("=")
                    request[name] = value
                    continue
                self.requests.append(request)
                request = {}
                action = self.actions.pop(0) if len(self.actions) > 1 else self.actions[0]
                if action is None:
                    return
                f.write(f"action={action}\n\n")
                f.flush()

    def close(self):
        self.socket.close()
