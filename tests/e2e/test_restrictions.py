# SPDX-License-Identifier: Apache-2.0
"""Every restriction and every access(5) action shows its reply and its log line.

One suite has a service for each case, with the case's settings as overrides of master.cf; a real DNS server has the
zones that the cases speak of.
"""
import re
import socket

import pytest

from instance import free_ports, wait_until
from lines import SmtpClient
from nameserver import serve
from policy_server import PolicyServer

# ---- DNS ----

HEAD = "$TTL 60\n@ SOA ns.r.test. hostmaster.r.test. 1 60 60 60 60\n  NS ns.r.test.\n"
ZONES = {
    "r.test": HEAD + """\
@       MX 10 mx
ns      A 127.0.0.31
mx      A 127.0.0.30
good    A 127.0.0.2
liar    A 127.0.0.99
nomail  MX 0 .
aonly   A 127.0.0.33
evil    MX 10 mx.bad
mx.bad  A 127.0.0.66
ns.bad  A 127.0.0.67
empty   TXT "neither mail nor address"
own     A 127.0.0.1
backup  MX 10 mx
        MX 20 own
primary MX 10 own
        MX 20 mx
""",
    "evilns.test": HEAD.replace("NS ns.r.test.", "NS ns.bad.r.test.") + "@ A 127.0.0.33\n",
    "127.in-addr.arpa": HEAD + """\
2.0.0   PTR good.r.test.
3.0.0   PTR liar.r.test.
""",
    "bl.test": HEAD + """\
2.0.0.127       A 127.0.0.2
2.0.0.127       TXT "see http://bl.test/2"
5.0.0.127       A 127.0.0.9
bad.example     A 127.0.0.2
good.r.test     A 127.0.0.2
liar.r.test     A 127.0.0.2
bad.helo.test   A 127.0.0.2
""",
    "wl.test": HEAD + "2.0.0.127 A 127.0.5.1\ngood.r.test A 127.0.5.1\n",
}

@pytest.fixture(scope="module")
def dns(tmp_path_factory):
    """nsd with all zones; its port."""
    with serve(tmp_path_factory.mktemp("nsd"), ZONES) as port:
        yield port


# ---- the cases ----

RCPT = "alice@a.test"
PEER = r"unknown\[127\.0\.0\.9\]"
CLIENT = rf"<{PEER}>: Client host rejected"
HELO = r"<client\.test>: Helo command rejected"
SENDER = r"<ann@bad\.example>: Sender address rejected"
TO = r"<alice@a\.test>: Recipient address rejected"


def table(stage, entries):
    """The setting of a stage that looks in an inline table."""
    return {f"smtpd_{stage}_restrictions": f"check_{stage}_access inline:{{{entries}}}"}


def client(what):
    return {"smtpd_client_restrictions": what}


def sender(what):
    return {"smtpd_sender_restrictions": what}


def rcpt(what):
    return {"smtpd_recipient_restrictions": what}


def action(value, **more):
    """An access table that says this of the recipient."""
    return {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{{{{RCPT}={value}}}}}", **more}


OK = "250 2.1.5 Ok"

