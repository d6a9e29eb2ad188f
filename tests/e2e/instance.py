# SPDX-License-Identifier: Apache-2.0
"""A private instance of the installed suite: configuration, life, log, queue."""
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(os.environ.get("POSTERN_ROOT", Path(__file__).resolve().parents[2] / "build/release/root"))
SBIN, LIBEXEC = ROOT / "sbin", ROOT / "libexec/postern"
AS_ROOT = os.geteuid() == 0
SANITIZED = (LIBEXEC / "qmgr").exists() and b"__asan_init" in (LIBEXEC / "qmgr").read_bytes()     # uses memory of its own
SLOW = float(os.environ.get("POSTERN_TEST_PATIENCE", "1"))     # stretches every deadline

# Services with ports of our own; those behind them are as installed.
PUBLIC_SERVICES = """\
{smtp}        inet  n - n - -   smtpd
{submission}  inet  n - n - -   smtpd
    -o syslog_name=postern/submission
    -o smtpd_tls_security_level=encrypt
    -o smtpd_sasl_auth_enable=yes
    -o {{ smtpd_relay_restrictions = permit_sasl_authenticated, reject }}
    -o {{ smtpd_recipient_restrictions = }}
{smtps}       inet  n - n - -   smtpd
    -o syslog_name=postern/smtps
    -o smtpd_tls_wrappermode=yes
    -o smtpd_sasl_auth_enable=yes
    -o {{ smtpd_relay_restrictions = permit_sasl_authenticated, reject }}
{imap}        inet  n - n - -   imapd-login
{imaps}       inet  n - n - -   imapd-login
    -o imap_tls_security_level=wrapper
{pop3}        inet  n - n - -   pop3d-login
{pop3s}       inet  n - n - -   pop3d-login
    -o imap_tls_security_level=wrapper
"""

PORTS = ("smtp", "submission", "smtps", "imap", "imaps", "pop3", "pop3s")


PORT_BLOCKS = range(10000, 32000, 1000)         # below those that the system gives to clients, which might take one before its server
held_blocks, unused_ports = [], []


def take_block():
    """Ports for this process alone, among all test runs on this machine: whoever has the name in the abstract namespace, which
    ends with its process, has the block."""
    for first in random.sample(PORT_BLOCKS, len(PORT_BLOCKS)):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0postern-e2e-ports-{first}")
        except OSError:
            lock.close()
            continue
        held_blocks.append(lock)
        return list(range(first, first + 1000))
    raise AssertionError("too many test runs at once: all blocks of ports are taken")


def free_ports(n):
    """Each is given only once: some are bound much later."""
    ports = []
    while len(ports) < n:
        if not unused_ports:
            unused_ports.extend(take_block())
        port = unused_ports.pop()
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    return ports


def has_content(path):
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def wait_until(condition, timeout=10, what="condition"):
    """Wait for a true value and return it."""
    end = time.time() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.time() > end:
            raise AssertionError(f"waited {timeout * SLOW:.0f} s in vain for {what}")
        time.sleep(0.01)


