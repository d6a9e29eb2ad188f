# SPDX-License-Identifier: Apache-2.0
"""Who each process is and what it can reach: seen from outside in /proc, and from inside by the probe
programs (probe.c: the real start and sandbox of a program, and a session that tries what it is told)."""
import contextlib
import imaplib
import os
import poplib
import pwd
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from instance import AS_ROOT, LIBEXEC, ROOT, SLOW, wait_until

needs_root = pytest.mark.skipif(not AS_ROOT, reason="without root all processes are the caller: nothing is separated")

PAGE = Path(__file__).resolve().parents[2] / "docs/architecture.md"
PROBES = ROOT.parent / "tests/probe"
SETUID_SETGID = 1 << 7 | 1 << 6
# chown, dac_override, dac_read_search, fowner, kill, setgid, setuid, setpcap, net_bind_service
OF_MASTER = sum(1 << n for n in (0, 1, 2, 3, 5, 6, 7, 8, 10))
SERVERS = ("smtpd", "imapd-login", "pop3d-login", "auth", "cleanup", "pickup", "qmgr", "smtp", "local", "virtual",
           "bounce", "error", "discard", "verify", "pipe", "imapd", "pop3d", "proxymap", "anvil", "tlsmgr")


# ---- what the page promises, and what /proc shows ----

def promised():
    """{program: (account, capabilities)} as the table "The processes" has it."""
    found = {}
    for programs, runs_as in re.findall(r"^\| ([a-z0-9, -]+) \| (?:`\w+/`,? ?)+ \| ([^|]+) \|", PAGE.read_text(), re.M):
        if runs_as.startswith("becomes the mailbox owner"):
            runs_as = "postern with CAP_SETUID"
        caps = SETUID_SETGID if "CAP_SETUID" in runs_as else 0
        for program in programs.split(", "):
            found[program] = (re.split(r"[ ,]", runs_as)[0], caps)
    found["master"] = ("root", OF_MASTER)
    return found


def status(pid):
    """One {field: words} a thread."""
    return [dict((key, value.split()) for key, _, value in
                 (line.partition(":") for line in (task / "status").read_text().splitlines()))
            for task in Path(f"/proc/{pid}/task").iterdir()]


