# SPDX-License-Identifier: Apache-2.0
"""`postern check` says what a server would refuse at its start: with the parameter, what is wrong and what is accepted."""
import re

import pytest

TLS = "/no/such/file.pem"

# What main.cf gets, and what is said of it behind "main.cf, line N: bad value for parameter ".
WRONG = {
    # words
    "auth_mechanisms = plain, plian": 'auth_mechanisms: "plian": expected a list of plain, login, scram-sha-1, ',
    "auth_password_scheme = ROT13": 'auth_password_scheme: "ROT13": expected CRYPT, ',
    "inet_protocols = ipv5": 'inet_protocols: "ipv5": expected a list of all, ipv4 or ipv6',
    "internal_mail_filter_classes = bounced": 'internal_mail_filter_classes: "bounced": expected a list of bounce or notify, or nothing',
    "local_header_rewrite_clients = permit_mynetwork":
        'local_header_rewrite_clients: "permit_mynetwork": expected a list of permit_inet_interfaces, permit_mynetworks, ',
    "milter_protocol = 7": 'milter_protocol: "7": expected a whole number from 2 to 6',
    "notify_classes = resources": 'notify_classes: "resources": expected a list of bounce, 2bounce, ',
    "bounce_report_origins = locals": 'bounce_report_origins: "locals": expected a list of local, authenticated, ',
    "parent_domain_matches_subdomains = relaydomains": 'parent_domain_matches_subdomains: "relaydomains": expected a list of ',
    "propagate_unmatched_extensions = all": 'propagate_unmatched_extensions: "all": expected a list of alias, canonical, ',
    "smtp_address_preference = ipv5": 'smtp_address_preference: "ipv5": expected any, ipv4 or ipv6',
    "lmtp_address_preference = ipv5": 'lmtp_address_preference: "ipv5": expected any, ipv4 or ipv6',
    "smtp_host_lookup = hosts": 'smtp_host_lookup: "hosts": expected a list of dns or native',
    "smtp_pix_workarounds = all": 'smtp_pix_workarounds: "all": expected a list of delay_dotcrlf or disable_esmtp, or nothing',
    "smtp_sasl_mechanism_filter = !gssapi": 'smtp_sasl_mechanism_filter: "!gssapi": expected a list of cram-md5, ',
    "smtp_sasl_security_options = noplain": 'smtp_sasl_security_options: "noplain": expected a list of noanonymous or noplaintext, ',
    "tls_dane_digests = md5": 'tls_dane_digests: "md5": expected a list of sha256 or sha512',
    "smtp_tls_loglevel = 5": 'smtp_tls_loglevel: "5": expected a whole number from 0 to 4',
    "tls_ssl_options = NO_SUCH": 'tls_ssl_options: "NO_SUCH": expected ENABLE_MIDDLEBOX_COMPAT, ',
    "imap_timeout = 29m": 'imap_timeout: "29m": expected a time such as 30s, 5m, 2h, 1d or 1w from 30m to 7d',
    "pop3_timeout = 9m": 'pop3_timeout: "9m": expected a time such as 30s, 5m, 2h, 1d or 1w from 10m to 7d',
    "pop3_uidl_format = %v": 'pop3_uidl_format: "%v": expected printable text',
    # lists of TLS
    "smtpd_tls_protocols = TLSv9": 'smtpd_tls_protocols: "TLSv9": expected a list such as >=TLSv1.2',
    "smtpd_tls_mandatory_protocols = TLSv9": 'smtpd_tls_mandatory_protocols: "TLSv9": expected a list such as >=TLSv1.2',
    "smtp_tls_mandatory_protocols = >TLSv1": 'smtp_tls_mandatory_protocols: ">TLSv1": expected a list such as >=TLSv1.2',
    "smtp_tls_fingerprint_digest = sha257": 'smtp_tls_fingerprint_digest: "sha257": expected a digest such as sha256',
    "smtpd_tls_fingerprint_digest = sha257": 'smtpd_tls_fingerprint_digest: "sha257": expected a digest such as sha256',
    # restrictions
    "smtpd_client_restrictions = permit_mynetwork":
        'smtpd_client_restrictions: unknown restriction "permit_mynetwork"; the nearest known one is "permit_mynetworks"',
    "smtpd_helo_restrictions = check_helo_access": "smtpd_helo_restrictions: check_helo_access: its argument is missing: expected type:table",
    "smtpd_sender_restrictions = check_sender_access nosuch:/x, permit":
        'smtpd_sender_restrictions: unsupported table type "nosuch" in "nosuch:/x"; known types: ',
    "smtpd_recipient_restrictions = reject_rbl_client": "smtpd_recipient_restrictions: reject_rbl_client: its argument is missing: expected domain",
    "smtpd_client_restrictions = reject_rbl_client bl.test=127.0.0": 'smtpd_client_restrictions: "bl.test=127.0.0": a domain, or',
    "smtpd_client_restrictions = check_client_access inlien:{a=b}": 'smtpd_client_restrictions: unsupported table type "inlien"',
    "smtpd_relay_restrictions = permit_mynetworks": "smtpd_relay_restrictions: it lets everybody send mail to everywhere: expected, ",
    "smtpd_data_restrictions = check_policy_service 127.0.0.1:10": "smtpd_data_restrictions: policy service 127.0.0.1:10: inet:host:port or ",
    "smtpd_end_of_data_restrictions = sleep long": 'smtpd_end_of_data_restrictions: sleep "long": expected a time such as 5s',
    "smtpd_etrn_restrictions = strict": 'smtpd_etrn_restrictions: unknown restriction "strict"; ',
    "smtpd_restriction_classes = strict": 'smtpd_restriction_classes: "strict": expected a parameter of that name, and it is not set',
    "smtpd_restriction_classes = reject": 'smtpd_restriction_classes: "reject": expected a name that is not that of a restriction',
    # tables
    "transport_maps = nosuch:/x": 'transport_maps: unsupported table type "nosuch" in "nosuch:/x"; known types: btree cidr ',
    "virtual_mailbox_domains = hash": None,     # a domain of that name
    "virtual_alias_maps = hash:/no/such": 'virtual_alias_maps: cannot open table hash:/no/such: /no/such.db: No such file or directory; make it',
    "header_checks = regexp:/no/such": "header_checks: cannot open table regexp:/no/such: ",
    "smtp_generic_maps = /no/such": 'smtp_generic_maps: bad table name "/no/such": expected the form "type:name"',
    "smtpd_sender_login_maps = inline:{a}": "smtpd_sender_login_maps: ",
    "alias_maps = hash:/no/such": "alias_maps: cannot open table hash:/no/such: ",
    "auth_users = passwd-file:/no/such": "auth_users: cannot open table passwd-file:/no/such: ",
    "imap_discard_capability_maps = texthash:/no/such": "imap_discard_capability_maps: cannot open table texthash:/no/such: ",
    "bounce_report_suppress_checks = pcre:/no/such": "bounce_report_suppress_checks: cannot open table pcre:/no/such: ",
    "authorized_submit_users = hash:/no/such": "authorized_submit_users: cannot open table hash:/no/such: ",
    "authorized_flush_users = hash:/no/such": "authorized_flush_users: cannot open table hash:/no/such: ",
    "mynetworks = 192.0.2.0/33": 'mynetworks: bad prefix length in "192.0.2.0/33"',
    "imap_trusted_networks = [2001:db8::/32": "imap_trusted_networks: bad network address",
    "smtpd_milters = 127.0.0.1:25": "smtpd_milters: milter 127.0.0.1:25: inet:host:port or unix:path is wanted",
    "smtpd_milters = nonsense": "smtpd_milters: milter nonsense: inet:host:port or unix:path is wanted",
    "smtpd_milters = { inet:127.0.0.1:1, default_action=maybe }": "smtpd_milters: milter inet:127.0.0.1:1: ",
    "non_smtpd_milters = { unix:/x, nonsense=1 }": 'non_smtpd_milters: milter unix:/x: "nonsense=1" is no setting of it',
    "smtpd_prescreen = yes\npostscreen_dnsbl_sites = list.test*x": 'postscreen_dnsbl_sites: "list.test*x": expected a number as the weight',
    "smtp_tcp_port = nosuch": 'smtp_tcp_port: "nosuch": expected a port or a service name',
}

