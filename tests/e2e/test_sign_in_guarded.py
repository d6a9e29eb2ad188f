# SPDX-License-Identifier: Apache-2.0
"""Sign-ins over every protocol, mechanism and table type; guessing, storms of sign-ins, and hostile SASL messages."""
import base64
import concurrent.futures
import hashlib
import hmac
import os
import subprocess
import time

import pytest

from instance import SLOW, free_ports, wait_until
from lines import LineClient
from test_sign_in import PASSWORD, argon2, scram, ssha, write_users

PROXIED = dict(zip(("imap", "pop3", "smtp"), free_ports(3)))
SERVICES = [
    f"127.0.0.1:{PROXIED['imap']} inet n - n - - imapd-login -o imap_upstream_proxy_protocol=haproxy -o imap_allow_plaintext_auth=static:all",
    f"127.0.0.1:{PROXIED['pop3']} inet n - n - - pop3d-login -o imap_upstream_proxy_protocol=haproxy -o imap_allow_plaintext_auth=static:all",
    f"127.0.0.1:{PROXIED['smtp']} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy -o smtpd_sasl_auth_enable=yes"
    " -o smtpd_tls_auth_only=no -o smtpd_tls_security_level=none",
]
MECHANISMS = "plain, login, scram-sha-256, scram-sha-256-plus, scram-sha-1, scram-sha-1-plus"
FREE = {"auth_failure_delay": "0s", "auth_user_failure_limit": "0", "auth_network_failure_limit": "0"}
# of PASSWORD, by crypt(3)
CRYPTED = {
    "MD5-CRYPT": "$1$saltsalt$RwMqRjSWhXMKbW72DwzGd1",
    "SHA256-CRYPT": "$5$rounds=1000$saltsalt$zjC/Njk9Y.EVEc3QygFw/Rhx5L4ZHXnWMx5WovHpIO2",
    "SHA512-CRYPT":
        "$6$rounds=1000$saltsalt$zcCvYcDM8j0aB28drG.Vwe4L4mnOkoRyg3Q.Bu7J9v6yK9aKDDPiDDlrOhF03cpnd3KFfSzTDNEBa0iVYm2H90",
    "BLF-CRYPT": "$2y$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG",
    "DES-CRYPT": "abhWCwoTZY2c6",
    "CRYPT": "$y$j75$saltsalt$16zOHdvf.1bioE5ODpXTdelDc1Fy.q10TVnFFWaopf3",
}
SLOW_HASH = "{SHA512-CRYPT}$6$rounds=100000$saltsalt$1.NK4eZC2AmKvGgyfdsjmK2Wa4JgxxuFiFELuh8tx6GLT1LBpiymdZjP09NzlPTLw9vd.4wxpqz3kN7fr6D7w/"
BETTER_HASH = "{SHA512-CRYPT}$6$rounds=1000$other$PzO4hYzWuirOsPgLZBybjcJxgtMKfUmq4Fu2RTkp2/BAM5FGNlGNtHcwtJ3tO76qHk6SKO.F2YORaIf3RYYx7."     # of "better"
STORED = {**{name.lower(): f"{{{name}}}{hash_}" for name, hash_ in CRYPTED.items()},
          "bare": CRYPTED["SHA512-CRYPT"], "ssha": ssha(PASSWORD), "plain": "{PLAIN}" + PASSWORD, "scram": scram(PASSWORD),
          "scram1": scram(PASSWORD, "SCRAM-SHA-1")}


