# SPDX-License-Identifier: Apache-2.0
"""What a service can be told to say, to hide, to understand and to believe: footers, soft_bounce, smtpd_command_filter,
smtpd_discard_ehlo_keywords, XCLIENT and XFORWARD. Each by its reply and its log line."""
import re

import pytest

from instance import free_ports, wait_until
from lines import SmtpClient

SERVICES = {
    "plain": {},
    "footer": {"smtpd_reject_footer": r"\c. Ask $server_name"},
    "footer maps": {"smtpd_reject_footer": r"\c, in general",
                    "smtpd_reject_footer_maps": "regexp:$config_directory/footers"},
    "soft": {"soft_bounce": "yes"},
    "filter": {"smtpd_command_filter": "regexp:$config_directory/filter"},
    "hide": {"smtpd_discard_ehlo_keywords": "chunking, starttls, vrfy, dsn, smtputf8, auth, etrn"},
    "hide silently": {"smtpd_discard_ehlo_keywords": "chunking, silent-discard"},
    "hide by address": {"smtpd_discard_ehlo_keyword_address_maps": "inline:{127.0.0.1=size}",
                        "smtpd_discard_ehlo_keywords": "dsn"},
    "xclient": {"smtpd_authorized_xclient_hosts": "127.0.0.1", "mynetworks": "192.0.2.0/24",
                "smtpd_client_restrictions": "check_client_access inline:{{192.0.2.66=REJECT},{bad.example=REJECT}}, "
                                             "warn_if_reject reject_unknown_client_hostname",
                "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
                "local_header_rewrite_clients": ""},
    "xclient at once": {"smtpd_authorized_xclient_hosts": "127.0.0.1", "smtpd_delay_reject": "no",
                        "smtpd_client_restrictions": "check_client_access inline:{192.0.2.66=REJECT}"},
    "xforward": {"smtpd_authorized_xforward_hosts": "127.0.0.1",
                 "smtpd_recipient_restrictions": "check_recipient_access inline:{x@b.test=HOLD}"},
}


@pytest.fixture(scope="module")
def suite(make_instance):
    ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
    services = ["\n".join([f"127.0.0.1:{ports[name]} inet n - n - - smtpd", "    -o smtpd_tls_auth_only=no",
                           "    -o smtpd_sasl_auth_enable=yes"]
                          + [f"    -o {{ {k} = {v} }}" for k, v in settings.items()])
                for name, settings in SERVICES.items()]
    instance = make_instance(start=False, services=services, params={"smtpd_error_sleep_time": "0"})
    (instance.config / "footers").write_text("/^550 5\\.1\\.1/ \\c; see $$server_name/users\n")
    (instance.config / "filter").write_text("/^HOLA (.*)/ EHLO $1\n/^(RCPT TO:<.*>) ORCPT=.*/ $1\n")
    instance.ports = ports
    return instance.start()


@pytest.fixture
def session(suite):
    made = []

    def make(name, hello="EHLO client.test"):
        s = SmtpClient(suite.ports[name])
        made.append(s)
        assert s.reply().startswith("220 ")
        s.hello = s.say(hello)
        return s

    yield make
    for s in made:
        s.close()


def log_after(suite, offset, pattern):
    try:
        return wait_until(lambda: re.search(pattern, suite.log()[offset:]), 10, pattern)
    except AssertionError as e:
        raise AssertionError(f"{e}; there is:\n{suite.log()[offset:]}") from None


# ---- replies ----

UNKNOWN = "550 5.1.1 <nobody@a.test>: Recipient address rejected: User unknown in virtual mailbox table"


@pytest.mark.parametrize("service, reply", [
    ("plain", UNKNOWN),
    ("footer", UNKNOWN + ". Ask mx.a.test"),
    ("footer maps", UNKNOWN + "; see mx.a.test/users"),
    ("soft", "4" + UNKNOWN[1:].replace(" 5.", " 4.", 1)),
])
def test_a_refusal_has_the_footer_or_is_softened_as_main_cf_says(suite, session, service, reply):
    offset = suite.log_end()
    s = session(service)
    s.say("MAIL FROM:<>")
    assert s.say("RCPT TO:<nobody@a.test>") == reply
    logged = reply if service == "soft" else UNKNOWN
    log_after(suite, offset, re.escape(f"NOQUEUE: reject: RCPT from unknown[127.0.0.1]: {logged};"))