class Instance:
    """params, services: settings of main.cf, lines of master.cf added to (or replacing) the usual ones."""

    def __init__(self, directory, certificate, domain="a.test", users=("alice", "bob"), params=None,
                 services=(), drop_services=(), host=None):
        self.dir, self.domain, self.host = Path(directory), domain, host or f"mx.{domain}"
        self.certificate = certificate          # (chain with key, CA file)
        self.config, self.queue_dir = self.dir / "etc", self.dir / "queue"
        self.mail, self.log_file = self.dir / "mail", self.dir / "log"
        self.port = dict(zip(PORTS, free_ports(len(PORTS))))
        self.password = "secret"
        self.prefix = ()                        # of every command: who runs it
        for d in (self.config, self.queue_dir, self.dir / "data", self.mail):
            d.mkdir(parents=True)
            d.chmod(0o755)
        self.owner = pwd.getpwnam("postern-mail") if AS_ROOT else pwd.getpwuid(os.geteuid())
        if AS_ROOT:
            os.chown(self.mail, self.owner.pw_uid, self.owner.pw_gid)
        self.write_main_cf(params or {})
        self.write_master_cf(services, drop_services)
        for user in users:
            self.add_user(user)
        self.pid = 0
        self.expected_trouble = []      # parts of log lines about dead processes that a test provokes

    # ---- configuration ----

    def write_main_cf(self, params):
        settings = {
            "myhostname": self.host,
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "queue_directory": self.queue_dir,
            "data_directory": self.dir / "data",
            "maillog_file": self.log_file,
            "smtpd_peername_lookup": "no",
            "smtpd_tls_cert_file": self.certificate[0],
            "smtpd_tls_key_file": self.certificate[0],
            "smtpd_tls_security_level": "may",
            "smtp_dns_support_level": "disabled",
            "virtual_mailbox_domains": self.domain,
            "virtual_mailbox_base": self.mail,
            "virtual_mailbox_maps": "texthash:$config_directory/vmailbox",
            "virtual_uid_maps": f"static:{self.owner.pw_uid}",
            "virtual_gid_maps": f"static:{self.owner.pw_gid}",
            "virtual_minimum_uid": "0" if self.owner.pw_uid == 0 else "1",
            "auth_failure_delay": "1s",
            "imap_idle_notify_interval": "0",   # its lines come by the clock, in the middle of any test
            **params,
        }
        self.settings = {k: str(v) for k, v in settings.items()}
        text = "".join(f"{k} = {v}\n" for k, v in self.settings.items())
        (self.config / "main.cf").write_text(text)
        for name in ("vmailbox", "users"):
            (self.config / name).touch()
        if AS_ROOT:
            shutil.chown(self.config / "users", group="postern-auth")
            (self.config / "users").chmod(0o640)

    def write_master_cf(self, services=(), drop=()):
        installed = (ROOT / "share/postern/master.cf").read_text()
        text = (PUBLIC_SERVICES.format(**{k: f"127.0.0.1:{v}" for k, v in self.port.items()})
                + installed[installed.index("\npickup ") + 1:])
        replaced = {s.split()[0] for s in services} | set(drop)
        kept, keeping = [], True
        for line in text.splitlines():
            if not line.startswith(" "):
                keeping = line.split()[0] not in replaced
            if keeping:
                kept.append(line)
        (self.config / "master.cf").write_text("\n".join([*kept, *services]) + "\n")

    def set(self, **params):
        """Change main.cf, as an administrator would; takes effect at reload()."""
        self.tool("postconf", "-e", *(f"{k}={v}" for k, v in params.items()))

    def add_user(self, user, password=None):
        self.tool("postuser", "add", self.address(user), input=(password or self.password) + "\n")

    def address(self, user):
        return user if "@" in user else f"{user}@{self.domain}"

    # ---- tools ----

    def tool(self, name, *args, check=True, input=None, **kw):
        """Run a command of the suite; its standard output. Failing is an error unless check is False,
        which gives the completed process."""
        done = subprocess.run([*self.prefix, SBIN / name, *map(str, args)], input=input, text=True, capture_output=True,
                              env={**os.environ, "MAIL_CONFIG": str(self.config)}, timeout=120 * SLOW, **kw)
        if not check:
            return done
        assert done.returncode == 0, f"{name} {args}: {done.returncode}: {done.stderr}"
        return done.stdout

    def queue(self):
        return [json.loads(line) for line in self.tool("postqueue", "-j").splitlines()]

    def queue_ids(self):
        return [m["queue_id"] for m in self.queue()]

    def wait_queue_empty(self, timeout=20):
        try:
            # Twice: what moves on while one directory is read is found in the other the second time.
            wait_until(lambda: not self.queue_files() and not self.queue_files(), timeout, "an empty queue")
        except AssertionError as e:
            raise AssertionError(f"{e}; there is:\n{self.tool('postqueue', '-p')[-2000:]}\n"
                                 f"the log ends:\n{self.log()[-3000:]}") from None

    def queue_files(self, *places):
        """Files in the queue directories (default: where mail waits, without those that a killed cleanup has only
        made, which wait for nothing but the broom)."""
        return [p for place in places or ("new", "cur", "maildrop")
                for p in (self.queue_dir / place).glob("[!.]*") if place != "new" or has_content(p)]

    # ---- life ----

    def start(self):
        self.tool("postern", "start")
        self.pid = int((self.queue_dir / "pid/master.pid").read_text().split()[0])
        return self

    def stop(self):
        if self.running():
            self.tool("postern", "stop", check=False)
            wait_until(lambda: not self.running(), 30, "the end of master")

    def end(self):
        """Stop whatever runs; by force what does not stop, which gives False."""
        try:
            self.stop()
            wait_until(lambda: not self.processes(), 10, "the end of all processes")
        except (AssertionError, subprocess.TimeoutExpired):
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            return False
        return True

    def abort(self):
        self.tool("postern", "abort", check=False)

    def reload(self):
        self.tool("postern", "reload")

    def running(self):
        return self.tool("postern", "status", check=False).returncode == 0

    def kill_master(self):
        os.kill(self.pid, signal.SIGKILL)

    def processes(self):
        """{pid: program} of this instance's processes; "imapd-waiting" for one that has no client yet."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                exe = os.readlink(entry / "exe")
                environ = (entry / "environ").read_bytes()
                waiting = (entry / "comm").read_text().endswith("-waiting\n")
            except OSError:
                continue
            if exe.startswith(str(LIBEXEC)) and f"MAIL_CONFIG={self.config}".encode() in environ:
                found[int(entry.name)] = Path(exe).name + "-waiting" * waiting
        return found

    def family(self, pid):
        """It and all that descend from it."""
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return []
        return [pid, *(p for child in children for p in self.family(int(child)))]

    def asleep(self):
        """{thread: how often it has slept}; None while one of them does not."""
        found = {}
        try:
            for pid in self.family(self.pid):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    status = (task / "status").read_text()
                    if "\nState:\tS" not in status:
                        return None
                    found[task.name] = re.findall(r"ctxt_switches:\t(\d+)", status)
        except OSError:         # one has just ended
            return None
        return found

    def settle(self, timeout=3):
        """Until all processes sleep: then they have worked off what has reached them, and written what they log. Who is busy all
        the time is not waited for."""
        end = time.monotonic() + timeout * SLOW
        while (before := self.asleep()) is None or self.asleep() != before:
            if time.monotonic() > end:
                return
            time.sleep(0.005)

    def pids(self, program):
        return [pid for pid, name in self.processes().items() if name == program]

    def parent_pid(self, pid):
        try:
            return int(re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])
        except OSError:
            return 0

    def sessions(self, *programs):
        """Processes of these programs that serve a client: neither their parents, which lead a process group, nor those
        that wait."""
        return {pid for pid, name in self.processes().items()
                if name in (programs or ("imapd", "pop3d")) and self.group(pid) not in (pid, 0)}

    @staticmethod
    def group(pid):
        try:
            return os.getpgid(pid)
        except OSError:
            return 0

    @staticmethod
    def kill(pid, sign=signal.SIGKILL):
        os.kill(pid, sign)

    def wait_parked(self, busy=0):
        """Until no session has a process but those that are busy: all others are parked, or gone."""
        wait_until(lambda: len(self.sessions()) == busy, 20, "the end of session processes that have nothing to do")

    def session_of(self, program, sign_in):
        """The client that sign_in() gives, and the process that serves it, by what the front logs."""
        line = rf"{program.rstrip('d')}-login: Login: .*mpid=(\d+)"
        before = len(self.log_lines(line))
        client = sign_in()
        return client, int(self.wait_log(line, count=before + 1)[1])

    # ---- log ----

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, pattern, timeout=10, count=1):
        """Wait for `count` lines that match; the last match."""
        def look():
            found = list(re.finditer(pattern, self.log()))
            return found[count - 1] if len(found) >= count else None
        try:
            return wait_until(look, timeout, f"log line /{pattern}/")
        except AssertionError as e:
            raise AssertionError(f"{e}; the log ends:\n{self.log()[-3000:]}") from None

    def log_end(self):
        """Where the log ends, with all that the processes have to say of what has been."""
        self.settle()
        return len(self.log())

    def log_lines(self, pattern):
        """All that match, of what has been: a line is written a moment after the answer that a client has had."""
        self.settle()
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    # ---- mailboxes ----

    def maildir(self, user):
        local, _, domain = self.address(user).partition("@")
        return self.mail / domain / local

    def messages(self, user):
        """Message files in the INBOX."""
        box = self.maildir(user)
        return [p for sub in ("new", "cur") for p in sorted((box / sub).glob("*"))]

    def wait_messages(self, user, n, timeout=20):
        try:
            wait_until(lambda: len(self.messages(user)) >= n, timeout, f"{n} messages of {user}")
        except AssertionError as e:
            raise AssertionError(f"{e}; there are {len(self.messages(user))}; the log ends:\n"
                                 f"{self.log()[-3000:]}") from None
        return self.messages(user)