class Line(LineClient):
    """A client of one of the three protocols, behind a proxy that says where it comes from."""

    def __init__(self, suite, protocol, client="192.0.2.1"):
        self.protocol, self.tag = protocol, 0
        super().__init__(suite.proxied[protocol])
        family = "TCP6 %s 2001:db8::1" if ":" in client else "TCP4 %s 198.51.100.1"
        self.ask(f"PROXY {family % client} 5000 143")
        if protocol == "smtp":
            self.ask("EHLO client.test")

    def line(self):
        """The last line of a reply."""
        line = super().line()
        while self.protocol == "smtp" and line[3:4] == "-":
            line = super().line()
        return line

    def start(self, mechanism):
        self.tag += 1
        return self.ask({"imap": f"t{self.tag} AUTHENTICATE {mechanism}", "pop3": f"AUTH {mechanism}", "smtp": f"AUTH {mechanism}"}
                        [self.protocol])

    def verdict(self, line):
        """yes, no, later, or bad"""
        table = {"imap": [("OK", "yes"), ("NO [AUTHENTICATIONFAILED]", "no"), ("NO [UNAVAILABLE]", "later"), ("BAD", "bad")],
                 "pop3": [("+OK", "yes"), ("-ERR [AUTH]", "no"), ("-ERR [SYS/TEMP]", "later"), ("-ERR", "bad")],
                 "smtp": [("235", "yes"), ("535", "no"), ("454", "later"), ("501", "bad"), ("500", "bad")]}[self.protocol]
        text = line.split(" ", 1)[1] if self.protocol == "imap" else line
        return next((v for prefix, v in table if text.startswith(prefix)), line)

    def challenge(self, line):
        assert line.startswith("334" if self.protocol == "smtp" else "+"), line
        return base64.b64decode(line.split(" ", 1)[1] if " " in line else "")

    def say(self, data):
        return self.ask(base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode())


def plain(c, user, password):
    c.challenge(c.start("PLAIN"))
    return c.verdict(c.say(f"\0{user}\0{password}"))


def login(c, user, password):
    assert c.challenge(c.start("LOGIN")) == b"Username:"
    assert c.challenge(c.say(user)) == b"Password:"
    return c.verdict(c.say(password))


def scram_with(mechanism, digest):
    """The client's side of SCRAM (RFC 5802 section 3), without channel binding."""
    def run(c, user, password):
        c.challenge(c.start(mechanism))
        bare = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"
        line = c.say("n,," + bare)
        if c.verdict(line) in ("no", "later", "bad"):
            return c.verdict(line)
        first = c.challenge(line).decode()
        fields = dict(f.split("=", 1) for f in first.split(","))
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        final = "c=biws,r=" + fields["r"]
        message = f"{bare},{first},{final}".encode()
        key = hmac.digest(salted, b"Client Key", digest)
        proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.new(digest, key).digest(), message, digest)))
        line = c.say(f"{final},p={base64.b64encode(proof).decode()}")
        if c.verdict(line) in ("no", "later", "bad"):
            return c.verdict(line)
        server = c.challenge(line).decode()
        assert base64.b64decode(server[2:]) == hmac.digest(hmac.digest(salted, b"Server Key", digest), message, digest)
        return c.verdict(c.say(""))
    return run


WAYS = {"PLAIN": plain, "LOGIN": login, "SCRAM-SHA-256": scram_with("SCRAM-SHA-256", "sha256"),
        "SCRAM-SHA-1": scram_with("SCRAM-SHA-1", "sha1")}


def try_once(suite, protocol, user, password, way="PLAIN", client="192.0.2.1"):
    c = Line(suite, protocol, client)
    try:
        return WAYS[way](c, suite.address(user), password)
    finally:
        c.close()


def make(make_instance, users, **params):
    suite = make_instance(start=False, users=(), services=SERVICES, params={"auth_mechanisms": MECHANISMS, **params})
    suite.proxied = PROXIED
    write_users(suite, suite.config / "users", users)
    return suite


@pytest.fixture(scope="module")
def suite(make_instance):
    suite = make(make_instance, {**STORED, "argon2id": argon2(PASSWORD)}, **FREE)
    yield suite.start()
    suite.stop()    # others use its ports


@pytest.fixture
def strict(make_instance, suite):
    """Few failures lock a user, some more a network; it has the ports for the time of a test."""
    suite.stop()
    made = []

    def start(**params):
        strict = make(make_instance, {"alice": "{PLAIN}" + PASSWORD, "bob": STORED["sha512-crypt"], "carol": STORED["scram"],
                                      "slow": SLOW_HASH},
                      **{"auth_failure_delay": "0s", "auth_user_failure_limit": "4", "auth_network_failure_limit": "0", **params})
        made.append(strict.start())
        return strict
    yield start
    for s in made:
        s.stop()
    suite.start()


