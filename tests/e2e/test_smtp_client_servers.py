# SPDX-License-Identifier: Apache-2.0
"""The SMTP client before servers that announce, refuse, limit, stall and hang up: log lines and outcomes."""
import time

import pytest

from instance import wait_until
from outbound import Case, Outbound
from receiver import CLOSE


def on(verb, reply):
    """An answer function: this reply to that command"""
    return lambda v, argument, attempt: reply if v == verb else None


def slow(verb, seconds):
    def answer(v, argument, attempt):
        if v == verb:
            time.sleep(seconds)
    return answer


def auth_trap(verb, argument, attempt):
    return "250 ok" if verb != "EHLO" else None


NOTHING = ("X-NOTHING",)
CASES = {
    # name: what the server does
    "plain": Case(ehlo=NOTHING),
    "chunking": Case(ehlo=("PIPELINING", "CHUNKING")),
    "chunkingslow": Case(ehlo=("CHUNKING",)),
    "refuserall": Case(ehlo=("PIPELINING", "CHUNKING"), answer=on("RCPT", "550 5.1.1 nobody here")),
    "refusesome": Case(ehlo=("PIPELINING", "CHUNKING"), answer=lambda v, a, n: "550 5.1.1 no <b>"
                       if v == "RCPT" and "b@" in a else None),
    "refusemail": Case(ehlo=("PIPELINING", "CHUNKING"), answer=on("MAIL", "550 5.7.1 not you")),
    "refuseend": Case(answer=on("END", "554 5.6.0 bad content")),
    "refusebdat": Case(ehlo=("PIPELINING", "CHUNKING"), answer=on("END", "452 4.3.1 full")),
    "greet4": Case(answer=on("CONNECT", "421 4.3.2 busy")),
    "greet5": Case(answer=on("CONNECT", "554 5.7.1 go away")),
    "greet5final": Case(answer=on("CONNECT", "554 5.7.1 go away"), params={"smtp_skip_5xx_greeting": "no"}),
    "ehlo5": Case(answer=on("EHLO", "500 what?"), ehlo=()),
    "hello5": Case(answer=lambda v, a, n: "550 5.7.1 no" if v in ("EHLO", "HELO") else None),
    "neverehlo": Case(params={"smtp_never_send_ehlo": "yes"}),
    "ehloifsaid": Case(params={"smtp_always_send_ehlo": "no"}, answer=on("CONNECT", "220 old SMTP")),
    "discard": Case(ehlo=("PIPELINING", "CHUNKING", "DSN"), params={"smtp_discard_ehlo_keywords": "chunking, dsn"}),
    "discardmap": Case(ehlo=("PIPELINING", "CHUNKING"),
                       params={"smtp_discard_ehlo_keyword_address_maps": "inline:{127.0.0.1=chunking}"}),
    "closehelo": Case(answer=on("EHLO", CLOSE)),
    "closegreet": Case(answer=on("CONNECT", CLOSE)),
    "closemail": Case(answer=on("MAIL", CLOSE), ehlo=NOTHING),
    "closercpt": Case(answer=on("RCPT", CLOSE), ehlo=NOTHING),
    "closedata": Case(answer=on("DATA", CLOSE), ehlo=NOTHING),
    "closeend": Case(answer=on("END", CLOSE), ehlo=NOTHING),
    "slowgreet": Case(answer=slow("CONNECT", 4), params={"smtp_helo_timeout": "1s"}),
    "slowmail": Case(answer=slow("MAIL", 4), ehlo=NOTHING, params={"smtp_mail_timeout": "1s"}),
    "slowrcpt": Case(answer=slow("RCPT", 4), ehlo=NOTHING, params={"smtp_rcpt_timeout": "1s"}),
    "slowdata": Case(answer=slow("DATA", 4), ehlo=NOTHING, params={"smtp_data_init_timeout": "1s"}),
    "slowend": Case(answer=slow("END", 4), ehlo=NOTHING, params={"smtp_data_done_timeout": "1s"}),
    "nonsense": Case(answer=on("CONNECT", "SSH-2.0-OpenSSH_9.2")),
    "filtered": Case(answer=on("RCPT", "550 5.1.1 nobody here"),
                     params={"smtp_reply_filter": "inline:{ {550 5.1.1 nobody here = 450 4.1.1 come again} }"}),
    "dsnfilter": Case(answer=on("RCPT", "550 5.1.1 x"), 
                      files={"dsn.pcre": "/^5(\\.1\\.1 .*)/ 4$1\n"},
                      params={"smtp_delivery_status_filter": "pcre:DIR/dsn.pcre"}),
    "dsnfilterall": Case(answer=on("RCPT", "550 5.1.1 x"), files={"all.pcre": "/^5(\\.1\\.1 .*)/ 4$1\n"},
                         params={"default_delivery_status_filter": "pcre:DIR/all.pcre"}),
    "lmtpslow": Case(program="lmtp", answer=slow("LHLO", 4), params={"lmtp_lhlo_timeout": "1s", "lmtp_helo_timeout": "100s"}),
    "limits": Case(ehlo=("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=5")),
    "mailmax": Case(ehlo=("PIPELINING", "LIMITS MAILMAX=1")),
    "reuse": Case(),
    "reusecount": Case(params={"smtp_connection_reuse_count_limit": "1"}),
    "reusenever": Case(params={"smtp_connection_cache_on_demand": "no"}),
    "reuselisted": Case(params={"smtp_connection_cache_on_demand": "no",
                                "smtp_connection_cache_destinations": "127.0.0.1"}),
    "reuseshort": Case(params={"smtp_connection_cache_time_limit": "1s"}),
    "reset": Case(ehlo=("PIPELINING", "CHUNKING"), answer=lambda v, a, n: "450 4.2.0 later"
                  if v == "RCPT" and n == 1 else None),
    "resetslow": Case(ehlo=("PIPELINING", "CHUNKING"), params={"smtp_rset_timeout": "1s"},
                      answer=lambda v, a, n: "450 4.2.0 later" if v == "RCPT" and n == 1 else slow("RSET", 4)(v, a, n)),
    "quit": Case(params={"smtp_skip_quit_response": "no", "smtp_connection_cache_on_demand": "no"}),
    "pix": Case(answer=on("CONNECT", "220 ***0*2**"), params={"smtp_pix_workaround_threshold_time": "0s",
                                                              "smtp_pix_workaround_delay_time": "1s"}),
    "pixmap": Case(answer=on("CONNECT", "220 ********"), params={"smtp_pix_workaround_maps": "static:none"}),
    "pixesmtp": Case(answer=on("CONNECT", "220 ********"), params={"smtp_pix_workarounds": "disable_esmtp"}),
    "rawquote": Case(params={"smtp_quote_rfc821_envelope": "no"}),
    "deadline": Case(ehlo=NOTHING, params={"smtp_per_request_deadline": "yes", "smtp_min_data_rate": "1000000"}),
    "helo": Case(params={"smtp_helo_name": "other.name.test"}),
    "small": Case(ehlo=("SIZE 100",), answer=lambda v, a, n: "250-x\r\n250 SIZE 100" if v == "EHLO" else None),
    "xforward": Case(ehlo=("PIPELINING", "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"),
                     params={"smtp_send_xforward_command": "yes"}),
    "xforwardslow": Case(ehlo=("XFORWARD ADDR",), params={"smtp_send_xforward_command": "yes"},
                         answer=on("XFORWARD", "550 no")),
    "xforwardlate": Case(ehlo=("XFORWARD ADDR",), params={"smtp_send_xforward_command": "yes", "smtp_xforward_timeout": "1s"},
                         answer=slow("XFORWARD", 4)),
    "bind": Case(params={"smtp_bind_address": "127.0.0.3"}),
    "bindmap": Case(params={"smtp_bind_address_maps": "inline:{bob@a.test=127.0.0.4, @b.test=127.0.0.5}"}),
    "bindbad": Case(params={"smtp_bind_address": "192.0.2.99"}),
    "bindforce": Case(params={"smtp_bind_address": "192.0.2.99", "smtp_bind_address_enforce": "yes"}),
}
FALLBACK = CASES["plain"].receiver.port
CASES["fallback"] = Case("[127.0.0.1]:1", params={"fallback_relay": f"[127.0.0.1]:{FALLBACK}"})
CASES["lmtpport"] = Case("inet:127.0.0.1", program="lmtp", params={"lmtp_tcp_port": str(FALLBACK)})