def test_a_reply_that_the_maps_do_not_know_has_the_general_footer(session):
    assert session("footer maps").say("NONSENSE") == "500 5.5.2 Error: command not recognized, in general"


# ---- smtpd_command_filter ----

def test_a_command_is_replaced_as_the_filter_says_and_the_log_has_both(suite, session):
    offset = suite.log_end()
    s = session("filter", "HOLA client.test")
    assert s.hello.startswith("250-mx.a.test")
    log_after(suite, offset, re.escape('unknown[127.0.0.1]: replacing command "HOLA client.test" with "EHLO client.test"'))
    s.say("MAIL FROM:<>")
    assert s.say("RCPT TO:<alice@a.test> ORCPT=broken") == "250 2.1.5 Ok"
    assert s.say("NOOP") == "250 2.0.0 Ok"


# ---- smtpd_discard_ehlo_keywords ----

def keywords(hello):
    return {line[4:].split()[0] for line in hello.splitlines()[1:]}


def test_hidden_keywords_are_not_announced_and_their_commands_are_not_there(suite, session):
    offset = suite.log_end()
    s = session("hide")
    hidden = {"CHUNKING", "STARTTLS", "VRFY", "DSN", "SMTPUTF8", "AUTH", "ETRN"}
    assert keywords(session("plain").hello) >= hidden and not keywords(s.hello) & hidden
    log_after(suite, offset, "discarding EHLO keywords: chunking, starttls, vrfy, dsn, smtputf8, auth, etrn")
    for command in ("STARTTLS", "VRFY alice@a.test", "AUTH PLAIN", "ETRN a.test"):
        assert s.say(command) == "502 5.5.1 Error: command not implemented", command
    assert s.say("MAIL FROM:<> RET=FULL") == "501 5.7.1 DSN support is disabled"
    assert s.say("MAIL FROM:<> SMTPUTF8") == "555 5.5.4 Unsupported option: SMTPUTF8"
    s.say("MAIL FROM:<>")
    assert s.say("RCPT TO:<alice@a.test> NOTIFY=NEVER") == "501 5.7.1 DSN support is disabled"
    s.say("RCPT TO:<alice@a.test>")
    assert s.say("BDAT 4 LAST\r\nab\r") == "502 5.5.1 Error: command not implemented"


def test_silent_discard_is_not_logged(suite, session):
    offset = suite.log_end()
    assert "CHUNKING" not in keywords(session("hide silently").hello)
    assert "discarding" not in suite.log()[offset:]


def test_keywords_are_hidden_by_client_address(session):
    got = keywords(session("hide by address").hello)
    assert "SIZE" not in got and "DSN" in got


# ---- XCLIENT ----

def test_only_authorized_clients_are_offered_and_granted_xclient_and_xforward(session):
    s = session("plain")
    assert not keywords(s.hello) & {"XCLIENT", "XFORWARD"}
    assert s.say("XCLIENT ADDR=192.0.2.1") == "550 5.7.0 Error: insufficient authorization"
    assert s.say("XFORWARD ADDR=192.0.2.1") == "550 5.7.0 Error: insufficient authorization"
    assert "250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT" in session("xclient").hello or \
        "250 XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT" in session("xclient").hello
    assert "250 XFORWARD NAME ADDR PROTO HELO IDENT PORT SOURCE" in session("xforward").hello


BANNER = "220 mx.a.test ESMTP Postern"
TO = "<alice@a.test>"
DENIED = r"554 5\.7\.1 <{}>: Client host rejected: Access denied"
RELAY = r"554 5\.7\.1 <x@b\.test>: Relay access denied"