# ---- mechanisms, protocols, stored passwords, tables ----

@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
@pytest.mark.parametrize("way", WAYS)
def test_every_mechanism_works_over_every_protocol(suite, protocol, way):
    user = {"SCRAM-SHA-256": "scram", "SCRAM-SHA-1": "scram1"}.get(way, "sha512-crypt")
    for who in user, "plain":
        assert try_once(suite, protocol, who, PASSWORD, way) == "yes"
        assert try_once(suite, protocol, who, PASSWORD + "x", way) == "no"
    assert try_once(suite, protocol, "nobody", PASSWORD, way) == "no"


@pytest.mark.parametrize("mechanism,user", [("SCRAM-SHA-1-PLUS", "scram1"), ("SCRAM-SHA-256-PLUS", "plain")])
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_the_mechanisms_that_bind_the_channel_work_within_tls(suite, protocol, mechanism, user):
    port = {"imap": suite.port["imap"], "smtp": suite.port["submission"]}[protocol]
    for password, works in (PASSWORD, True), ("wrong", False):
        done = subprocess.run(["gsasl", f"--{protocol}", "--connect", f"localhost:{port}", "-m", mechanism, "-a", suite.address(user),
                               "-p", password, f"--x509-ca-file={suite.certificate[1]}"], input="", text=True, capture_output=True,
                              timeout=60 * SLOW)
        assert (done.returncode == 0) == works, done.stdout + done.stderr


@pytest.mark.parametrize("user", [*STORED, "argon2id"])
def test_every_stored_form_takes_the_right_password_only(suite, user):
    assert try_once(suite, "pop3", user, PASSWORD) == "yes"
    for wrong in PASSWORD[:-1], PASSWORD.upper(), PASSWORD + " ", "":
        assert try_once(suite, "pop3", user, wrong) == "no"


def test_users_may_be_in_any_kind_of_table(suite, make_instance):
    """hash, lmdb, texthash, regexp, inline, static: one after the other in auth_users, the first that knows the user wins."""
    wanted = {}
    for kind in "hash", "btree", "lmdb", "texthash":
        path = suite.config / f"users.{kind}"
        path.write_text(f"{kind}@a.test {STORED['sha256-crypt']}\n")
        if kind != "texthash":
            suite.tool("postmap", f"{kind}:{path}")
        wanted[kind] = f"{kind}:{path}"
    (suite.config / "users.regexp").write_text(f"/^regexp[0-9]*@/ {STORED['plain']}\n")
    wanted["regexp7"] = f"regexp:{suite.config}/users.regexp"
    wanted["inline"] = "inline:{{inline@a.test = {PLAIN}" + PASSWORD + "}}"
    for path in suite.config.glob("users.*"):
        path.chmod(0o644)
    before = suite.settings.get("auth_users", "passwd-file:$config_directory/users")
    with open(suite.config / "vmailbox", "a") as f:
        f.writelines(f"{user}@a.test a.test/{user}/\n" for user in wanted)
    suite.set(auth_users=" ".join(["passwd-file:$config_directory/users", *wanted.values()]))
    suite.stop()
    suite.start()
    for user in [*wanted, "plain"]:
        for protocol in "imap", "smtp":
            assert try_once(suite, protocol, user, PASSWORD) == "yes", user
            assert try_once(suite, protocol, user, "wrong") == "no", user
    suite.set(auth_users=before)
    suite.stop()
    suite.start()


# ---- what is remembered ----

