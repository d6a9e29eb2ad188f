# SPDX-License-Identifier: Apache-2.0
"""Other people's SMTP clients deliver to the suite, with and without TLS, with AUTH: swaks, openssl s_client, msmtp,
Python's smtplib, and Postfix's smtp(8) from a configuration directory of its own."""
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from instance import AS_ROOT, SLOW, free_ports, wait_until

# way: (service, protocol that the Received header shows)
WAYS = {
    "plain": ("smtp", "ESMTP"),
    "starttls": ("smtp", "ESMTPS"),
    "submission": ("submission", "ESMTPSA"),
    "smtps": ("smtps", "ESMTPSA"),
}


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


each_way = pytest.mark.parametrize("way", WAYS)


def run(*args, input=None):
    done = subprocess.run([str(a) for a in args], input=input, text=True, capture_output=True, timeout=60 * SLOW)
    assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_received(suite, subject, way, utf8=False):
    def look():
        return [p for p in suite.messages("bob") if f"Subject: {subject}\n" in p.read_text()]
    message, = wait_until(look, 20, f"the message {subject}")
    text = message.read_text()
    protocol = "UTF8" + WAYS[way][1].removeprefix("E") if utf8 else WAYS[way][1]     # RFC 6531 section 4.3
    assert f"with {protocol} id " in text, text
    return text


@needs("swaks")
@each_way
def test_swaks(suite, way):
    service, _ = WAYS[way]
    options = {"plain": [], "starttls": ["--tls"], "submission": ["--tls"], "smtps": ["--tls-on-connect"]}[way]
    if service != "smtp":
        options += ["--auth", "PLAIN", "--auth-user", "alice@a.test", "--auth-password", suite.password]
    run("swaks", "--server", "127.0.0.1", "--port", suite.port[service], "--from", "alice@a.test", "--to", "bob@a.test",
        "--ehlo", "client.test", "--h-Subject", f"swaks {way}", *options)
    check_received(suite, f"swaks {way}", way)


@needs("msmtp")
@each_way
def test_msmtp(suite, way):
    service, _ = WAYS[way]
    options = ["--tls=off"] if way == "plain" else ["--tls=on", f"--tls-trust-file={suite.certificate[1]}",
                                                     f"--tls-starttls={'off' if way == 'smtps' else 'on'}"]
    if service != "smtp":
        options += ["--auth=plain", "--user=alice@a.test", f"--passwordeval=echo {suite.password}"]
    run("msmtp", "--file=/dev/null", "--host=localhost" if way != "plain" else "--host=127.0.0.1", f"--port={suite.port[service]}",
        "--from=alice@a.test", "--domain=client.test", *options, "bob@a.test", input=f"Subject: msmtp {way}\n\nbody\n")
    check_received(suite, f"msmtp {way}", way)


@needs("openssl")
@pytest.mark.parametrize("way", ["starttls", "smtps"])
def test_openssl_s_client(suite, way):
    service, _ = WAYS[way]
    from base64 import b64encode
    secret = b64encode(f"\0alice@a.test\0{suite.password}".encode()).decode()
    login = f"AUTH PLAIN {secret}\n" if service != "smtp" else ""
    out = run("openssl", "s_client", "-quiet", "-crlf", "-ign_eof", "-connect", f"127.0.0.1:{suite.port[service]}", "-CAfile",
              suite.certificate[1], "-verify_return_error", *(["-starttls", "smtp"] if way == "starttls" else []),
              input=f"EHLO client.test\n{login}MAIL FROM:<alice@a.test>\nRCPT TO:<bob@a.test>\nDATA\n"
                    f"Subject: s_client {way}\n\nbody\n.\nQUIT\n")
    assert "queued as" in out and "221 2.0.0 Bye" in out
    check_received(suite, f"s_client {way}", way)


@each_way
def test_pythons_smtplib(suite, way):
    service, _ = WAYS[way]
    context = ssl.create_default_context(cafile=suite.certificate[1])
    if way == "smtps":
        client = smtplib.SMTP_SSL("localhost", suite.port[service], "client.test", context=context, timeout=20 * SLOW)
    else:
        client = smtplib.SMTP("localhost", suite.port[service], "client.test", timeout=20 * SLOW)
    with client:
        if way in ("starttls", "submission"):
            client.starttls(context=context)
        if service != "smtp":
            client.login("alice@a.test", suite.password)
        client.sendmail("alice@a.test", ["bob@a.test"], f"Subject: smtplib {way}\r\n\r\n.dot\r\n..dots\r\n".encode(),
                        mail_options=["SMTPUTF8", "BODY=8BITMIME"], rcpt_options=["NOTIFY=NEVER"])
    text = check_received(suite, f"smtplib {way}", way, utf8=True)
    assert text.endswith("\n\n.dot\n..dots\n"), text


