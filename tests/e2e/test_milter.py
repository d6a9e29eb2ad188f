# SPDX-License-Identifier: Apache-2.0
"""Mail filters: every event reaches them, every answer has its consequence, every fault its default action.

The filters are scripted (milter_server.py); real ones are in test_real_filters.py.
"""
import os
import re
import signal
import smtplib
import threading

import pytest

import milter_server as milter
from instance import SLOW, free_ports, wait_until
from milter_server import MilterServer, add_header, change_header, insert_header, number, reply

ME = r"unknown\[127\.0\.0\.1\]"
TAIL = r"; from=<ann@b\.test>"


class Filters:
    """One suite, two filters, and a service for each way of using them."""

    def __init__(self, make_instance, tmp_path):
        self.a, self.b = MilterServer(), MilterServer(path=tmp_path / "b.sock")
        settings = {
            "one": self.a.endpoint,
            "two": f"{self.a.endpoint}, {self.b.endpoint}",
            "no_filter": "",
            "macros": self.a.endpoint,
            **{action: f"{{ {self.a.endpoint}, connect_timeout=1s, command_timeout=1s, content_timeout=1s, "
                        f"default_action={action} }}"
               for action in ("accept", "reject", "tempfail", "quarantine", "shutdown")},
            "patient": f"{{ {self.a.endpoint}, content_timeout=3s, default_action=reject }}",
            **{f"version{v}": f"{{ {self.a.endpoint}, protocol={v} }}" for v in (2, 3, 4, 5, 6)},
            "gone": "inet:127.0.0.1:1",
            "maps": self.b.endpoint,
        }
        self.ports = dict(zip(settings, free_ports(len(settings))))
        more = {
            "macros": "    -o { milter_connect_macros = j _ {client_addr} client_port {if_name} {if_addr} {nothing} }\n"
                      "    -o { milter_macro_defaults = nothing=something }\n"
                      "    -o milter_macro_daemon_name=ORIGINATING\n"
                      "    -o { milter_end_of_data_macros = i {daemon_name} {client_name} }\n",
            "maps": f"    -o {{ smtpd_milter_maps = inline:{{ {{127.0.0.3={self.a.endpoint}}}, 127.0.0.4=DISABLE }} }}\n",
        }
        services = [f"127.0.0.1:{port} inet n - n - - smtpd\n    -o {{ smtpd_milters = {settings[name]} }}\n"
                    + more.get(name, "") for name, port in self.ports.items()]
        self.suite = make_instance(start=False, services=services, params={
            "message_size_limit": "4000000", "virtual_alias_maps": "inline:{team@a.test=bob@a.test}",
            "smtpd_error_sleep_time": "0", "ipc_idle": "100s", "local_header_rewrite_clients": ""})
        if self.suite.prefix == ():
            (tmp_path).chmod(0o755)
        self.suite.start()

    def connect(self, service="one", source="127.0.0.1"):
        return smtplib.SMTP("127.0.0.1", self.ports[service], local_hostname="client.test", timeout=30,
                            source_address=(source, 0))

    def send(self, service="one", body="Hello\r\n", header="Subject: x\r\n", rcpts=("alice@a.test",), smtp=None):
        """The reply that ended the transaction, as "250 2.0.0 Ok..."."""
        own = smtp is None
        smtp = smtp or self.connect(service)
        try:
            if own:
                smtp.ehlo()
            for step in (lambda: smtp.mail("ann@b.test"), *(lambda r=r: smtp.rcpt(r) for r in rcpts),
                         lambda: smtp.data((header + "\r\n" + body).encode("latin-1"))):
                try:
                    code, text = step()
                except smtplib.SMTPDataError as e:
                    code, text = e.smtp_code, e.smtp_error
                if code >= 400:
                    if not own:
                        smtp.rset()
                    return f"{code} {text.decode()}"
            return f"{code} {text.decode()}"
        finally:
            if own:
                smtp.close()

    def delivered(self, user="alice", **kw):
        """Send, and give the message as it arrived."""
        answer = self.send(**kw)
        assert answer.startswith("250 ")
        queue_id = answer.split()[-1]

        def look():
            texts = (p.read_bytes().decode("latin-1") for p in reversed(self.suite.messages(user)))
            return next((t for t in texts if f" id {queue_id}\n" in t), None)
        return wait_until(look, 20, "the message")


