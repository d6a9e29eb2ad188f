# SPDX-License-Identifier: Apache-2.0
"""TLS to other servers: levels, policy table, DANE. The receivers are Postfix and, for faults, a scripted one; DNS is nsd
with signed zones behind unbound."""
import re
import smtplib
import time

import pytest

import postfix
from certificates import Authority, der, fingerprint, openssl, public_key, tlsa
from instance import AS_ROOT, wait_until
from signed_zones import resolve
from tls_receiver import TlsReceiver

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="Postfix must be started as root")

WRONG = "00" * 32
FAULTS = ("no offer", "refuses", "garbage", "early", None)

# The part of the policy table that does not depend on the certificate; each name is a domain below plain.test.
PLAIN_ZONE = """\
$ORIGIN plain.test.
$TTL 60
@       SOA ns hostmaster 1 60 60 60 60
        NS  ns
*       MX  10 mx
ns      A   127.0.0.1
mx      A   127.0.0.1
localhost A 127.0.0.1
; a record that nobody has signed says nothing
_{port}._tcp.mx TLSA 3 1 1 {wrong}
insecuremx      MX 10 mx-ok.dane.test.
insecuremxdane  MX 10 mx-ok.dane.test.
insecuremxenc   MX 10 mx-wrong.dane.test.
mx-island       A   127.0.0.1
"""

# Signed records about a host whose own zone is not signed.
ISLAND = "_tcp.mx-island.plain.test"
ISLAND_ZONE = """\
$ORIGIN _tcp.mx-island.plain.test.
$TTL 60
@       SOA ns.dane.test. hostmaster.dane.test. 1 60 60 60 60
        NS  ns.dane.test.
_{port} {right}
"""

SIGNED_ZONE = """\
$ORIGIN dane.test.
$TTL 60
@           SOA ns hostmaster 1 60 60 60 60
            NS  ns
ns          A   127.0.0.1
{hosts}
alias       MX  10 mx-alias
mx-alias    CNAME mx-ok
halfalias   MX  10 mx-half
mx-half     CNAME mx.plain.test.
_{port}._tcp.mx-half {right}
fallback    MX  10 mx-fail
            MX  20 mx-ok
island      MX  10 mx-island.plain.test.
"""


def signed_zone(port, chain, authority):
    right = tlsa(3, 1, 1, chain)
    records = {
        "ok": [right],
        "only": [right],
        "ta": [tlsa(2, 0, 1, authority)],
        "takey": [tlsa(2, 1, 2, authority)],
        "othername": [tlsa(2, 0, 1, authority)],
        "cert": [tlsa(3, 0, 2, chain)],
        "wrong": [f"TLSA 3 1 1 {WRONG}"],
        "rollover": [f"TLSA 3 1 1 {WRONG}", right],
        "mixed": [tlsa(0, 0, 1, authority), right],
        "usage0": [tlsa(0, 0, 1, authority), tlsa(1, 1, 1, chain)],
        "onlyusage0": [tlsa(0, 0, 1, authority)],
        "agile": [f"TLSA 3 1 2 {WRONG}{WRONG}", right],     # of two digests only the better one counts
        "nodigest": ["TLSA 3 1 9 0011"],
        "fail": [right],
        "none": [],
        "onlynone": [],
    }
    hosts = ""
    for name, rrs in records.items():
        hosts += f"{name} MX 10 mx-{name}\nmx-{name} A 127.0.0.1\n"
        hosts += "".join(f"_{port}._tcp.mx-{name} {rr}\n" for rr in rrs)
    return SIGNED_ZONE.format(hosts=hosts, port=port, right=right)


def tamper(zone, text):
    if zone == "bogus.test":        # another host than was signed
        return re.sub(r"(MX\s+10) mx\.bogus\.test\.", r"\1 evil.bogus.test.", text)
    return re.sub(r"(?m)^(_\d+\._tcp\.mx-fail\.\S+\s+60\s+IN\s+TLSA\s+3 1 1) .*$", rf"\1 {WRONG}", text)


@pytest.fixture(scope="module")
def pki(workdir):
    directory = workdir / "pki"
    directory.mkdir()
    authority = Authority(directory)
    (directory / "other").mkdir()
    other = Authority(directory / "other", "Another CA")
    chain = authority.issue("mx-ta.dane.test", "mx-takey.dane.test", "mx.plain.test", with_authority=True)
    client = authority.issue("client.a.test")
    return authority, other, chain, client


