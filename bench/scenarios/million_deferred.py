"""million-deferred: what a large queue of deferred mail costs: restart, list, flush, memory. For postern.

n messages of a KiB for 1,000 domains, due in a day, are written into cur/ (tests/fill of the build), then the suite is
started. The next hop refuses connections.
  accept_s, deliver_s     from the start until a new message is accepted, and in its mailbox
  read_back_s             until all of the queue has been read (the first listing ends)
  list_s, json_s          postqueue -p and -j to /dev/null, once all is read
  summary_s               postqueue -d
  site_s                  postqueue -s for one of the domains, until it returns
  flush_s                 postqueue -f, until it returns
  bytes_per_message       growth of qmgr's RSS / n, before the listings
  flush_mib               growth of qmgr's RSS by the flush, ten seconds later
"""
import os
import smtplib
import subprocess
import time
from pathlib import Path

import load

ROLE = "mta"
DEFAULTS = {"n": 1000000, "domains": 1000, "cold": 0, "timeout": 900}
METRICS = {name: "lower" for name in ("accept_s", "deliver_s", "read_back_s", "list_s", "json_s", "summary_s", "site_s",
                                      "flush_s", "bytes_per_message", "flush_mib")}


def options(p):
    return {"users": 1, "relay_port": load.free_port()}


def root():
    from peers.postern import ROOT
    return ROOT


def seed(peer, p):
    cur = peer.dir / "queue/cur"
    cur.mkdir()
    subprocess.run(["chown", "postern:postern", cur], check=True)
    subprocess.run([root().parent / "tests/fill", peer.dir / "queue", str(p["n"]), str(p["domains"]), "86400"], check=True)
    os.sync()
    if p["cold"]:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")


def rss(peer):
    for pid in peer.pids():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        if status.startswith("Name:\tqmgr\n"):
            return 1024 * int(status.split("VmRSS:")[1].split()[0])
    return 0


def timed(peer, p, *args):
    start = time.time()
    subprocess.run([root() / "sbin/postqueue", "-c", peer.dir / "etc", *args], check=True, timeout=p["timeout"],
                   stdout=subprocess.DEVNULL)
    return time.time() - start


def run(peer, p):
    if peer.name != "postern":
        raise RuntimeError("only postern's queue can be filled")
    start = time.time() - 0.2           # the framework has waited for the port
    user, _ = peer.users[0]
    with smtplib.SMTP("127.0.0.1", peer.smtp_port, timeout=60) as s:
        s.sendmail("load@src.test", [user], "Subject: new\r\n\r\nnew\r\n")
    accepted = time.time() - start
    if not load.wait_until(lambda: peer.count(user) > 0, 120):
        raise RuntimeError("the new message was not delivered")
    delivered = time.time() - start
    timed(peer, p, "-p")
    result = {"accept_s": accepted, "deliver_s": delivered, "read_back_s": time.time() - start,
              "bytes_per_message": (rss(peer) - 8 * 2**20) / p["n"],
              "list_s": timed(peer, p, "-p"), "json_s": timed(peer, p, "-j"), "summary_s": timed(peer, p, "-d"),
              "site_s": timed(peer, p, "-s", "d7.test")}
    before = rss(peer)
    result["flush_s"] = timed(peer, p, "-f")
    time.sleep(10)
    return {**result, "flush_mib": (rss(peer) - before) / 2**20}