@pytest.fixture(scope="module")
def out(make_instance, tmp_path_factory):
    directory = tmp_path_factory.mktemp("client")
    directory.chmod(0o755)
    yield Outbound(make_instance, directory, CASES, smtp_tls_security_level="none", bounce_size_limit="1000",
                   default_destination_concurrency_limit="1", notify_classes="")
    for case in CASES.values():
        if case.receiver:
            case.receiver.close()


HOST = r"127.0.0.1[127.0.0.1]"
OUTCOMES = [
    # domain, what stands in the line of the outcome
    ("plain", "dsn=2.0.0, status=sent (250 2.0.0 taken)"),
    ("chunking", "dsn=2.0.0, status=sent (250 2.0.0 taken)"),
    ("chunkingslow", "status=sent (250 2.0.0 taken)"),
    ("refuserall", f"dsn=5.1.1, status=bounced (host {HOST} said: 550 5.1.1 nobody here (in reply to RCPT TO command))"),
    ("refusemail", f"dsn=5.7.1, status=bounced (host {HOST} said: 550 5.7.1 not you (in reply to MAIL FROM command))"),
    ("refuseend", f"dsn=5.6.0, status=bounced (host {HOST} said: 554 5.6.0 bad content (in reply to end of DATA command))"),
    ("refusebdat", f"dsn=4.3.1, status=deferred (host {HOST} said: 452 4.3.1 full (in reply to BDAT command))"),
    ("greet4", f"dsn=4.3.2, status=deferred (host {HOST} refused to talk to me: 421 4.3.2 busy"),
    ("greet5", f"dsn=4.7.1, status=deferred (host {HOST} refused to talk to me: 554 5.7.1 go away"),
    ("greet5final", f"dsn=5.7.1, status=bounced (host {HOST} refused to talk to me: 554 5.7.1 go away"),
    ("ehlo5", "status=sent"),
    ("hello5", f"dsn=5.7.1, status=bounced (host {HOST} refused to talk to me: 550 5.7.1 no (in reply to HELO command))"),
    ("closehelo", f"dsn=4.4.2, status=deferred (lost connection with {HOST} while performing the EHLO handshake)"),
    ("closegreet", f"status=deferred (lost connection with {HOST} while receiving the initial server greeting)"),
    ("closemail", f"status=deferred (lost connection with {HOST} while sending MAIL FROM)"),
    ("closercpt", f"status=deferred (lost connection with {HOST} while sending RCPT TO)"),
    ("closedata", f"status=deferred (lost connection with {HOST} while sending DATA command)"),
    ("closeend", f"status=deferred (lost connection with {HOST} while sending end of data -- message may be sent more than once)"),
    ("slowgreet", f"dsn=4.4.2, status=deferred (conversation with {HOST} timed out while receiving the initial server greeting)"),
    ("slowmail", f"status=deferred (conversation with {HOST} timed out while sending MAIL FROM)"),
    ("slowrcpt", f"status=deferred (conversation with {HOST} timed out while sending RCPT TO)"),
    ("slowdata", f"status=deferred (conversation with {HOST} timed out while sending DATA command)"),
    ("slowend", f"status=deferred (conversation with {HOST} timed out while sending end of data -- message may be sent more than once)"),
    ("nonsense", "dsn=4.5.0, status=deferred"),
    ("filtered", f"dsn=4.1.1, status=deferred (host {HOST} said: 450 4.1.1 come again (in reply to RCPT TO command))"),
    ("dsnfilter", f"dsn=4.1.1, status=deferred (host {HOST} said: 550 5.1.1 x (in reply to RCPT TO command))"),
    ("dsnfilterall", f"dsn=4.1.1, status=deferred (host {HOST} said: 550 5.1.1 x (in reply to RCPT TO command))"),
    ("lmtpslow", f"status=deferred (conversation with {HOST} timed out while performing the LHLO handshake)"),
    ("xforwardlate", f"status=deferred (conversation with {HOST} timed out while sending XFORWARD"),
    ("fallback", f"relay=127.0.0.1[127.0.0.1]:{FALLBACK}, "),
    ("lmtpport", f"relay=127.0.0.1[127.0.0.1]:{FALLBACK}, "),
    ("small", f"dsn=5.3.4, status=bounced (message size "),
    ("deadline", "status=sent"),
    ("bindbad", "status=sent"),
    ("bindforce", "dsn=4.4.1, status=deferred (connect to 127.0.0.1[127.0.0.1]:"),
]


