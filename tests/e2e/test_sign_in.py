# SPDX-License-Identifier: Apache-2.0
"""Signing in: mechanisms, stored passwords, what failures cost, and that log watchers see them."""
import base64
import hashlib
import imaplib
import poplib
import re
import shutil
import smtplib
import ssl
import subprocess
import time

import pytest

from instance import AS_ROOT, SLOW, free_ports, wait_until

PASSWORD = "s3cret"


def scram(password, mechanism="SCRAM-SHA-256", iterations=4096):
    """What is stored for SCRAM, made with Python's own functions (RFC 5802 section 3)."""
    import hmac
    digest = "sha1" if mechanism == "SCRAM-SHA-1" else "sha256"
    salt = b"salt and pepper!"
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
    server = hmac.digest(salted, b"Server Key", digest)
    b64 = [base64.b64encode(x).decode() for x in (salt, stored, server)]
    return f"{{{mechanism}}}{iterations},{','.join(b64)}"


def ssha(password):
    salt = b"pepper"
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


STORED = {
    "plain": "{PLAIN}" + PASSWORD,
    "scram": scram(PASSWORD),
    "scram1": scram(PASSWORD, "SCRAM-SHA-1"),
    "ssha": ssha(PASSWORD),
    "md5": "{PLAIN-MD5}" + hashlib.md5(PASSWORD.encode()).hexdigest(),
    "here": "{PLAIN}" + PASSWORD + "::::::allow_nets=127.0.0.0/8,2001:db8::/32",
    "elsewhere": "{PLAIN}" + PASSWORD + "::::::allow_nets=192.0.2.0/24",
    "closed": "{PLAIN}" + PASSWORD + "::::::nologin",
}


def write_users(instance, path, stored):
    """The passwd-file and a mailbox for each."""
    lines = "".join(f"{instance.address(user)}:{value}\n" for user, value in stored.items())
    path.write_text(lines)
    boxes = "".join(f"{instance.address(user)} {instance.domain}/{user}/\n" for user in stored)
    (instance.config / "vmailbox").write_text(boxes)


def argon2(password):
    done = subprocess.run(["argon2", "saltsalt", "-id", "-e", "-t", "1", "-k", "64", "-p", "1"], input=password,
                          text=True, capture_output=True, check=True)
    return "{ARGON2ID}" + done.stdout.strip()


# Services whose log lines are for log watchers made for Postfix and Dovecot.
WATCHED_PORTS = free_ports(2)
WATCHED = [
    f"127.0.0.1:{WATCHED_PORTS[0]} inet n - n - - smtpd -o syslog_name=postfix/submission -o smtpd_sasl_auth_enable=yes"
    " -o smtpd_tls_wrappermode=yes",
    f"127.0.0.1:{WATCHED_PORTS[1]} inet n - n - - imapd-login -o syslog_tag=dovecot -o imap_tls_security_level=wrapper",
]


@pytest.fixture(scope="module")
def suite(make_instance):
    """Failures cost nothing here, so that tests do not wait for each other."""
    instance = make_instance(start=False, users=(), services=WATCHED, params={
        "auth_mechanisms": "plain, login, scram-sha-256, scram-sha-256-plus, scram-sha-1",
        "auth_failure_delay": "0s", "auth_user_failure_limit": "0", "auth_network_failure_limit": "0",
    })
    write_users(instance, instance.config / "users", {**STORED, "argon2": argon2(PASSWORD)})
    return instance.start()


def context(suite):
    return ssl.create_default_context(cafile=suite.certificate[1])


def imap(suite):
    return imaplib.IMAP4_SSL("localhost", suite.port["imaps"], ssl_context=context(suite), timeout=30 * SLOW)


def signs_in(suite, user, password=PASSWORD):
    client = imap(suite)
    try:
        return client.login(suite.address(user), password)[0] == "OK"
    except imaplib.IMAP4.error as e:
        return str(e)
    finally:
        client.shutdown()


# ---- stored passwords ----

@pytest.mark.parametrize("user", ["plain", "scram", "scram1", "ssha", "md5", "argon2", "here"])
def test_a_password_is_taken_however_it_is_stored_and_a_wrong_one_is_not(suite, user):
    assert signs_in(suite, user) is True
    assert "AUTHENTICATIONFAILED" in signs_in(suite, user, PASSWORD + "x")


@pytest.mark.parametrize("user", ["elsewhere", "closed", "nobody"])
def test_who_may_not_sign_in_is_refused_like_a_wrong_password(suite, user):
    assert "AUTHENTICATIONFAILED" in signs_in(suite, user)