def test_a_changed_password_counts_at_once_for_all_protocols(suite):
    path = suite.config / "users"
    for protocol in "imap", "pop3", "smtp":
        assert try_once(suite, protocol, "sha512-crypt", PASSWORD) == "yes"     # remembered from now on
    text = path.read_text()
    path.write_text(text.replace(STORED["sha512-crypt"], BETTER_HASH))
    wait_until(lambda: try_once(suite, "imap", "sha512-crypt", "better") == "yes", 10, "the new password")
    for protocol in "imap", "pop3", "smtp":
        assert try_once(suite, protocol, "sha512-crypt", PASSWORD) == "no"
        assert try_once(suite, protocol, "sha512-crypt", "better") == "yes"
    path.write_text(text.replace(f"sha512-crypt@a.test:{STORED['sha512-crypt']}\n", ""))
    wait_until(lambda: try_once(suite, "imap", "sha512-crypt", "better") == "no", 10, "the user's end")
    path.write_text(text)
    wait_until(lambda: try_once(suite, "imap", "sha512-crypt", PASSWORD) == "yes", 10, "the user's return")


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_storm_of_sign_ins_costs_one_hash(strict):
    suite = strict()
    wait_until(lambda: suite.pids("auth") or try_once(suite, "imap", "alice", PASSWORD) == "yes", 20, "auth")
    pid = wait_until(lambda: suite.pids("auth"), 20, "auth")[0]

    def cost(n, password):
        before = cpu_seconds(pid)
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            said = list(pool.map(lambda i: try_once(suite, ("imap", "pop3", "smtp")[i % 3], "slow", password), range(n)))
        return set(said), cpu_seconds(pid) - before
    said, one = cost(1, "wrong")        # what a hash costs here and now
    assert said == {"no"}
    for _ in range(2):
        said, many = cost(45, PASSWORD)
        assert said == {"yes"} and many < 15 * max(one, 0.02), (one, many)      # the clock of the kernel ticks each 0.01 s


# ---- guessing ----

@pytest.mark.parametrize("earned,way", [("smtp", "PLAIN"), ("imap", "SCRAM-SHA-256"), ("pop3", "LOGIN")])
def test_a_lock_earned_over_one_protocol_counts_for_all_and_for_every_mechanism(strict, earned, way):
    suite = strict()
    for n in range(4):
        assert try_once(suite, earned, "alice", f"guess {n}", way, client=f"192.0.2.{n + 1}") == "no"
    for protocol in "imap", "pop3", "smtp":
        for mechanism in WAYS:
            for password in PASSWORD, "wrong":
                assert try_once(suite, protocol, "alice", password, mechanism, "198.51.100.9") == "later", (protocol, mechanism, password)
    assert try_once(suite, "imap", "bob", PASSWORD) == "yes"
    suite.wait_log(r"too many failed sign-ins of this user, locked")


def test_a_user_is_not_locked_out_where_he_has_signed_in_from(strict):
    suite = strict()
    assert try_once(suite, "imap", "alice", PASSWORD, client="192.0.2.77") == "yes"
    for n in range(4):
        assert try_once(suite, "smtp", "alice", f"guess {n}", client="203.0.113.5") == "no"
    assert try_once(suite, "imap", "alice", PASSWORD, client="203.0.113.5") == "later"
    assert try_once(suite, "pop3", "alice", PASSWORD, client="192.0.2.77") == "yes"


def test_an_ipv6_network_is_locked_as_a_64_for_all_users_and_protocols(strict):
    suite = strict(auth_user_failure_limit="0", auth_network_failure_limit="5")
    for n in range(5):
        protocol = ("imap", "pop3", "smtp")[n % 3]
        assert try_once(suite, protocol, f"user{n}", "guess", client=f"2001:db8:1:2::{n + 1}") == "no"
    for protocol in "imap", "pop3", "smtp":
        assert try_once(suite, protocol, "alice", PASSWORD, client="2001:db8:1:2:ffff::9") == "later"
        assert try_once(suite, protocol, "alice", PASSWORD, client="2001:db8:1:3::1") == "yes"
    for n in range(5):
        assert try_once(suite, "imap", f"user{n}", "another guess", client="192.0.2.50") == "no"
    assert try_once(suite, "smtp", "alice", PASSWORD, client="192.0.2.50") == "later"
    assert try_once(suite, "smtp", "alice", PASSWORD, client="192.0.2.51") == "yes"