# name: (settings, what the client says or None, the last reply, what it logs: "VERB: STATE from", or None)
CASES = {
    # constant answers
    "permit": (rcpt("permit, reject"), {}, OK, None),
    "reject": (rcpt("reject"), {}, rf"554 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "reject the client": (client("reject"), {}, rf"554 5\.7\.1 {CLIENT}: Access denied", "reject: RCPT"),
    "reject the helo": ({"smtpd_helo_restrictions": "reject"}, {}, rf"554 5\.7\.1 {HELO}: Access denied", "reject: RCPT"),
    "reject_code": (rcpt("reject") | {"reject_code": "550"}, {}, rf"550 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "reject at data": ({"smtpd_data_restrictions": "reject"}, {"upto": "data"},
                       r"554 5\.7\.1 <DATA>: Data command rejected: Access denied", "reject: DATA"),
    "reject at end of data": ({"smtpd_end_of_data_restrictions": "reject"}, {"upto": "end"},
                              r"554 5\.7\.1 <END-OF-MESSAGE>: End-of-data rejected: Access denied",
                              "reject: END-OF-MESSAGE"),
    "defer": (rcpt("defer"), {}, rf"450 4\.3\.2 {TO}: Try again later", "reject: RCPT"),
    "defer_if_permit": (rcpt("defer_if_permit, permit"), {}, rf"450 4\.7\.0 {TO}: defer_if_permit requested",
                        "reject: RCPT"),
    "defer_if_permit of the client": (client("defer_if_permit"), {}, rf"450 4\.7\.0 {CLIENT}: defer_if_permit requested",
                                      "reject: RCPT"),
    "defer_if_permit, then reject": (rcpt("defer_if_permit, reject"), {}, rf"554 5\.7\.1 {TO}: Access denied",
                                     "reject: RCPT"),
    "defer_if_reject": (rcpt("defer_if_reject, reject"), {}, rf"450 4\.7\.0 {TO}: defer_if_reject requested",
                        "reject: RCPT"),
    "defer_if_reject, then nothing": (rcpt("defer_if_reject"), {}, OK, None),
    "warn_if_reject": (rcpt("warn_if_reject reject, permit"), {}, OK,
                       rf"reject_warning: RCPT from {PEER}: 554 5\.7\.1 {TO}: Access denied"),
    "warn_if_reject warns of one": (rcpt("warn_if_reject reject_non_fqdn_sender, reject"), {},
                                    rf"554 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "sleep": (rcpt("sleep 1, reject"), {}, rf"554 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "soft_bounce": (rcpt("reject") | {"soft_bounce": "yes"}, {}, rf"454 4\.7\.1 {TO}: Access denied", "reject: RCPT"),
    # the client
    "permit_mynetworks": (rcpt("permit_mynetworks, reject"), {"source": "127.0.0.1"}, OK, None),
    "permit_mynetworks of a stranger": (rcpt("permit_mynetworks, reject"), {}, rf"554 5\.7\.1 {TO}: Access denied",
                                        "reject: RCPT"),
    "permit_inet_interfaces": (rcpt("permit_inet_interfaces, reject"), {"source": "127.0.0.1"}, OK, None),
    "permit_sasl_authenticated": (rcpt("permit_sasl_authenticated, reject"), {}, rf"554 5\.7\.1 {TO}: Access denied",
                                  "reject: RCPT"),
    "reject_unknown_client_hostname": (client("reject_unknown_client_hostname"), {"source": "127.0.0.3"},
                                       r"450 4\.7\.1 Client host rejected: cannot find your hostname, \[127\.0\.0\.3\]",
                                       "reject: RCPT"),
    "reject_unknown_client": (client("reject_unknown_client"), {},
                              r"450 4\.7\.1 Client host rejected: cannot find your hostname, \[127\.0\.0\.9\]",
                              "reject: RCPT"),
    "reject_unknown_client_hostname of a known one": (client("reject_unknown_client_hostname"), {"source": "127.0.0.2"},
                                                      OK, None),
    "reject_unknown_reverse_client_hostname": (
        client("reject_unknown_reverse_client_hostname"), {},
        r"450 4\.7\.1 Client host rejected: cannot find your reverse hostname, \[127\.0\.0\.9\]", "reject: RCPT"),
    "reject_unknown_reverse_client_hostname of a liar": (client("reject_unknown_reverse_client_hostname"),
                                                         {"source": "127.0.0.3"}, OK, None),
    "reject_plaintext_session": (client("reject_plaintext_session"), {},
                                 rf"450 4\.7\.1 {CLIENT}: Session encryption is required", "reject: RCPT"),
    "reject_unauth_pipelining": ({"smtpd_data_restrictions": "reject_unauth_pipelining"}, {"upto": "data", "hasty": True},
                                 r"503 5\.5\.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining",
                                 "reject: DATA"),
    "multi_recipient_bounce_reject_code": (
        {"smtpd_data_restrictions": "reject_multi_recipient_bounce", "multi_recipient_bounce_reject_code": "551"},
        {"sender": "", "rcpts": (RCPT, "bob@a.test"), "upto": "data"},
        r"551 5\.5\.3 <DATA>: Data command rejected: Multi-recipient bounce", "reject: DATA"),
    "reject_multi_recipient_bounce": ({"smtpd_data_restrictions": "reject_multi_recipient_bounce"},
                                      {"sender": "", "rcpts": (RCPT, "bob@a.test"), "upto": "data"},
                                      r"550 5\.5\.3 <DATA>: Data command rejected: Multi-recipient bounce",
                                      "reject: DATA"),
    # HELO
    "reject_invalid_helo_hostname": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname"}, {"helo": "bad_^.test"},
                                     r"501 5\.5\.2 <bad_\^\.test>: Helo command rejected: Invalid name", "reject: RCPT"),
    "reject_non_fqdn_helo_hostname": ({"smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname"}, {"helo": "short"},
                                      r"504 5\.5\.2 <short>: Helo command rejected: need fully-qualified hostname",
                                      "reject: RCPT"),
    "reject_unknown_helo_hostname": ({"smtpd_helo_restrictions": "reject_unknown_helo_hostname"}, {"helo": "no.r.test"},
                                     r"450 4\.7\.1 <no\.r\.test>: Helo command rejected: Host not found", "reject: RCPT"),
    "reject_unknown_helo_hostname of a known one": ({"smtpd_helo_restrictions": "reject_unknown_helo_hostname"},
                                                    {"helo": "good.r.test"}, OK, None),
    # addresses
    "reject_unauth_destination": (rcpt("reject_unauth_destination"), {"rcpts": ("x@r.test",)},
                                  r"554 5\.7\.1 <x@r\.test>: Relay access denied", "reject: RCPT"),
    "defer_unauth_destination": (rcpt("defer_unauth_destination"), {"rcpts": ("x@r.test",)},
                                 r"454 4\.7\.1 <x@r\.test>: Relay access denied", "reject: RCPT"),
    "permit_auth_destination": (rcpt("permit_auth_destination, reject"), {}, OK, None),
    "reject_non_fqdn_sender": (sender("reject_non_fqdn_sender") | {"append_dot_mydomain": "no"}, {"sender": "ann@short"},
                               r"504 5\.5\.2 <ann@short>: Sender address rejected: need fully-qualified address",
                               "reject: RCPT"),
    "reject_non_fqdn_recipient": (rcpt("reject_non_fqdn_recipient"), {"rcpts": ("x@short",)},
                                  r"504 5\.5\.2 <x@short>: Recipient address rejected: need fully-qualified address",
                                  "reject: RCPT"),
    "reject_unknown_sender_domain": (sender("reject_unknown_sender_domain"), {"sender": "ann@no.r.test"},
                                     r"450 4\.1\.8 <ann@no\.r\.test>: Sender address rejected: Domain not found",
                                     "reject: RCPT"),
    "unknown_address_reject_code": (sender("reject_unknown_sender_domain") | {"unknown_address_reject_code": "550"},
                                    {"sender": "ann@empty.r.test"},
                                    r"550 5\.1\.8 <ann@empty\.r\.test>: Sender address rejected: Domain not found",
                                    "reject: RCPT"),
    "reject_unknown_sender_domain without an answer": (
        sender("reject_unknown_sender_domain"), {"sender": "ann@unserved.example"},
        r"450 4\.1\.8 <ann@unserved\.example>: Sender address rejected: Domain not found", "reject: RCPT"),
    "reject_unknown_sender_domain without an answer, and another refuses": (
        sender("reject_unknown_sender_domain, reject"), {"sender": "ann@unserved.example"},
        r"554 5\.7\.1 <ann@unserved\.example>: Sender address rejected: Access denied", "reject: RCPT"),
    "unknown_address_tempfail_action": (
        sender("reject_unknown_sender_domain, reject") | {"unknown_address_tempfail_action": "defer"},
        {"sender": "ann@unserved.example"},
        r"450 4\.1\.8 <ann@unserved\.example>: Sender address rejected: Domain not found", "reject: RCPT"),
    "unknown_helo_hostname_tempfail_action": (
        {"smtpd_helo_restrictions": "reject_unknown_helo_hostname, reject",
         "unknown_helo_hostname_tempfail_action": "defer"}, {"helo": "unserved.example"},
        r"450 4\.7\.1 <unserved\.example>: Helo command rejected: Host not found", "reject: RCPT"),
    "smtpd_relay_before_recipient_restrictions": (
        rcpt("reject") | {"smtpd_relay_restrictions": "defer_unauth_destination",
                          "smtpd_relay_before_recipient_restrictions": "no"}, {"rcpts": ("x@r.test",)},
        r"554 5\.7\.1 <x@r\.test>: Recipient address rejected: Access denied", "reject: RCPT"),
    "reject_unknown_sender_domain of a known one": (sender("reject_unknown_sender_domain"), {"sender": "ann@aonly.r.test"},
                                                    OK, None),
    "a sender domain with a null MX": (
        sender("reject_unknown_sender_domain"), {"sender": "ann@nomail.r.test"},
        r"550 5\.7\.27 <ann@nomail\.r\.test>: Sender address rejected: Domain nomail\.r\.test does not accept mail "
        r"\(nullMX\)", "reject: RCPT"),
    "reject_unknown_recipient_domain": (rcpt("reject_unknown_recipient_domain"), {"rcpts": ("x@no.r.test",)},
                                        r"450 4\.1\.2 <x@no\.r\.test>: Recipient address rejected: Domain not found",
                                        "reject: RCPT"),
    "a recipient domain with a null MX": (
        rcpt("reject_unknown_recipient_domain"), {"rcpts": ("x@nomail.r.test",)},
        r"556 5\.1\.10 <x@nomail\.r\.test>: Recipient address rejected: Domain nomail\.r\.test does not accept mail "
        r"\(nullMX\)", "reject: RCPT"),
    "reject_unlisted_sender": (sender("reject_unlisted_sender"), {"sender": "nobody@a.test"},
                               r"550 5\.1\.0 <nobody@a\.test>: Sender address rejected: User unknown in virtual mailbox "
                               r"table", "reject: RCPT"),
    "smtpd_reject_unlisted_sender": ({"smtpd_reject_unlisted_sender": "yes"}, {"sender": "nobody@a.test"},
                                     r"550 5\.1\.0 <nobody@a\.test>: Sender address rejected: User unknown",
                                     "reject: RCPT"),
    "reject_unlisted_recipient": (rcpt("reject_unlisted_recipient"), {"rcpts": ("nobody@a.test",)},
                                  r"550 5\.1\.1 <nobody@a\.test>: Recipient address rejected: User unknown in virtual "
                                  r"mailbox table", "reject: RCPT"),
    "unknown_virtual_mailbox_reject_code": (
        {"unknown_virtual_mailbox_reject_code": "450"}, {"rcpts": ("nobody@a.test",)},
        r"450 4\.1\.1 <nobody@a\.test>: Recipient address rejected: User unknown", "reject: RCPT"),
    "permit_mx_backup": (rcpt("permit_mx_backup, reject"), {"rcpts": ("x@backup.r.test",)}, OK, None),
    "permit_mx_backup of a domain we are primary for": (
        rcpt("permit_mx_backup, reject"), {"rcpts": ("x@primary.r.test",)},
        r"554 5\.7\.1 <x@primary\.r\.test>: Recipient address rejected: Access denied", "reject: RCPT"),
    "permit_mx_backup of another's domain": (
        rcpt("permit_mx_backup, reject"), {"rcpts": ("x@evil.r.test",)},
        r"554 5\.7\.1 <x@evil\.r\.test>: Recipient address rejected: Access denied", "reject: RCPT"),
    "permit_mx_backup without an answer": (
        rcpt("permit_mx_backup") | {"smtpd_relay_restrictions": "permit_mx_backup, permit, reject"},
        {"rcpts": ("x@unserved.example",)},
        r"450 4\.4\.4 <x@unserved\.example>: Recipient address rejected: Unable to look up mail exchanger information",
        "reject: RCPT"),
    "permit_mx_backup_networks": (
        rcpt("permit_mx_backup, reject") | {"permit_mx_backup_networks": "127.0.0.30"}, {"rcpts": ("x@backup.r.test",)},
        OK, None),
    "permit_mx_backup_networks of others": (
        rcpt("permit_mx_backup, reject") | {"permit_mx_backup_networks": "192.0.2.0/24"},
        {"rcpts": ("x@backup.r.test",)},
        r"554 5\.7\.1 <x@backup\.r\.test>: Recipient address rejected: Access denied", "reject: RCPT"),
    # ETRN
    "ETRN": ({"fast_flush_domains": "slow.test"}, {"upto": "etrn"}, r"250 2\.0\.0 Queuing started", None),
    "ETRN of a domain that is not served": ({"fast_flush_domains": "other.test"}, {"upto": "etrn"},
                                            r"459 4\.7\.1 <slow\.test>: service unavailable", "reject: ETRN"),
    "smtpd_etrn_restrictions": (
        {"fast_flush_domains": "slow.test", "smtpd_etrn_restrictions": "permit_mynetworks, reject"}, {"upto": "etrn"},
        r"554 5\.7\.1 <slow\.test>: Etrn command rejected: Access denied", "reject: ETRN"),
    "check_etrn_access": (
        {"fast_flush_domains": "slow.test", "smtpd_etrn_restrictions": "check_etrn_access inline:{slow.test=DEFER}"},
        {"upto": "etrn"}, r"450 4\.7\.1 <slow\.test>: Etrn command rejected: Access denied", "reject: ETRN"),
    "a client that may not use ETRN": (client("reject") | {"fast_flush_domains": "slow.test"}, {"upto": "etrn"},
                                       rf"554 5\.7\.1 {CLIENT}: Access denied", "reject: ETRN"),
    # sign-in names
    "reject_sender_login_mismatch": (
        sender("reject_sender_login_mismatch") | {"smtpd_sender_login_maps": "inline:{ann@bad.example=ann}"}, {},
        rf"553 5\.7\.1 {SENDER}: not logged in", "reject: RCPT"),
    "reject_unauthenticated_sender_login_mismatch": (
        sender("reject_unauthenticated_sender_login_mismatch") | {"smtpd_sender_login_maps": "inline:{@bad.example=ann}"},
        {}, rf"553 5\.7\.1 {SENDER}: not logged in", "reject: RCPT"),
    "reject_sender_login_mismatch of another": (
        sender("reject_sender_login_mismatch") | {"smtpd_sender_login_maps": "inline:{bob@bad.example=bob}"}, {}, OK, None),
    "reject_authenticated_sender_login_mismatch": (
        sender("reject_authenticated_sender_login_mismatch") | {"smtpd_sender_login_maps": "inline:{ann@bad.example=ann}"},
        {"login": True}, rf"553 5\.7\.1 {SENDER}: not owned by user alice@a\.test", "reject: RCPT"),
    "reject_known_sender_login_mismatch": (
        sender("reject_known_sender_login_mismatch") | {"smtpd_sender_login_maps": "inline:{ann@bad.example=ann}"},
        {"login": True}, rf"553 5\.7\.1 {SENDER}: not owned by user alice@a\.test", "reject: RCPT"),
    "the owner may use his address": (
        sender("reject_sender_login_mismatch") | {"smtpd_sender_login_maps": "inline:{{ann@bad.example=ann alice@a.test}}"},
        {"login": True}, OK, None),
    # access tables: where they look
    "check_client_access by address": (table("client", "127.0.0.9=REJECT"), {}, rf"554 5\.7\.1 {CLIENT}: Access denied",
                                       "reject: RCPT"),
    "check_client_access by network": (table("client", "127.0.0=REJECT"), {}, rf"554 5\.7\.1 {CLIENT}: Access denied",
                                       "reject: RCPT"),
    "check_client_access by domain": (table("client", "r.test=REJECT"), {"source": "127.0.0.2"},
                                      r"554 5\.7\.1 <good\.r\.test\[127\.0\.0\.2\]>: Client host rejected: Access denied",
                                      "reject: RCPT"),
    "check_client_access without parents": (
        table("client", ".r.test=REJECT") | {"parent_domain_matches_subdomains": ""}, {"source": "127.0.0.2"},
        r"554 5\.7\.1 <good\.r\.test\[127\.0\.0\.2\]>: Client host rejected: Access denied", "reject: RCPT"),
    "a table without a name in front": (client("inline:{127.0.0.9=REJECT}"), {}, rf"554 5\.7\.1 {CLIENT}: Access denied",
                                        "reject: RCPT"),
    "check_reverse_client_hostname_access": (
        client("check_reverse_client_hostname_access inline:{liar.r.test=REJECT}"), {"source": "127.0.0.3"},
        r"554 5\.7\.1 <liar\.r\.test>: Unverified Client host rejected: Access denied", "reject: RCPT"),
    "check_helo_access": (table("helo", "test=REJECT"), {}, rf"554 5\.7\.1 {HELO}: Access denied", "reject: RCPT"),
    "check_sender_access by address": (table("sender", "ann@bad.example=REJECT"), {},
                                       rf"554 5\.7\.1 {SENDER}: Access denied", "reject: RCPT"),
    "check_sender_access by domain": (table("sender", "example=REJECT"), {}, rf"554 5\.7\.1 {SENDER}: Access denied",
                                      "reject: RCPT"),
    "check_sender_access by user": (table("sender", "ann@=REJECT"), {}, rf"554 5\.7\.1 {SENDER}: Access denied",
                                    "reject: RCPT"),
    "check_sender_access of the null sender": (table("sender", "<>=REJECT"), {"sender": ""},
                                               r"554 5\.7\.1 <>: Sender address rejected: Access denied", "reject: RCPT"),
    "the first hit decides": (table("sender", "ann@bad.example=DUNNO, bad.example=REJECT"), {}, OK, None),
    "check_sasl_access": (client("check_sasl_access inline:{alice@a.test=REJECT}"), {"login": True},
                          r"554 5\.7\.1 <alice@a\.test>: SASL login name rejected: Access denied", "reject: RCPT"),
    # their servers
    "check_client_a_access": (client("check_client_a_access inline:{127.0.0.2=REJECT}"), {"source": "127.0.0.2"},
                              r"554 5\.7\.1 <good\.r\.test\[127\.0\.0\.2\]>: Client host rejected: Access denied",
                              "reject: RCPT"),
    "check_reverse_client_hostname_a_access": (
        client("check_reverse_client_hostname_a_access inline:{127.0.0.99=REJECT}"), {"source": "127.0.0.3"},
        r"554 5\.7\.1 <liar\.r\.test>: Unverified Client host rejected: Access denied", "reject: RCPT"),
    "check_helo_a_access": ({"smtpd_helo_restrictions": "check_helo_a_access inline:{127.0.0.33=REJECT}"},
                            {"helo": "aonly.r.test"}, r"554 5\.7\.1 <aonly\.r\.test>: Helo command rejected: Access denied",
                            "reject: RCPT"),
    "check_helo_mx_access": ({"smtpd_helo_restrictions": "check_helo_mx_access inline:{bad.r.test=REJECT}"},
                             {"helo": "evil.r.test"}, r"554 5\.7\.1 <evil\.r\.test>: Helo command rejected: Access denied",
                             "reject: RCPT"),
    "check_helo_ns_access": ({"smtpd_helo_restrictions": "check_helo_ns_access inline:{127.0.0.67=REJECT}"},
                             {"helo": "mail.evilns.test"},
                             r"554 5\.7\.1 <mail\.evilns\.test>: Helo command rejected: Access denied", "reject: RCPT"),
    "check_sender_a_access": (sender("check_sender_a_access inline:{127.0.0.33=REJECT}"), {"sender": "a@aonly.r.test"},
                              r"554 5\.7\.1 <a@aonly\.r\.test>: Sender address rejected: Access denied", "reject: RCPT"),
    "check_sender_mx_access": (sender("check_sender_mx_access inline:{127.0.0.66=REJECT}"), {"sender": "a@evil.r.test"},
                               r"554 5\.7\.1 <a@evil\.r\.test>: Sender address rejected: Access denied", "reject: RCPT"),
    "check_sender_ns_access": (sender("check_sender_ns_access inline:{ns.bad.r.test=REJECT}"), {"sender": "a@evilns.test"},
                               r"554 5\.7\.1 <a@evilns\.test>: Sender address rejected: Access denied", "reject: RCPT"),
    "check_sender_mx_access does not permit": (
        sender("check_sender_mx_access inline:{127.0.0.66=OK}, reject"), {"sender": "a@evil.r.test"},
        r"554 5\.7\.1 <a@evil\.r\.test>: Sender address rejected: Access denied", "reject: RCPT"),
    "check_recipient_mx_access": (rcpt("check_recipient_mx_access inline:{127.0.0.66=REJECT}"),
                                  {"rcpts": ("x@evil.r.test",)},
                                  r"554 5\.7\.1 <x@evil\.r\.test>: Recipient address rejected: Access denied",
                                  "reject: RCPT"),
    "check_recipient_a_access": (rcpt("check_recipient_a_access inline:{127.0.0.33=REJECT}"),
                                 {"rcpts": ("x@aonly.r.test",)},
                                 r"554 5\.7\.1 <x@aonly\.r\.test>: Recipient address rejected: Access denied",
                                 "reject: RCPT"),
    "check_recipient_ns_access": (rcpt("check_recipient_ns_access inline:{127.0.0.67=REJECT}"),
                                  {"rcpts": ("x@evilns.test",)},
                                  r"554 5\.7\.1 <x@evilns\.test>: Recipient address rejected: Access denied",
                                  "reject: RCPT"),
    "check_client_mx_access": (client("check_client_mx_access inline:{127.0.0.2=REJECT}"), {"source": "127.0.0.2"},
                               r"554 5\.7\.1 <good\.r\.test\[127\.0\.0\.2\]>: Client host rejected: Access denied",
                               "reject: RCPT"),
    "check_client_ns_access": (client("check_client_ns_access inline:{ns.r.test=REJECT}"), {"source": "127.0.0.2"},
                               r"554 5\.7\.1 <good\.r\.test\[127\.0\.0\.2\]>: Client host rejected: Access denied",
                               "reject: RCPT"),
    "check_reverse_client_hostname_mx_access": (
        client("check_reverse_client_hostname_mx_access inline:{127.0.0.99=REJECT}"), {"source": "127.0.0.3"},
        r"554 5\.7\.1 <liar\.r\.test>: Unverified Client host rejected: Access denied", "reject: RCPT"),
    "check_reverse_client_hostname_ns_access": (
        client("check_reverse_client_hostname_ns_access inline:{ns.r.test=REJECT}"), {"source": "127.0.0.3"},
        r"554 5\.7\.1 <liar\.r\.test>: Unverified Client host rejected: Access denied", "reject: RCPT"),
    # DNS lists
    "reject_rbl_client": (
        client("reject_rbl_client bl.test"), {"source": "127.0.0.2"},
        r"554 5\.7\.1 Service unavailable; Client host \[127\.0\.0\.2\] blocked using bl\.test; see http://bl\.test/2",
        "reject: RCPT"),
    "reject_rbl_client of others": (client("reject_rbl_client bl.test"), {}, OK, None),
    "reject_rbl_client with a filter that matches": (
        client("reject_rbl_client bl.test=127.0.0.[1;4..11]"), {"source": "127.0.0.5"},
        r"554 5\.7\.1 Service unavailable; Client host \[127\.0\.0\.5\] blocked using bl\.test", "reject: RCPT"),
    "reject_rbl_client with a filter that does not": (client("reject_rbl_client bl.test=127.0.0.[4..11]"),
                                                      {"source": "127.0.0.2"}, OK, None),
    "reject_rbl_client of a list that does not answer": (client("reject_rbl_client bl.unserved.example"), {}, OK,
                                                         r"warning: 9\.0\.0\.127\.bl\.unserved\.example: RBL lookup error"),
    "rbl_reply_maps": (client("reject_rbl_client bl.test") |
                       {"rbl_reply_maps": "inline:{{bl.test = 550 go away, $$client_address; $${rbl_txt?why: $$rbl_txt}}}"},
                       {"source": "127.0.0.2"}, r"550 5\.7\.1 go away, 127\.0\.0\.2; why: see http://bl\.test/2",
                       "reject: RCPT"),
    "reject_rhsbl_client": (client("reject_rhsbl_client bl.test"), {"source": "127.0.0.2"},
                            r"554 5\.7\.1 Service unavailable; Client host \[good\.r\.test\] blocked using bl\.test",
                            "reject: RCPT"),
    "reject_rhsbl_reverse_client": (
        client("reject_rhsbl_reverse_client bl.test"), {"source": "127.0.0.3"},
        r"554 5\.7\.1 Service unavailable; Unverified Client host \[liar\.r\.test\] blocked using bl\.test",
        "reject: RCPT"),
    "reject_rhsbl_helo": ({"smtpd_helo_restrictions": "reject_rhsbl_helo bl.test"}, {"helo": "bad.helo.test"},
                          r"554 5\.7\.1 Service unavailable; Helo command \[bad\.helo\.test\] blocked using bl\.test",
                          "reject: RCPT"),
    "reject_rhsbl_sender": (sender("reject_rhsbl_sender bl.test"), {},
                            r"554 5\.7\.1 Service unavailable; Sender address \[ann@bad\.example\] blocked using bl\.test",
                            "reject: RCPT"),
    "reject_rhsbl_recipient": (
        rcpt("reject_rhsbl_recipient bl.test"), {"rcpts": ("x@bad.example",)},
        r"554 5\.7\.1 Service unavailable; Recipient address \[x@bad\.example\] blocked using bl\.test", "reject: RCPT"),
    "permit_dnswl_client": (client("permit_dnswl_client wl.test=127.0.[0..255].[1..3], reject"), {"source": "127.0.0.2"},
                            OK, None),
    "permit_dnswl_client of others": (client("permit_dnswl_client wl.test, reject"), {},
                                      rf"554 5\.7\.1 {CLIENT}: Access denied", "reject: RCPT"),
    "permit_dnswl_client is no leave to relay": (rcpt("permit_dnswl_client wl.test, reject"),
                                                 {"source": "127.0.0.2", "rcpts": ("x@r.test",)},
                                                 r"554 5\.7\.1 <x@r\.test>: Recipient address rejected: Access denied",
                                                 "reject: RCPT"),
    "permit_dnswl_client without an answer": (client("permit_dnswl_client wl.unserved.example, reject"), {},
                                              rf"450 4\.7\.1 {CLIENT}: Try again later", "reject: RCPT"),
    "permit_rhswl_client": (client("permit_rhswl_client wl.test, reject"), {"source": "127.0.0.2"}, OK, None),
    # access(5) actions
    "OK": (action("OK"), {}, OK, None),
    "a number": (action("1234"), {}, OK, None),
    "DUNNO": (action("DUNNO"), {}, OK, None),
    "REJECT with a text": (action("REJECT not you"), {}, rf"554 5\.7\.1 {TO}: not you", "reject: RCPT"),
    "REJECT with a code": (action("REJECT 5.7.7 not you"), {}, rf"554 5\.7\.7 {TO}: not you", "reject: RCPT"),
    "access_map_reject_code": (action("REJECT", access_map_reject_code="550"), {}, rf"550 5\.7\.1 {TO}: Access denied",
                               "reject: RCPT"),
    "4NN": (action("451 4.7.9 later"), {}, rf"451 4\.7\.9 {TO}: later", "reject: RCPT"),
    "5NN": (action("550"), {}, rf"550 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "421": (action("421 4.7.0 bye"), {"closed": True}, rf"421 4\.7\.0 {TO}: bye", "reject: RCPT"),
    "DEFER": (action("DEFER"), {}, rf"450 4\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "DEFER_IF_PERMIT": (action("DEFER_IF_PERMIT"), {}, rf"450 4\.7\.1 {TO}: Service unavailable", "reject: RCPT"),
    "DEFER_IF_REJECT": (table("client", "127.0.0.9=DEFER_IF_REJECT") | client("check_client_access "
                        "inline:{{127.0.0.9=DEFER_IF_REJECT slow}}, reject"), {}, rf"450 4\.7\.1 {CLIENT}: slow",
                        "reject: RCPT"),
    "WARN": (action("WARN look here"), {}, OK, rf"NOQUEUE: warn: RCPT from {PEER}: look here; from=<ann@bad\.example> "
             r"to=<alice@a\.test> proto=ESMTP helo=<client\.test>"),
    "INFO": (action("INFO by the way"), {}, OK, rf"NOQUEUE: info: RCPT from {PEER}: by the way;"),
    "restrictions in a table": (action("permit_mynetworks, reject"), {}, rf"554 5\.7\.1 {TO}: Access denied",
                                "reject: RCPT"),
    "a mis-spelt action": (action("REJCT"), {}, r"451 4\.3\.5 <alice@a\.test>: Server configuration error",
                           r"warning: access table inline:.*: unknown restriction \"REJCT\"; the nearest known one is"),
    "a table that fails": (rcpt("check_recipient_access fail:x"), {}, r"451 4\.3\.0 <alice@a\.test>: Temporary lookup "
                           r"failure", "reject: RCPT"),
    "a restriction class": (rcpt("strict") | {"smtpd_restriction_classes": "strict lenient", "lenient": "permit",
                                              "strict": "permit_mynetworks, reject"}, {},
                            rf"554 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "a restriction class from a table": (action("strict") | {"smtpd_restriction_classes": "strict", "strict": "reject"},
                                         {}, rf"554 5\.7\.1 {TO}: Access denied", "reject: RCPT"),
    "a restriction class that names itself": (
        rcpt("circle") | {"smtpd_restriction_classes": "circle", "circle": "circle"}, {},
        r"451 4\.3\.5 <alice@a\.test>: Server configuration error", r"warning: restrictions nest deeper than 10"),
    # replies
    "smtpd_reject_footer": (rcpt("reject") | {"smtpd_reject_footer": r"\c. Call $server_name\nabout $client_address"}, {},
                            rf"554-5\.7\.1 {TO}: Access denied\. Call mx\.a\.test\n554 5\.7\.1 about 127\.0\.0\.9",
                            "reject: RCPT"),
    # smtpd_delay_reject
    "the client at once": (client("reject") | {"smtpd_delay_reject": "no"}, {"upto": "connect"},
                           rf"554 5\.7\.1 {CLIENT}: Access denied", "reject: CONNECT"),
    "HELO at once": ({"smtpd_helo_restrictions": "reject", "smtpd_delay_reject": "no"}, {"upto": "helo"},
                     rf"554 5\.7\.1 {HELO}: Access denied", "reject: EHLO"),
    "the sender at once": (sender("reject") | {"smtpd_delay_reject": "no"}, {"upto": "mail"},
                           rf"554 5\.7\.1 {SENDER}: Access denied", "reject: MAIL"),
}

# The same for what becomes of the message: its log line at RCPT
ACTIONS = {
    "HOLD": ("HOLD", r"hold: RCPT from {peer}: <alice@a\.test>: Recipient address triggers HOLD action;"),
    "DISCARD": ("DISCARD", r"discard: RCPT from {peer}: <alice@a\.test>: Recipient address triggers DISCARD action;"),
    "FILTER": ("FILTER discard:silently",
               r"filter: RCPT from {peer}: <alice@a\.test>: Recipient address triggers FILTER discard:silently;"),
    "REDIRECT": ("REDIRECT bob@a.test",
                 r"redirect: RCPT from {peer}: <alice@a\.test>: Recipient address triggers REDIRECT bob@a\.test;"),
    "BCC": ("BCC bob@a.test", r"bcc: RCPT from {peer}: <alice@a\.test>: Recipient address triggers BCC bob@a\.test;"),
    "PREPEND": ("PREPEND X-Seen: yes",
                r"prepend: RCPT from {peer}: <alice@a\.test>: Recipient address triggers PREPEND X-Seen: yes;"),
}
CASES |= {name: (action(value), None, None, None) for name, (value, _) in ACTIONS.items()}


# Parameters that change replies. One service has them all, and a table that says which restriction a recipient asks for.
# parameter: (value, restriction or None, what the client says, the reply)
CHANGED = {
    "defer_code": ("456", "permit_mynetworks, defer", {}, r"456 4\.3\.2 "),
    "access_map_defer_code": ("455", "DEFER", {}, r"455 4\.7\.1 "),
    "invalid_hostname_reject_code": ("555", "reject_invalid_helo_hostname", {"helo": "bad_^.test"}, r"555 5\.5\.2 .*Invalid name"),
    "non_fqdn_reject_code": ("556", "reject_non_fqdn_sender", {"sender": "ann@short"}, r"556 5\.5\.2 .*need fully-qualified"),
    "plaintext_reject_code": ("457", "reject_plaintext_session", {}, r"457 4\.7\.1 .*encryption is required"),
    "unknown_client_reject_code": ("557", "reject_unknown_client_hostname", {"source": "127.0.0.3"}, r"557 5\.7\.1 .*find your hostname"),
    "unknown_hostname_reject_code": ("558", "reject_unknown_helo_hostname", {"helo": "no.r.test"}, r"558 5\.7\.1 .*Host not found"),
    "maps_rbl_reject_code": ("559", "reject_rbl_client bl.test", {"source": "127.0.0.2"}, r"559 5\.7\.1 "),
    "default_rbl_reply": ("$rbl_code 5.7.1 $rbl_what is on $rbl_domain", "reject_rbl_client bl.test", {"source": "127.0.0.2"},
                          r"559 5\.7\.1 127\.0\.0\.2 is on bl\.test$"),
    "smtpd_null_access_lookup_key": ("nobody", "reject_unauth_destination", {"sender": ""}, r"554 5\.7\.1 <>: .*it is nobody"),
    "relay_domains_reject_code": ("552", None, {"rcpts": ("x@elsewhere.test",)}, r"552 5\.7\.1 .*Relay access denied"),
    "unknown_local_recipient_reject_code": ("450", None, {"rcpts": ("x@local.test",)}, r"450 4\.1\.1 .*in local recipient table"),
    "unknown_relay_recipient_reject_code": ("451", None, {"rcpts": ("x@relay.test",)}, r"451 4\.1\.1 .*in relay recipient table"),
    "unknown_virtual_alias_reject_code": ("452", None, {"rcpts": ("x@alias.test",)}, r"452 4\.1\.1 .*in virtual alias table"),
    "reject_tempfail_action": ("defer", "reject_unknown_sender_domain, reject", {"sender": "ann@unserved.example"},
                               r"450 4\.1\.8 .*Domain not found"),
}
ASKS = ", ".join(f"{{{name}@a.test={what}}}" for name, (_, what, _, _) in CHANGED.items() if what)
CASES["changed replies"] = (
    {name: value for name, (value, *_) in CHANGED.items()} |
    {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{{ASKS}}}, reject_unauth_destination",
     "smtpd_sender_restrictions": "check_sender_access inline:{{nobody=REJECT it is nobody}}",
     "mydestination": "local.test", "local_recipient_maps": "inline:{a=b}", "virtual_alias_domains": "alias.test",
     "relay_domains": "relay.test", "relay_recipient_maps": "inline:{a@relay.test=b}"}, None, None, None)


MESSAGE = "From: ann@bad.example\r\nMessage-ID: <{id}@bad.example>\r\nSubject: x\r\n\r\nbody\r\n."


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    server = PolicyServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def unix_policy(workdir):
    """Where only root may go: smtpd reaches it by what it has seen at its start."""
    directory = workdir / "policy"
    directory.mkdir(mode=0o700)
    server = PolicyServer(directory / "socket")
    yield server
    server.close()


@pytest.fixture(scope="module")
def suite(make_instance, dns, policy, unix_policy):
    """A running suite; .ports has the port of the service of each case."""
    cases = {**CASES, "policy": (rcpt("check_policy_service { %s, timeout=2s, policy_context=ctx }" % policy.endpoint),),
             "policy on a Unix socket": (rcpt("check_policy_service " + unix_policy.endpoint),),
             "policy that is down": (rcpt("check_policy_service { inet:127.0.0.1:1, try_limit=1 }"),),
             "policy by parameters": (rcpt("check_policy_service " + policy.endpoint) |
                                      {"smtpd_policy_service_policy_context": "of all", "smtpd_policy_service_request_limit": "1"},),
             "policy that is down, by parameters": (
                 rcpt("check_policy_service inet:127.0.0.1:1") |
                 {"smtpd_policy_service_try_limit": "1", "smtpd_policy_service_default_action": "DEFER nobody there",
                  "smtpd_policy_service_retry_delay": "1h"},)}
    ports = dict(zip(cases, free_ports(len(cases))))
    services = []
    for name, (settings, *_) in cases.items():
        lines = [f"127.0.0.1:{ports[name]} inet n - n - - smtpd", "    -o { mynetworks = 127.0.0.1 }",
                 "    -o smtpd_peername_lookup=yes", "    -o smtpd_sasl_auth_enable=yes",
                 "    -o smtpd_tls_auth_only=no", "    -o { smtpd_relay_restrictions = permit, reject }"]
        lines += [f"    -o {{ {key} = {value} }}" for key, value in settings.items()]
        services.append("\n".join(lines))
    instance = make_instance(services=services, params={
        "dns_servers": f"127.0.0.1:{dns}", "smtpd_error_sleep_time": "0", "append_dot_mydomain": "no",
        "transport_maps": "inline:{slow.test=smtp:[127.0.0.1]:1}"})
    instance.ports = ports
    return instance


def last_reply(suite, port, id, helo="client.test", sender="ann@bad.example", rcpts=(RCPT,), source="127.0.0.9", upto="rcpt",
               login=False, hasty=False, closed=False):
    """Talk up to a command; its reply."""
    s = SmtpClient(port, source)
    try:
        r = s.reply()
        if upto == "connect":
            assert s.say("EHLO x").startswith("503 5.7.0 Error: access denied for ")
            return r
        r = s.say(f"EHLO {helo}")
        if upto == "helo":
            return r
        if upto == "etrn":
            return s.say("ETRN @slow.test")
        if login:
            import base64
            secret = base64.b64encode(f"\0alice@a.test\0{suite.password}".encode()).decode()
            assert s.say(f"AUTH PLAIN {secret}").startswith("235")
        r = s.say(f"MAIL FROM:<{sender}>")
        if upto == "mail":
            return r
        for rcpt in rcpts:
            r = s.say(f"RCPT TO:<{rcpt}>")
        if upto == "rcpt":
            assert not closed or s.line() == ""
            return r
        assert r == OK
        r = s.say("DATA\r\nX: y" if hasty else "DATA")
        return r if upto == "data" else s.say(MESSAGE.format(id=id))
    finally:
        s.close()


def log_since(suite, offset, pattern):
    def look():
        return re.search(pattern, suite.log()[offset:])
    try:
        return wait_until(look, 10, f"log line /{pattern}/")
    except AssertionError as e:
        raise AssertionError(f"{e}; there is:\n{suite.log()[offset:]}") from None


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case[1] is not None])
def test_a_restriction_shows_its_reply_and_its_log_line(suite, name):
    settings, talk, reply, logged = CASES[name]
    offset = suite.log_end()
    got = last_reply(suite, suite.ports[name], name.replace(" ", "."), **talk)
    assert re.fullmatch(reply + ".*", got, re.S), got
    if logged is None:
        assert "reject" not in suite.log()[offset:]
    elif ":" in logged and " from" not in logged and "warning" not in logged:
        first = reply.split("\\r\\n")[0]
        if "footer" in name:
            first = r"554 5\.7\.1 "
        log_since(suite, offset, f"NOQUEUE: {logged} from [^ ]+: {first}.*; (from=<.*> )?(to=<.*> )?proto=E?SMTP")
    else:
        log_since(suite, offset, logged)