def test_smtp_logs_why_a_sign_in_was_refused_and_the_client_does_not_learn_it(suite):
    with smtplib.SMTP_SSL("localhost", suite.port["smtps"], context=context(suite)) as s:
        for user, why in ("elsewhere", "allow_nets"), ("closed", "nologin"), ("nobody", "unknown user"):
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                s.login(suite.address(user), PASSWORD)
            assert refused.value.smtp_code == 535 and why.encode() not in refused.value.smtp_error
            suite.wait_log(rf"SASL \S+ authentication failed: .*{why}.*sasl_username={user}@a\.test")


# ---- mechanisms ----

def gsasl(suite, protocol, mechanism, user, password=PASSWORD):
    """GNU SASL's own client, an implementation that is not ours; STARTTLS or none."""
    port = {"imap": suite.port["imap"], "smtp": suite.port["submission"]}[protocol]
    args = ["gsasl", f"--{protocol}", "--connect", f"localhost:{port}", "-m", mechanism, "-a", suite.address(user), "-p", password,
            f"--x509-ca-file={suite.certificate[1]}"]
    if not mechanism.endswith("-PLUS"):
        args.append("--no-cb")
    return subprocess.run(args, input="", text=True, capture_output=True, timeout=60 * SLOW)


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
@pytest.mark.parametrize("mechanism,user", [
    ("SCRAM-SHA-256", "scram"), ("SCRAM-SHA-1", "scram1"), ("SCRAM-SHA-256", "plain"), ("SCRAM-SHA-1", "plain"),
    ("SCRAM-SHA-256-PLUS", "scram"), ("PLAIN", "scram"), ("LOGIN", "argon2"),
])
def test_gnu_sasl_signs_in_by_each_mechanism(suite, protocol, mechanism, user):
    done = gsasl(suite, protocol, mechanism, user)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = gsasl(suite, protocol, mechanism, user, "wrong")
    assert wrong.returncode != 0, wrong.stdout + wrong.stderr


def test_a_user_without_a_scram_secret_is_told_no_more_than_a_stranger(suite):
    def server_first(user):
        client = imap(suite)
        client.send(b"a AUTHENTICATE SCRAM-SHA-256\r\n")
        assert client.readline().startswith(b"+")
        client.send(base64.b64encode(f"n,,n={suite.address(user)},r=clientnonce".encode()) + b"\r\n")
        line = client.readline()
        client.shutdown()
        fields = dict(f.split("=", 1) for f in base64.b64decode(line[2:]).decode().split(","))
        return fields["s"], fields["i"]
    assert server_first("nobody") == server_first("nobody") != server_first("nobody2")
    salt, iterations = server_first("ssha")
    assert len(base64.b64decode(salt)) == 16 and iterations == server_first("nobody")[1]


def test_mechanisms_with_channel_binding_are_offered_only_on_tls(suite):
    with smtplib.SMTP("localhost", suite.port["submission"]) as s:
        s.starttls(context=context(suite))
        s.ehlo()
        assert s.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1"]
    plain = imaplib.IMAP4("localhost", suite.port["imap"], timeout=30 * SLOW)
    offered = {c for c in plain.capabilities if c.startswith("AUTH=")}
    plain.shutdown()
    assert offered <= {"AUTH=PLAIN", "AUTH=LOGIN", "AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-1"}
    secure = imap(suite)
    assert "AUTH=SCRAM-SHA-256-PLUS" in secure.capabilities
    secure.shutdown()
    pop = poplib.POP3_SSL("localhost", suite.port["pop3s"], context=context(suite), timeout=30 * SLOW)
    assert "SCRAM-SHA-256-PLUS" in pop.capa()["SASL"]
    pop.close()


def test_a_mechanism_that_is_not_offered_is_refused(suite):
    with smtplib.SMTP_SSL("localhost", suite.port["smtps"], context=context(suite)) as s:
        s.ehlo()
        assert s.docmd("AUTH", "CRAM-MD5")[0] == 504
        assert s.docmd("AUTH", "SCRAM-SHA-1-PLUS")[0] == 504
    client = imap(suite)
    client.send(b"a AUTHENTICATE CRAM-MD5\r\n")
    assert client.readline().startswith(b"a NO Unsupported")
    client.shutdown()


# ---- new and better hashes ----

@pytest.mark.parametrize("scheme", ["CRYPT", "ARGON2ID", "SCRAM-SHA-256"])
def test_postuser_stores_new_passwords_in_the_scheme_of_the_parameter(suite, scheme):
    suite.set(auth_password_scheme=scheme)
    user = "new-" + scheme.lower()
    suite.add_user(user, PASSWORD)
    assert f"\n{suite.address(user)}:{{{scheme}}}" in (suite.config / "users").read_text()
    wait_until(lambda: signs_in(suite, user) is True, 10, "the new user to sign in")


def test_an_unknown_scheme_for_new_passwords_names_those_that_are_known(suite):
    suite.set(auth_password_scheme="ROT13")
    done = suite.tool("postuser", "add", "rot@a.test", input="x\n", check=False)
    suite.set(auth_password_scheme="CRYPT")
    assert done.returncode != 0 and "expected CRYPT, SHA512-CRYPT" in done.stderr