@pytest.fixture(scope="module")
def receiver(pki, workdir):
    directory = workdir / "postfix"
    directory.mkdir()
    with postfix.run(directory, pki[2], smtpd_tls_ask_ccert="yes", smtpd_tls_CAfile=pki[0].file,
                     smtpd_client_connection_count_limit="0") as it:
        yield it


@pytest.fixture(scope="module")
def scripted(pki):
    made = {fault: TlsReceiver(pki[2], fault) for fault in FAULTS}
    yield made
    for it in made.values():
        it.close()


@pytest.fixture(scope="module")
def resolver(pki, receiver, workdir):
    authority, _, chain, _ = pki
    directory = workdir / "dns"
    directory.mkdir()
    bogus = PLAIN_ZONE.split(";")[0].replace("plain.test", "bogus.test") + "evil A 127.0.0.1\n"
    with resolve(directory,
                 signed={"dane.test": signed_zone(receiver.port, chain, authority.file),
                         ISLAND: ISLAND_ZONE.format(port=receiver.port, right=tlsa(3, 1, 1, chain)),
                         "bogus.test": bogus.replace("*  ", "any")},
                 unsigned={"plain.test": PLAIN_ZONE.format(port=receiver.port, wrong=WRONG)}, tamper=tamper) as port:
        yield port


def policies(pki, receiver, scripted):
    """{name of the case: (key in the policy table, its line)}"""
    _, _, chain, _ = pki
    cert, key, md5 = fingerprint(der(chain)), fingerprint(public_key(chain)), fingerprint(der(chain), "md5")
    plain = {
        "none": "none", "may": "may", "encrypt": "encrypt",
        "tls12": "encrypt protocols=TLSv1.2 ciphers=high",
        "exclude": "may protocols=!TLSv1.3 exclude=AES256:AES128",
        "nocipher": "encrypt protocols=!TLSv1.3 exclude=ALL",
        "nocommon": "encrypt protocols=!TLSv1.3 ciphers=null",
        "fpcert": f"fingerprint match={WRONG}|{cert}",
        "fpkey": f"fingerprint match={WRONG} match={key.replace(':', '').lower()}",
        "fpwrong": f"fingerprint match={md5}",
        "fpbad": "fingerprint match=hello",
        "verify": "verify",
        "verifyname": "verify match=hostname:x.test",
        "verifywrong": "verify match=other.test:nexthop",
        "secure": "secure",
        "securename": "secure match=.plain.test",
        "tafile": "verify tafile=authority.pem",
        "takeyfile": "secure match=hostname tafile=key.pem",
        "taother": "verify tafile=other.pem",
        "tamissing": "verify tafile=missing.pem",
        "badlevel": "strong", "badattribute": "encrypt cipher=high", "badprotocol": "encrypt protocols=TLSv9",
        "badgrade": "encrypt ciphers=best",
        "dane": "dane", "daneonly": "dane-only",
        "insecuremx": "dane", "insecuremxdane": "dane", "insecuremxenc": "dane",
    }
    table = {f"{name}.plain.test": line for name, line in plain.items()}
    for name in ("ok", "ta", "takey", "othername", "cert", "wrong", "rollover", "mixed", "usage0", "nodigest", "agile", "fail",
                 "none", "alias", "halfalias", "fallback", "island"):
        table[f"{name}.dane.test"] = "dane"
    for name in ("only", "onlyusage0", "onlynone"):
        table[f"{name}.dane.test"] = "dane-only"
    table["any.bogus.test"] = "dane"
    table[".parent.plain.test"] = "encrypt"
    table["child.parent.plain.test"] = "none"
    table[f"[mx.plain.test]:{receiver.port}"] = "verify match=nexthop"
    for fault in ("no offer", "refuses", "garbage"):
        table[f"[127.0.0.1]:{scripted[fault].port}"] = "encrypt"
    return table