def look(pid):
    """(uid, gid, groups, effective, permitted, inheritable and ambient, bounding, no_new_privs, seccomp) that all
    threads have; file system ids are left out, since helper threads deliver with those of the recipient."""
    seen = {(tuple(t["Uid"][:3]), tuple(t["Gid"][:3]), tuple(t["Groups"]),
             *(int(t[f][0], 16) for f in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")),
             t["NoNewPrivs"][0], t["Seccomp"][0]) for t in status(pid)}
    assert len(seen) == 1, f"threads of {pid} differ: {seen}"
    return seen.pop()


def server_of(account, caps, bounding=None):
    who = pwd.getpwnam(account)
    return ((str(who.pw_uid),) * 3, (str(who.pw_gid),) * 3, (), caps, caps, 0, 0,
            caps if bounding is None else bounding, "1", "2")


@pytest.fixture(scope="module")
def busy(make_instance):
    """An instance in which a process of every program runs."""
    instance = make_instance(services=["cmd unix - n n - - pipe user=nobody argv=/bin/true"], params={
        "mydestination": "here.test",
        "smtpd_client_event_limit_exceptions": "",       # so that anvil is called
        "local_recipient_maps": "proxy:unix:passwd.byname",
        "smtpd_sender_restrictions": "reject_unverified_sender",
        "transport_maps": "inline:{ {gone.test = discard:}, {cmd.test = cmd:}, {bad.test = error:no such place}, "
                          "{away.test = smtp:[127.0.0.1]:1} }",
        "max_idle": "1h",       # whoever has served stays
    })
    with smtplib.SMTP("127.0.0.1", instance.port["smtp"], "client.test", timeout=20 * SLOW) as s:
        s.starttls(context=ssl._create_unverified_context())        # so that tlsmgr is called
        s.sendmail("alice@a.test", ["bob@a.test", "nobody@here.test", "x@gone.test", "x@cmd.test", "x@bad.test", "x@away.test"],
                   "Subject: to everywhere\r\n\r\nbody\r\n")
    instance.wait_messages("bob", 1)
    instance.wait_messages("alice", 1)          # the report about bad.test
    for rcpt in ("nobody@here", "x@gone", "x@cmd", "x@away"):
        instance.wait_log(rf"to=<{rcpt}\.test>, .*status=")
    return instance


@contextlib.contextmanager
def mail_sessions(instance):
    imap = imaplib.IMAP4("127.0.0.1", instance.port["imap"])
    pop = poplib.POP3("127.0.0.1", instance.port["pop3"], timeout=20 * SLOW)
    imap.login("bob@a.test", instance.password)
    imap.select()
    pop.user("bob@a.test")
    pop.pass_(instance.password)
    yield
    pop.quit()
    imap.logout()


@needs_root
def test_each_process_has_the_user_and_the_capabilities_of_the_page_and_no_more(busy):
    wanted = promised()
    with mail_sessions(busy):
        wait_until(lambda: set(busy.processes().values()) >= {*SERVERS, "master"}, 20, "a process of each program")
        busy.settle()           # none is still at its start, where it has more
        running = busy.processes()
        owners = [pid for pid, name in running.items()
                  if name in ("imapd", "pop3d") and look(pid)[0][0] == str(busy.owner.pw_uid)]
        assert sorted(running[pid] for pid in owners) == ["imapd", "pop3d"]
        for pid in owners:      # who may not set capabilities may not lower the bounding set either; it is void here
            assert look(pid) == server_of(busy.owner.pw_name, 0, SETUID_SETGID), running[pid]
        for pid, program in running.items():
            if program != "master" and pid not in owners:
                assert look(pid) == server_of(*wanted[program.removesuffix("-waiting")]), program


@needs_root
def test_master_is_root_with_only_the_capabilities_that_it_uses(busy):
    uid, _, _, *caps, _, _ = look(busy.pid)
    assert (uid, caps) == (("0",) * 3, [OF_MASTER, OF_MASTER, 0, 0, OF_MASTER])


# ---- from inside ----

class Probe:
    """A connection to a program that tries what it is told. where: a port of the instance, or a private service."""

    def __init__(self, instance, where):
        if where in instance.port:
            self.sock = socket.create_connection(("127.0.0.1", instance.port[where]), 20 * SLOW)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(20 * SLOW)
            self.sock.connect(str(instance.queue_dir / "private" / where))
        self.file = self.sock.makefile("rw", newline="\n")

    def tries(self, what):
        """ "ok", or the name of the error; "" if that was its death."""
        self.file.write(what + "\n")
        self.file.flush()
        return self.file.readline().strip()


@pytest.fixture(scope="module")
def probes(workdir):
    """A daemon_directory with probes in the place of some programs."""
    folder = workdir / "libexec-probes"
    shutil.copytree(LIBEXEC, folder)
    for program in ("smtpd", "imapd-login", "pop3d-login", "smtp", "proxymap"):
        shutil.copy(PROBES / f"probe-{program}", folder / program)
    return folder


@pytest.fixture(scope="module")
def probed(make_instance, probes):
    """An instance whose smtpd and login fronts are probes."""
    instance = make_instance(start=False, params={
        "daemon_directory": probes, "transport_maps": "texthash:$config_directory/transport"})
    (instance.config / "transport").write_text("c.test smtp:[127.0.0.1]:1\n")
    (instance.dir / "anybody").mkdir()
    (instance.dir / "anybody").chmod(0o777)
    (instance.config / "open").write_text("a file that modes let everybody read\n")
    return instance.start()


FRONTS = {"smtpd": "smtp", "imapd-login": "imap", "pop3d-login": "pop3"}
OWN_TABLES = {"smtpd": ("vmailbox", "transport")}
SERVICES = ("pickup", "cleanup", "qmgr", "auth", "bounce", "verify", "error", "retry", "discard", "local", "virtual",
            "smtp", "relay", "lmtp", "imapd", "pop3d", "proxymap", "anvil", "tlsmgr")
MAY_CALL = {"smtpd": {"cleanup", "qmgr", "auth", "verify", "anvil", "proxymap", "tlsmgr"}, "imapd-login": {"anvil", "auth", "imapd", "tlsmgr"},
            "pop3d-login": {"anvil", "auth", "pop3d", "tlsmgr"}}

each_front = pytest.mark.parametrize("program", FRONTS)


@needs_root
@each_front
def test_a_front_reads_its_own_tables_and_nothing_else(probed, program):
    probe = Probe(probed, FRONTS[program])
    own = {str(probed.config / name) for name in OWN_TABLES.get(program, ())}
    files = ["/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/services", "/proc/self/status", "/proc/self/environ",
             "/proc/1/environ", "/dev/null", sys.executable, str(LIBEXEC / "smtpd"), str(probed.log_file),
             str(probed.certificate[0]), str(probed.queue_dir / "pid/master.pid"),
             *(str(p) for p in sorted(probed.config.iterdir()))]
    assert own < set(files) and len(own) == len(OWN_TABLES.get(program, ()))
    assert {f: probe.tries(f"open {f}") for f in files} == {f: "ok" if f in own else "EACCES" for f in files}
    folders = ["/", "/etc", "/tmp", "/proc/self/fd", str(probed.config), str(probed.queue_dir), str(probed.mail)]
    assert {d: probe.tries(f"list {d}") for d in folders} == {d: "EACCES" for d in folders}


@needs_root
@each_front
def test_a_front_creates_nothing_anywhere(probed, program):
    probe = Probe(probed, FRONTS[program])
    folders = ["/", "/tmp", "/var/tmp", "/dev/shm", "/run", str(probed.dir / "anybody"), str(probed.queue_dir / "tmp"),
               str(probed.queue_dir / "new"), str(probed.queue_dir / "maildrop"), str(probed.mail), str(probed.config)]
    for what in ("create", "mkdir"):
        names = [f"{d}/postern-probe" for d in folders]
        assert {n: probe.tries(f"{what} {n}") for n in names} == {n: "EACCES" for n in names}, what
        assert not any(os.path.lexists(n) for n in names)
    assert probe.tries(f"create {probed.config / 'vmailbox'}") == "EACCES"      # nor does it change what is there


@needs_root
@each_front
def test_a_front_calls_by_name_what_the_caller_table_lists_and_nothing_by_path(probed, program):
    probe = Probe(probed, FRONTS[program])
    assert {s: probe.tries(f"service {s}") for s in SERVICES} == \
        {s: "ok" if s in MAY_CALL[program] else "EACCES" for s in SERVICES}
    by_path = [f"{probed.queue_dir}/private/{s}" for s in SERVICES]
    assert {p: probe.tries(f"connect {p}") for p in by_path} == {p: "EACCES" for p in by_path}


@needs_root
@each_front
def test_a_front_starts_no_process_and_dies_when_it_tries_to_become_another_program(probed, program):
    probed.expected_trouble.append("killed by signal 31")       # SIGSYS
    assert Probe(probed, FRONTS[program]).tries("fork ") == "EPERM"
    for deadly in ("execve /bin/true", "ptrace "):
        before = len(probed.log_lines(rf"{program} pid \d+ killed by signal 31"))
        assert Probe(probed, FRONTS[program]).tries(deadly) == ""
        probed.wait_log(rf"{program} pid \d+ killed by signal 31", count=before + 1)


@needs_root
@each_front
def test_master_opens_for_a_front_only_what_it_named_before_its_sandbox(probed, program):
    probe = Probe(probed, FRONTS[program])
    refused = rf"process \S+/{program} pid \d+: meaningless note"
    for attempt in ("register /etc/shadow", "reopen 500"):
        before = len(probed.log_lines(refused))
        assert probe.tries(attempt) == "ok"
        probed.wait_log(refused, count=before + 1)
    assert probe.tries("open /etc/shadow") == "EACCES"


@needs_root
def test_who_speaks_to_imap_clients_opens_no_network_connection_of_its_own(probed):
    for program, answer in (("imapd-login", "EACCES"), ("pop3d-login", "EACCES"), ("smtpd", "ok")):
        assert Probe(probed, FRONTS[program]).tries("socket inet") == answer, program   # smtpd asks DNS


@needs_root
@pytest.mark.parametrize("service, settings, answer", [
    ("relay", {}, "EACCES"), ("relay", {"smtp_host_lookup": "dns, native"}, "ok"),
    ("relay", {"smtp_dns_support_level": "disabled"}, "ok"),
    ("proxymap", {}, "EACCES"), ("proxymap", {"proxy_read_maps": "proxy:unix:passwd.byname"}, "ok"),
])
def test_who_asks_the_system_for_names_reads_its_files_and_only_then(make_instance, probes, service, settings, answer):
    instance = make_instance(users=(), params={"daemon_directory": probes, "smtp_dns_support_level": "enabled", **settings})
    probe = Probe(instance, service)
    assert [probe.tries(f"open {f}") for f in ("/etc/passwd", "/etc/hosts")] == [answer] * 2
    assert {f: probe.tries(f"open {f}") for f in ("/etc/shadow", str(instance.log_file), "/proc/1/status")} == \
        {f: "EACCES" for f in ("/etc/shadow", str(instance.log_file), "/proc/1/status")}
    assert probe.tries("create /tmp/postern-probe") == "EACCES"


# ---- what a callee says to a process that got hold of its socket all the same ----

ALLOWED = {                     # callee: accounts of its callers
    "cleanup": {"postern-net", "postern"}, "auth": {"postern-net", "postern"}, "imapd": {"postern-net"},
    "pop3d": {"postern-net"}, "smtp": {"postern"}, "lmtp": {"postern"}, "local": {"postern"}, "virtual": {"postern"}, "error": {"postern"},
    "discard": {"postern"}, "bounce": {"postern"}, "verify": {"postern-net", "postern"},
    "anvil": {"postern-net"}, "tlsmgr": {"postern-net"}, "proxymap": {"postern-net", "postern", "postern-auth"},
    "pickup": {"postern", "nobody"},                                     # public: for people, not for fronts
    "qmgr": {"postern", "nobody", "postern-net"},                        # of smtpd it takes one request, for ETRN
}
CALL = """
import os, socket, sys
path, uid, gid, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
held = os.open(path, os.O_PATH)
os.setgroups([]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
s = socket.socket(socket.AF_UNIX)
s.settimeout(patience)
s.connect(f"/proc/self/fd/{held}")
try:
    print("closed" if s.recv(1) == b"" else "spoke")
except socket.timeout:
    print("waits")
except ConnectionResetError:
    print("closed")
"""


@needs_root
@pytest.mark.parametrize("callee", ALLOWED)
def test_a_callee_hangs_up_on_accounts_that_are_not_in_its_row(suite, callee):
    path = next(p for p in (suite.queue_dir / "public" / callee, suite.queue_dir / "private" / callee) if p.exists())
    calls, allowed = {}, ALLOWED[callee] | ({"postern-mail"} if "nobody" in ALLOWED[callee] else set())
    for account in ("postern", "postern-net", "postern-auth", "postern-mail", "nobody"):
        who = pwd.getpwnam(account)
        patience = 2 if account in allowed else 30      # that nothing comes, or until the end comes
        calls[account] = subprocess.Popen([sys.executable, "-c", CALL, path, str(who.pw_uid), str(who.pw_gid),
                                           str(patience * SLOW)], stdout=subprocess.PIPE, text=True)
    answers = {account: call.communicate(timeout=60 * SLOW)[0].strip() for account, call in calls.items()}
    assert answers == {account: "waits" if account in allowed else "closed" for account in calls}
    for account in set(calls) - allowed:
        suite.wait_log(rf"postern/{callee}\[\d+\]: warning: refused call of {callee} by uid {pwd.getpwnam(account).pw_uid}\b")


# ---- single-user mode ----

@pytest.fixture(scope="module")
def single_user(make_instance, certificate):
    """An instance that an unprivileged user has started."""
    me = pwd.getpwnam("nobody") if AS_ROOT else pwd.getpwuid(os.geteuid())
    instance = make_instance(start=False, users=(), params={
        "virtual_uid_maps": f"static:{me.pw_uid}", "virtual_gid_maps": f"static:{me.pw_gid}",
        "smtpd_tls_cert_file": "$config_directory/chain.pem", "smtpd_tls_key_file": "$config_directory/chain.pem"})
    shutil.copy(certificate[0], instance.config / "chain.pem")
    if AS_ROOT:
        for path in (instance.dir, *instance.dir.rglob("*")):
            os.chown(path, me.pw_uid, me.pw_gid)
        instance.prefix = ("setpriv", f"--reuid={me.pw_uid}", f"--regid={me.pw_gid}", "--clear-groups")
    instance.owner = me
    for user in ("alice", "bob"):
        instance.add_user(user)
    return instance.start()


def test_without_root_mail_goes_in_and_comes_out_and_the_log_says_what_is_missing(single_user):
    single_user.wait_log(r"postern/master\[\d+\]: .*privileges are not separated")
    with smtplib.SMTP("127.0.0.1", single_user.port["submission"], "client.test", timeout=20 * SLOW) as s:
        s.starttls()
        s.login("alice@a.test", single_user.password)
        s.sendmail("alice@a.test", "bob@a.test", "Subject: one user\r\n\r\nbody\r\n")
    single_user.wait_messages("bob", 1)
    imap = imaplib.IMAP4("127.0.0.1", single_user.port["imap"])
    imap.login("bob@a.test", single_user.password)
    imap.select()
    assert imap.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1] == b"Subject: one user\r\n\r\n"
    pop = poplib.POP3("127.0.0.1", single_user.port["pop3"], timeout=20 * SLOW)
    pop.user("bob@a.test")
    pop.pass_(single_user.password)
    assert b"Subject: one user" in pop.retr(1)[1]
    single_user.settle()
    for pid, program in single_user.processes().items():
        uids, _, _, effective, *_, no_new_privs, seccomp = look(pid)
        assert (set(uids), effective) == ({str(single_user.owner.pw_uid)}, 0), program
        assert program == "master" or (no_new_privs, seccomp) == ("1", "2"), program
    pop.quit()
    imap.logout()