@pytest.fixture(scope="module")
def outcomes(out):
    """All are on their way at the same time."""
    for name, _ in OUTCOMES:
        out.submit(f"x@{name}.test", sender="")
    return out


@pytest.mark.parametrize("name, wanted", OUTCOMES, ids=[name for name, _ in OUTCOMES])
def test_what_a_server_says_is_in_the_log_line_and_decides_the_outcome(outcomes, out, name, wanted):
    line = out.outcome(f"x@{name}.test")
    assert wanted in line, line
    if ("status=sent" in wanted or "said:" in wanted) and out[name]:
        assert f"relay=127.0.0.1[127.0.0.1]:{out[name].port}," in line


def test_a_small_message_goes_out_with_its_envelope_in_one_bdat(out):
    before = len(out.commands("chunking", "BDAT"))
    out.send("a@chunking.test")
    chunk, = out.commands("chunking", "BDAT")[before:]
    assert chunk.endswith(" LAST")
    assert int(chunk.split()[1]) == len(out.message("chunking", len(out["chunking"].messages))[2])
    assert out.commands("chunking", "DATA") == []


def test_a_large_message_goes_out_as_one_chunk_and_arrives_whole(out):
    body = b"".join(b"%06d 0123456789 abcdefghijklmnopqrstuvwxyz\r\n..\r\n" % i for i in range(20000))
    out.send("big@chunking.test", content=b"Subject: big\r\n\r\n" + body)
    n = len(out["chunking"].messages)
    assert out.message("chunking", n)[2].endswith(b"\r\n\r\n" + body)
    out.send("big@plain.test", content=b"Subject: big\r\n\r\n" + body)
    assert out.message("plain", len(out["plain"].messages))[2].endswith(b"\r\n\r\n" + body)