# attributes, recipient, its reply, what the log has
BELIEVED = [
    ("ADDR=192.0.2.66", "alice@a.test", DENIED.format(r"unknown\[192\.0\.2\.66\]"), r"RCPT from unknown\[192\.0\.2\.66\]: "),
    ("NAME=mail.bad.example ADDR=203.0.113.1", "alice@a.test", DENIED.format(r"mail\.bad\.example\[203\.0\.113\.1\]"), None),
    ("NAME=[UNAVAILABLE] ADDR=203.0.113.1", "alice@a.test", r"250 2\.1\.5 Ok",
     r"reject_warning: RCPT from unknown\[203\.0\.113\.1\]: 450 4\.7\.1 Client host rejected: cannot find your hostname"),
    ("NAME=[TEMPUNAVAIL] ADDR=203.0.113.1", "alice@a.test", r"250 2\.1\.5 Ok", r"reject_warning: RCPT from unknown"),
    ("NAME=good.example ADDR=203.0.113.1", "alice@a.test", r"250 2\.1\.5 Ok", None),
    ("ADDR=192.0.2.1", "x@b.test", r"250 2\.1\.5 Ok", None),
    ("ADDR=203.0.113.1", "x@b.test", RELAY, r"reject: RCPT from unknown\[203\.0\.113\.1\]: "),
    ("ADDR=203.0.113.1 LOGIN=ann", "x@b.test", r"250 2\.1\.5 Ok", None),
    ("ADDR=203.0.113.1 LOGIN=[UNAVAILABLE]", "x@b.test", RELAY, None),
    ("ADDR=IPV6:2001:db8::1", "x@b.test", RELAY, r"reject: RCPT from unknown\[2001:db8::1\]: "),
    ("addr=[UNAVAILABLE]", "x@b.test", RELAY, r"reject: RCPT from unknown\[unknown\]: "),
]


@pytest.mark.parametrize("attributes, rcpt, reply, logged", BELIEVED, ids=[b[0] for b in BELIEVED])
def test_access_rules_see_the_client_that_xclient_names(suite, session, attributes, rcpt, reply, logged):
    offset = suite.log_end()
    s = session("xclient")
    assert s.say("XCLIENT " + attributes) == BANNER
    assert s.say("EHLO other.test").startswith("250-")
    s.say("MAIL FROM:<s@b.test>")
    got = s.say(f"RCPT TO:<{rcpt}>")
    assert re.fullmatch(reply, got), got
    log_after(suite, offset, r"XCLIENT from unknown\[127\.0\.0\.1\]: client=")
    if logged:
        log_after(suite, offset, logged)


def test_a_message_of_such_a_client_is_its_own_in_log_and_received_header(suite, session):
    offset = suite.log_end()
    s = session("xclient")
    assert s.say("XCLIENT NAME=mx.far.example ADDR=203.0.113.7 PORT=4711 PROTO=SMTP HELO=far+2Bhelo") == BANNER
    assert s.say("MAIL FROM:<s@far.example>").startswith("250")     # HELO has been said for him
    s.say("RCPT TO:<alice@a.test>")
    s.say("DATA")
    queue_id = s.say("Subject: by xclient\r\n\r\nx\r\n.").split()[-1]
    log_after(suite, offset, rf"{queue_id}: client=mx\.far\.example\[203\.0\.113\.7\]\n")
    suite.wait_queue_empty()
    text, = (p.read_text() for p in suite.messages("alice") if "by xclient" in p.read_text())
    assert "Received: from far+helo (mx.far.example [203.0.113.7])" in text and "with SMTP id" in text


def test_a_client_that_is_refused_at_once_is_refused_instead_of_the_banner(session):
    s = session("xclient at once")
    assert re.fullmatch(DENIED.format(r"unknown\[192\.0\.2\.66\]"), s.say("XCLIENT ADDR=192.0.2.66"))
    assert s.say("EHLO x").startswith("503 5.7.0 Error: access denied for ")
    assert s.say("QUIT").startswith("221")


