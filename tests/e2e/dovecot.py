# SPDX-License-Identifier: Apache-2.0
"""A Dovecot of our own, Debian's, on loopback: what moves to Postern, and what Postern is compared with."""
import imaplib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from instance import AS_ROOT, SLOW, free_ports, wait_until

DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin") if os.path.exists("/usr/lib/dovecot/pop3") else None

needs_dovecot = pytest.mark.skipif(not DOVECOT or not AS_ROOT, reason="needs dovecot-imapd and dovecot-pop3d, started as root")

CONFIG = """\
base_dir = {dir}/run
log_path = {dir}/log
protocols = imap pop3
listen = 127.0.0.1
default_internal_user = nobody
default_login_user = nobody
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{mail}/%d/%n
first_valid_uid = 1
pop3_uidl_format = {uidl_format}
pop3_save_uidl = {save_uidl}
{settings}
namespace inbox {{
  inbox = yes
  separator = {separator}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
}}
service anvil {{
  chroot =
}}
"""


class Dovecot:
    """A Dovecot of our own, for the mail of an instance or another directory of such accounts; ends with the `with` block."""

    def __init__(self, directory, instance, mail=None, uidl_format="%08Xu%08Xv", save_uidl="no", separator=".", settings=""):
        self.dir = Path(directory)
        self.address, self.password = instance.address, instance.password
        self.port = dict(zip(("imap", "pop3"), free_ports(2)))
        (self.dir / "home").mkdir(parents=True)
        os.chown(self.dir / "home", instance.owner.pw_uid, instance.owner.pw_gid)
        self.conf = self.dir / "dovecot.conf"
        self.conf.write_text(CONFIG.format(
            dir=self.dir, mail=mail or instance.mail, separator=separator, settings=settings, password=instance.password, uid=instance.owner.pw_uid,
            gid=instance.owner.pw_gid, uidl_format=uidl_format, save_uidl=save_uidl, **self.port))

    def __enter__(self):
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.listens, 20, "Dovecot")
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30 * SLOW)

    def listens(self):
        try:
            imaplib.IMAP4("127.0.0.1", self.port["imap"], timeout=5).shutdown()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False
