# SPDX-License-Identifier: Apache-2.0
"""What one client may have at once and in a time: smtpd_client_*_limit, counted by anvil for all processes.

One suite has a service for each case, with its limit as an override of master.cf.
"""
import base64
import os
import re
import signal
import ssl

import pytest

from instance import free_ports, wait_until
from lines import SmtpClient

GREETED = r"220 mx\.a\.test"
SERVICES = {
    "count": "smtpd_client_connection_count_limit=2",
    "rate": "smtpd_client_connection_rate_limit=2",
    "message": "smtpd_client_message_rate_limit=2",
    "recipient": "smtpd_client_recipient_rate_limit=2",
    "auth": "smtpd_client_auth_rate_limit=2",
    "tls": "smtpd_client_new_tls_session_rate_limit=2",
    "wrapped": "smtpd_client_new_tls_session_rate_limit=2",
    "exempt": "smtpd_client_connection_rate_limit=1",
    "network": "smtpd_client_connection_rate_limit=1",
    "relay": "smtpd_client_message_rate_limit=2",
}
MORE = {
    "auth": " -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=no",
    "wrapped": " -o smtpd_tls_wrappermode=yes",
    "exempt": " -o smtpd_client_event_limit_exceptions=$mynetworks",
    "relay": " -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o smtpd_client_connection_rate_limit=1",
    "network": " -o smtpd_client_ipv4_prefix_length=24",
}


class Client(SmtpClient):
    """One connection, from an address of its own unless told."""

    def __init__(self, suite, case, source="127.0.0.9"):
        super().__init__(suite.at[case], source)

    def starttls(self):
        answer = self.say("STARTTLS")
        if answer.startswith("220"):
            self.wrap()
        return answer


@pytest.fixture(scope="module")
def suite(make_instance):
    at = dict(zip(SERVICES, free_ports(len(SERVICES))))
    lines = [f"127.0.0.1:{at[name]} inet n - n - - smtpd -o {limit}{MORE.get(name, '')}"
             for name, limit in SERVICES.items()]
    suite = make_instance(params={"mynetworks": "127.0.0.1/32", "smtpd_client_event_limit_exceptions": "",
                                  "smtpd_tls_security_level": "may", "anvil_status_update_time": "3s"}, services=lines)
    suite.at = at
    return suite


def service(suite, case):
    return re.escape(f"127.0.0.1:{suite.at[case]}")


def exceeded(suite, case, what, n, client=r"unknown\[127\.0\.0\.9\]"):
    suite.wait_log(rf"smtpd\[\d+\]: warning: {what} limit exceeded: {n} from {client} for service {service(suite, case)}")


def test_the_third_connection_at_once_is_refused_until_one_has_ended(suite):
    first, second = (Client(suite, "count") for _ in range(2))
    assert re.match(GREETED, first.reply())
    assert re.match(GREETED, second.reply())
    third = Client(suite, "count")      # not before: processes take connections in any order
    assert third.reply() == "421 4.7.0 mx.a.test Error: too many connections from 127.0.0.9"
    assert third.file.read() == b""
    exceeded(suite, "count", "Connection concurrency", 3)
    other = Client(suite, "count", "127.0.0.8")
    assert re.match(GREETED, other.reply())
    other.close()
    assert first.say("QUIT") == "221 2.0.0 Bye"
    wait_until(lambda: Client(suite, "count").reply().startswith("220"), 10, "room for one more")
    second.close()


def test_connections_are_counted_on_when_anvil_has_died(suite):
    source = "127.0.0.21"
    first, second = (Client(suite, "count", source) for _ in range(2))
    assert first.reply() and second.reply()
    pid, = suite.pids("anvil")
    suite.expected_trouble.append(f"pid {pid}")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in suite.pids("anvil"), 10, "its end")
    third = Client(suite, "count", source)
    assert third.reply().startswith("421 4.7.0")
    for c in (first, second, third):
        c.close()


def test_a_dead_server_process_no_longer_counts(suite):
    source = "127.0.0.22"
    clients = [Client(suite, "count", source) for _ in range(2)]
    assert all(c.reply().startswith("220") for c in clients)
    pid = int(suite.wait_log(r"smtpd\[(\d+)\]: connect from unknown\[127\.0\.0\.22\]")[1])
    suite.expected_trouble.append(f"pid {pid}")
    os.kill(pid, signal.SIGKILL)
    for c in clients:
        with pytest.raises((ConnectionError, AssertionError)):
            assert c.say("NOOP")
    wait_until(lambda: Client(suite, "count", source).reply().startswith("220"), 10, "anvil to have heard of it")