@pytest.fixture(scope="module")
def f(make_instance, tmp_path_factory):
    filters = Filters(make_instance, tmp_path_factory.mktemp("milter"))
    yield filters
    filters.a.close()
    filters.b.close()


@pytest.fixture(autouse=True)
def quiet(f):
    f.a.reset()
    f.b.reset()


# ---- events ----

def test_a_filter_is_told_of_every_event_with_its_text(f):
    smtp = f.connect()
    smtp.ehlo()
    smtp.docmd("NONSENSE", "at all")
    smtp.docmd("MAIL", "FROM:<ann@b.test> SIZE=100")
    smtp.docmd("RCPT", "TO:<alice@a.test> NOTIFY=NEVER")
    smtp.data(b"Subject: a\r\n folded\r\nX: y\r\n\r\nLine\r\n..dot\r\n")
    smtp.quit()
    wait_until(lambda: f.a.told.ended, 5, "the end")
    told = [(name, text) for name, text in f.a.told.events if name not in ("OPTNEG", "CONNECT")]
    assert told == [
        ("HELO", "client.test"), ("UNKNOWN", "NONSENSE at all"), ("MAIL", "<ann@b.test>\0SIZE=100"),
        ("RCPT", "<alice@a.test>\0NOTIFY=NEVER"), ("DATA", ""),
        ("HEADER", "Subject\0a\n folded"), ("HEADER", "X\0y"), ("EOH", ""),
        ("BODY", "Line\r\n..dot\r\n"), ("EOM", ""), ("QUIT", "")]
    connect = f.a.told.texts("CONNECT")[0]
    assert re.fullmatch(r"unknown\x004..127\.0\.0\.1", connect, re.S)


def test_one_connection_serves_all_messages_of_a_session(f):
    smtp = f.connect()
    smtp.ehlo()
    for _ in range(3):
        assert f.send(smtp=smtp).startswith("250 ")
    smtp.quit()
    wait_until(lambda: f.a.told.ended, 5, "the end")
    assert len(f.a.conversations) == 1
    assert f.a.told.names().count("EOM") == 3 and "ABORT" not in f.a.told.names()


def test_rset_aborts_and_the_next_message_is_filtered(f):
    smtp = f.connect()
    smtp.ehlo()
    smtp.mail("ann@b.test")
    smtp.rset()
    f.a.script = {"EOM": reply("550 5.7.1 no")}
    assert f.send(smtp=smtp) == "550 5.7.1 no"
    smtp.quit()
    names = [n for n in f.a.told.names() if n in ("MAIL", "ABORT", "EOM")]
    assert names == ["MAIL", "ABORT", "MAIL", "EOM"]


def test_a_large_body_goes_in_chunks_and_arrives_whole(f):
    body = "".join(f"{i:08d} " + "x" * 60 + "\r\n" for i in range(20000))
    message = f.delivered(body=body)
    chunks = f.a.told.texts("BODY")
    assert "".join(chunks) == body and max(map(len, chunks)) <= 65535 and len(chunks) > 20
    assert message.replace("\n", "\r\n").endswith(body)


def test_bdat_is_filtered_like_data(f):
    smtp = f.connect()
    smtp.ehlo()
    smtp.mail("ann@b.test")
    smtp.rcpt("alice@a.test")
    smtp.send(b"BDAT 13\r\nSubject: a\r\n\r")
    assert smtp.getreply()[0] == 250
    f.a.script = {"EOM": reply("550 5.7.1 no bdat")}
    smtp.send(b"BDAT 7 LAST\r\n\nBody\r\n")
    assert smtp.getreply() == (550, b"5.7.1 no bdat")
    assert f.a.told.until_quit()[-4:] == ["DATA", "HEADER", "EOH", "BODY", "EOM"][-4:]
    smtp.close()


