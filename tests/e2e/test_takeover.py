# SPDX-License-Identifier: Apache-2.0
"""A Maildir that Dovecot has served moves to Postern, and no mail program notices."""
import imaplib
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from instance import AS_ROOT, SLOW, free_ports, wait_until

MESSAGES = 20000 if SLOW == 1 else 2000      # what a sanitizer build does as well with fewer
DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin")

pytestmark = pytest.mark.skipif(not DOVECOT or not AS_ROOT, reason="needs dovecot-imapd, started as root")

CONFIG = """\
base_dir = {dir}/run
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {nobody}
default_login_user = {nobody}
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{maildir}
first_valid_uid = 1
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
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
"""


class Dovecot:
    """A Dovecot of our own for one Maildir."""

    def __init__(self, directory, maildir, owner, password):
        self.dir, self.port = Path(directory), free_ports(1)[0]
        (self.dir / "home").mkdir(parents=True)
        os.chown(self.dir / "home", owner.pw_uid, owner.pw_gid)
        self.conf = self.dir / "dovecot.conf"
        self.conf.write_text(CONFIG.format(dir=self.dir, maildir=maildir, nobody="nobody", password=password, uid=owner.pw_uid,
                                           gid=owner.pw_gid, port=self.port))
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.listens, 20, "Dovecot")

    def listens(self):
        try:
            imaplib.IMAP4("127.0.0.1", self.port, timeout=5).shutdown()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30 * SLOW)


MBSYNCRC = """\
FSync no

IMAPAccount server
Host 127.0.0.1
Port {port}
User alice@a.test
Pass {password}
SSLType None
AuthMechs LOGIN
Timeout 120

IMAPStore far
Account server
PathDelimiter {separator}

MaildirStore near
Path {dir}/
Inbox {dir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
"""


def mbsync(directory, port, password, separator):
    config = directory / f"mbsyncrc-{port}"
    config.write_text(MBSYNCRC.format(port=port, password=password, dir=directory / "near", separator=separator))
    (directory / "near").mkdir(exist_ok=True)
    done = subprocess.run(["mbsync", "-V", "-c", config, "all"], text=True, capture_output=True, timeout=300 * SLOW)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def mirrored(directory):
    """Files of mbsync's copy with their inodes: a message fetched again is another file."""
    return {(p.relative_to(directory), p.stat().st_ino) for p in (directory / "near").rglob("*") if p.parent.name in ("cur", "new")}


def fill(maildir, owner, n):
    for sub in "", "cur", "new", "tmp":
        (maildir / sub).mkdir(parents=True, exist_ok=True)
    now = int(time.time()) - n
    for i in range(n):
        name = f"{now + i}.M{i}P1.host:2,{'S' if i % 3 else ''}"
        (maildir / "cur" / name).write_text(f"From: bob@a.test\nMessage-ID: <{i}@a.test>\nSubject: message {i}\n\nText {i}.\n")
    for path in [maildir, *maildir.rglob("*")]:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def uids(client, mailbox):
    assert client.select(mailbox)[0] == "OK"
    validity = client.response("UIDVALIDITY")[1][0]
    flags = client.uid("FETCH", "1:*", "(FLAGS)")[1]
    return validity, {re.search(rb"UID (\d+)", x).group(1): frozenset(re.search(rb"FLAGS \(([^)]*)\)", x).group(1).split()) - {b"\\Recent"}
                      for x in flags if x}


def test_a_maildir_of_dovecot_is_taken_over_without_a_message_fetched_again(make_instance, tmp_path_factory):
    instance = make_instance(params={"imap_allow_plaintext_auth": "127.0.0.1"})
    work = Path(tmp_path_factory.mktemp("takeover"))
    for d in (work, *work.parents):
        if str(d).startswith("/tmp/"):
            d.chmod(0o755)
    maildir = instance.maildir("alice")
    fill(maildir, instance.owner, MESSAGES)
    dovecot = Dovecot(work / "dovecot", maildir, instance.owner, instance.password)
    try:
        with imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=120 * SLOW) as client:
            client.login("alice@a.test", instance.password)
            assert client.create("Work.2026")[0] == "OK" and client.subscribe("Work.2026")[0] == "OK"
            assert client.select("INBOX")[0] == "OK"
            assert client.copy("100:199", "Work.2026")[0] == "OK"
            assert client.store("5", "+FLAGS", "($Forwarded Project)")[0] == "OK"
            assert client.store("1:3", "+FLAGS", r"(\Deleted)")[0] == "OK" and client.expunge()[0] == "OK"
        mbsync(work, dovecot.port, instance.password, ".")
        with imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=120 * SLOW) as client:
            client.login("alice@a.test", instance.password)
            inbox, folder = uids(client, "INBOX"), uids(client, "Work.2026")
    finally:
        dovecot.end()
    with imaplib.IMAP4("127.0.0.1", instance.port["imap"], timeout=120 * SLOW) as client:
        client.login("alice@a.test", instance.password)
        assert uids(client, "INBOX") == inbox
        assert uids(client, "Work/2026") == folder
        assert len(inbox[1]) == MESSAGES - 3 and any(b"Project" in flags for flags in inbox[1].values())
        assert b"Work/2026" in b" ".join(client.lsub()[1])
    before = mirrored(work)
    said = mbsync(work, instance.port["imap"], instance.password, "/")
    assert f"far side: {MESSAGES - 3} messages" in said and "Opening far side box Work/2026" in said
    assert mirrored(work) == before