# Services with settings of their own: smtp with -o. {name: settings}
SERVICES = {
    "old-none": "smtp_tls_security_level= smtp_use_tls=no",
    "old-may": "smtp_tls_security_level= smtp_use_tls=yes smtp_connection_cache_time_limit=60s",
    "old-verify": "smtp_tls_security_level= smtp_enforce_tls=yes",
    "old-encrypt": "smtp_tls_security_level= smtp_enforce_tls=yes smtp_tls_enforce_peername=no",
    "g-fp": "smtp_tls_security_level=fingerprint smtp_tls_fingerprint_digest=sha512 "
            "smtp_tls_fingerprint_cert_match={sha512}",
    "g-verify": "smtp_tls_security_level=verify smtp_tls_verify_cert_match=mx.plain.test",
    "g-secure": "smtp_tls_security_level=secure smtp_tls_secure_cert_match=hostname",
    "g-anchor": "smtp_tls_security_level=verify smtp_tls_trust_anchor_file={other}",
    "g-noca": "smtp_tls_security_level=verify smtp_tls_CAfile=",
    "g-capath": "smtp_tls_security_level=verify smtp_tls_CAfile= smtp_tls_CApath={capath}",
    "g-may12": "smtp_tls_security_level=may smtp_tls_protocols=TLSv1.2 smtp_tls_mandatory_protocols=TLSv1.3",
    "g-enc13": "smtp_tls_security_level=encrypt smtp_tls_protocols=TLSv1.2 smtp_tls_mandatory_protocols=TLSv1.3",
    "g-maycip": "smtp_tls_protocols=TLSv1.2 smtp_tls_ciphers=high smtp_tls_exclude_ciphers=AESGCM,CHACHA20",
    "g-enccip": "smtp_tls_security_level=encrypt smtp_tls_mandatory_protocols=TLSv1.2 smtp_tls_mandatory_ciphers=high "
                "smtp_tls_exclude_ciphers=AESGCM smtp_tls_mandatory_exclude_ciphers=SHA384,AESCCM,ARIA",
    "g-dane": "smtp_tls_security_level=dane",
    "g-encmx": "smtp_tls_security_level=dane smtp_tls_dane_insecure_mx_policy=encrypt",
    "g-nodnssec": "smtp_tls_security_level=dane smtp_dns_support_level=enabled",
    "g-onlyno": "smtp_tls_security_level=dane-only smtp_dns_support_level=enabled",
    "g-sha256": "smtp_tls_security_level=dane tls_dane_digests=sha256",
    "g-sha256first": "smtp_tls_security_level=dane tls_dane_digests=sha256,sha512",
    "g-sha512first": "smtp_tls_security_level=dane tls_dane_digests=sha512,sha256",
    "g-island": "smtp_tls_security_level=dane smtp_tls_force_insecure_host_tlsa_lookup=yes",
    "g-cafile": "smtp_tls_security_level=verify smtp_tls_CAfile=$config_directory/ca.pem",
    "identities": "smtp_tls_policy_maps=inline:{{none.plain.test:{port}=none,may.plain.test:{port}=may,"
                  "encrypt.plain.test:{port}=encrypt}} smtp_connection_cache_time_limit=60s",
    "wrapped": "smtp_tls_wrappermode=yes smtp_tls_security_level=encrypt",
    "wrapmay": "smtp_tls_wrappermode=yes smtp_tls_security_level=may",
    "clientcert": "smtp_tls_security_level=encrypt smtp_tls_cert_file={client}",
    "clientchain": "smtp_tls_security_level=encrypt smtp_tls_chain_files={client}",
    "note": "smtp_tls_security_level=none smtp_tls_note_starttls_offer=yes",
    "soon": "minimal_backoff_time=1s",
    "early": "smtp_tls_block_early_mail_reply=yes",
    "sni": "smtp_tls_servername=nexthop",
    "noreuse": "smtp_tls_connection_reuse=no",
}
LMTP = ["lmtp unix - - n - - lmtp -o lmtp_tls_policy_maps=inline:{{[127.0.0.1]:{port}=encrypt}}",
        "lmtp-none unix - - n - - lmtp"]
# Their lines: the policy table must not answer for them.
SERVICE = "{name} unix - - n - - smtp -o smtp_tls_policy_maps= {options}"


