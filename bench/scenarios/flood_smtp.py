"""flood-smtp: what a flood of connections from one address does to another client.

One client (127.0.0.1) sends small messages one after another, each on a connection of its own, first alone, then while
another address (127.0.0.66) opens `rate` connections a second, which it holds for `hold` ms as far as it is let.
Both are strangers: none is in mynetworks.
  alone_ms, flood_ms     the client's transaction, connect to the answer to QUIT: median, without and with the flood
  slowdown               flood_ms / alone_ms
  flood_p95_ms           with the flood, 95 of 100 are faster
  flood_per_s            connections that the flood has opened a second
  cpu_ms_per_flood_conn  the peer's CPU time during the flood, less that of the client's transactions, a connection
The generator takes its share of the same two cores: compare peers, not with 1.
"""
import socket
import statistics
import subprocess
import sys
import time

ROLE = "mta"
DEFAULTS = {"rate": 500, "seconds": 6, "hold": 1000}
METRICS = {"alone_ms": "lower", "flood_ms": "lower", "slowdown": "lower", "flood_p95_ms": "lower",
           "flood_per_s": "higher", "cpu_ms_per_flood_conn": "lower"}
VICTIM, ATTACKER = "127.0.0.1", "127.0.0.66"
MESSAGE = b"Subject: bench\r\n\r\n" + b"x" * 1000 + b"\r\n.\r\n"


def options(p):
    return {"users": 1, "networks": "127.0.0.250/32"}


def transaction(port, rcpt):
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), 60, source_address=(VICTIM, 0)) as s:
        f = s.makefile("rb")

        def reply():
            while (line := f.readline())[3:4] == b"-":
                pass
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(f"refused: {line!r}")

        reply()
        for line in (b"EHLO client.test\r\n", b"MAIL FROM:<load@src.test>\r\n", b"RCPT TO:<%s>\r\n" % rcpt.encode(),
                     b"DATA\r\n", MESSAGE, b"QUIT\r\n"):
            s.sendall(line)
            reply()
    return (time.perf_counter() - start) * 1000


def measure(peer, seconds):
    """(milliseconds of each transaction, CPU seconds of the peer)"""
    cpu, end, times = peer.cpu(), time.time() + seconds, []
    while time.time() < end:
        times.append(transaction(peer.smtp_port, peer.users[0][0]))
        time.sleep(0.02)
    return times, peer.cpu() - cpu


def run(peer, p):
    measure(peer, 1)
    alone, alone_cpu = measure(peer, p["seconds"])
    flood = subprocess.Popen([sys.executable, __file__, str(peer.smtp_port), str(p["rate"]), str(p["seconds"] + 2),
                              str(p["hold"])], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)
        times, cpu = measure(peer, p["seconds"])
        opened = int(flood.communicate(timeout=30)[0]) / (p["seconds"] + 2)
    finally:
        flood.kill()
    own = alone_cpu / len(alone) * len(times)
    a, f = statistics.median(alone), statistics.median(times)
    return {"alone_ms": a, "flood_ms": f, "slowdown": f / a,
            "flood_p95_ms": sorted(times)[int(len(times) * 0.95)], "flood_per_s": opened,
            "cpu_ms_per_flood_conn": max(0, cpu - own) * 1000 / (opened * p["seconds"])}


def flood(port, rate, seconds, hold):
    """Opens connections at the rate, without waiting for any; prints how many were made."""
    import collections
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held, opened, start = collections.deque(), 0, time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        while opened < rate * now:
            s = socket.socket()
            s.bind((ATTACKER, 0))
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
            held.append((now + hold / 1000, s))
            opened += 1
        while held and held[0][0] < now:
            held.popleft()[1].close()
        time.sleep(0.002)
    print(opened)


if __name__ == "__main__":
    flood(*(int(a) for a in sys.argv[1:]))
