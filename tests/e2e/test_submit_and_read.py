# SPDX-License-Identifier: Apache-2.0
"""Mail goes in by authenticated submission and comes out by IMAP and POP3."""
import re
import subprocess

BODY = "first line\r\n.dot\r\n..two dots\r\n\r\nlast line without blanks\r\n"


def swaks(suite, *args, data=None):
    text = data or f"From: <alice@a.test>\nTo: <bob@a.test>\nSubject: hello\n\n" + BODY.replace("\r\n", "\n")
    return subprocess.run(["swaks", "--data", "-", "--suppress-data", *args], input=text, text=True,
                          capture_output=True, timeout=60)


def curl(suite, url, user="bob"):
    done = subprocess.run(["curl", "-s", "--cacert", suite.certificate[1], "--user",
                           f"{suite.address(user)}:{suite.password}", url], capture_output=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout


def split(message):
    header, _, body = message.partition(b"\r\n\r\n")
    return header.decode(), body.decode()


def test_swaks_sends_by_submission_with_starttls_and_curl_reads_by_imaps_and_pop3s(suite):
    done = swaks(suite, "--server", f"127.0.0.1:{suite.port['submission']}", "--tls", "--auth", "PLAIN",
                 "--auth-user", "alice@a.test", "--auth-password", suite.password, "--from", "alice@a.test",
                 "--to", "bob@a.test")
    assert done.returncode == 0, done.stdout + done.stderr
    suite.wait_messages("bob", 1)

    by_imap = curl(suite, f"imaps://localhost:{suite.port['imaps']}/INBOX;MAILINDEX=1")
    by_pop3 = curl(suite, f"pop3s://localhost:{suite.port['pop3s']}/1")
    for message in (by_imap, by_pop3):
        header, body = split(message)
        assert body.rstrip("\r\n") == BODY.rstrip("\r\n")
        names = [line.split(":")[0] for line in header.split("\r\n") if line[0] not in " \t"]
        assert names == ["Return-Path", "X-Original-To", "Delivered-To", "Received", "From", "To",
                         "Subject"] or set(names) >= {"Return-Path", "Delivered-To", "Received", "Subject"}
        assert "Return-Path: <alice@a.test>" in header
        assert "Delivered-To: bob@a.test" in header
        assert re.search(r"Received: from \S+ \(\S+ \[127\.0\.0\.1\]\)\r\n\s+\(using TLS", header)
        assert "with ESMTPSA id" in header
    assert by_imap == by_pop3


def test_a_wrong_password_is_refused_and_logged_as_fail2ban_reads_it(suite):
    done = swaks(suite, "--server", f"127.0.0.1:{suite.port['submission']}", "--tls", "--auth", "PLAIN",
                 "--auth-user", "alice@a.test", "--auth-password", "wrong", "--from", "alice@a.test", "--to", "bob@a.test")
    assert done.returncode != 0
    assert "535 5.7.8" in done.stdout
    suite.wait_log(r"warning: \S+\[127\.0\.0\.1\]: SASL PLAIN authentication failed: .*sasl_username=alice@a\.test")


def test_mail_for_strangers_is_not_relayed_for_clients_that_have_not_signed_in(suite):
    done = swaks(suite, "--server", f"127.0.0.1:{suite.port['submission']}", "--tls", "--from", "x@b.test",
                 "--to", "y@c.test")
    assert done.returncode != 0
    assert "554 5.7.1 <y@c.test>: Relay access denied" in done.stdout or "554 5.7.1" in done.stdout


def test_an_unknown_recipient_is_refused_at_rcpt(suite):
    done = swaks(suite, "--server", f"127.0.0.1:{suite.port['smtp']}", "--from", "x@b.test", "--to",
                 "nobody@a.test")
    assert "550 5.1.1 <nobody@a.test>: Recipient address rejected: User unknown in virtual mailbox table" \
        in done.stdout
    suite.wait_log(r"NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.1\]: 550 5\.1\.1 <nobody@a\.test>")