def routes(receiver, scripted):
    """transport_maps: {domain: where to}"""
    at = {fault: f"[127.0.0.1]:{it.port}" for fault, it in scripted.items()}
    plain = [name for name in SERVICES if name.startswith(("old-", "g-", "clientc", "note"))]
    table = {f"{name}.svc.test": f"{name}:any.plain.test" for name in plain}
    table.update({f"{name}.svc.test": f"{name}:{hop}" for name, hop in {
        "wrapped": f"[127.0.0.1]:{receiver.wrapped}", "wrapmay": f"[127.0.0.1]:{receiver.wrapped}",
        "soon": at["garbage"], "early": at["early"], "g-encmx": "insecuremxenc.plain.test",
        "g-sha256": "agile.dane.test", "g-sha256first": "agile.dane.test", "g-sha512first": "agile.dane.test",
        "g-island": "island.dane.test",
        "sni": f"[localhost.plain.test]:{scripted[None].port}", "noreuse": at[None],
    }.items()})
    port = scripted[None].port
    table.update({f"{level}.identities.test": f"identities:{level}.plain.test:{port}"
                  for level in ("none", "may", "encrypt")})
    table["hop.test"] = f"smtp:[mx.plain.test]:{receiver.port}"
    table["daneinsecure.test"] = "g-dane:insecuremxdane.plain.test"
    table.update({f"{fault.replace(' ', '')}.enc.test": f"smtp:{at[fault]}" for fault in ("no offer", "refuses", "garbage")})
    table.update({f"{fault.replace(' ', '')}.may.test": f"old-may:{at[fault]}" for fault in ("no offer", "refuses", "garbage")})
    table["lmtp.test"] = f"lmtp:inet:{at[None]}"
    table["lmtp-none.test"] = f"lmtp-none:inet:{at[None]}"
    table["keep.test"] = f"old-may:{at[None]}"
    return table


@pytest.fixture(scope="module")
def suite(make_instance, pki, receiver, scripted, resolver):
    authority, other, chain, client = pki
    capath = authority.dir / "capath"
    capath.mkdir()
    (capath / (openssl("x509", "-in", authority.file, "-noout", "-hash").decode().strip() + ".0")).write_text(
        authority.file.read_text())
    known = {"sha512": fingerprint(public_key(chain), "sha512"), "other": other.file, "capath": capath, "client": client,
             "port": scripted[None].port}
    lines = [SERVICE.format(name=name, options=" ".join(f"-o {o}" for o in options.format(**known).split()))
             for name, options in SERVICES.items()] + [line.format(port=scripted[None].port) for line in LMTP]
    it = make_instance(start=False, users=(), services=lines, params={
        "smtp_dns_support_level": "dnssec", "smtp_host_lookup": "dns", "dns_servers": f"127.0.0.1:{resolver}",
        "smtp_tcp_port": receiver.port, "smtp_tls_loglevel": "1", "smtp_tls_CAfile": authority.file,
        "lmtp_tls_loglevel": "1", "smtp_tls_policy_maps": "texthash:$config_directory/tls_policy",
        "transport_maps": "texthash:$config_directory/transport"})
    for name, table in (("tls_policy", policies(pki, receiver, scripted)), ("transport", routes(receiver, scripted))):
        (it.config / name).write_text("".join(f"{k} {v}\n" for k, v in table.items()))
    (it.config / "ca.pem").write_text(other.file.read_text())
    (it.config / "anchors").mkdir()
    (it.config / "anchors").chmod(0o755)
    (it.config / "anchors/authority.pem").write_text(authority.file.read_text())
    (it.config / "anchors/other.pem").write_text(other.file.read_text())
    (it.config / "anchors/key.pem").write_bytes(openssl("x509", "-in", authority.file, "-noout", "-pubkey"))
    return it.start()


def send(suite, *domains):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        for domain in domains:
            s.sendmail("alice@a.test", f"x@{domain}", "From: alice@a.test\r\nSubject: x\r\n\r\nbody\r\n")


POLICY = re.compile(r"level=(?P<level>\S+), source=<(?P<source>.*)>, match=<(?P<match>.*)>, tls=(?P<tls>\w+)"
                    r"(?:, protocol=(?P<protocol>\S+), cipher=(?P<cipher>\S+?))?(?P<resumed>, session resumed)?$")


def outcome(suite, domain, count=1):
    """(status, text) of a delivery, and its line about the TLS policy as a dict."""
    done = suite.wait_log(rf"(\w+): to=<x@{re.escape(domain)}>, relay=.*, status=(\w+) \((.*)\)\n", 30, count)
    before = done.string[:done.end()].splitlines()      # a queue id may be used again for another message later
    policy = [POLICY.search(line).groupdict() for line in before if f"{done[1]}: TLS policy for " in line]
    return done[2], done[3], policy[-1] if policy else None


