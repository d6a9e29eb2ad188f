"""imap-signin: 1000 sign-ins to IMAP, one after the other, over 100 users without messages.

Each connects, waits for the greeting and signs in; the connection before it is closed then.
  cpu_ms_per_signin  the peer's CPU time, the end of the session included
  p50_ms, p99_ms     from connecting to the answer to LOGIN
  pss_idle_kb        the peer's PSS before anybody has signed in, and
  pss_after_kb       two seconds after the last one has gone
"""
import time

import load
from peers import PASSWORD

ROLE = "imap"
DEFAULTS = {"n": 1000, "users": 100}
METRICS = {"cpu_ms_per_signin": "lower", "p50_ms": "lower", "p99_ms": "lower",
           "pss_idle_kb": "lower", "pss_after_kb": "lower"}


def options(p):
    return {"users": p["users"]}


def sign_in(peer, n):
    """Seconds of each."""
    seconds = []
    for i, (user, _) in enumerate(peer.users):
        mine = n * (i + 1) // len(peer.users) - n * i // len(peer.users)
        seconds += [r["s"] for r in load.mailload("script", peer.imap_port, user, PASSWORD,
                                                  stdin="login\t@login\n" * mine)]
    return sorted(seconds)


def run(peer, p):
    idle = peer.pss()
    sign_in(peer, len(peer.users))      # indexes are made, processes started
    cpu = peer.cpu()
    seconds = sign_in(peer, p["n"])
    time.sleep(2)
    return {"cpu_ms_per_signin": (peer.cpu() - cpu) * 1000 / p["n"],
            "p50_ms": seconds[len(seconds) // 2] * 1000, "p99_ms": seconds[len(seconds) * 99 // 100] * 1000,
            "pss_idle_kb": idle / 1024, "pss_after_kb": peer.pss() / 1024}
