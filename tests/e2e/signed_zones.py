# SPDX-License-Identifier: Apache-2.0
"""Real DNS with DNSSEC on loopback: zones signed by ldns-signzone, served by nsd, validated by unbound."""
import contextlib
import subprocess

import dns.message
import dns.query

from instance import free_ports, wait_until
from nameserver import serve

UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    do-ip6: no
    access-control: 127.0.0.0/8 allow
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: "{dir}/unbound.pid"
    use-syslog: no
    logfile: "{dir}/unbound.log"
    val-log-level: 2
    do-not-query-localhost: no
    module-config: "validator iterator"
    num-threads: 1
    {anchors}
    {ours}
remote-control:
    control-enable: no
"""


def sign(directory, zone, text):
    """The signed zone, and the DS record that a resolver is to trust."""
    def run(*args):
        return subprocess.run(args, cwd=directory, check=True, capture_output=True, text=True).stdout
    key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone).strip()
    plain = directory / f"{zone}.plain"
    plain.write_text(text)
    run("ldns-signzone", "-f", f"{zone}.zone", plain.name, key)
    return (directory / f"{zone}.zone").read_text(), directory / f"{key}.ds"


def resign_nothing(zone, text):
    """The usual `tamper`: leave the zones as they were signed."""
    return text


@contextlib.contextmanager
def resolve(directory, signed, unsigned=None, tamper=resign_nothing):
    """signed, unsigned: {zone: text}. tamper(zone, signed text) gives the text that is served: what it
    changes is bogus. Gives the port of a resolver that validates what is signed."""
    texts, anchors = dict(unsigned or {}), []
    for zone, text in signed.items():
        text, anchor = sign(directory, zone, text)
        texts[zone] = tamper(zone, text)
        anchors.append(anchor)
    with serve(directory, texts) as authority:
        yield from validate(directory, texts, authority, anchors)


def validate(directory, zones, authority, anchors):
    port, = free_ports(1)
    conf = UNBOUND.format(
        port=port, dir=directory, anchors="\n    ".join(f'trust-anchor-file: "{a}"' for a in anchors),
        ours="\n    ".join(f'local-zone: "{zone}" nodefault' for zone in [*zones, "test"]))
    conf += "".join(f"stub-zone:\n    name: {zone}\n    stub-addr: 127.0.0.1@{authority}\n" for zone in zones)
    (directory / "unbound.conf").write_text(conf)
    resolver = subprocess.Popen(["unbound", "-d", "-c", directory / "unbound.conf"], stderr=subprocess.PIPE)

    def answers():
        try:
            query = dns.message.make_query(next(iter(zones)), "SOA")
            return dns.query.udp(query, "127.0.0.1", port=port, timeout=1)
        except Exception:
            assert resolver.poll() is None, resolver.stderr.read()
            return None

    try:
        wait_until(answers, 10, "unbound")
        yield port
    finally:
        resolver.terminate()
        resolver.wait()