# The domain; what becomes of its mail; level and verdict; a part of the reason, or of the policy's source.
CASES = [
    ("none.plain.test",          "sent",     "none",        "none",      "policy table none.plain.test"),
    ("may.plain.test",           "sent",     "may",         "Trusted",   "policy table may.plain.test"),
    ("unlisted.plain.test",      "sent",     "may",         "Trusted",   "main.cf"),
    ("encrypt.plain.test",       "sent",     "encrypt",     "Trusted",   "policy table"),
    ("tls12.plain.test",         "sent",     "encrypt",     "Trusted",   "policy table"),
    ("exclude.plain.test",       "sent",     "may",         "Trusted",   "policy table"),
    ("nocipher.plain.test",      "deferred", "encrypt",     "none",      "client TLS configuration problem"),
    ("nocommon.plain.test",      "deferred", "encrypt",     "none",      "Cannot start TLS: handshake failure: "),
    ("fpcert.plain.test",        "sent",     "fingerprint", "Verified",  "policy table"),
    ("fpkey.plain.test",         "sent",     "fingerprint", "Verified",  "policy table"),
    ("fpwrong.plain.test",       "deferred", "fingerprint", "Untrusted", "Server certificate not trusted: its fingerprint is another"),
    ("fpbad.plain.test",         "deferred", None,          None,        "client TLS configuration problem"),
    ("verify.plain.test",        "sent",     "verify",      "Verified",  "policy table"),
    ("verifyname.plain.test",    "sent",     "verify",      "Verified",  "policy table"),
    ("verifywrong.plain.test",   "deferred", "verify",      "Trusted",   "Server certificate not verified: no name of the certificate matches"),
    ("secure.plain.test",        "deferred", "secure",      "Trusted",   "Server certificate not verified"),
    ("securename.plain.test",    "sent",     "secure",      "Verified",  "policy table"),
    ("tafile.plain.test",        "sent",     "verify",      "Verified",  "policy table"),
    ("takeyfile.plain.test",     "sent",     "secure",      "Verified",  "policy table"),
    ("taother.plain.test",       "deferred", "verify",      "Untrusted", "Server certificate not trusted"),
    ("tamissing.plain.test",     "deferred", None,          None,        "client TLS configuration problem"),
    ("badlevel.plain.test",      "deferred", None,          None,        "client TLS configuration problem"),
    ("badattribute.plain.test",  "deferred", None,          None,        "client TLS configuration problem"),
    ("badprotocol.plain.test",   "deferred", None,          None,        "client TLS configuration problem"),
    ("badgrade.plain.test",      "deferred", None,          None,        "client TLS configuration problem"),
    ("x.parent.plain.test",      "sent",     "encrypt",     "Trusted",   "policy table .parent.plain.test"),
    ("child.parent.plain.test",  "sent",     "none",        "none",      "policy table child.parent.plain.test"),
    ("parent.plain.test",        "sent",     "may",         "Trusted",   "main.cf"),
    ("hop.test",                 "sent",     "verify",      "Verified",  "policy table [mx.plain.test]:"),
    # DANE: an unsigned zone, a signed one, a wrongly signed one
    ("dane.plain.test",          "sent",     "may",         "Trusted",   "no TLSA of mx.plain.test"),
    ("daneonly.plain.test",      "deferred", None,          None,        "no TLSA records found for mx.plain.test"),
    ("ok.dane.test",             "sent",     "dane",        "Verified",  "TLSA of mx-ok.dane.test"),
    ("only.dane.test",           "sent",     "dane",        "Verified",  "TLSA of mx-only.dane.test"),
    ("ta.dane.test",             "sent",     "dane",        "Verified",  "TLSA of mx-ta.dane.test"),
    ("takey.dane.test",          "sent",     "dane",        "Verified",  "TLSA of mx-takey.dane.test"),
    ("othername.dane.test",      "deferred", "dane",        "Trusted",   "Server certificate not verified: no name"),
    ("cert.dane.test",           "sent",     "dane",        "Verified",  "TLSA of mx-cert.dane.test"),
    ("wrong.dane.test",          "deferred", "dane",        "Untrusted", "no matching DANE TLSA records (TLS level dane by policy table wrong.dane.test, TLSA of mx-wrong.dane.test)"),
    ("rollover.dane.test",       "sent",     "dane",        "Verified",  "TLSA of mx-rollover.dane.test"),
    ("mixed.dane.test",          "sent",     "dane",        "Verified",  "TLSA of mx-mixed.dane.test"),
    ("usage0.dane.test",         "sent",     "encrypt",     "Trusted",   "unusable TLSA of mx-usage0.dane.test"),
    ("nodigest.dane.test",       "sent",     "encrypt",     "Trusted",   "unusable TLSA"),
    ("agile.dane.test",          "deferred", "dane",        "Untrusted", "no matching DANE TLSA records"),
    ("g-sha512first.svc.test",   "deferred", "dane",        "Untrusted", "no matching DANE TLSA records"),
    ("g-sha256first.svc.test",   "sent",     "dane",        "Verified",  "TLSA of mx-agile.dane.test"),
    ("g-sha256.svc.test",        "sent",     "dane",        "Verified",  "TLSA of mx-agile.dane.test"),
    ("island.dane.test",         "sent",     "may",         "Trusted",   "no TLSA of mx-island.plain.test"),
    ("g-island.svc.test",        "sent",     "dane",        "Verified",  "TLSA of mx-island.plain.test"),
    ("onlyusage0.dane.test",     "deferred", None,          None,        "no usable TLSA records for mx-onlyusage0.dane.test"),
    ("none.dane.test",           "sent",     "may",         "Trusted",   "no TLSA of mx-none.dane.test"),
    ("onlynone.dane.test",       "deferred", None,          None,        "no TLSA records found for mx-onlynone.dane.test"),
    ("fail.dane.test",           "deferred", None,          None,        "TLSA lookup error for mx-fail.dane.test:"),
    ("fallback.dane.test",       "sent",     "dane",        "Verified",  "TLSA of mx-ok.dane.test"),
    ("alias.dane.test",          "sent",     "dane",        "Verified",  "TLSA of mx-ok.dane.test"),
    ("halfalias.dane.test",      "sent",     "dane",        "Verified",  "TLSA of mx-half.dane.test"),
    ("any.bogus.test",           "deferred", None,          None,        "name=any.bogus.test type=MX: Host not found, try again"),
    ("insecuremx.plain.test",    "sent",     "may",         "Trusted",   "no TLSA of mx-ok.dane.test"),
    ("daneinsecure.test",        "sent",     "dane",        "Trusted",   "TLSA of mx-ok.dane.test, insecure MX"),
    ("g-encmx.svc.test",         "sent",     "encrypt",     "Trusted",   "TLSA of mx-wrong.dane.test, insecure MX"),
    # what main.cf says, without a table
    ("old-none.svc.test",        "sent",     "none",        "none",      "main.cf"),
    ("old-may.svc.test",         "sent",     "may",         "Trusted",   "main.cf"),
    ("old-encrypt.svc.test",     "sent",     "encrypt",     "Trusted",   "main.cf"),
    ("old-verify.svc.test",      "sent",     "verify",      "Verified",  "main.cf"),
    ("g-fp.svc.test",            "sent",     "fingerprint", "Verified",  "main.cf"),
    ("g-verify.svc.test",        "sent",     "verify",      "Verified",  "main.cf"),
    ("g-secure.svc.test",        "sent",     "secure",      "Verified",  "main.cf"),
    ("g-anchor.svc.test",        "deferred", "verify",      "Untrusted", "Server certificate not trusted"),
    ("g-noca.svc.test",          "deferred", "verify",      "Untrusted", "Server certificate not trusted"),
    ("g-capath.svc.test",        "sent",     "verify",      "Verified",  "main.cf"),
    ("g-may12.svc.test",         "sent",     "may",         "Trusted",   "main.cf"),
    ("g-enc13.svc.test",         "sent",     "encrypt",     "Trusted",   "main.cf"),
    ("g-maycip.svc.test",        "sent",     "may",         "Trusted",   "main.cf"),
    ("g-enccip.svc.test",        "sent",     "encrypt",     "Trusted",   "main.cf"),
    ("g-dane.svc.test",          "sent",     "may",         "Trusted",   "main.cf, no TLSA of mx.plain.test"),
    ("g-nodnssec.svc.test",      "sent",     "may",         "Trusted",   "main.cf"),
    ("g-onlyno.svc.test",        "deferred", None,          None,        "client TLS configuration problem"),
    ("wrapped.svc.test",         "sent",     "encrypt",     "Trusted",   "main.cf"),
    ("wrapmay.svc.test",         "deferred", None,          None,        "client TLS configuration problem"),
    ("clientcert.svc.test",      "sent",     "encrypt",     "Trusted",   "main.cf"),
    ("clientchain.svc.test",     "sent",     "encrypt",     "Trusted",   "main.cf"),
    # servers that do not do as they should
    ("nooffer.may.test",         "sent",     "may",         "none",      "main.cf"),
    ("refuses.may.test",         "sent",     "may",         "none",      "main.cf"),
    ("nooffer.enc.test",         "deferred", "encrypt",     "none",      "TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]"),
    ("refuses.enc.test",         "deferred", "encrypt",     "none",      "TLS is required, but host 127.0.0.1[127.0.0.1] refused to start TLS: 454 4.7.0 not today"),
    ("lmtp.test",                "sent",     "encrypt",     "Untrusted", "policy table [127.0.0.1]:"),
    ("lmtp-none.test",           "sent",     "none",        "none",      "main.cf"),
    ("early.svc.test",           "deferred", "may",         "Trusted",   "answers within TLS before it is asked"),
]