def test_refused_recipients_do_not_keep_the_others_from_the_message(out):
    out.send("a@refusesome.test", "b@refusesome.test", "c@refusesome.test")
    sender, rcpts, content = out.message("refusesome")
    assert rcpts == ["TO:<a@refusesome.test>", "TO:<c@refusesome.test>"]
    assert "5.1.1" in out.outcomes("b@refusesome.test")[0]


def test_ehlo_is_sent_as_the_parameters_say(out):
    for name, first in (("neverehlo", "HELO"), ("ehloifsaid", "HELO"), ("pixesmtp", "HELO"), ("pixmap", "EHLO"),
                        ("plain", "EHLO")):
        out.send(f"e@{name}.test")
        assert out[name].commands[0].startswith(first), name
    out.send("e@helo.test")
    assert out["helo"].commands[0] == "EHLO other.name.test"


def test_keywords_that_are_discarded_are_not_used(out):
    for name in ("discard", "discardmap"):
        out.send(f"x@{name}.test", rcpt_options=("NOTIFY=FAILURE",))
        assert out.commands(name, "BDAT") == []
    assert all("NOTIFY" not in c for c in out.commands("discard", "RCPT"))


def test_a_server_gets_as_many_recipients_at_once_as_it_takes(out):
    out.send(*[f"u{i}@limits.test" for i in range(5)])
    assert [len(m[1]) for m in out["limits"].messages] == [2, 2, 1]
    assert out["limits"].sessions == 1