def test_a_lock_ends_after_its_time(strict):
    suite = strict(auth_lockout_time="3s")
    for n in range(4):
        assert try_once(suite, "imap", "alice", f"guess {n}") == "no"
    assert try_once(suite, "imap", "alice", PASSWORD) == "later"
    wait_until(lambda: try_once(suite, "imap", "alice", PASSWORD) == "yes", 20, "the end of the lock")


def test_guesses_made_all_at_once_are_no_more_than_guesses_one_by_one(strict):
    suite = strict()
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        said = list(pool.map(lambda n: try_once(suite, ("imap", "smtp")[n % 2], "slow", f"guess {n}", client=f"192.0.2.{n + 1}"), range(30)))
    assert said.count("no") <= 4 and said.count("later") == 30 - said.count("no"), said
    assert try_once(suite, "imap", "slow", PASSWORD, client="203.0.113.1") == "later"


def test_the_answer_to_a_failure_waits_longer_with_each_and_other_networks_do_not(strict):
    suite = strict(auth_failure_delay="1s", auth_failure_delay_max="2s", auth_user_failure_limit="0")
    took = []
    for protocol in "smtp", "imap", "pop3":
        begun = time.monotonic()
        assert try_once(suite, protocol, "alice", f"guess {protocol}") == "no"
        took.append(time.monotonic() - begun)
    assert took[0] > 0.99 and took[1] > 1.99 and took[2] > 1.99, took       # the server counts whole milliseconds


# ---- hostile messages ----

BAD_MESSAGES = {
    "PLAIN": [b"", b"\0", b"\0\0", b"a\0b", b"\0a\0b\0c", b"\0\0x", b"\xff" * 100],
    "LOGIN": [b"", b"\0", b"a\0b"],
    "SCRAM-SHA-256": [b"", b"\0", b"n", b"n,,", b"n,,n=", b"n,,n=a", b"n,,n=a,r=", b"p=tls-exporter,,n=a,r=b", b"n,,m=x,n=a,r=b", b"n,a=\xff,n=a,r=b",
                      b"y,,n=a=2,r=b", b"n,,n=a,r=" + b"x" * 5000, b"," * 4000, b"\xff" * 4000],
    "SCRAM-SHA-1": [b"n,,n=\0,r=b", b"n,,r=b,n=a"],
}


def refused(c, message):
    """Is the exchange refused, here or where it would have to go on?"""
    line = c.say(message)
    return c.verdict(line if c.verdict(line) in ("bad", "no") or not c.challenge(line) else c.say("nonsense")) in ("bad", "no")


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_malformed_messages_are_refused_and_the_connection_lives(suite, protocol):
    for mechanism, messages in BAD_MESSAGES.items():
        c = Line(suite, protocol)
        for message in messages[:9]:
            c.challenge(c.start(mechanism))
            assert refused(c, message), (mechanism, message)
        c.close()
        c = Line(suite, protocol)
        for message in messages[9:]:
            c.challenge(c.start(mechanism))
            assert refused(c, message), (mechanism, message)
        c.challenge(c.start(mechanism))
        assert c.verdict(c.ask("*")) == "bad"
        c.challenge(c.start(mechanism))
        assert c.verdict(c.ask("!!! no Base64 !!!")) == "bad"
        assert plain(c, suite.address("plain"), PASSWORD) == "yes"
        c.close()


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
@pytest.mark.parametrize("size", [1000, 5000, 12000, 50_000, 1_000_000])
def test_messages_of_any_size_are_refused_and_the_connection_lives(suite, protocol, size):
    c = Line(suite, protocol)
    for form in b"\0" + b"u" * size + b"\0p", b"\0u\0" + b"p" * size:
        c.challenge(c.start("PLAIN"))
        assert refused(c, form)
    c.challenge(c.start("SCRAM-SHA-256"))
    assert refused(c, b"n,,n=" + b"u" * size + b",r=b")
    assert plain(c, suite.address("plain"), PASSWORD) == "yes"
    c.close()


def test_nothing_of_all_this_killed_or_confused_auth(suite):
    assert not suite.log_lines(r"malformed request from uid|panic:|killed by signal")
    assert not [line for line in suite.log_lines(r"auth|login|smtpd") if PASSWORD in line]