def test_a_lost_client_leaves_no_message(f):
    smtp = f.connect()
    smtp.ehlo()
    smtp.mail("ann@b.test")
    smtp.rcpt("alice@a.test")
    smtp.docmd("DATA")
    smtp.send(b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" * 100000)
    smtp.close()
    wait_until(lambda: f.a.told.ended, 10, "the end")
    wait_until(lambda: not list((f.suite.queue_dir / "tmp").iterdir()), 10, "an empty tmp/")


# ---- answers ----

REFUSALS = {
    "reject": (milter.REJECT, "550 5.7.1 Command rejected"),
    "tempfail": (milter.TEMPFAIL, "451 4.7.1 Service unavailable - try again later"),
    "reply code": (reply("554 5.7.9 Not today"), "554 5.7.9 Not today"),
    "reply without enhanced code": (reply("450 Later"), "450 4.7.1 Later"),
    "several lines": (reply("550-5.7.1 One\r\n550 5.7.1 Two"), "550 5.7.1 One\n5.7.1 Two"),
}
EVENTS = {"CONNECT": "CONNECT", "HELO": "EHLO", "MAIL": "MAIL", "RCPT": "RCPT", "DATA": "DATA",
          "HEADER": "END-OF-MESSAGE", "EOH": "END-OF-MESSAGE", "BODY": "END-OF-MESSAGE", "EOM": "END-OF-MESSAGE"}


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize("event", EVENTS)
def test_a_refusal_is_the_reply_and_is_logged(f, event, answer):
    packet, want = REFUSALS[answer]
    f.a.script = {event: packet}
    at = f.suite.log_end()
    assert f.send() == want
    text = re.escape(want.split(" ", 1)[1].split("\n")[0])
    stage = EVENTS[event]
    head = r"NOQUEUE: " if stage != "END-OF-MESSAGE" else r"\w+: "
    wait_until(lambda: re.search(rf"{head}milter-reject: {stage} from {ME}: (\d+[ -])?{text}", f.suite.log()[at:]), 5,
               "the log line")


@pytest.mark.parametrize("event", EVENTS)
def test_accept_ends_the_filters_part_in_the_message(f, event):
    f.a.script = {event: milter.ACCEPT, **{e: milter.REJECT for e in list(EVENTS)[list(EVENTS).index(event) + 1:]}}
    assert f.send().startswith("250 ")


@pytest.mark.parametrize("event", ["CONNECT", "MAIL", "EOH"])
def test_accept_holds_for_the_session_or_for_the_message(f, event):
    f.a.script = {event: milter.ACCEPT}
    smtp = f.connect()
    smtp.ehlo()
    f.send(smtp=smtp)
    f.a.script = {"EOM": milter.REJECT}
    assert f.send(smtp=smtp).startswith("250 " if event == "CONNECT" else "550 ")
    smtp.quit()


@pytest.mark.parametrize("event", ["MAIL", "RCPT", "DATA", "HEADER", "BODY", "EOM"])
def test_discard_is_answered_with_ok_and_delivers_nothing(f, event):
    f.a.script = {event: milter.DISCARD}
    at, before = f.suite.log_end(), len(f.suite.messages("alice"))
    assert f.send().startswith("250 ")
    wait_until(lambda: re.search(rf"milter-discard: {EVENTS[event]} from {ME}: milter triggers DISCARD action" + TAIL,
                                 f.suite.log()[at:]), 5, "the log line")
    f.suite.wait_queue_empty()
    assert len(f.suite.messages("alice")) == before


@pytest.mark.parametrize("event", ["CONNECT", "MAIL", "RCPT", "EOM"])
def test_shutdown_closes_the_session_with_421(f, event):
    f.a.script = {event: milter.SHUTDOWN}
    try:
        assert f.send().startswith("421 4.7.0 mx.a.test Server closing connection")
    except smtplib.SMTPConnectError as e:
        assert event == "CONNECT" and e.smtp_code == 421


def test_skip_ends_the_event_but_not_the_message(f):
    f.a.reset({"BODY": milter.SKIP}, steps=0x400)
    assert f.send(body="y" * 70 + "\r\n" * 100000).startswith("250 ")
    assert f.a.told.names().count("BODY") == 1 and f.a.told.until_quit()[-1] == "EOM"


def test_progress_extends_the_time(f):
    f.a.script = {"EOM": [a for _ in range(7) for a in ("sleep 0.5", milter.PROGRESS)] + [reply("550 5.7.1 at last")]}
    assert f.send("patient") == "550 5.7.1 at last"


def test_quarantine_puts_the_message_on_hold(f):
    f.a.script = {"EOM": ["qsuspicious\0", milter.CONTINUE]}
    at = f.suite.log_end()
    assert f.send().startswith("250 ")
    queue_id = wait_until(lambda: re.search(rf"(\w+): milter-hold: END-OF-MESSAGE from {ME}: milter triggers HOLD action"
                                            + TAIL + r" to=<alice@a\.test> proto=ESMTP helo=<client\.test>",
                                            f.suite.log()[at:]), 5, "the log line")[1]
    assert [m["queue_name"] for m in f.suite.queue() if m["queue_id"] == queue_id] == ["hold"]
    f.suite.tool("postsuper", "-d", queue_id)


def test_an_unknown_command_can_be_refused(f):
    f.a.script = {"UNKNOWN": reply("550 5.7.1 what is this")}
    smtp = f.connect()
    smtp.ehlo()
    assert smtp.docmd("XYZZY") == (550, b"5.7.1 what is this")
    smtp.close()


def test_a_refused_session_may_not_sign_in_nor_verify(f):
    f.a.script = {"CONNECT": reply("554 5.7.1 go away")}
    smtp = f.connect()
    smtp.ehlo()
    assert smtp.docmd("VRFY alice@a.test") == (554, b"5.7.1 go away")
    assert smtp.docmd("STARTTLS") == (554, b"5.7.1 go away")
    assert smtp.docmd("NOOP")[0] == 250
    smtp.quit()


# ---- negotiation ----

@pytest.mark.parametrize("version,steps", [(2, 0xFF), (3, 0x1FF), (4, 0x3FF), (5, 0x3FF), (6, 0x1FFFFF)])
def test_the_configured_version_is_offered(f, version, steps):
    f.a.reset(version=2, actions=0, steps=0)
    assert f.send(f"version{version}").startswith("250 ")
    assert f.a.offers == [(version, 0x1FF if version == 6 else 0x3F, steps)]


def test_events_that_a_filter_does_not_want_are_not_sent(f):
    f.a.reset(steps=0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x200)
    assert f.send().startswith("250 ")
    assert f.a.told.until_quit() == ["OPTNEG", "EOM"]


def test_events_that_a_filter_does_not_answer_are_not_waited_for(f):
    f.a.reset({e: [] for e in EVENTS if e != "EOM"}, steps=0x80 | 0xFF000)
    assert f.send().startswith("250 ")
    assert f.a.told.until_quit() == ["OPTNEG", "CONNECT", "HELO", "MAIL", "RCPT", "DATA", "HEADER", "EOH", "BODY", "EOM"]


def test_refused_recipients_are_told_to_a_filter_that_asks_for_them(f):
    f.a.reset(steps=0x800)
    f.send(rcpts=("nobody@a.test",))
    assert f.a.told.texts("RCPT") == ["<nobody@a.test>"]
    assert f.a.told.macros["RCPT"][-1]["{rcpt_mailer}"] == "error"
    f.a.reset()
    f.send(rcpts=("nobody@a.test",))
    assert f.a.told.texts("RCPT") == []


def test_header_values_keep_their_blanks_where_that_is_agreed_on(f):
    f.a.reset({"EOM": [add_header("Y", "  two"), milter.CONTINUE]}, steps=0x100000)
    message = f.delivered(header="Subject:   three\r\n")
    assert f.a.told.texts("HEADER") == ["Subject\0   three"]
    assert "\nY:  two\n" in message


def test_a_filter_chooses_its_macros(f):
    f.a.reset(symlists=[(0, "{client_port} {daemon_port}"), (5, "i {mail_addr}")])
    f.send()
    assert set(f.a.told.macros["CONNECT"][0]) == {"{client_port}", "{daemon_port}"}
    assert f.a.told.macros["CONNECT"][0]["{daemon_port}"] == str(f.ports["one"])
    assert f.a.told.macros["EOM"][0]["{mail_addr}"] == "ann@b.test"


@pytest.mark.parametrize("answer", ["O" + number(7) + number(0) + number(0), "O" + number(6) + number(0x200) + number(0),
                                    "O" + number(6) + number(0) + number(0x10000000), "O", "c",
                                    "O" + number(6) + number(0x100) + number(0) + number(9) + "i\0"])
def test_a_filter_that_negotiates_wrongly_is_not_used(f, answer):
    f.a.script = {"OPTNEG": answer}
    assert f.send("tempfail") == "451 4.7.1 Service unavailable - try again later"
    assert f.a.told.until_quit() == ["OPTNEG"]


# ---- macros ----

def test_the_usual_macros_have_the_values_that_filters_know(f):
    f.send()
    macros = f.a.told.macros
    assert macros["CONNECT"][0] == {"j": "mx.a.test", "{daemon_name}": "mx.a.test", "{daemon_addr}": "127.0.0.1",
                                    "v": macros["CONNECT"][0]["v"], "_": "unknown [127.0.0.1]"}
    assert macros["CONNECT"][0]["v"].startswith("Postern ")
    assert macros["MAIL"][0]["{mail_addr}"] == "ann@b.test" and macros["MAIL"][0]["{mail_host}"] == "b.test"
    assert macros["MAIL"][0]["{mail_mailer}"] == "smtp"
    assert macros["RCPT"][0] == {"{rcpt_addr}": "alice@a.test", "{rcpt_host}": "a.test", "{rcpt_mailer}": "virtual"}
    queue_id = macros["EOM"][0]["i"]
    assert macros["EOH"][0]["i"] == queue_id
    f.suite.wait_log(rf"{queue_id}: client={ME}")


def test_macros_can_be_chosen_and_given_values_in_main_cf(f):
    f.send("macros")
    macros = f.a.told.macros
    assert macros["CONNECT"][0] == {
        "j": "mx.a.test", "_": "unknown [127.0.0.1]", "{client_addr}": "127.0.0.1",
        "{client_port}": macros["CONNECT"][0]["{client_port}"], "{if_name}": "mx.a.test", "{if_addr}": "127.0.0.1",
        "{nothing}": "something"}
    assert macros["EOM"][0] == {"i": macros["EOM"][0]["i"], "{daemon_name}": "ORIGINATING", "{client_name}": "unknown"}


def test_who_signed_in_and_the_cipher_are_told(f):
    f.suite.set(smtpd_milters=f.a.endpoint)
    f.suite.reload()
    with smtplib.SMTP_SSL("127.0.0.1", f.suite.port["smtps"], local_hostname="client.test") as smtp:
        smtp.ehlo()
        smtp.login("alice@a.test", "secret")
        assert f.send(smtp=smtp).startswith("250 ")
    macros = f.a.told.macros
    assert macros["HELO"][0]["{tls_version}"].startswith("TLSv1.") and macros["HELO"][0]["{cipher_bits}"].isdigit()
    assert macros["MAIL"][0]["{auth_authen}"] == "alice@a.test" and macros["MAIL"][0]["{auth_type}"] in ("PLAIN", "LOGIN")


# ---- changes ----

def headers(message):
    return [line for line in message.split("\n\n", 1)[0].split("\n") if not line.startswith(("\t", " "))]


CHANGES = {
    "add": ([add_header("Y", "new")], ["Received", "Subject: x", "X: 1", "X: 2", "Y: new"]),
    "add with several lines": ([add_header("Y", "a\n\tb\nBcc: c")], ["Received", "Subject: x", "X: 1", "X: 2", "Y: a"]),
    "insert at the top": ([insert_header(0, "Y", "new")], ["Y: new", "Received", "Subject: x", "X: 1", "X: 2"]),
    "insert below ours": ([insert_header(1, "Y", "new")], ["Received", "Y: new", "Subject: x", "X: 1", "X: 2"]),
    "insert behind the end": ([insert_header(99, "Y", "new")], ["Received", "Subject: x", "X: 1", "X: 2", "Y: new"]),
    "change": ([change_header(2, "X", "two")], ["Received", "Subject: x", "X: 1", "X: two"]),
    "change one that is not there": ([change_header(1, "Z", "z")], ["Received", "Subject: x", "X: 1", "X: 2", "Z: z"]),
    "delete": ([change_header(1, "X", "")], ["Received", "Subject: x", "X: 2"]),
    "delete all": ([change_header(2, "X", ""), change_header(1, "X", "")], ["Received", "Subject: x"]),
    "our Received field is not theirs": ([change_header(1, "Received", "")], ["Received", "Subject: x", "X: 1", "X: 2"]),
    "no name of a field": ([add_header("Bad name", "v")], ["Received", "Subject: x", "X: 1", "X: 2"]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_header_change_is_what_was_asked_for(f, case):
    edits, want = CHANGES[case]
    f.a.script = {"EOM": [*edits, milter.CONTINUE]}
    message = f.delivered(header="Subject: x\r\nX: 1\r\nX: 2\r\n")
    got = [h for h in headers(message) if not h.startswith(("Return-Path", "Delivered-To", "X-Original-To"))]
    assert [h.split(":")[0] if h.startswith("Received") else h for h in got] == want
    assert message.endswith("\n\nHello\n")


def test_a_new_body_replaces_the_old_one_and_has_lines(f):
    f.a.script = {"EOM": ["bfirst\r\nsec", "bond\nthird", milter.CONTINUE]}
    assert f.delivered().split("\n\n", 1)[1] == "first\nsecond\nthird\n"


def test_a_new_body_larger_than_memory_is_kept(f):
    piece = "b" + ("z" * 77 + "\r\n") * 800
    f.a.script = {"EOM": [piece] * 10 + [milter.CONTINUE]}
    assert f.delivered().split("\n\n", 1)[1] == ("z" * 77 + "\n") * 8000


def test_half_a_new_body_is_none(f):
    f.a.script = {"EOM": ["bhalf", "close"]}
    assert f.delivered(service="accept").endswith("\n\nHello\n")


def test_recipients_are_added_and_deleted(f):
    f.a.script = {"EOM": ["+<bob@a.test>\0", "-<alice@a.test>\0", milter.CONTINUE]}
    before = len(f.suite.messages("alice"))
    assert "Hello" in f.delivered("bob")
    f.suite.wait_queue_empty()
    assert len(f.suite.messages("alice")) == before


def test_an_added_recipient_is_expanded_and_has_its_parameters(f):
    f.a.script = {"EOM": ["2<team@a.test>\0NOTIFY=NEVER ORCPT=rfc822;x@y\0", "qhold\0", milter.CONTINUE]}
    assert f.send().startswith("250 ")
    held, = [m for m in f.suite.queue() if m["queue_name"] == "hold"]
    assert [r["address"] for r in held["recipients"]] == ["alice@a.test", "bob@a.test"]
    text = f.suite.tool("postcat", "-q", held["queue_id"])
    assert re.search(r"rfc822;x@y", text)
    f.suite.tool("postsuper", "-d", held["queue_id"])


def test_a_message_without_recipients_is_discarded(f):
    f.a.script = {"EOM": ["-<alice@a.test>\0", milter.CONTINUE]}
    assert f.send().startswith("250 ")
    f.suite.wait_log(r"milter-discard: END-OF-MESSAGE")
    f.suite.wait_queue_empty()


@pytest.mark.parametrize("sender", ["eve@c.test", ""])
def test_the_sender_is_changed(f, sender):
    f.a.script = {"EOM": [f"e<{sender}>\0", milter.CONTINUE]}
    assert f"Return-Path: <{sender}>" in f.delivered()


def test_the_second_filter_sees_what_the_first_has_changed(f):
    f.a.script = {"EOM": [add_header("Y", "new"), "bother\r\n", "+<bob@a.test>\0", milter.CONTINUE]}
    f.delivered(service="two")
    assert f.b.told.texts("HEADER") == ["Subject\0x", "Y\0new"] and f.b.told.texts("BODY") == ["other\r\n"]


def test_the_first_refusal_ends_it_and_the_second_filter_is_told_to_forget(f):
    f.a.script = {"EOM": milter.REJECT}
    smtp = f.connect("two")
    smtp.ehlo()
    assert f.send(smtp=smtp).startswith("550 ")
    f.a.script = {}
    assert f.send(smtp=smtp).startswith("250 ")
    names = [n for n in f.b.told.names() if n in ("MAIL", "HEADER", "ABORT", "EOM")]
    assert names == ["MAIL", "ABORT", "MAIL", "HEADER", "EOM"]
    smtp.quit()


def test_a_change_that_was_not_agreed_on_is_a_fault(f):
    f.a.reset({"EOM": [add_header("Y", "v"), milter.CONTINUE]}, actions=0)
    assert f.send("reject") == "550 5.5.0 Service unavailable"


# ---- faults ----

OUTCOMES = {"accept": "250 ", "reject": "550 5.5.0 Service unavailable",
            "tempfail": "451 4.7.1 Service unavailable - try again later", "quarantine": "250 ",
            "shutdown": "421 4.7.0 mx.a.test Server closing connection"}


@pytest.mark.parametrize("fault", milter.FAULTS)
@pytest.mark.parametrize("event", ["OPTNEG", "CONNECT", "MAIL", "RCPT", "HEADER", "BODY", "EOM"])
def test_a_fault_anywhere_is_the_default_action(f, event, fault):
    if fault == "hang" and event in ("CONNECT", "RCPT", "BODY"):
        pytest.skip("a second each: the others show it")
    f.a.script = {event: fault}
    assert f.send("reject") == OUTCOMES["reject"]


@pytest.mark.parametrize("action", OUTCOMES)
@pytest.mark.parametrize("event", ["MAIL", "EOM"])
def test_the_default_action_is_what_the_setting_says(f, event, action):
    f.a.script = {event: "close"}
    at = f.suite.log_end()
    assert f.send(action).startswith(OUTCOMES[action])
    command = {"MAIL": "SMFIC_MAIL", "EOM": "SMFIC_BODYEOB"}[event]
    wait_until(lambda: re.search(rf"warning: (\w+: )?milter inet:127\.0\.0\.1:\d+: can't read {command} reply packet "
                                 r"header: ", f.suite.log()[at:]), 5, "the warning")
    if action == "quarantine":
        for queue_id in [m["queue_id"] for m in f.suite.queue() if m["queue_name"] == "hold"]:
            f.suite.tool("postsuper", "-d", queue_id)


def test_a_filter_that_is_not_there_is_warned_of(f):
    assert f.send("gone") == OUTCOMES["tempfail"]
    f.suite.wait_log(r"warning: connect to Milter service inet:127\.0\.0\.1:1: Connection refused")


def test_a_filter_that_failed_in_one_message_stays_out_for_the_session(f):
    f.a.script = {"EOM": "close"}
    smtp = f.connect("accept")
    smtp.ehlo()
    f.send(smtp=smtp)
    assert f.send(smtp=smtp).startswith("250 ")
    smtp.quit()
    assert len(f.a.conversations) == 1 and f.a.told.names().count("MAIL") == 1


def test_a_slow_filter_makes_no_other_session_wait(f):
    go_on = threading.Event()
    f.a.script = {"MAIL": lambda data: milter.CONTINUE if go_on.wait(60 * SLOW) else "close"}
    slow = threading.Thread(target=f.send)
    slow.start()
    wait_until(lambda: f.a.conversations and "MAIL" in f.a.told.names(), 5, "the slow one to wait")
    assert f.send("no_filter").startswith("250 ")
    f.a.script = {}
    assert f.send("one").startswith("250 ")
    assert slow.is_alive()
    go_on.set()
    slow.join()


def test_a_cleanup_that_dies_with_a_filter_costs_a_451_and_the_next_message_is_filtered(f):
    f.a.script = {"EOM": "hang"}
    smtp = f.connect("one")
    smtp.ehlo()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(f.send(smtp=smtp)))
    thread.start()
    wait_until(lambda: f.a.conversations and "EOM" in f.a.told.names(), 5, "the end of the message")
    f.suite.expected_trouble.append("signal 9")
    for pid in f.suite.pids("cleanup"):
        os.kill(pid, signal.SIGKILL)
    thread.join(20 * SLOW)
    assert answers and answers[0].startswith("451 4.3.0")
    f.a.released.set()
    f.a.script = {"EOM": reply("550 5.7.1 seen")}
    assert f.send(smtp=smtp) == "550 5.7.1 seen"
    smtp.close()


# ---- which filters ----

def test_clients_have_the_filters_that_the_map_gives_them(f):
    for source, used in (("127.0.0.1", f.b), ("127.0.0.3", f.a), ("127.0.0.4", None)):
        f.a.reset()
        f.b.reset()
        smtp = f.connect("maps", source)
        smtp.ehlo()
        assert f.send(smtp=smtp).startswith("250 ")
        smtp.quit()
        assert [s for s in (f.a, f.b) if s.conversations] == [s for s in (f.a, f.b) if s is used]


def test_mail_of_local_programs_is_shown_as_from_localhost(f):
    f.suite.set(non_smtpd_milters=f.b.endpoint)
    f.suite.reload()
    f.b.script = {"EOM": [add_header("Y", "seen"), milter.CONTINUE]}
    f.suite.tool("sendmail", "-f", "ann@b.test", "alice@a.test", input="Subject: local\n\nHi\n")
    wait_until(lambda: any("Y: seen" in p.read_text() for p in f.suite.messages("alice")), 20, "the message")
    told = [(n, t) for n, t in f.b.told.events if n in ("CONNECT", "HELO", "MAIL", "RCPT", "DATA", "BODY")]
    assert told == [("CONNECT", "localhost\x004\0\x00127.0.0.1"), ("HELO", "mx.a.test"), ("MAIL", "<ann@b.test>"),
                    ("RCPT", "<alice@a.test>"), ("DATA", ""), ("BODY", "Hi\r\n")]
    f.b.script = {"EOM": reply("550 5.7.1 not from here")}
    done = f.suite.tool("sendmail", "-f", "ann@b.test", "alice@a.test", input="Subject: local\n\nHi\n", check=False)
    assert done.returncode != 0 and "not from here" in done.stderr
    f.suite.wait_log(r"milter-reject: END-OF-MESSAGE from localhost\[127\.0\.0\.1\]: 5\.7\.1 not from here; from=<ann@b\.test>")


def test_reports_are_shown_where_internal_mail_filter_classes_says_so(f):
    def provoke():
        f.suite.tool("sendmail", "-f", "alice@a.test", "nobody@a.test", input="Subject: lost\n\nHi\n")
        f.suite.wait_queue_empty()
    f.suite.set(non_smtpd_milters=f.b.endpoint)
    f.suite.reload()
    provoke()
    assert [c.texts("MAIL") for c in f.b.conversations] == [["<alice@a.test>"]]
    f.suite.set(internal_mail_filter_classes="bounce")
    f.suite.reload()
    f.b.reset()
    provoke()
    assert [c.texts("MAIL") for c in f.b.conversations] == [["<alice@a.test>"], ["<>"]]
    f.suite.set(internal_mail_filter_classes="")


def test_mail_that_was_put_back_is_not_shown_again(f):
    f.suite.set(non_smtpd_milters=f.b.endpoint)
    f.suite.reload()
    f.a.script = {"EOM": ["qhold\0", milter.CONTINUE]}
    queue_id = f.send().split()[-1]
    before = len(f.suite.log_lines(r"uid=\d+ from=<ann@b\.test>"))
    f.suite.tool("postsuper", "-r", queue_id)
    f.suite.reload()        # pickup looks into maildrop/ when it starts
    f.suite.wait_log(r"uid=\d+ from=<ann@b\.test>", count=before + 1)
    f.suite.wait_queue_empty()
    assert f.b.conversations == []