@pytest.fixture(scope="module")
def sent(suite):
    """Everything is under way before the first case is looked at."""
    send(suite, *(case[0] for case in CASES))
    return suite


@pytest.mark.parametrize("domain, status, level, tls, says", CASES, ids=[case[0] for case in CASES])
def test_each_policy_has_its_outcome_and_says_where_it_comes_from(sent, domain, status, level, tls, says):
    got, text, policy = outcome(sent, domain)
    assert got == status, text
    assert (policy and (policy["level"], policy["tls"])) == (level and (level, tls)), text
    assert says in (policy["source"] if status == "sent" else text)


@pytest.mark.parametrize("domain, protocol, cipher", [
    ("may.plain.test",     "TLSv1.3", "TLS_"),
    ("tls12.plain.test",   "TLSv1.2", "ECDHE-ECDSA-"),
    ("exclude.plain.test", "TLSv1.2", "ECDHE-ECDSA-(CHACHA20|CAMELLIA|ARIA)"),
    ("g-may12.svc.test",   "TLSv1.2", "ECDHE"),
    ("g-enc13.svc.test",   "TLSv1.3", "TLS_"),
    ("g-maycip.svc.test",  "TLSv1.2", "ECDHE-ECDSA-(?!CHACHA20|.*GCM)"),
    ("g-enccip.svc.test",  "TLSv1.2", "ECDHE-ECDSA-(?!.*GCM|.*CCM)"),
])
def test_protocols_and_ciphers_are_those_that_the_policy_leaves(sent, domain, protocol, cipher):
    _, text, policy = outcome(sent, domain)
    assert policy["protocol"] == protocol and re.match(cipher, policy["cipher"]), (policy, text)


