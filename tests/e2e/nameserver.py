# SPDX-License-Identifier: Apache-2.0
"""A real DNS server on loopback: nsd with the zones that a test gives."""
import contextlib
import subprocess

import dns.message
import dns.query

from instance import free_ports, wait_until

NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    zonesdir: "{dir}"
    database: ""
    pidfile: "{dir}/nsd.pid"
    xfrdfile: "{dir}/xfrd.state"
    zonelistfile: "{dir}/zone.list"
    xfrdir: "{dir}"
    cookie-secret-file: ""
    verbosity: 1
remote-control:
    control-enable: no
"""


@contextlib.contextmanager
def serve(directory, zones):
    """zones: {name: text of the zone file}. Gives the port once the server answers."""
    port, = free_ports(1)
    conf = NSD.format(port=port, dir=directory)
    for name, text in zones.items():
        (directory / f"{name}.zone").write_text(text)
        conf += f"zone:\n    name: {name}\n    zonefile: {name}.zone\n"
    (directory / "nsd.conf").write_text(conf)
    server = subprocess.Popen(["nsd", "-d", "-c", directory / "nsd.conf"], stderr=subprocess.PIPE)

    def answers():
        try:
            query = dns.message.make_query(next(iter(zones)), "SOA")
            return dns.query.udp(query, "127.0.0.1", port=port, timeout=1).answer
        except Exception:
            assert server.poll() is None, server.stderr.read()
            return None

    try:
        wait_until(answers, 10, "nsd")
        yield port
    finally:
        server.terminate()
        server.wait()