@pytest.mark.parametrize("name", CHANGED)
def test_the_reply_is_what_a_parameter_makes_of_it(suite, name):
    _, _, talk, reply = CHANGED[name]
    got = last_reply(suite, suite.ports["changed replies"], name, **{"rcpts": (f"{name}@a.test",), **talk})
    assert re.match(reply, got), got


def send(suite, name):
    """A message to alice through the service of a case; (Message-ID, offset of the log)."""
    offset = suite.log_end()
    got = last_reply(suite, suite.ports[name], name, upto="end")
    assert got.startswith("250 2.0.0 Ok: queued as "), got
    verb = ACTIONS.get(name)
    if verb:
        log_since(suite, offset, "NOQUEUE: " + verb[1].replace("{peer}", PEER))
    return got.split()[-1], offset


def received(suite, user, id):
    return [p.read_text() for p in suite.messages(user) if f"<{id}@bad.example>" in p.read_text()]


def test_HOLD_keeps_the_message_in_hold_until_it_is_released(suite):
    queue_id, offset = send(suite, "HOLD")
    assert [m["queue_id"] for m in suite.queue() if m["queue_name"] == "hold"] == [queue_id]
    suite.tool("postsuper", "-H", queue_id)
    log_since(suite, offset, f"{queue_id}: to=<alice@a.test>, .*status=sent")
    assert len(received(suite, "alice", "HOLD")) == 1


