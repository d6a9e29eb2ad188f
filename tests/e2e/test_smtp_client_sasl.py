# SPDX-License-Identifier: Apache-2.0
"""The SMTP client signs in: each mechanism, whose password, and what a refusal means."""
import base64
import hashlib
import hmac
import re

import pytest

from outbound import Case, Outbound

B64 = lambda text: base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


class Server:
    """Answers AUTH for user "me", password "secret", and checks every byte of it."""

    def __init__(self, refuse=None, cheat=False):
        self.refuse, self.cheat, self.step, self.tried = refuse, cheat, [], 0

    def __call__(self, verb, argument, attempt):
        if verb == "AUTH":
            self.tried += 1
            if self.refuse:
                return self.refuse
            mech, _, initial = argument.partition(" ")
            self.step = getattr(self, mech.replace("-", "_").lower())(base64.b64decode(initial))
            return next(self.step)
        if verb == "AUTH-DATA":
            return self.step.send(base64.b64decode(argument))
        return None

    def verdict(self, good):
        return "235 2.7.0 welcome" if good else "535 5.7.8 wrong"

    def plain(self, initial):
        yield self.verdict(initial == b"\0me\0secret")

    def login(self, initial):
        user = yield "334 " + B64("Username:")
        password = yield "334 " + B64("Password:")
        yield self.verdict((user, password) == (b"me", b"secret"))

    def cram_md5(self, initial):
        got = yield "334 " + B64("<1.2@x>")
        yield self.verdict(got == b"me " + hmac.new(b"secret", b"<1.2@x>", "md5").hexdigest().encode())

    def xoauth2(self, initial):
        if initial == b"user=me\1auth=Bearer secret\1\1":
            yield "235 ok"
        yield "334 " + B64('{"status":"401"}')
        yield "535 5.7.8 no"

    def oauthbearer(self, initial):
        if re.fullmatch(rb"n,a=me,\x01(host=[^\x01]+\x01)?(port=\d+\x01)?auth=Bearer secret\x01\x01", initial):
            yield "235 ok"
        answer = yield "334 " + B64('{"status":"invalid_token"}')
        yield "535 5.7.8 no" if answer == b"\x01" else "501 5.5.2 not what RFC 7628 asks for"

    def scram_sha_1(self, initial):
        return self.scram(initial, "sha1")

    def scram_sha_256(self, initial):
        return self.scram(initial, "sha256")

    def scram(self, initial, digest):
        bare = initial[3:]
        nonce = bare.split(b"r=")[1] + b"SERVER"
        first = b"r=" + nonce + b",s=" + base64.b64encode(b"salt") + b",i=4096"
        final = yield "334 " + B64(first)
        without, proof = final.rsplit(b",p=", 1)
        salted = hashlib.pbkdf2_hmac(digest, b"secret", b"salt", 4096)
        auth = bare + b"," + first + b"," + without
        key = hmac.new(salted, b"Client Key", digest).digest()
        signature = hmac.new(hashlib.new(digest, key).digest(), auth, digest).digest()
        good = bytes(a ^ b for a, b in zip(key, signature)) == base64.b64decode(proof)
        sign = hmac.new(hmac.new(salted, b"Server Key", digest).digest(), auth, digest).digest()
        if self.cheat:
            sign = bytes(len(sign))
        yield "334 " + B64(b"v=" + base64.b64encode(sign)) if good else "535 5.7.8 wrong"
        yield "235 2.7.0 welcome"


ON = {"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "inline:{127.0.0.1=me:secret}",
      "smtp_sasl_security_options": "noanonymous"}
REFUSED = "535 5.7.8 not you"


def case(mechs, params=None, server=None, **kw):
    return Case(ehlo=("PIPELINING", *([f"AUTH {mechs}"] if mechs else [])), answer=server or Server(),
                params={**ON, **(params or {})}, **kw)


CASES = {
    "plain": case("PLAIN"), "login": case("LOGIN"), "cram": case("CRAM-MD5 PLAIN LOGIN"),
    "scram": case("PLAIN SCRAM-SHA-256"), "scram1": case("PLAIN SCRAM-SHA-1"),
    "bearer": case("OAUTHBEARER PLAIN", {"smtp_sasl_mechanism_filter": "oauthbearer"}),
    "badbearer": case("OAUTHBEARER", {"smtp_sasl_mechanism_filter": "oauthbearer",
                                      "smtp_sasl_password_maps": "inline:{127.0.0.1=me:expired}"}),
    "cheat1": case("SCRAM-SHA-1", server=Server(cheat=True)),
    "xoauth": case("XOAUTH2 PLAIN", {"smtp_sasl_mechanism_filter": "xoauth2"}),
    "filter": case("PLAIN CRAM-MD5", {"smtp_sasl_mechanism_filter": "!cram-md5"}),
    "wrong": case("PLAIN", {"smtp_sasl_password_maps": "inline:{127.0.0.1=me:other}"}),
    "hard": case("PLAIN", {"smtp_sasl_auth_soft_bounce": "no"}, Server(REFUSED)),
    "temporary": case("PLAIN", {"smtp_sasl_auth_soft_bounce": "no"}, Server("454 4.7.0 later")),
    "noplain": case("PLAIN LOGIN", {"smtp_sasl_security_options": "noplaintext"}),
    "cheat": case("SCRAM-SHA-256", server=Server(cheat=True)),
    "nothing": case("PLAIN", {"smtp_sasl_password_maps": ""}),
    "notoffered": case(""),
    "enforce": case("", {"smtp_sasl_auth_enforce": "yes"}),
    "nexthop": case("PLAIN", {"smtp_sasl_password_maps": "pcre:DIR/pw"}, files={"pw": "/^\\[127.0.0.1\\]:\\d+$/ me:secret\n"}),
    "remembers": case("PLAIN", {"smtp_sasl_auth_cache_name": "memory:"}, Server(REFUSED)),
    "bysender": case("PLAIN", {"smtp_sender_dependent_authentication": "yes",
                               "smtp_sasl_password_maps": "inline:{ {a@a.test = me:secret}, {@b.test = me:secret} }"}),
    "dummy": case("PLAIN", {"smtp_send_dummy_mail_auth": "yes"}),
    "loop": case("PLAIN", server=lambda v, a, n: "334 " if v.startswith("AUTH") else None),
}


