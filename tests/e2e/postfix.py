# SPDX-License-Identifier: Apache-2.0
"""A private Postfix as a receiver: a second, independent implementation at the other end."""
import contextlib
import subprocess

from instance import free_ports, wait_until

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = postfix.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
relay_domains = static:all
transport_maps = static:discard:
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_tls_chain_files = {chain}
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
"""
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{wrapped} inet n - n - - smtpd
    -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, directory, chain, **settings):
        self.dir = directory
        self.port, self.wrapped = free_ports(2)
        for d in ("etc", "queue", "data"):
            (directory / d).mkdir()
        subprocess.run(["chown", "postfix", directory / "data"], check=True)
        text = MAIN_CF.format(dir=directory, chain=chain) + "".join(f"{k} = {v}\n" for k, v in settings.items())
        (directory / "etc/main.cf").write_text(text)
        (directory / "etc/master.cf").write_text(MASTER_CF.format(port=self.port, wrapped=self.wrapped))

    def command(self, *args):
        return subprocess.run(["postfix", "-c", self.dir / "etc", *args], capture_output=True, text=True)

    def log(self):
        file = self.dir / "log"
        return file.read_text(errors="replace") if file.exists() else ""


@contextlib.contextmanager
def run(directory, chain, **settings):
    """A Postfix that takes mail for any domain and drops it."""
    it = Postfix(directory, chain, **settings)
    started = it.command("start")
    assert started.returncode == 0, started.stdout + started.stderr + it.log()
    try:
        wait_until(lambda: "starting the Postfix mail system" in it.log() or "daemon started" in it.log(), 10, "Postfix")
        yield it
    finally:
        it.command("abort")
        wait_until(lambda: it.command("status").returncode != 0, 10, "the end of Postfix")
