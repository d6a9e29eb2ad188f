# SPDX-License-Identifier: Apache-2.0
"""mbsync with a configuration of its own, mirroring one account below a directory."""
import subprocess

from instance import SLOW

CONFIG = """\
FSync no

IMAPAccount server
Host localhost
Port {port}
User {user}
Pass {password}
Timeout 120
{security}

IMAPStore far
Account server
PathDelimiter {separator}

MaildirStore near
Path {mirror}/
Inbox {mirror}/INBOX
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


class Mbsync:
    """Called, it synchronises, and gives what mbsync says. ca: of a server that is spoken to by IMAPS; None: without TLS."""

    def __init__(self, directory, port, user, password, ca=None, separator="/"):
        self.directory, self.mirror = directory, directory / "mirror"
        self.inbox = self.mirror / "INBOX"
        self.config = directory / f"mbsyncrc-{port}"
        self.mirror.mkdir(exist_ok=True)
        security = f"SSLType IMAPS\nCertificateFile {ca}" if ca else "SSLType None\nAuthMechs LOGIN"
        self.config.write_text(CONFIG.format(port=port, user=user, password=password, mirror=self.mirror, security=security,
                                             separator=separator))

    def __call__(self):
        done = subprocess.run(["mbsync", "-V", "-c", self.config, "-a"], text=True, capture_output=True, timeout=300 * SLOW,
                              env={"HOME": str(self.directory), "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    def files(self):
        """Messages of the mirror with their inodes: one that is fetched again is another file."""
        return {(p.relative_to(self.mirror), p.stat().st_ino) for p in self.mirror.rglob("*") if p.parent.name in ("cur", "new")}