@pytest.fixture(scope="module")
def out(make_instance, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sasl")
    directory.chmod(0o755)
    yield Outbound(make_instance, directory, CASES, smtp_tls_security_level="none")
    for c in CASES.values():
        c.receiver.close()


SERVER = "127.0.0.1[127.0.0.1]"
OUTCOMES = [
    # domain, the mechanism that was used, what stands in the line of the outcome
    ("plain", "PLAIN", "status=sent"),
    ("login", "LOGIN", "status=sent"),
    ("cram", "CRAM-MD5", "status=sent"),
    ("scram", "SCRAM-SHA-256", "status=sent"),
    ("scram1", "SCRAM-SHA-1", "status=sent"),
    ("xoauth", "XOAUTH2", "status=sent"),
    ("bearer", "OAUTHBEARER", "status=sent"),
    ("badbearer", "OAUTHBEARER", f"dsn=4.7.8, status=deferred (SASL authentication failed; server {SERVER} said: 535 5.7.8 no"),
    ("filter", "PLAIN", "status=sent"),
    ("nexthop", "PLAIN", "status=sent"),
    ("dummy", "PLAIN", "status=sent"),
    ("wrong", "PLAIN", f"dsn=4.7.8, status=deferred (SASL authentication failed; server {SERVER} said: 535 5.7.8 wrong)"),
    ("hard", "PLAIN", f"dsn=5.7.8, status=bounced (SASL authentication failed; server {SERVER} said: 535 5.7.8 not you)"),
    ("temporary", "PLAIN", f"dsn=4.7.0, status=deferred (SASL authentication failed; server {SERVER} said: 454 4.7.0 later)"),
    ("noplain", None, f"dsn=4.7.0, status=deferred (SASL authentication failed; cannot authenticate to server {SERVER}: no mechanism available)"),
    ("cheat", "SCRAM-SHA-256", f"dsn=4.7.0, status=deferred (SASL authentication failed; server {SERVER} does not prove"),
    ("cheat1", "SCRAM-SHA-1", f"dsn=4.7.0, status=deferred (SASL authentication failed; server {SERVER} does not prove"),
    ("nothing", None, "status=sent"),
    ("notoffered", None, "status=sent"),
    ("enforce", None, f"dsn=4.7.0, status=deferred (SASL authentication failed; server {SERVER} does not offer it)"),
    ("loop", "PLAIN", "dsn=4.7.0, status=deferred (SASL authentication failed; "),
]


@pytest.mark.parametrize("name, mech, wanted", OUTCOMES, ids=[name for name, _, _ in OUTCOMES])
def test_each_mechanism_signs_in_and_a_refusal_means_what_the_parameters_say(out, name, mech, wanted):
    line = out.send(f"x@{name}.test", sender="")
    assert wanted in line, line
    used = [c.split()[1] for c in out.commands(name, "AUTH")]
    assert used == ([mech] if mech else []), used


def test_passwords_never_reach_the_log(out):
    out.send("y@plain.test")
    log = out.instance.log()
    assert "secret" not in log and B64(b"\0me\0secret") not in log


def test_a_refused_password_is_not_tried_again_where_that_is_remembered(out):
    for rcpt in ("one@remembers.test", "two@remembers.test"):
        line = out.send(rcpt, sender="")
        assert "status=deferred (SASL authentication failed; server" in line and "535 5.7.8 not you" in line
    assert CASES["remembers"].receiver.answer.tried <= 1


def test_each_sender_signs_in_for_himself_and_shares_no_connection(out):
    for sender, tried in (("a@a.test", 1), ("a@a.test", 1), ("x@b.test", 2), ("c@a.test", 2)):
        out.send("x@bysender.test", sender=sender)
        assert CASES["bysender"].receiver.answer.tried == tried, sender
    assert out["bysender"].sessions == 3


def test_the_author_is_not_told_with_mail(out):
    assert any(c.endswith(" AUTH=<>") for c in out.commands("dummy", "MAIL"))
