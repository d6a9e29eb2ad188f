"""intake-tls: intake-local with STARTTLS: a connection and a handshake for each message.

tlsload holds 20 concurrent sessions, one message of 4 KiB a session, n messages in all, over 10 users. The
server's certificate is ECDSA (P-256), the rest of the handshake what both sides choose. 100 messages go
first, unmeasured. resume=1: each client resumes the session it had before.
  accepted_per_s   n / time from the start until the last 250 reply to end of data
  cpu_s_per_1000   the peer's CPU seconds, all its processes, for 1000 messages, delivery included
  resumed          share of sessions that were resumed
"""
import time

import load

ROLE = "mta"
DEFAULTS = {"n": 3000, "sessions": 20, "size": 4096, "users": 10, "warmup": 100, "resume": 0, "timeout": 300}
METRICS = {"accepted_per_s": "higher", "cpu_s_per_1000": "lower", "resumed": "higher"}


def options(p):
    return {"users": p["users"], "tls": True}


def run(peer, p):
    users = [user for user, _ in peer.users]
    n = int(p["n"] * peer.scale)

    def send(n):
        return load.own_intake(peer.smtp_port, users, n, p["sessions"], p["size"], "resume" if p["resume"] else "tls")

    send(p["warmup"])
    if not load.wait_until(lambda: load.arrived(peer) >= p["warmup"], p["timeout"]):
        raise RuntimeError("warm-up mail did not arrive")
    time.sleep(0.5)
    cpu = peer.cpu()
    report = send(n)
    goal = p["warmup"] + n
    if not load.wait_until(lambda: load.arrived(peer) >= goal, p["timeout"]):
        raise RuntimeError(f"only {load.arrived(peer)} of {goal} arrived")
    time.sleep(0.5)                  # the queue's own clearing-up belongs to the cost
    return {"accepted_per_s": n / report["s"], "cpu_s_per_1000": (peer.cpu() - cpu) * 1000 / n,
            "resumed": report["resumed"] / n}
