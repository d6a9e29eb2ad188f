"""slow-sink: one next hop that takes half a second for each message, and any number at once.

As relay-latency, with enough messages that the rate is that of a full window and not of its growth, and with the memory of all
of the peer's processes while they are at it. Give postfix as it is (20 deliveries at once to a destination), as
postfix:tuned (500 processes), and postern as it is. Peers as they come get n_default messages, so that they end.
  relayed_per_s    n / time from the start until the sink has taken the last one
  pss_mib          the peer's PSS, all its processes, when half of the messages are through (at most, of a few looks)
"""
import threading
import time

import load
from scenarios.intake_relay import ROLE, options                      # noqa: F401

DEFAULTS = {"n": 30000, "n_default": 2000, "sessions": 20, "size": 4096, "own_source": 0, "delay_ms": 500, "timeout": 600}
METRICS = {"relayed_per_s": "higher", "accepted_per_s": "higher", "cpu_s_per_1000": "lower", "pss_mib": "lower",
           "sink_peak_connections": "higher"}


class Watch(threading.Thread):
    """Looks at the peer's memory every two seconds; .peak in bytes."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.peak, self.end = peer, 0, threading.Event()

    def run(self):
        while not self.end.wait(2):
            self.peak = max(self.peak, self.peer.pss())


def run(peer, p):
    n = p["n"] if peer.name == "postern" or peer.variant == "tuned" else p["n_default"]
    recipients = [f"r{i}@dest.test" for i in range(10)]
    sink = load.Sink(peer.relay_port, n // 10 * 10, p["delay_ms"])
    watch = Watch(peer)
    try:
        cpu, start = peer.cpu(), time.time()
        watch.start()
        n = load.smtp_source(peer.smtp_port, recipients, n, p["sessions"], p["size"], own=p["own_source"],
                             timeout=p["timeout"])
        accepted = time.time() - start
        report = sink.wait(p["timeout"])
        relayed = time.time() - start
    finally:
        watch.end.set()
        sink.close()
    watch.join()
    return {"relayed_per_s": n / relayed, "accepted_per_s": n / accepted,
            "cpu_s_per_1000": (peer.cpu() - cpu) * 1000 / n, "pss_mib": watch.peak / 2**20,
            "sink_peak_connections": report.get("peak_connections")}
