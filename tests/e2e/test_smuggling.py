# SPDX-License-Identifier: Apache-2.0
"""SMTP smuggling: whatever stands where the end of a message could be, only CR LF . CR LF ends it."""
import itertools
import re
import socket

import pytest

from instance import free_ports, wait_until

STRANGER = {"mynetworks": "192.0.2.0/24", "smtpd_relay_restrictions": "reject_unauth_destination"}
SERVICES = {
    "normalize": {"smtpd_forbid_bare_newline": "normalize"},
    "yes": {"smtpd_forbid_bare_newline": "yes"},
    "no": {"smtpd_forbid_bare_newline": "no"},
    "note": {"smtpd_forbid_bare_newline": "note"},
    "reject": {"smtpd_forbid_bare_newline": "reject"},
    "reject 521": {"smtpd_forbid_bare_newline": "reject", "smtpd_forbid_bare_newline_reject_code": "521"},
    "excluded": {"smtpd_forbid_bare_newline": "reject", "smtpd_forbid_bare_newline_exclusions": "127.0.0.1"},
}
ENDS = [a + b"." + c for a, c in itertools.product((b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\n\n", b"\r\n\0"), repeat=2)
        if (a, c) != (b"\r\n", b"\r\n")]
ENDS = [e for e in ENDS if b"\r\n.\r\n" not in e]
SMUGGLED = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
ENVELOPE = b"EHLO client.test\r\nMAIL FROM:<s@b.test>\r\nRCPT TO:<alice@a.test>\r\n"


@pytest.fixture(scope="module")
def suite(make_instance):
    ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
    services = ["\n".join([f"127.0.0.1:{ports[name]} inet n - n - - smtpd"]
                          + [f"    -o {{ {k} = {v} }}" for k, v in {**STRANGER, **settings}.items()])
                for name, settings in SERVICES.items()]
    instance = make_instance(services=services, params={"smtpd_error_sleep_time": "0"})
    instance.ports = ports
    return instance


def talk(suite, service, data):
    """All at once, as a smuggler does; the replies."""
    with socket.create_connection(("127.0.0.1", suite.ports[service]), 20) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while piece := s.recv(65536):
            got += piece
    return re.findall(rb"^(\d{3}) (.*?)\r?$", got, re.M)


def codes(replies):
    return [int(code) for code, _ in replies]


def log_after(suite, offset, pattern):
    try:
        return wait_until(lambda: re.search(pattern, suite.log()[offset:]), 10, pattern)
    except AssertionError as e:
        raise AssertionError(f"{e}; there is:\n{suite.log()[offset:]}") from None


def arrived(suite, user):
    suite.wait_queue_empty()
    return [p.read_bytes() for p in suite.messages(user)]


@pytest.mark.parametrize("service", ["normalize", "yes", "no", "note", "excluded"])
def test_no_other_sequence_ends_a_message_and_nothing_is_smuggled(suite, service):
    before = len(arrived(suite, "alice"))
    for end in ENDS:
        got = codes(talk(suite, service, ENVELOPE + b"DATA\r\nSubject: outer\r\n\r\nx" + end + SMUGGLED + b"\r\n.\r\nQUIT\r\n"))
        assert got == [220, 250, 250, 250, 354, 250, 221], (end, got)
    new = arrived(suite, "alice")[before:]
    assert len(new) == len(ENDS) and all(b"MAIL FROM:<evil" in m for m in new)
    assert arrived(suite, "bob") == []


def test_with_reject_every_bare_newline_is_refused_and_nothing_is_smuggled(suite):
    before = len(arrived(suite, "alice"))
    for end in ENDS:
        bare = re.search(rb"(?<!\r)\n|\r(?!\n)", end)
        got = talk(suite, "reject", ENVELOPE + b"DATA\r\nSubject: outer\r\n\r\nx" + end + SMUGGLED + b"\r\n.\r\nQUIT\r\n")
        assert codes(got) == [220, 250, 250, 250, 354, 550 if bare else 250, 221], (end, got)
        if bare:
            assert re.fullmatch(rb"5\.5\.2 mx\.a\.test Error: bare <(LF|CR)> received", got[5][1]), (end, got)
    harmless = [e for e in ENDS if not re.search(rb"(?<!\r)\n|\r(?!\n)", e)]
    assert len(arrived(suite, "alice")) - before == len(harmless)
    assert arrived(suite, "bob") == []
    suite.wait_log(r"NOQUEUE: reject: END-OF-MESSAGE from unknown\[127\.0\.0\.1\]: 550 5\.5\.2 mx\.a\.test Error: bare <LF> "
                   r"received; from=<s@b\.test> proto=ESMTP helo=<client\.test>")


def test_a_bare_newline_in_a_command_is_taken_or_refused_likewise(suite):
    for service, code in (("normalize", 250), ("no", 250), ("note", 250), ("reject", 550)):
        assert codes(talk(suite, service, b"EHLO c\r\nNOOP\nQUIT\r\n"))[2] == code, service
    offset = suite.log_end()
    assert codes(talk(suite, "reject 521", b"EHLO c\r\nNOOP\nNOOP\r\nQUIT\r\n")) == [220, 250, 521]
    log_after(suite, offset, r"NOQUEUE: reject: \w+ from unknown\[127\.0\.0\.1\]: 521 5\.5\.2 mx\.a\.test Error: bare <LF> received")


def test_521_ends_the_session_after_the_content(suite):
    got = codes(talk(suite, "reject 521", ENVELOPE + b"DATA\r\nx\n.\r\n.\r\n" + SMUGGLED + b"\r\n.\r\nQUIT\r\n"))
    assert got == [220, 250, 250, 250, 354, 521]


def test_note_says_where_it_was(suite):
    offset = suite.log_end()
    assert codes(talk(suite, "note", ENVELOPE + b"DATA\r\nSubject: noted\r\n\r\na\nb\r\n.\r\nNOOP\nQUIT\r\n"))[5] == 250
    log_after(suite, offset, r"bare <LF> received after END-OF-MESSAGE from unknown\[127\.0\.0\.1\]")


def test_a_bare_lf_is_stored_as_a_line_end_and_a_bare_cr_as_it_came(suite):
    talk(suite, "normalize", ENVELOPE + b"DATA\r\nSubject: stored\r\n\r\none\ntwo\rthree\r\n..dot\n..bare dot\r\n.\r\nQUIT\r\n")
    text, = (m for m in arrived(suite, "alice") if b"Subject: stored" in m)
    assert text.endswith(b"\n\none\ntwo\rthree\n.dot\n.bare dot\n")


@pytest.mark.parametrize("service, code", [("normalize", 250), ("reject", 550)])
def test_in_bdat_the_count_alone_ends_the_content(suite, service, code):
    before = len(arrived(suite, "alice"))
    for end in (*ENDS, b"\r\n.\r\n"):
        content = b"Subject: chunk\r\n\r\nx" + end + SMUGGLED + b"\r\n"
        bare = re.search(rb"(?<!\r)\n|\r(?!\n)", end)
        got = codes(talk(suite, service, ENVELOPE + b"BDAT %d LAST\r\n" % len(content) + content + b"QUIT\r\n"))
        assert got == [220, 250, 250, 250, code if bare else 250, 221], (end, got)
    new = arrived(suite, "alice")[before:]
    assert all(b"MAIL FROM:<evil" in m for m in new)
    assert arrived(suite, "bob") == []


def test_a_command_split_by_a_bare_cr_is_one_command(suite):
    assert codes(talk(suite, "normalize", b"EHLO c\r\nNOOP\rMAIL FROM:<x@b.test>\r\nQUIT\r\n"))[2:] in ([500, 221], [250, 221])