def test_the_log_has_the_lines_that_scripts_for_postfix_know(sent):
    outcome(sent, "ok.dane.test"), outcome(sent, "tls12.plain.test")
    sent.wait_log(r"postern/smtp\[\d+\]: Verified TLS connection established to mx-ok\.dane\.test\[127\.0\.0\.1\]:\d+: "
                  r"TLSv1\.3 with cipher \S+ \(256/256 bits\)")
    sent.wait_log(r"Trusted TLS connection established to mx\.plain\.test\[127\.0\.0\.1\]:\d+: TLSv1\.2 with cipher \S+ \(")


@pytest.mark.parametrize("words", [
    r'smtp_tls_policy_maps, next-hop destination "badlevel\.plain\.test": "strong": expected none, may, ',
    r'destination "badattribute\.plain\.test": "cipher=high": expected protocols=, ',
    r"policy table badprotocol\.plain\.test, destination TLSv9: bad list of protocols",
    r"policy table badgrade\.plain\.test, destination best: TLS cipher grade",
    r"policy table tamissing\.plain\.test, .*missing\.pem: No such file",
    r"policy table fpbad\.plain\.test, .*no fingerprints to match",
    r"smtp_tls_wrappermode needs smtp_tls_security_level = encrypt",
    r"TLS level dane needs smtp_dns_support_level = dnssec .*: using may",
    r"TLS level dane-only needs smtp_dns_support_level = dnssec .*: deferring",
])
def test_a_setting_that_cannot_be_followed_is_named_in_the_log(sent, words):
    sent.wait_log(rf"warning: .*{words}", 30)


def test_names_are_sent_to_the_server_only_as_the_settings_say(sent, scripted):
    outcome(sent, "ok.dane.test")       # the receiver is another: what counts is the scripted one's record
    send(sent, "sni.svc.test", "keep.test")
    for domain in ("sni.svc.test", "keep.test"):
        assert outcome(sent, domain)[0] == "sent"
    assert {s["sni"] for s in scripted[None].sessions if s["taken"]} == {"localhost.plain.test", None}