def test_DISCARD_answers_for_the_message_and_throws_it_away(suite):
    queue_id, offset = send(suite, "DISCARD")
    log_since(suite, offset, rf"{queue_id}: removed \(discarded\)")
    suite.wait_queue_empty()
    assert received(suite, "alice", "DISCARD") == []


def test_FILTER_replaces_the_transport_of_every_recipient(suite):
    queue_id, offset = send(suite, "FILTER")
    log_since(suite, offset, rf"{queue_id}: to=<alice@a\.test>, relay=none, .*status=sent \(silently\)")
    suite.wait_queue_empty()
    assert received(suite, "alice", "FILTER") == []


def test_REDIRECT_replaces_the_recipients(suite):
    queue_id, offset = send(suite, "REDIRECT")
    log_since(suite, offset, rf"{queue_id}: to=<bob@a\.test>, orig_to=<alice@a\.test>, .*status=sent")
    suite.wait_queue_empty()
    assert (len(received(suite, "alice", "REDIRECT")), len(received(suite, "bob", "REDIRECT"))) == (0, 1)


def test_BCC_adds_a_recipient(suite):
    send(suite, "BCC")
    suite.wait_queue_empty()
    assert (len(received(suite, "alice", "BCC")), len(received(suite, "bob", "BCC"))) == (1, 1)


