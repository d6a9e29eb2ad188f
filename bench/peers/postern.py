"""Postern, the suite of this checkout: built in release and installed below BENCH_POSTERN."""
import os
import shutil
import subprocess
from pathlib import Path

from peers import DOMAIN, Peer, owner_ids

ROOT = Path(os.environ.get("BENCH_POSTERN", Path(__file__).resolve().parents[2] / "build/release/root"))

MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{imap} inet n - n - - imapd-login
127.0.0.1:{pop3} inet n - n - - pop3d-login
pickup   unix n - n 60 1 pickup
cleanup  unix - - n -  0 cleanup
qmgr     unix n - n 300 1 qmgr
auth     unix - - n -  1 auth
tlsmgr   unix - - n 1000? 1 tlsmgr
anvil    unix - - n -  1 anvil
bounce   unix - - n -  0 bounce
error    unix - - n -  - error
virtual  unix - n n -  - virtual
smtp     unix - - n -  - smtp
relay    unix - - n -  - smtp
imapd    unix - n n 1000? - imapd
pop3d    unix - n n 1000? - pop3d
"""


class Postern(Peer):
    name = "postern"
    roles = ("mta", "imap", "pop3")
    # tuned: as Postfix's, as many deliveries at once to the one next hop as it can take
    # counted: every client is counted by anvil, as strangers are
    variants = ("default", "tuned", "counted")

    def version(self):
        return subprocess.run([ROOT / "sbin/postconf", "-c", self.dir / "etc", "-h", "mail_version"],
                              capture_output=True, text=True).stdout.strip() or "unknown"

    def configure(self):
        uid, gid = owner_ids()
        etc = self.dir / "etc"
        for sub in ("queue", "data"):
            (self.dir / sub).mkdir()
        (etc / "mailboxes").write_text("".join(
            f"{user} {self.maildir(user).relative_to(self.dir / 'mail')}/\n" for user, _ in self.users))
        (etc / "users").write_text("".join(
            f"{user}:{{PLAIN}}{password}::::::\n" for user, password in self.users))
        shutil.chown(etc / "users", group="postern-auth")
        (etc / "users").chmod(0o640)
        settings = {
            "myhostname": f"mail.{DOMAIN}",
            "mydestination": "",
            "alias_maps": "",
            "local_recipient_maps": "",
            "queue_directory": self.dir / "queue",
            "data_directory": self.dir / "data",
            "maillog_file": self.dir / "log" / "mail.log",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": self.networks,
            "smtpd_peername_lookup": "no",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtp_dns_support_level": "disabled",
            "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_base": self.dir / "mail",
            "virtual_mailbox_maps": f"texthash:{etc}/mailboxes",
            "virtual_uid_maps": f"static:{uid}",
            "virtual_gid_maps": f"static:{gid}",
            "virtual_minimum_uid": "1",
            "mail_max_userip_connections": "0",
        }
        if self.tls:
            settings.update(smtpd_tls_security_level="may", smtpd_tls_cert_file=self.certificate,
                            smtpd_tls_key_file=self.key)
        if self.relay_port:
            settings["relayhost"] = f"[127.0.0.1]:{self.relay_port}"
        if self.variant == "counted":
            settings.update(smtpd_client_event_limit_exceptions="", smtpd_client_connection_count_limit="1000000")
        if self.variant == "tuned":
            settings["default_destination_concurrency_limit"] = "500"
        (etc / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        (etc / "master.cf").write_text(MASTER.format(
            smtp=self.smtp_port, imap=self.imap_port, pop3=self.pop3_port))

    def environment(self):
        return {"MAIL_CONFIG": str(self.dir / "etc")}

    def command(self):
        return [ROOT / "sbin/postern", "start-fg"]

    def count(self, user):
        return sum(len(os.listdir(self.maildir(user) / sub)) for sub in ("new", "cur"))


PEER = Postern
