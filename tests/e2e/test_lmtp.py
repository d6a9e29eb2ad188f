# SPDX-License-Identifier: Apache-2.0
"""The LMTP client: a reply for each recipient, Unix sockets, lmtp_ parameters; and a real Dovecot behind it."""
import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from instance import free_ports, wait_until
from outbound import Case, Outbound
from receiver import CLOSE

DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin")


def each(replies):
    """Answers to the content by recipient's first letter"""
    return lambda verb, argument, attempt: replies.get(argument[4]) if verb == "END" else None


CASES = {
    "plain": Case(program="lmtp", ehlo=("PIPELINING", "8BITMIME")),
    "chunks": Case(program="lmtp", ehlo=("PIPELINING", "CHUNKING")),
    "each": Case(program="lmtp", ehlo=("PIPELINING",),
                 answer=each({"b": "552 5.2.2 over quota", "c": "451 4.3.0 locked"})),
    "eachchunk": Case(program="lmtp", ehlo=("PIPELINING", "CHUNKING"),
                      answer=each({"b": "552 5.2.2 over quota", "c": "451 4.3.0 locked"})),
    "half": Case(program="lmtp", ehlo=("PIPELINING",), answer=each({"b": CLOSE})),
    "name": Case(program="lmtp", params={"lmtp_lhlo_name": "store.test", "smtp_helo_name": "other.test"}),
    "nolhlo": Case(program="lmtp", answer=lambda v, a, n: "500 5.5.1 what?" if v == "LHLO" else None),
    "quick": Case(program="lmtp", params={"lmtp_connection_reuse_count_limit": "1"}),
    "final": Case(program="lmtp", ehlo=("PIPELINING",), params={"lmtp_assume_final": "yes"}),
    "asmtp": Case(program="lmtp", params={"smtp_connection_reuse_count_limit": "1"}),
}


@pytest.fixture(scope="module")
def dovecot(workdir):
    """Dovecot's LMTP on a Unix socket and a port: (path, port, directory of mail)"""
    if not DOVECOT:
        pytest.skip("no dovecot here")
    base = Path(tempfile.mkdtemp(prefix="dovecot", dir=workdir))
    base.chmod(0o755)
    mail, port = base / "mail", free_ports(1)[0]
    mail.mkdir()
    user = getpass.getuser() if os.geteuid() else "nobody"
    group = "nogroup" if user == "nobody" else user
    if os.geteuid() == 0:
        shutil.chown(mail, user, group)
    (base / "dovecot.conf").write_text(f"""
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = lmtp
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
mail_location = maildir:{mail}/%u
userdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
service lmtp {{
  chroot =
  unix_listener {base}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
protocol lmtp {{
  postmaster_address = postmaster@dovecot.test
}}
""")
    ids = f"{os.geteuid()}:{os.getegid()}" if os.geteuid() else "65534:65534"
    (base / "users").write_text("".join(f"{u}@dovecot.test:{{PLAIN}}x:{ids}::{mail}/{u}::\n" for u in ("ann", "ben")))
    server = subprocess.Popen([DOVECOT, "-F", "-c", base / "dovecot.conf"], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: (base / "lmtp").exists() or server.poll() is not None, 20, "dovecot's socket")
        assert server.poll() is None, server.stderr.read()
        yield base / "lmtp", port, mail, base / "log"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def out(make_instance, workdir, dovecot):
    directory = Path(tempfile.mkdtemp(prefix="lmtp", dir=workdir))
    directory.chmod(0o755)
    path, port, _, _ = dovecot
    cases = {**CASES,
             "unixpath": Case(program="lmtp", path=str(directory / "sock"), nexthop=None),
             "dovecot": Case(f"unix:{path}", program="lmtp"),
             "missing": Case(f"unix:{directory}/nobody", program="lmtp")}
    (directory / "sock").chmod(0o666)
    cases["unixpath"].nexthop = f"unix:{directory}/sock"
    yield Outbound(make_instance, directory, cases, routes=[f"ben@dovecot.test t-plain:inet:127.0.0.1:{port}"],
                   lmtp_tls_security_level="none")
    for case in cases.values():
        if case.receiver:
            case.receiver.close()