# ---- Postfix as a client ----

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup     unix  n - n 60 1 pickup
cleanup    unix  n - n - 0 cleanup
qmgr       unix  n - n 300 1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n - - trivial-rewrite
bounce     unix  - - n - 0 bounce
defer      unix  - - n - 0 bounce
trace      unix  - - n - 0 bounce
proxymap   unix  - - n - - proxymap
scache     unix  - - n - 1 scache
anvil      unix  - - n - 1 anvil
error      unix  - - n - - error
retry      unix  - - n - - error
postlog    unix-dgram n - n - 1 postlogd
plain      unix  - - n - - smtp
starttls   unix  - - n - - smtp
  -o smtp_tls_security_level=secure
submission unix  - - n - - smtp
  -o smtp_tls_security_level=secure
  -o smtp_sasl_auth_enable=yes
smtps      unix  - - n - - smtp
  -o smtp_tls_security_level=secure
  -o smtp_tls_wrappermode=yes
  -o smtp_sasl_auth_enable=yes
"""


class Postfix:
    """A private Postfix that hands all mail to the suite; the sender's local part says by which way."""

    def __init__(self, suite, directory):
        self.dir, (self.port,) = directory, free_ports(1)
        etc = directory / "etc"
        for d in (etc, directory / "queue", directory / "data"):
            d.mkdir()
        shutil.chown(directory / "data", "postfix", "postfix")
        ways = "\n".join(f"{way}@c.test {way}:[localhost]:{suite.port[service]}" for way, (service, _) in WAYS.items())
        (etc / "ways").write_text(ways + "\n")
        (etc / "passwords").write_text("".join(f"[localhost]:{suite.port[s]} alice@a.test:{suite.password}\n"
                                               for s in ("submission", "smtps")))
        settings = {
            "compatibility_level": "3.7", "queue_directory": directory / "queue", "data_directory": directory / "data",
            "maillog_file": directory / "mail.log", "maillog_file_prefixes": directory, "myhostname": "client.test",
            "mydestination": "", "alias_maps": "", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "smtpd_relay_restrictions": "permit_mynetworks, reject", "smtpd_peername_lookup": "no",
            "smtp_dns_support_level": "disabled", "smtp_host_lookup": "native",
            "sender_dependent_default_transport_maps": f"texthash:{etc}/ways",
            "smtp_sasl_password_maps": f"texthash:{etc}/passwords", "smtp_sasl_security_options": "noanonymous",
            "smtp_tls_CAfile": suite.certificate[1], "smtp_tls_secure_cert_match": "hostname",
        }
        (etc / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        (etc / "master.cf").write_text(POSTFIX_MASTER.format(port=self.port))
        run("postfix", "-c", etc, "start")

    def log(self):
        return (self.dir / "mail.log").read_text()

    def stop(self):
        run("postfix", "-c", self.dir / "etc", "stop")

    def send(self, sender, subject):
        with smtplib.SMTP("127.0.0.1", self.port, "user.test", timeout=20 * SLOW) as s:
            s.sendmail(sender, ["bob@a.test", "alice@a.test"], f"Subject: {subject}\r\n\r\nbody\r\n",
                       rcpt_options=["NOTIFY=SUCCESS,FAILURE"])


@pytest.fixture(scope="module")
def postfix(suite):
    if not AS_ROOT or not shutil.which("postfix"):
        pytest.skip("needs root and Postfix")
    with tempfile.TemporaryDirectory(prefix="postern-e2e-postfix.", dir="/var/tmp") as d:
        Path(d).chmod(0o755)
        p = Postfix(suite, Path(d))
        yield p
        p.stop()


@each_way
def test_postfix_delivers_by_smtp(suite, postfix, way):
    offset = len(postfix.log())
    postfix.send(f"{way}@c.test", f"postfix {way}")
    check_received(suite, f"postfix {way}", way)
    delivered = rf"to=<(\w+)@a\.test>, relay=localhost\[127\.0\.0\.1\]:{suite.port[WAYS[way][0]]}, .*dsn=2\.0\.0, status=sent " \
                r"\(250 2\.0\.0 Ok: queued as \w+\)"
    wait_until(lambda: sorted(re.findall(delivered, postfix.log()[offset:])) == ["alice", "bob"], 20, "Postfix's log lines")