def test_PREPEND_puts_a_header_in_front_of_the_received_header(suite):
    send(suite, "PREPEND")
    suite.wait_queue_empty()
    text, = received(suite, "alice", "PREPEND")
    assert text.index("X-Seen: yes\n") < text.index("Received: from client.test")


# ---- policy services ----

def test_a_policy_service_is_asked_with_what_is_known_and_obeyed(suite, policy):
    policy.requests.clear()
    policy.actions = ["REJECT by policy"]
    offset = suite.log_end()
    assert last_reply(suite, suite.ports["policy"], "policy") == \
        "554 5.7.1 <alice@a.test>: Recipient address rejected: by policy"
    log_since(suite, offset, rf"NOQUEUE: reject: RCPT from {PEER}: 554 5\.7\.1 {TO}: by policy;")
    asked, = policy.requests
    wanted = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
              "client_address": "127.0.0.9", "client_name": "unknown", "reverse_client_name": "unknown",
              "helo_name": "client.test", "sender": "ann@bad.example", "recipient": RCPT, "recipient_count": "0",
              "sasl_username": "", "size": "0", "server_address": "127.0.0.1",
              "server_port": str(suite.ports["policy"]), "policy_context": "ctx"}
    assert {k: asked[k] for k in wanted} == wanted
    assert asked["instance"]