def test_a_mail_store_is_greeted_with_lhlo_and_answers_for_each_recipient(out):
    out.send("a@each.test", "b@each.test", "c@each.test", "d@each.test", sender="")
    for rcpt, wanted in (("a@each.test", "dsn=2.0.0, status=sent (250 2.0.0 taken)"),
                         ("b@each.test", "dsn=5.2.2, status=bounced (host 127.0.0.1[127.0.0.1] said: 552 5.2.2 over "
                                         "quota (in reply to end of DATA command))"),
                         ("c@each.test", "dsn=4.3.0, status=deferred"), ("d@each.test", "status=sent")):
        assert wanted in out.outcome(rcpt), rcpt
    assert out["each"].commands[0] == "LHLO mx.a.test"


def test_with_chunks_there_is_a_reply_for_each_recipient_too(out):
    out.send("a@eachchunk.test", "b@eachchunk.test", "d@eachchunk.test", sender="")
    assert "status=sent" in out.outcome("a@eachchunk.test")
    assert "status=bounced" in out.outcome("b@eachchunk.test") and "BDAT command" in out.outcome("b@eachchunk.test")
    assert out.commands("eachchunk", "BDAT") and not out.commands("eachchunk", "DATA")


def test_what_a_store_has_answered_for_stands_when_it_hangs_up_before_the_rest(out):
    out.send("a@half.test", "b@half.test", sender="")
    assert "status=sent" in out.outcome("a@half.test")
    assert "status=deferred (lost connection with" in out.outcome("b@half.test")


def test_the_log_shows_program_and_relay(out):
    line = out.send("x@plain.test")
    assert "postern/lmtp[" in line and f"relay=127.0.0.1[127.0.0.1]:{out['plain'].port}, " in line
    line = out.send("x@unixpath.test")
    assert f"relay=mx.a.test[{out.cases['unixpath'].nexthop[5:]}], " in line and "status=sent" in line


def test_parameters_of_lmtp_have_its_name(out):
    out.send("x@name.test")
    assert out["name"].commands[0] == "LHLO store.test"
    for name, sessions in (("quick", 2), ("asmtp", 1)):
        out.send(f"one@{name}.test")
        out.send(f"two@{name}.test")
        assert out[name].sessions == sessions, name


def test_what_cannot_be_reached_or_does_not_speak_lmtp_is_tried_later(out):
    assert "status=deferred (connect to mx.a.test[" in out.send("x@missing.test", sender="")
    assert "refused to talk to me: 500 5.5.1 what? (in reply to LHLO command)" in out.send("x@nolhlo.test", sender="")


def test_a_store_that_knows_no_dsn_is_the_end_of_the_way_where_that_is_said(out):
    for name, action in (("final", "delivered"), ("plain", "relayed")):
        seen = len(out.instance.messages("alice"))
        out.send(f"notify@{name}.test", rcpt_options=("NOTIFY=SUCCESS",))
        report = out.instance.wait_messages("alice", seen + 1)[-1].read_text()
        assert f"Action: {action}" in report


def test_dovecot_takes_mail_over_socket_and_port(out, dovecot):
    _, _, mail, log = dovecot
    for rcpt in ("ann@dovecot.test", "ben@dovecot.test"):
        line = out.send(rcpt, content="Subject: to the store\r\n\r\n.dots\r\nand lines\r\n")
        assert "status=sent (250 2.0.0 <" + rcpt + "> " in line, line + log.read_text()[-2000:]
        stored, = (mail / rcpt / "new").iterdir()
        assert stored.read_text().endswith("\n\n.dots\nand lines\n")
    line = out.send("nobody@dovecot.test", sender="")
    assert "dsn=5.1.1, status=bounced (host mx.a.test[" in line and "said: 550 5.1.1 <nobody@dovecot.test>" in line
