# SPDX-License-Identifier: Apache-2.0
"""Which server gets the mail: MX, addresses of both families, limits, fallback, relayhosts; with a real DNS server."""
import socket

import pytest

from instance import free_ports
from nameserver import serve
from outbound import Case, Outbound
from receiver import Receiver

ZONE = """\
$ORIGIN test.
$TTL 60
@          SOA ns.a hostmaster 1 60 60 60 60
           NS  ns.a
ns.a       A   127.0.0.1
mx.a       A   127.0.0.1
h1.hosts   A   127.0.0.11
h2.hosts   A   127.0.0.12
h3.hosts   A   127.0.0.13
dead.hosts A   127.0.0.18
dead2.hosts A  127.0.0.19
six.hosts  AAAA ::1
full.hosts A   127.0.0.14
both.hosts A   127.0.0.11
           AAAA ::1
fastslow.hosts A 127.0.0.14
           A   127.0.0.14
           A   127.0.0.12
busy.hosts A   127.0.0.21
busy2.hosts A  127.0.0.22
busy3.hosts A  127.0.0.23
void.hosts TXT "no address"
shuffle    MX 10 h1.hosts
           MX 10 h2.hosts
inorder    MX 10 h2.hosts
           MX 10 h1.hosts
           MX 20 h3.hosts
null       MX 0 .
nomx       A 127.0.0.11
loop       MX 10 mx.a
backup     MX 10 dead.hosts
           MX 20 mx.a
           MX 30 h1.hosts
primary    MX 10 mx.a
           MX 20 h1.hosts
few        MX 10 dead.hosts
           MX 20 dead2.hosts
           MX 30 h1.hosts
balanced   MX 10 dead.hosts
           MX 20 dead2.hosts
           MX 30 six.hosts
unbalanced MX 10 dead.hosts
           MX 20 dead2.hosts
           MX 30 six.hosts
sessions   MX 10 busy.hosts
           MX 20 busy2.hosts
           MX 30 busy3.hosts
next       MX 10 busy.hosts
           MX 20 h2.hosts
race       MX 10 full.hosts
           MX 10 h1.hosts
racefall   MX 10 dead.hosts
           MX 20 h3.hosts
six        MX 10 both.hosts
four       MX 10 both.hosts
novoid     MX 10 void.hosts
novoid2    MX 10 void.hosts
fb         MX 10 dead.hosts
share1     MX 10 h3.hosts
share2     MX 10 h3.hosts
proxied    MX 10 h1.hosts
somevoid   MX 10 void.hosts
           MX 20 h3.hosts
"""
PORT, = free_ports(1)
FALLBACK = {"smtp_fallback_relay": f"[127.0.0.18]:{PORT}, [127.0.0.13]:{PORT}"}
NO_CACHE = {"smtp_connection_cache_on_demand": "no"}
CASES = {
    "shuffle": Case("", params=NO_CACHE),
    "inorder": Case("", params={**NO_CACHE, "smtp_randomize_addresses": "no"}),
    "few": Case("", params={"smtp_mx_address_limit": "2"}),
    "sessions": Case("", params={"smtp_mx_session_limit": "2"}),
    "six": Case("", params={"smtp_address_preference": "ipv6", "inet_protocols": "all"}),
    "four": Case("", params={"smtp_address_preference": "ipv4", "inet_protocols": "all"}),
    "balanced": Case("", params={"smtp_mx_address_limit": "2", "inet_protocols": "all"}),
    "unbalanced": Case("", params={"smtp_mx_address_limit": "2", "inet_protocols": "all",
                                   "smtp_balance_inet_protocols": "no"}),
    "novoid2": Case("", params={"smtp_defer_if_no_mx_address_found": "yes"}),
    "fb": Case("", params=FALLBACK),
    "gone": Case("", params=FALLBACK),
    "primary": Case("", params=FALLBACK),
    "list": Case(f"[127.0.0.18]:{PORT}, [127.0.0.12]:{PORT}"),
    # Only zone test. is served: of any other name every question is refused.
    "mxerror": Case("localhost", params={"smtp_host_lookup": "dns, native"}),
    "native": Case("localhost", params={"ignore_mx_lookup_error": "yes", "smtp_host_lookup": "dns, native"}),
    "proxied": Case("", params={"proxy_interfaces": "127.0.0.11", "smtp_tcp_port": "25"}),
    "named": Case("[127.0.0.11]", params={"smtp_tcp_port": "nntp"}),
    "ownport": Case("[127.0.0.1]", params={"smtp_tcp_port": "25"}),
    "bysender": Case("h3.hosts.test"),
}


@pytest.fixture(scope="module")
def full():
    """127.0.0.14 answers no SYN: its queue of connections is full."""
    s = socket.socket()
    s.bind(("127.0.0.14", PORT))
    s.listen(0)
    held = []
    for _ in range(3):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(("127.0.0.14", PORT))
        held.append(c)
    yield
    for c in [*held, s]:
        c.close()


@pytest.fixture(scope="module")
def servers(full):
    """{address: receiver}, all on the port that the client uses"""
    found = {f"127.0.0.{n}": Receiver(host=f"127.0.0.{n}", port=PORT, name=f"h{n}.test") for n in (11, 12, 13)}
    busy = lambda v, a, n: "421 4.3.2 busy" if v == "CONNECT" else None
    found.update({f"127.0.0.{n}": Receiver(host=f"127.0.0.{n}", port=PORT, answer=busy) for n in (21, 22, 23)})
    try:
        found["::1"] = Receiver(host="::1", port=PORT)
    except OSError:
        pass
    yield found
    for server in found.values():
        server.close()