def test_a_connection_to_a_policy_service_is_kept(suite, policy):
    policy.actions = ["DUNNO"]
    last_reply(suite, suite.ports["policy"], "policy")
    before = policy.connections
    for _ in range(5):
        assert last_reply(suite, suite.ports["policy"], "policy") == OK
    assert policy.connections <= before + 1


def test_a_policy_service_may_listen_on_a_unix_socket(suite, unix_policy):
    unix_policy.actions = ["REJECT by socket"]
    assert last_reply(suite, suite.ports["policy on a Unix socket"], "policy") == \
        "554 5.7.1 <alice@a.test>: Recipient address rejected: by socket"


def test_a_policy_service_that_hangs_up_is_asked_again(suite, policy):
    policy.actions = [None, "DEFER wait"]
    assert last_reply(suite, suite.ports["policy"], "policy") == \
        "450 4.7.1 <alice@a.test>: Recipient address rejected: wait"


def test_a_policy_service_that_is_down_gets_the_default_action(suite):
    offset = suite.log_end()
    assert last_reply(suite, suite.ports["policy that is down"], "policy") == \
        "451 4.3.5 <alice@a.test>: Recipient address rejected: Server configuration problem"
    log_since(suite, offset, r"warning: problem talking to server inet:127\.0\.0\.1:1: Connection refused")