# What master.cf gets, and what is said of it behind "master.cf, line N: service extra: ".
WRONG_SERVICES = {
    "extra unix - - n - - smtp -o smtp_tls_protocols=TLSv9": 'bad value for parameter smtp_tls_protocols: "TLSv9": expected a list',
    "extra unix - - n - - smtpd -o { smtpd_recipient_restrictions = reject_unknown_clients }":
        'bad value for parameter smtpd_recipient_restrictions: unknown restriction "reject_unknown_clients"',
    "extra unix - - n - - smtpd -o auth_mechanisms=plian": 'bad value for parameter auth_mechanisms: "plian": expected a list of plain, ',
    "extra unix - - n - - lmtp -o lmtp_generic_maps=nosuch:/x": "bad value for parameter lmtp_generic_maps: unsupported table type",
    "extra unix - - n - - pipe user=nobody": "service extra: both user= and argv= are needed",
    "extra unix - - n - - pipe flags=! user=nobody argv=/bin/true": "unknown flag '!'",
    "extra unix - - n - - smtpd -o smtpd_tls_security_level=may -o tls_server_sni_maps=nosuch:/x": 'unsupported table type "nosuch"',
    f"extra unix - - n - - smtpd -o smtpd_tls_chain_files={TLS}": f"chain file {TLS}: No such file or directory",
    f"extra unix - - n - - smtpd -o smtpd_tls_cert_file={TLS}": f"{TLS}: No such file or directory",
}