@pytest.mark.parametrize("command, reply", [
    ("XCLIENT", "501 5.5.4 Syntax: XCLIENT attribute=value..."),
    ("XCLIENT FOO=1", "501 5.5.4 Bad XCLIENT attribute name: FOO=1"),
    ("XCLIENT IDENT=1", "501 5.5.4 Bad XCLIENT attribute name: IDENT=1"),
    ("XCLIENT ADDR=300.1.1.1", "501 5.5.4 Bad ADDR syntax: ADDR=300.1.1.1"),
    ("XCLIENT NAME=a+0Ab", "501 5.5.4 Bad NAME syntax: NAME=a+0Ab"),
    ("XCLIENT NAME=a+ZZ", "501 5.5.4 Bad NAME syntax: NAME=a+ZZ"),
    ("XCLIENT PORT=65536", "501 5.5.4 Bad PORT syntax: PORT=65536"),
    ("XCLIENT PROTO=HTTP", "501 5.5.4 Bad PROTO syntax: PROTO=HTTP"),
    ("XCLIENT NAME=", "501 5.5.4 Bad NAME syntax: NAME="),
])
def test_a_malformed_xclient_changes_nothing(session, command, reply):
    s = session("xclient")
    assert s.say(command) == reply
    assert s.say("XCLIENT ADDR=192.0.2.1 PORT=x").startswith("501")
    s.say("MAIL FROM:<s@b.test>")
    assert re.fullmatch(RELAY, s.say("RCPT TO:<x@b.test>"))         # still not in mynetworks
    assert s.say("XCLIENT ADDR=192.0.2.1") == "503 5.5.1 Error: MAIL transaction in progress"


# ---- XFORWARD ----

def test_what_xforward_says_is_in_the_log_and_in_the_queue_file_of_one_message(suite, session):
    offset = suite.log_end()
    s = session("xforward")
    assert s.say("XFORWARD NAME=spike.example ADDR=203.0.113.9 PORT=4711") == "250 2.0.0 Ok"
    assert s.say("XFORWARD PROTO=ESMTP HELO=spike+2Bhelo IDENT=ABC123 SOURCE=REMOTE") == "250 2.0.0 Ok"
    ids = []
    for n in range(2):
        s.say("MAIL FROM:<s@b.test>")
        assert s.say("XFORWARD ADDR=192.0.2.1") == "503 5.5.1 Error: MAIL transaction in progress"
        s.say("RCPT TO:<alice@a.test>")
        s.say("DATA")
        ids.append(s.say("Subject: by xforward\r\n\r\nx\r\n.").split()[-1])
    log_after(suite, offset, rf"{ids[0]}: client=unknown\[127\.0\.0\.1\], orig_queue_id=ABC123, "
                             r"orig_client=spike\.example\[203\.0\.113\.9\]\n")
    log_after(suite, offset, rf"{ids[1]}: client=unknown\[127\.0\.0\.1\]\n")
    suite.wait_queue_empty()
    texts = [p.read_text() for p in suite.messages("alice") if "by xforward" in p.read_text()]
    assert len(texts) == 2 and all("Received: from client.test (unknown [127.0.0.1])" in t for t in texts)


def test_the_queue_file_keeps_what_xforward_said_for_the_next_hop(suite, session):
    s = session("xforward")
    s.say("XFORWARD NAME=spike.example ADDR=IPV6:2001:db8::9 PORT=4711 PROTO=SMTP HELO=spike IDENT=ABC123 SOURCE=LOCAL")
    s.say("MAIL FROM:<s@b.test>")
    s.say("RCPT TO:<x@b.test>")
    s.say("DATA")
    queue_id = s.say("Subject: x\r\n\r\nx\r\n.").split()[-1]
    shown = suite.tool("postcat", "-eq", queue_id)
    for attribute in ("log_client_name=spike.example", "log_client_address=2001:db8::9", "log_client_port=4711",
                      "log_helo_name=spike", "log_protocol_name=SMTP", "log_ident=ABC123", "log_source=1"):
        assert f"named_attribute: {attribute}\n" in shown, shown
    suite.tool("postsuper", "-d", queue_id)
