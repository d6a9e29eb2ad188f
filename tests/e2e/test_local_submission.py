# SPDX-License-Identifier: Apache-2.0
"""Local programs submit with sendmail: while the suite runs, and while it is down."""
import contextlib
import os
import re
import socket
import subprocess

import pytest
from instance import AS_ROOT, SBIN, wait_until


def sendmail(suite, *args, input="", prefix=()):
    return subprocess.run([*prefix, SBIN / "sendmail", "-C", suite.config, *args], input=input, text=True,
                          capture_output=True, timeout=60)


def text_of(message):
    return message.read_text(errors="replace")


def newest(suite, user, subject):
    """The message with this subject, once it is there."""
    def look():
        return next((m for m in suite.messages(user) if f"Subject: {subject}\n" in text_of(m)), None)
    return text_of(wait_until(look, 20, f"a message {subject} for {user}"))


@pytest.mark.skipif(not AS_ROOT, reason="needs another user to submit as")
def test_a_process_that_may_gain_no_privilege_submits_and_is_known_by_its_uid(suite):
    done = sendmail(suite, "-f", "alice@a.test", "bob@a.test", input="Subject: nnp\n\nbody\n",
                    prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
    assert done.returncode == 0, done.stderr
    message = newest(suite, "bob", "nnp")
    assert re.search(r"Received: by \S+ \(Postern, from userid 65534\)\n\tid \w+; ", message)
    assert re.search(r"^Message-Id: <\S+>$", message, re.M) and re.search(r"^Date: ", message, re.M)
    suite.wait_log(r"postern/pickup\[\d+\]: \w+: uid=65534 from=<alice@a\.test>")


def test_t_takes_recipients_from_the_header_and_bcc_is_seen_by_nobody(suite):
    done = sendmail(suite, "-t", "-f", "alice@a.test",
                    input="To: alice@a.test\nBcc: bob@a.test\nSubject: blind\n\nbody\n")
    assert done.returncode == 0, done.stderr
    for user in ("alice", "bob"):
        assert "Bcc" not in newest(suite, user, "blind")


def test_a_lone_dot_ends_the_message_unless_i_is_given(suite):
    for option, end in (("-bm", "before\n"), ("-i", "before\n.\nafter\n")):
        assert sendmail(suite, option, "bob@a.test", input=f"Subject: dot {option}\n\nbefore\n.\nafter\n").returncode == 0
        assert newest(suite, "bob", f"dot {option}").endswith("\n\n" + end)


def test_a_leading_from_line_is_dropped_and_the_full_name_stands_in_the_from_field(suite):
    done = sendmail(suite, "-F", "Alice A.", "-f", "alice@a.test", "bob@a.test",
                    input="From alice Sat Jan  1 00:00:00 2000\nSubject: named\n\nbody\n")
    assert done.returncode == 0, done.stderr
    message = newest(suite, "bob", "named")
    assert 'From: "Alice A." <alice@a.test>\n' in message and "Sat Jan" not in message


@pytest.mark.parametrize("args, input, status", [
    ([], "body\n", 64),
    (["-N", "perhaps", "bob@a.test"], "body\n", 64),
    (["-t"], "Subject: to nobody\n\nbody\n", 69),
    (["bob@a.test"], "x" * 76 + "\n", 0),
])
def test_the_exit_status_is_that_of_sysexits(suite, args, input, status):
    assert sendmail(suite, *args, input=input).returncode == status


def test_bs_speaks_smtp_on_standard_input(suite):
    done = sendmail(suite, "-bs", input="EHLO x\r\nMAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n"
                    "Subject: by bs\r\n\r\n..dotted\r\n.\r\nQUIT\r\n")
    assert re.search(r"^250 2\.0\.0 Ok: queued as \w+", done.stdout, re.M), done.stdout
    assert newest(suite, "bob", "by bs").endswith("\n\n.dotted\n")


def test_mail_submitted_while_the_suite_is_down_is_delivered_when_it_runs_again(make_instance):
    suite = make_instance(start=False)
    suite.start()
    suite.stop()
    assert sendmail(suite, "-f", "alice@a.test", "bob@a.test", input="Subject: down\n\nbody\n").returncode == 0
    (drop,) = suite.queue_files("maildrop")
    shown = suite.tool("postcat", "-q", drop.name)
    assert f"*** ENVELOPE RECORDS maildrop/{drop.name} ***\n" in shown
    assert "\nsender: alice@a.test\n" in shown and "\nrecipient: bob@a.test\n" in shown
    assert suite.tool("postcat", "-bhq", drop.name).endswith("\n\nbody\n")
    suite.start()
    assert "body" in newest(suite, "bob", "down")
    suite.wait_queue_empty()


def test_rubbish_in_maildrop_goes_to_corrupt_and_a_refused_message_back_to_its_sender(make_instance):
    suite = make_instance(start=False)
    suite.start()
    suite.stop()
    assert sendmail(suite, "-t", "-f", "alice@a.test", input="Subject: to nobody\n\nbody\n").returncode == 0
    (suite.queue_dir / "maildrop/RUBBISH").write_bytes(b"PSTQ" + os.urandom(100))
    (suite.queue_dir / "maildrop/RUBBISH").chmod(0o644)
    (suite.queue_dir / "maildrop/LINK").symlink_to("/etc/passwd")
    suite.start()
    assert "no recipients" in newest(suite, "alice", "Undelivered Mail Returned to Sender")
    suite.wait_queue_empty()
    assert {p.name for p in suite.queue_files("corrupt")} == {"RUBBISH", "LINK"}


def test_half_a_submission_or_rubbish_on_the_socket_harms_nobody(suite):
    path = str(suite.queue_dir / "public/pickup")
    half = b"submit\0origin\0\0\0\0\x011"
    for speech in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 1000, b"\xff" * 1000, len(half).to_bytes(4, "big") + half):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(speech)
            s.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):     # when it had not read all
                assert s.recv(100) == b""
    wait_until(lambda: not suite.queue_files("tmp"), 5, "an empty tmp/")
    assert sendmail(suite, "bob@a.test", input="Subject: still there\n\nbody\n").returncode == 0
    newest(suite, "bob", "still there")