@pytest.fixture(scope="module")
def fresh(make_instance):
    """Never started, and with one service of each program."""
    instance = make_instance(start=False, users=(), drop_services=("relay", "retry"))
    path = instance.config / "master.cf"
    path.write_text(re.sub(r"^\S+ +inet[^\n]*\n(    -o syslog_name=\S+\n|    -o imap_tls\S+\n)(    [^\n]*\n)*", "",
                           path.read_text(), flags=re.M))
    return instance


def check(instance):
    done = instance.tool("postern", "check", check=False)
    return done.returncode, done.stderr


def checked_with(instance, name, text):
    """What check says of a file with this text at its end: (status, output, number of its last line)"""
    path = instance.config / name
    before = path.read_text()
    try:
        path.write_text(before + text + "\n")
        return *check(instance), len(path.read_text().splitlines())
    finally:
        path.write_text(before)


def test_an_installed_configuration_is_good_before_the_first_start(fresh):
    assert not (fresh.queue_dir / "pid").exists()
    assert check(fresh) == (0, "")
    assert not (fresh.queue_dir / "pid").exists()


@pytest.mark.parametrize("setting", WRONG, ids=lambda s: s.replace("\n", ", "))
def test_a_value_that_no_server_could_start_with_is_named_with_its_line_and_what_is_accepted(fresh, setting):
    status, said, line = checked_with(fresh, "main.cf", setting)
    if WRONG[setting] is None:
        assert (status, said) == (0, "")
        return
    assert status == 1
    assert f" fatal: {fresh.config}/main.cf, line {line}: bad value for parameter {WRONG[setting]}" in said, said


@pytest.mark.parametrize("service", WRONG_SERVICES)
def test_what_a_line_of_master_cf_sets_is_judged_as_well(fresh, service):
    status, said, line = checked_with(fresh, "master.cf", service)
    assert status == 1
    assert said.startswith(f"master: fatal: {fresh.config}/master.cf, line {line}: service extra: ")
    assert WRONG_SERVICES[service] in said.splitlines()[0]


def test_what_several_servers_say_is_said_once_and_all_that_is_wrong_at_once(fresh):
    _, said, _ = checked_with(fresh, "main.cf", "mydestination = nosuch:/x\nauth_users = nosuch:/y\npop3_uidl_format = %v")
    lines = [line for line in said.splitlines() if line.startswith("master: fatal: ")]
    assert sorted(re.search(r"parameter (\w+): ", line)[1] for line in lines) == ["auth_users", "mydestination", "pop3_uidl_format"], said


def test_what_is_odd_but_usable_is_a_warning(fresh):
    (fresh.config / "twice").write_text("a@a.test b@a.test\nA@a.test c@a.test\n")
    status, said, _ = checked_with(fresh, "main.cf", "virtual_alias_maps = texthash:$config_directory/twice")
    assert status == 0 and re.search(r"master: warning: .*twice, line 2: duplicate", said), said
