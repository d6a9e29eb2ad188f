# SPDX-License-Identifier: Apache-2.0
"""Real mail filters from Debian, each private to a test: own configuration and data, on loopback, without a network.

rspamd scans by itself, without Redis and without DNS; opendkim finds public keys in a file; clamd has a database of one
signature, the EICAR test file's.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from instance import SLOW, free_ports, wait_until

# In two parts, so that no scanner stops at this file.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}" + "$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

RSPAMD = """\
options {{
    tempdir = "{dir}";
    pidfile = "{dir}/pid";
    cache_file = "{dir}/symcache";
    hs_cache_dir = "{dir}";
    control_socket = "{dir}/control mode=0600";
    url_tld = "{dir}/tld";
    filters = "";
    dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "notice"; }}
actions {{ reject = 15; add_header = 6; }}
worker "rspamd_proxy" {{
    count = 1;
{worker}
}}
"""

OPENDKIM = """\
Background no
Syslog no
AutoRestart no
DNSTimeout 1
TestPublicKeys {dir}/public
TemporaryDirectory {dir}
RequireSafeKeys no
"""

CLAMD = """\
DatabaseDirectory {dir}/db
LocalSocket {dir}/clamd.sock
TemporaryDirectory {dir}
Foreground yes
"""
CLAMAV_MILTER = "Foreground yes\nTemporaryDirectory {dir}\n"


def page():
    return (Path(__file__).resolve().parents[2] / "docs/spam-and-viruses.md").read_text()


def snippet(name, **replaced):
    """A file of the operator's page, with the test's own ports, keys and directories."""
    text = re.search(rf"^```{re.escape(name)}\n(.*?)^```", page(), re.M | re.S)[1]
    for old, new in replaced.items():
        old = PLACES[old]
        assert old in text, f"{old} is not in {name}"
        text = text.replace(old, str(new))
    return text


PLACES = {"rspamd_port": "11332", "dkim_port": "8891", "clamav_port": "7357", "domain": "example.com", "selector": "mail\n",
          "key": "/etc/dkimkeys/mail.private", "clamd": "/run/clamav/clamd.ctl"}


@contextlib.contextmanager
def running(*command, until, what, stop=signal.SIGTERM):
    """A program that runs while the block does; until: true when it can be used. libmilter looks only every five seconds
    whether it is to end, so those are killed."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ready():
        assert process.poll() is None, f"{what}: {process.stdout.read()}"
        return until()

    try:
        wait_until(ready, 30, what)
        yield
    finally:
        process.send_signal(stop)
        process.wait(30 * SLOW)
        process.stdout.close()


def listens(port):
    def look():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        return False
    return look


@contextlib.contextmanager
def rspamd(directory):
    """Gives the endpoint for smtpd_milters."""
    port, = free_ports(1)
    (directory / "tld").write_text("test\n")
    (directory / "rspamd.conf").write_text(RSPAMD.format(
        dir=directory, worker=snippet("worker-proxy.inc", rspamd_port=port)))
    as_root = ["-i"] if os.geteuid() == 0 else []
    with running("rspamd", "-f", *as_root, "-c", directory / "rspamd.conf", until=listens(port), what="rspamd"):
        yield f"inet:127.0.0.1:{port}"


def make_key(directory):
    """A key of b.test; its DNS record."""
    subprocess.run(["openssl", "genrsa", "-out", directory / "private", "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", directory / "private", "-pubout", "-outform", "PEM"], check=True,
                            capture_output=True, text=True).stdout
    (directory / "private").chmod(0o600)
    record = "v=DKIM1; k=rsa; p=" + "".join(re.findall(r"^[^-].*$", public, re.M))
    (directory / "public").write_text(f"s1._domainkey.b.test {record}\n")
    return record


@contextlib.contextmanager
def opendkim(directory):
    """Signs as b.test for clients at 127.0.0.1, and checks the mail of others."""
    port, = free_ports(1)
    config = directory / "opendkim.conf"
    config.write_text(snippet("opendkim.conf", dkim_port=port, domain="b.test", selector="s1\n",
                              key=directory / "private") + OPENDKIM.format(dir=directory))
    with running("opendkim", "-f", "-x", config, until=listens(port), what="opendkim",
                 stop=signal.SIGKILL):
        yield f"inet:127.0.0.1:{port}"


@contextlib.contextmanager
def clamav(directory):
    port, = free_ports(1)
    user = "User root\n" if os.geteuid() == 0 else ""
    (directory / "db").mkdir()
    (directory / "db/test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.encode().hex()}\n")
    (directory / "clamd.conf").write_text(CLAMD.format(dir=directory) + user)
    (directory / "milter.conf").write_text(
        snippet("clamav-milter.conf", clamav_port=port, clamd=directory / "clamd.sock")
        + CLAMAV_MILTER.format(dir=directory) + user)
    with (running("clamd", f"--config-file={directory}/clamd.conf", until=(directory / "clamd.sock").exists,
                  what="clamd"),
          running("clamav-milter", f"--config-file={directory}/milter.conf", until=listens(port),
                  what="clamav-milter", stop=signal.SIGKILL)):
        yield f"inet:127.0.0.1:{port}"