def test_what_a_service_does_not_say_itself_is_as_the_parameters_say(suite, policy):
    policy.requests.clear()
    policy.actions = ["DUNNO"]
    before = policy.connections
    for _ in range(3):
        assert last_reply(suite, suite.ports["policy by parameters"], "policy") == OK
    assert [r["policy_context"] for r in policy.requests] == ["of all"] * 3
    assert policy.connections == before + 3
    assert last_reply(suite, suite.ports["policy that is down, by parameters"], "policy") == \
        "450 4.7.1 <alice@a.test>: Recipient address rejected: nobody there"     # asked once: no pause of an hour before another time


# ---- what stops the start ----

LISTS = ("client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn")


def test_a_misspelt_name_stops_the_start_in_every_list_and_class_and_the_nearest_is_named(make_instance):
    wrong = {f"smtpd_{name}_restrictions": f"smtpd_{name}_restrictions" for name in LISTS}
    wrong["strict"] = "strict"
    ports = dict(zip(wrong, free_ports(len(wrong))))
    services = [f"127.0.0.1:{port} inet n - n - - smtpd\n    -o smtpd_restriction_classes=strict\n"
                f"    -o {{ strict = permit }}\n    -o {{ {name} = chek_clientaccess inline:{{a=b}} }}"
                for name, port in ports.items()]
    instance = make_instance(start=False, services=services, users=())
    instance.expected_trouble += ["fatal: "]
    done = instance.tool("postern", "start", check=False)
    assert done.returncode == 1
    for name, port in ports.items():
        assert re.search(rf"master\.cf, line \d+: service 127\.0\.0\.1:{port}: bad value for parameter {name}: unknown restriction "
                         '"chek_clientaccess"; the nearest known one is "check_client_access"', done.stderr), done.stderr


