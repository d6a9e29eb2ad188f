# SPDX-License-Identifier: Apache-2.0
"""Tests before the greeting (smtpd_prescreen): what postscreen does, in the same session.

One suite has a service for each case, with the case's settings as overrides of master.cf; a real DNS server has the
lists. Each client has an address of its own.
"""
import re
import time

import pytest

from instance import free_ports
from lines import SmtpClient
from nameserver import serve

HEAD = "$TTL 600\n@ SOA ns.r.test. hostmaster.r.test. 1 600 600 600 600\n  NS ns.r.test.\n"
ZONES = {
    "bl.test": HEAD + "2.0.0.127 A 127.0.0.2\n3.0.0.127 A 127.0.0.2\n4.0.0.127 A 127.0.0.2\n5.0.0.127 A 127.0.0.99\n"
                      "6.0.0.127 A 127.0.0.2\n",
    "secret-key.bl2.test": HEAD + "2.0.0.127 A 127.0.0.5\n6.0.0.127 A 127.0.0.5\n",
    "wl.test": HEAD + "4.0.0.127 A 127.0.1.1\n7.0.0.127 A 127.0.1.1\n",
}
SITES = "bl.test=127.0.0.[2..11]*2 secret-key.bl2.test wl.test=127.0.[0..255].[1;3]*-4"

SERVICES = {
    "postfix": None,            # as a master.cf of Postfix has it
    "silent": "",
    "drop": "-o postscreen_greet_action=drop -o postscreen_greet_wait=20s",
    "enforce": "-o postscreen_greet_action=enforce",
    "ignore": "-o postscreen_greet_action=ignore -o postscreen_greet_wait=20s",
    "lists": "-o postscreen_dnsbl_action=drop -o postscreen_dnsbl_threshold=2",
    "lists enforce": "-o postscreen_dnsbl_action=enforce -o postscreen_dnsbl_threshold=1 "
                     "-o postscreen_dnsbl_reply_map=inline:{secret-key.bl2.test=bl2.test} "
                     "-o { postscreen_dnsbl_sites = secret-key.bl2.test*3 bl.test=127.0.0.[2..11] }",
    "lists ignore": "-o postscreen_dnsbl_action=ignore",
    "allow": "-o postscreen_dnsbl_action=drop -o postscreen_dnsbl_allowlist_threshold=-1 -o postscreen_greet_wait=60s",
    "access drop": "-o postscreen_access_list=cidr:$config_directory/access.cidr -o postscreen_denylist_action=drop",
    "access enforce": "-o postscreen_access_list=cidr:$config_directory/access.cidr "
                      "-o postscreen_denylist_action=enforce",
    "count": "-o postscreen_client_connection_count_limit=1 -o postscreen_greet_wait=20s",
    "wrapped": "-o smtpd_tls_wrappermode=yes",
}


class Client(SmtpClient):
    def __init__(self, suite, case, source):
        self.began = time.monotonic()
        super().__init__(suite.at[case], source)
        self.name = rf"\[{re.escape(source)}\]:{self.port}"

    def lines(self):
        return self.reply().split("\n")


@pytest.fixture(scope="module")
def suite(make_instance, tmp_path_factory):
    at = dict(zip(SERVICES, free_ports(len(SERVICES))))
    with serve(tmp_path_factory.mktemp("nsd"), ZONES) as port:
        suite = make_instance(start=False, params={
            "mynetworks": "127.0.0.1/32", "dns_servers": f"127.0.0.1:{port}", "smtpd_prescreen": "yes",
            "postscreen_greet_wait": "1s", "smtpd_client_event_limit_exceptions": "", "smtpd_peername_lookup": "no",
        }, services=[
            f"127.0.0.1:{at[name]} inet n - n - - smtpd {options}"
            + (f" -o {{ postscreen_dnsbl_sites = {SITES} }}"
               if name.startswith(("lists", "allow")) and "dnsbl_sites" not in options else "")
            for name, options in SERVICES.items() if options is not None] + [
            f"127.0.0.1:{at['postfix']} inet n - y - 1 postscreen -o postscreen_greet_action=drop",
            "smtpd pass - - y - - smtpd -o smtpd_banner=behind",
            "dnsblog unix - - y - 0 dnsblog",
            "tlsproxy unix - - y - 0 tlsproxy",
        ])
        (suite.config / "access.cidr").write_text("127.0.0.40/31 reject\n127.0.0.42 permit\n127.0.0.43 dunno\n"
                                                  "127.0.0.44 what?\n")
        suite.at = at
        suite.start()
        yield suite
        suite.stop()