def test_a_client_certificate_is_shown(sent, receiver):
    for domain in ("clientcert.svc.test", "clientchain.svc.test"):
        outcome(sent, domain)
    wait_until(lambda: receiver.log().count("Trusted TLS connection established from") >= 2, 10, "Postfix's log lines")


def test_an_offer_that_is_not_taken_is_noted(sent):
    send(sent, "note.svc.test")
    sent.wait_log(r"Host offered STARTTLS: \[mx\.plain\.test\]")


def test_an_encrypted_connection_carries_the_next_message_too(sent, scripted):
    send(sent, "keep.test")
    outcome(sent, "keep.test")
    before = len(scripted[None].sessions)
    count = len(sent.log_lines("to=<x@keep.test>"))
    for i in range(2):
        send(sent, "keep.test")
        assert outcome(sent, "keep.test", count + i + 1)[0] == "sent"
    assert len(scripted[None].sessions) <= before + 1, "each message had a connection of its own"


def test_a_kept_connection_is_not_shared_with_mail_of_another_tls_policy(sent, scripted):
    def delivered(level, count):
        send(sent, f"{level}.identities.test")
        assert outcome(sent, f"{level}.identities.test", count)[0] == "sent"

    for domain in ("lmtp.test", "lmtp-none.test"):      # theirs is this server too
        outcome(sent, domain)
    before = len(scripted[None].sessions)
    for level in ("encrypt", "may", "none"):        # the server is one, the next hops are three
        delivered(level, 1)
    assert [(s["tls"], s["taken"]) for s in scripted[None].sessions[before:]] == [(True, 1), (True, 1), (False, 1)]
    for level in ("none", "may", "encrypt"):        # each finds its own
        delivered(level, 2)
    assert [(s["tls"], s["taken"]) for s in scripted[None].sessions[before:]] == [(True, 2), (True, 2), (False, 2)]


def test_without_connection_reuse_the_session_is_resumed(sent, scripted):
    for i in range(2):
        send(sent, "noreuse.svc.test")
        status, _, policy = outcome(sent, "noreuse.svc.test", i + 1)
        assert (status, bool(policy["resumed"])) == ("sent", i == 1)


def test_after_a_failed_handshake_only_level_may_goes_on_in_clear_and_only_later(sent, scripted):
    send(sent, "soon.svc.test", "garbage.may.test", "garbage.enc.test")
    for domain in ("soon.svc.test", "garbage.may.test", "garbage.enc.test"):
        status, text, _ = outcome(sent, domain)
        assert status == "deferred" and text.startswith("Cannot start TLS: handshake failure: "), text
    time.sleep(1.1)         # minimal_backoff_time of `soon`
    sent.tool("postqueue", "-f")
    assert outcome(sent, "soon.svc.test", 2)[0] == "sent"
    sent.wait_log("TLS handshake failed .*, trying without TLS")
    for domain in ("garbage.may.test", "garbage.enc.test"):
        assert outcome(sent, domain, 2)[0] == "deferred"
    assert sum(s["taken"] for s in scripted["garbage"].sessions) == 1


def test_a_renewed_file_of_authorities_is_used_by_the_same_process_and_a_broken_one_is_not(sent, pki):
    def install(text):
        (sent.config / "ca.new").write_text(text)
        (sent.config / "ca.new").rename(sent.config / "ca.pem")

    def delivery(status):
        return re.search(rf"smtp\[(\d+)\]: (\w+): to=<x@g-cafile\.svc\.test>, .* status={status} ", sent.log())

    def retried(queue_id):
        sent.tool("postqueue", "-i", queue_id, check=False)     # it may have left meanwhile
        return delivery("sent")

    send(sent, "g-cafile.svc.test")
    status, text, policy = outcome(sent, "g-cafile.svc.test")
    assert (status, policy["tls"]) == ("deferred", "Untrusted"), text
    process, queue_id = delivery("deferred").groups()
    install(pki[0].file.read_text())
    assert wait_until(lambda: retried(queue_id), 20, "a delivery by the new file")[1] == process
    install("-----BEGIN CERTIFICATE-----\nbroken\n")
    sent.wait_log(rf"smtp\[{process}\]: warning: .*CA file.*: using the old version", 20)
    count = len(sent.log_lines("to=<x@g-cafile.svc.test>"))
    send(sent, "g-cafile.svc.test")
    assert outcome(sent, "g-cafile.svc.test", count + 1)[0] == "sent"