@pytest.fixture(scope="module")
def out(make_instance, servers, tmp_path_factory):
    directory = tmp_path_factory.mktemp("routes")
    directory.chmod(0o755)
    zones = tmp_path_factory.mktemp("nsd")
    with serve(zones, {"test": ZONE}) as dns:
        yield Outbound(make_instance, directory, CASES, smtp_dns_support_level="enabled", smtp_host_lookup="dns",
                       dns_servers=f"127.0.0.1:{dns}", smtp_tcp_port=PORT, smtp_connect_timeout="600s",
                       inet_protocols="ipv4", smtp_tls_security_level="none",
                       sender_dependent_relayhost_maps=f"inline:{{ {{relayed@a.test = [127.0.0.12]:{PORT}}} }}",
                       sender_dependent_default_transport_maps="inline:{ {moved@a.test = t-bysender:h3.hosts.test} }")


OUTCOMES = [
    # recipient, what stands in the line of the outcome
    ("x@nomx.test", "relay=nomx.test[127.0.0.11]:"),
    ("x@[127.0.0.11]", "relay=127.0.0.11[127.0.0.11]:"),
    ("x@null.test", "relay=none, delay=*, dsn=5.1.0, status=bounced (Domain null.test does not accept mail (nullMX))"),
    ("x@loop.test", "relay=none, delay=*, dsn=5.4.6, status=bounced (mail for loop.test loops back to myself)"),
    ("x@ownport.test", "dsn=5.4.6, status=bounced (mail for 127.0.0.1 loops back to myself)"),
    ("x@mxerror.test", "status=deferred (Host or domain name not found. Name service error for name=localhost type=MX: "
                       "Host not found, try again)"),
    ("x@native.test", "status=deferred (connect to localhost[127.0.0.1]:"),
    ("x@proxied.test", "dsn=5.4.6, status=bounced (mail for proxied.test loops back to myself)"),
    ("x@named.test", "status=deferred (connect to 127.0.0.11[127.0.0.11]:119: Connection refused)"),
    ("x@backup.test", "dsn=4.4.1, status=deferred (connect to dead.hosts.test[127.0.0.18]:"),
    ("x@primary.test", "dsn=5.4.6, status=bounced (mail for primary.test loops back to myself)"),
    ("x@few.test", "dsn=4.4.1, status=deferred (connect to dead2.hosts.test[127.0.0.19]:"),
    ("x@sessions.test", "status=deferred (host busy2.hosts.test[127.0.0.22] refused to talk to me: 421 4.3.2 busy"),
    ("x@next.test", "relay=h2.hosts.test[127.0.0.12]:"),
    ("x@racefall.test", "relay=h3.hosts.test[127.0.0.13]:"),
    ("x@four.test", "relay=both.hosts.test[127.0.0.11]:"),
    ("x@novoid.test", "dsn=5.4.4, status=bounced"),
    ("x@novoid2.test", "dsn=4.4.4, status=deferred"),
    ("x@somevoid.test", "relay=h3.hosts.test[127.0.0.13]:"),
    ("x@nowhere.test", "dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for "
                       "name=nowhere.test type=MX: Host not found)"),
    ("x@fb.test", "relay=127.0.0.13[127.0.0.13]:"),
    ("x@gone.test", "relay=127.0.0.13[127.0.0.13]:"),
    ("x@list.test", "relay=127.0.0.12[127.0.0.12]:"),
]


@pytest.mark.parametrize("rcpt, wanted", OUTCOMES, ids=[rcpt for rcpt, _ in OUTCOMES])
def test_the_server_is_found_as_the_records_and_parameters_say(out, rcpt, wanted):
    line = out.send(rcpt, sender="")
    place = 0
    for part in wanted.split("*"):
        place = line.find(part, place)
        assert place >= 0, line


def relay(line):
    return line.split("relay=")[1].split("[")[0]


def test_servers_of_equal_preference_share_the_mail_unless_order_is_asked_for(out):
    seen = set()
    for i in range(100):        # which is first is a toss of a coin
        seen.add(relay(out.send(f"u{i}@shuffle.test")))
        if len(seen) > 1:
            break
    assert seen == {"h1.hosts.test", "h2.hosts.test"}
    assert {relay(out.send(f"u{i}@inorder.test")) for i in range(4)} == {"h1.hosts.test"}


def test_a_server_that_does_not_answer_holds_mail_up_for_a_moment_only(out):
    """The second address gets its chance while the first is still tried (RFC 8305): nobody waits for smtp_connect_timeout."""
    for i in range(4):
        assert "relay=h1.hosts.test[127.0.0.11]" in out.send(f"u{i}@race.test", sender=f"s{i}@a.test")


def test_destinations_with_the_same_server_share_a_connection(out):
    out.send("x@share1.test")
    assert ", conn_use=" in out.send("x@share2.test")


def test_the_preferred_family_is_tried_first(out, servers):
    if "::1" not in servers:
        pytest.skip("no IPv6 on this machine")
    assert "relay=both.hosts.test[::1]:" in out.send("x@six.test")


def test_each_family_has_a_place_within_the_limit_of_addresses_unless_that_is_switched_off(out, servers):
    if "::1" not in servers:
        pytest.skip("no IPv6 on this machine")
    assert "relay=six.hosts.test[::1]:" in out.send("x@balanced.test", sender="")
    line = out.send("x@unbalanced.test", sender="")
    assert "status=deferred (connect to dead" in line and "[::1]" not in line


def test_a_sender_has_his_own_relayhost_or_transport(out):
    assert "relay=127.0.0.12[127.0.0.12]:" in out.send("x@nomx.test", sender="relayed@a.test")
    assert "relay=h3.hosts.test[127.0.0.13]:" in out.send("x@nomx.test", sender="moved@a.test")
    assert "relay=nomx.test[127.0.0.11]:" in out.send("x@nomx.test", sender="other@a.test")