BANNER = "mx.a.test ESMTP Postern"


def test_a_client_that_waits_is_greeted_and_not_tested_again_even_after_a_restart(suite):
    with Client(suite, "silent", "127.0.0.20") as c:
        assert c.lines() == [f"220-{BANNER}", f"220 {BANNER}"]
        assert time.monotonic() - c.began > 0.99
        assert c.say("QUIT") == "221 2.0.0 Bye"
        suite.wait_log(rf"smtpd\[\d+\]: CONNECT from {c.name} to \[127\.0\.0\.1\]:{suite.at['silent']}\n")
        suite.wait_log(rf"PASS NEW {c.name}\n")
        suite.wait_log(r"connect from unknown\[127\.0\.0\.20\]\n")
    for _ in range(2):
        with Client(suite, "silent", "127.0.0.20") as c:
            assert c.lines() == [f"220 {BANNER}"]
            suite.wait_log(rf"PASS OLD {c.name}\n")
        suite.stop()
        suite.start()


def test_who_speaks_too_early_is_dropped(suite):
    with Client(suite, "drop", "127.0.0.21") as c:
        c.sock.sendall(b"EHLO client.test\r\n\x01\xff\\")
        suite.wait_log(rf'PREGREET 21 after [\d.]+ from {c.name}: EHLO client\.test\\r\\n\\001\\377\\\\\n')
        suite.wait_log(rf"DISCONNECT {c.name}\n")
    assert not suite.log_lines(r"[^S]connect from unknown\[127\.0\.0\.21\]")


def test_a_dropped_client_reads_why(suite):
    with Client(suite, "drop", "127.0.0.21") as c:
        c.sock.sendall(b"QUIT\r\n")
        assert c.file.read().decode() == f"220-{BANNER}\r\n521 5.5.1 Protocol error\r\n"


def test_with_enforce_the_recipients_of_who_spoke_too_early_are_refused(suite):
    with Client(suite, "enforce", "127.0.0.22") as c:
        c.sock.sendall(b"EHLO client.test\r\n")
        assert c.lines() == [f"220-{BANNER}", f"220 {BANNER}"]
        assert c.lines()[-1].startswith("250 ")
        assert c.say("MAIL FROM:<ann@b.example>").startswith("250 ")
        assert c.say("RCPT TO:<alice@a.test>") == "550 5.5.1 Protocol error"
        assert c.say("DATA").startswith(("503 ", "554 "))
        suite.wait_log(rf"NOQUEUE: reject: RCPT from {c.name}: 550 5\.5\.1 Protocol error; "
                       r"from=<ann@b\.example>, to=<alice@a\.test>, proto=ESMTP, helo=<client\.test>\n")
    with Client(suite, "enforce", "127.0.0.22") as c:       # is tested again
        assert c.lines() == [f"220-{BANNER}", f"220 {BANNER}"]
        suite.wait_log(rf"PASS NEW {c.name}\n")


def test_with_ignore_it_is_logged_and_tested_again(suite):
    for _ in range(2):
        with Client(suite, "ignore", "127.0.0.23") as c:
            c.sock.sendall(b"EHLO client.test\r\n")
            assert c.lines() == [f"220-{BANNER}", f"220 {BANNER}"]
            c.lines()
            assert c.say("MAIL FROM:<ann@b.example>").startswith("250 ")
            assert c.say("RCPT TO:<alice@a.test>") == "250 2.1.5 Ok"
            suite.wait_log(rf"PREGREET 18 after [\d.]+ from {c.name}: EHLO client\.test\\r\\n\n")
            assert not suite.log_lines(rf"PASS \w+ {c.name}")


def test_who_hangs_up_is_logged(suite):
    with Client(suite, "silent", "127.0.0.24") as c:
        assert c.file.readline().startswith(b"220-")
    suite.wait_log(rf"HANGUP after [\d.]+ from {c.name} in tests before SMTP handshake\n")
    suite.wait_log(rf"DISCONNECT {c.name}\n")


# source: (rank, blocked using) with the sites of "lists", threshold 2; None: passes
SCORES = {
    "127.0.0.2": (3, "bl.test"),            # both lists
    "127.0.0.3": (2, "bl.test"),
    "127.0.0.4": None,                      # 2 - 4
    "127.0.0.5": None,                      # listed, but not with an answer that counts
    "127.0.0.8": None,
}