def test_more_connections_in_the_time_than_the_rate_allows_are_refused(suite):
    replies = [Client(suite, "rate").reply() for _ in range(3)]
    assert [r[:9] for r in replies] == ["220 mx.a.", "220 mx.a.", "421 4.7.0"]
    assert replies[2] == "421 4.7.0 mx.a.test Error: too many connections from 127.0.0.9"
    exceeded(suite, "rate", "Connection rate", 3)
    assert Client(suite, "rate", "127.0.0.8").reply().startswith("220")


def test_a_client_that_is_exempt_has_no_limit(suite):
    assert all(Client(suite, "exempt", "127.0.0.1").reply().startswith("220") for _ in range(4))
    assert [Client(suite, "exempt").reply()[:3] for _ in range(2)] == ["220", "421"]


def test_a_network_counts_as_one_client_by_its_prefix_length(suite):
    assert Client(suite, "network", "127.0.5.1").reply().startswith("220")
    assert Client(suite, "network", "127.0.5.2").reply().startswith("421")
    assert Client(suite, "network", "127.0.6.1").reply().startswith("220")
    exceeded(suite, "network", "Connection rate", 2, r"unknown\[127\.0\.5\.2\]")


# case: (what is said before, again and again, how the third is refused, the log's word for it)
RATES = {
    "message": ((), ("MAIL FROM:<a@b.example>", "RSET"), "450 4.7.1 Error: too much mail from 127.0.0.9",
                "Message delivery request"),
    "recipient": (("MAIL FROM:<a@b.example>",), ("RCPT TO:<alice@a.test>",),
                  "450 4.7.1 Error: too many recipients from 127.0.0.9", "Recipient address"),
    "auth": ((), ("AUTH PLAIN " + base64.b64encode(b"\0alice@a.test\0wrong").decode(),),
             "450 4.7.1 Error: too many AUTH commands from 127.0.0.9", "AUTH command"),
}


@pytest.mark.parametrize("case", RATES)
def test_what_is_done_too_often_is_refused_for_a_while(suite, case):
    before, again, refusal, word = RATES[case]
    c = Client(suite, case)
    c.reply()
    c.say("EHLO client.test")
    for line in before:
        assert c.say(line).startswith("250")
    replies = [[c.say(line) for line in again][0] for _ in range(3)]
    assert refusal not in replies[:2]
    assert replies[2] == refusal
    exceeded(suite, case, f"{word} rate", 3)
    assert c.say("QUIT") == "221 2.0.0 Bye"
    c.close()


def test_new_tls_sessions_are_counted(suite):
    replies = []
    for _ in range(4):
        c = Client(suite, "tls")
        c.reply()
        replies.append(c.starttls())
        if len(replies) == 3:       # its handshake is the one too many
            assert c.reply() == "421 4.7.0 mx.a.test Error: too many new TLS sessions from unknown[127.0.0.9]"
        c.close()
    assert [r[:3] for r in replies] == ["220", "220", "220", "454"]
    assert replies[3] == "454 4.7.0 Error: too many new TLS sessions from unknown[127.0.0.9]"
    exceeded(suite, "tls", "New TLS session rate", 3)


def test_new_tls_sessions_are_counted_in_wrapper_mode(suite):
    replies = []
    for _ in range(3):
        c = Client(suite, "wrapped")
        c.wrap()
        replies.append(c.reply()[:9])
        c.close()
    assert replies == ["220 mx.a.", "220 mx.a.", "421 4.7.0"]
    c = Client(suite, "wrapped")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        c.wrap()


def test_the_highest_counts_are_logged_from_time_to_time(suite):
    name = rf"\({service(suite, 'status')}:127\.0\.0\.9\)" if "status" in suite.at else r"\(.*:127\.0\.\d+\.\d+\)"
    at = r"at \w\w\w [ \d]\d \d\d:\d\d:\d\d"
    for what in (r"connection rate \d+/60s for " + name, r"connection count \d+ for " + name,
                 r"message rate 3/60s for " + name, r"recipient rate 3/60s for " + name, r"auth rate 3/60s for " + name,
                 r"newtls rate \d/60s for " + name, r"cache size \d+"):
        suite.wait_log(rf"anvil\[\d+\]: statistics: max {what} {at}", 10)


def mail_and_reset(client):
    code = client.say("MAIL FROM:<s@b.test>")[:3]
    client.say("RSET")
    return code


def test_behind_a_relay_that_may_use_xclient_each_client_is_counted_for_itself(suite):
    for address, replies in (("192.0.2.1", "250 250"), ("192.0.2.2", "250 250"), ("192.0.2.1", "450 450")):
        c = Client(suite, "relay")
        assert re.match(GREETED, c.reply())
        c.say("EHLO relay")
        assert c.say(f"XCLIENT ADDR={address} NAME=[UNAVAILABLE]").startswith("220")
        c.say("EHLO client")
        assert [mail_and_reset(c) for _ in range(2)] == replies.split(), address
        c.close()