def test_a_weak_hash_is_replaced_when_its_user_signs_in_and_a_strong_one_is_not(make_instance):
    instance = make_instance(start=False, users=(), params={"auth_password_scheme": "ARGON2ID"})
    directory = instance.dir / "auth"
    directory.mkdir(mode=0o700)
    instance.set(auth_upgrade_directory=directory, auth_users=f"passwd-file:{directory}/users")
    users = directory / "users"
    write_users(instance, users, {"md5": STORED["md5"] + ":1000:1000::/home/x", "scram": STORED["scram"]})
    if AS_ROOT:
        for path in directory, users:
            shutil.chown(path, "postern-auth", "postern-auth")
    instance.start()
    assert "AUTHENTICATIONFAILED" in signs_in(instance, "md5", "wrong")
    assert users.read_text().startswith("md5@a.test:{PLAIN-MD5}")
    assert signs_in(instance, "md5") is True and signs_in(instance, "scram") is True
    wait_until(lambda: re.match(r"md5@a\.test:\{ARGON2ID\}\$argon2id\$\S+:1000:1000::/home/x\n", users.read_text()), 10,
               "the better hash")
    assert STORED["scram"] in users.read_text()
    instance.wait_log(r"md5@a\.test: stored password upgraded to ARGON2ID")
    wait_until(lambda: signs_in(instance, "md5") is True, 10, "a sign-in with the new hash")
    assert "AUTHENTICATIONFAILED" in signs_in(instance, "md5", "wrong")


# ---- failures ----

@pytest.fixture
def strict(make_instance):
    return make_instance(params={"auth_failure_delay": "1s", "auth_failure_delay_max": "2s",
                                 "auth_user_failure_limit": "3", "auth_network_failure_limit": "5"})


def guess(instance, user, password):
    """A failed sign-in by POP3: the answer, and the seconds that it took."""
    pop = poplib.POP3_SSL("localhost", instance.port["pop3s"], context=context(instance), timeout=60 * SLOW)
    pop.user(instance.address(user))
    begun = time.monotonic()
    try:
        pop.pass_(password)
        return "+OK", time.monotonic() - begun
    except poplib.error_proto as e:
        return str(e), time.monotonic() - begun
    finally:
        pop.close()


def test_failures_are_delayed_and_counted_for_all_protocols_together(strict):
    delays = [guess(strict, "alice", f"guess {n}") for n in range(2)]
    assert all("[AUTH]" in text for text, _ in delays)
    assert delays[0][1] > 0.99 and delays[1][1] > 1.99      # the server counts whole milliseconds
    assert "AUTHENTICATIONFAILED" in signs_in(strict, "alice", "guess 3")
    # three failures: the user is locked, even for the right password, which must not look wrong to a mail program
    text, _ = guess(strict, "alice", strict.password)
    assert "[SYS/TEMP]" in text
    assert "UNAVAILABLE" in signs_in(strict, "alice", strict.password)
    with smtplib.SMTP_SSL("localhost", strict.port["smtps"], context=context(strict)) as s:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            s.login(strict.address("alice"), strict.password)
        assert refused.value.smtp_code == 454
    assert signs_in(strict, "bob", strict.password) is True     # the network is not
    for n in range(2):
        guess(strict, "bob", f"guess {n}")
    assert "UNAVAILABLE" in signs_in(strict, "bob", strict.password)     # now it is: five failures


def test_an_old_password_sent_again_and_again_locks_nobody_out(strict):
    for _ in range(6):
        assert "[AUTH]" in guess(strict, "alice", "last year's")[0]
    assert signs_in(strict, "alice", strict.password) is True


# ---- log watchers ----

@pytest.mark.parametrize("filter_name,tag", [("dovecot", " dovecot["), ("postfix[mode=auth]", " postfix/submission/smtpd[")])
def test_fail2ban_finds_failed_sign_ins_with_the_filters_it_has(suite, tmp_path, filter_name, tag):
    smtps, imaps = WATCHED_PORTS
    with smtplib.SMTP_SSL("localhost", smtps, context=context(suite)) as s:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            s.login(suite.address("ssha"), "wrong")
    client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=context(suite), timeout=30 * SLOW)
    with pytest.raises(imaplib.IMAP4.error):
        client.login(suite.address("ssha"), "wrong")
    client.shutdown()
    failed = re.escape(tag) + r".*auth\S* failed"
    suite.wait_log(failed)
    lines = suite.log_lines(failed)
    log = tmp_path / "mail.log"
    log.write_text("".join(line + "\n" for line in lines))
    done = subprocess.run(["fail2ban-regex", log, filter_name], text=True, capture_output=True, timeout=60 * SLOW)
    matched = int(re.search(r"(\d+) matched", done.stdout).group(1))
    assert matched == len(lines) > 0, done.stdout