@pytest.mark.parametrize("source", SCORES)
def test_the_weights_of_the_lists_that_have_a_client_decide(suite, source):
    with Client(suite, "lists", source) as c:
        lines = c.lines()
        if not SCORES[source]:
            assert lines == [f"220-{BANNER}", f"220 {BANNER}"]
            suite.wait_log(rf"PASS NEW {c.name}\n")
            return
        rank, domain = SCORES[source]
        assert lines[1] == f"521 5.7.1 Service unavailable; client [{source}] blocked using {domain}"
        suite.wait_log(rf"addr {source} listed by domain {domain} as 127\.0\.0\.2\n")
        suite.wait_log(rf"DNSBL rank {rank} for {c.name}\n")
        suite.wait_log(rf"DISCONNECT {c.name}\n")


def test_the_name_of_a_list_can_be_hidden(suite):
    with Client(suite, "lists enforce", "127.0.0.6") as c:
        c.lines()
        c.say("EHLO client.test")
        c.say("MAIL FROM:<ann@b.example>")
        text = "550 5.7.1 Service unavailable; client [127.0.0.6] blocked using bl2.test"
        assert c.say("RCPT TO:<alice@a.test>") == text
        suite.wait_log(rf"DNSBL rank 4 for {c.name}\n")
        suite.wait_log(rf"NOQUEUE: reject: RCPT from {c.name}: {re.escape(text)}; from=<ann@b\.example>, "
                       r"to=<alice@a\.test>, proto=ESMTP, helo=<client\.test>\n")


def test_a_listing_can_be_ignored(suite):
    with Client(suite, "lists ignore", "127.0.0.3") as c:
        assert c.lines() == [f"220-{BANNER}", f"220 {BANNER}"]
        suite.wait_log(rf"DNSBL rank 2 for {c.name}\n")


def test_a_client_on_a_list_of_good_ones_does_not_have_to_wait(suite):
    with Client(suite, "allow", "127.0.0.7") as c:
        assert c.lines() == [f"220-{BANNER}", f"220 {BANNER}"]
        assert time.monotonic() - c.began < 30
        suite.wait_log(rf"PASS NEW {c.name}\n")


# (service, source): (log word, the last line of the greeting)
ACCESS = {
    ("silent", "127.0.0.1"): ("ALLOWLISTED", f"220 {BANNER}"),
    ("access drop", "127.0.0.42"): ("ALLOWLISTED", f"220 {BANNER}"),
    ("access drop", "127.0.0.40"): ("DENYLISTED", "521 5.3.2 Service currently unavailable"),
    ("access drop", "127.0.0.43"): ("PASS NEW", f"220 {BANNER}"),
    ("access drop", "127.0.0.44"): ("PASS NEW", f"220 {BANNER}"),
    ("access enforce", "127.0.0.41"): ("DENYLISTED", f"220 {BANNER}"),
}


@pytest.mark.parametrize("service,source", ACCESS)
def test_the_access_list_lets_pass_or_refuses_without_a_test(suite, service, source):
    word, greeting = ACCESS[service, source]
    with Client(suite, service, source) as c:
        lines = c.lines()
        assert lines[-1] == greeting
        assert (len(lines) > 1) == (word == "PASS NEW")
        suite.wait_log(rf"{word} {c.name}\n")
        if service == "access enforce":
            c.say("EHLO client.test")
            c.say("MAIL FROM:<ann@b.example>")
            assert c.say("RCPT TO:<alice@a.test>") == "550 5.3.2 Service currently unavailable"


def test_one_client_is_not_tested_often_at_once(suite):
    with Client(suite, "count", "127.0.0.25") as first:
        assert first.file.readline().startswith(b"220-")
        with Client(suite, "count", "127.0.0.25") as second:
            assert second.lines() == ["421 4.7.0 Error: too many connections"]
            suite.wait_log(rf"NOQUEUE: reject: CONNECT from {second.name}: too many connections\n")


def test_with_tls_from_the_first_byte_nobody_waits(suite):
    with Client(suite, "wrapped", "127.0.0.26") as c:
        suite.wait_log(rf"PASS NEW {c.name}\n", 5)


def test_a_master_cf_that_names_postscreen_works_as_it_is(suite):
    with Client(suite, "postfix", "127.0.0.27") as c:
        assert c.lines() == ["220-behind", "220 behind"]
        suite.wait_log(rf"smtpd\[\d+\]: PASS NEW {c.name}\n")
    with Client(suite, "postfix", "127.0.0.28") as c:
        c.sock.sendall(b"HELO early\r\n")
        assert c.file.read().decode() == "220-behind\r\n521 5.5.1 Protocol error\r\n"
    suite.wait_log(r"service \S+: postscreen is a part of smtpd")