def test_ETRN_has_the_mail_that_waits_tried_at_once(suite):
    offset = suite.log_end()
    s = SmtpClient(suite.ports["ETRN"])
    for line in ("EHLO c", "MAIL FROM:<>", "RCPT TO:<x@slow.test>", "DATA"):
        r = s.reply() if line == "EHLO c" else None
        r = s.say(line)
    queue_id = s.say("Subject: x\r\n\r\nx\r\n.").split()[-1]
    log_since(suite, offset, f"{queue_id}: to=<x@slow.test>, .*status=deferred")
    wait_until(lambda: [m["queue_name"] for m in suite.queue() if m["queue_id"] == queue_id] == ["deferred"], 10, "deferral")
    offset = suite.log_end()
    assert s.say("ETRN slow.test") == "250 2.0.0 Queuing started"
    log_since(suite, offset, f"{queue_id}: to=<x@slow.test>, .*status=deferred")
    suite.tool("postsuper", "-d", queue_id)
    assert s.say("ETRN") == "501 5.5.4 Syntax: ETRN domain"
    assert s.say("ETRN bad_^name").startswith("501 5.5.4 Error: invalid parameter")
    assert s.say("MAIL FROM:<>").startswith("250")
    assert s.say("ETRN slow.test") == "503 5.5.1 Error: MAIL transaction in progress"
    s.close()