REUSE = [
    # domain, sessions after two messages one after the other
    ("reuse", 1), ("reusecount", 2), ("mailmax", 2), ("reusenever", 2), ("reuselisted", 1),
]


@pytest.mark.parametrize("name, sessions", REUSE, ids=[name for name, _ in REUSE])
def test_connections_are_kept_as_long_as_the_parameters_say(out, name, sessions):
    out.send(f"one@{name}.test")
    line = out.send(f"two@{name}.test")
    assert out[name].sessions == sessions
    assert ("conn_use=2" in line) == (sessions == 1), line


def test_an_unused_connection_is_closed_with_quit_when_its_time_is_over(out):
    out.send("x@reuseshort.test")
    wait_until(lambda: "QUIT" in out["reuseshort"].commands, 10, "QUIT")


def test_a_kept_connection_on_which_a_message_failed_is_reset_first(out):
    out.send("one@reset.test")
    line = out.send("two@reset.test")
    assert "status=sent" in line and "conn_use=2" in line
    assert "RSET" in out["reset"].commands and out["reset"].sessions == 1


def test_a_connection_on_which_RSET_is_not_answered_in_time_is_given_up(out):
    out.send("one@resetslow.test")
    assert "status=sent" in out.send("two@resetslow.test")
    assert "RSET" in out["resetslow"].commands and out["resetslow"].sessions == 2


def test_the_reply_to_quit_is_waited_for_where_asked(out):
    assert "status=sent" in out.send("x@quit.test")
    wait_until(lambda: "QUIT" in out["quit"].commands, 10, "QUIT")


def test_a_pix_firewall_gets_the_end_of_data_later_and_by_itself(out):
    line = out.send("x@pix.test", sender="")
    assert "status=sent" in line
    assert out["pix"].commands[0].startswith("HELO")
    out.instance.wait_log(r"enabling PIX workarounds: disable_esmtp,delay_dotcrlf for 127\.0\.0\.1\[127\.0\.0\.1\]:\d+")


def test_local_parts_are_quoted_unless_told_otherwise(out):
    out.send('"a b"@plain.test', "after@plain.test")
    assert 'RCPT TO:<"a b"@plain.test>' in out.commands("plain", "RCPT")
    out.send('"a b"@rawquote.test', "after@rawquote.test")
    assert "RCPT TO:<a b@rawquote.test>" in out.commands("rawquote", "RCPT")


def test_a_filter_is_told_whose_mail_it_is(out):
    out.send("x@xforward.test")
    line = " ".join(out.commands("xforward", "XFORWARD"))
    for attribute in ("NAME=", "ADDR=127.0.0.1", "PORT=", "PROTO=ESMTP", "HELO=client.test", "IDENT=", "SOURCE=REMOTE"):
        assert attribute in line
    assert "status=sent" in out.send("x@xforwardslow.test")
    assert out.commands("xforwardslow", "XFORWARD") == ["XFORWARD ADDR=127.0.0.1"]


def test_mail_leaves_from_the_address_that_parameter_or_table_names(out):
    for sender, name, wanted in (("alice@a.test", "bind", "127.0.0.3"), ("bob@a.test", "bindmap", "127.0.0.4"),
                                 ("x@b.test", "bindmap", "127.0.0.5"), ("alice@a.test", "bindmap", "127.0.0.1")):
        out.send(f"x@{name}.test", sender=sender)
        assert out[name].peers[-1] == wanted, (sender, name)
    out.instance.wait_log(r"warning: cannot send from address 192\.0\.2\.99: ")
