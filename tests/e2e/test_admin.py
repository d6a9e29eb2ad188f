# SPDX-License-Identifier: Apache-2.0
"""The administrator's commands: life of the suite, users, the log, a look into queue files."""
import imaplib
import os
import re
import smtplib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from instance import LIBEXEC, SBIN, SLOW, wait_until


CLOSED = {"transport_maps": "inline:{ {a.test=retry:4.7.0 closed today} }", "minimal_backoff_time": "1h"}


def connect(instance, service="smtp", timeout=20):
    """(socket, file) of a connection after the greeting, and the greeting."""
    sock = socket.create_connection(("127.0.0.1", instance.port[service]), timeout * SLOW)
    file = sock.makefile("rwb", 0)
    return sock, file, file.readline()


def smtp(instance):
    return smtplib.SMTP("127.0.0.1", instance.port["smtp"], "client.test", timeout=20 * SLOW)


def send(instance, to="bob@a.test"):
    with smtp(instance) as s:
        s.sendmail("alice@a.test", to, "Subject: test\r\n\r\nbody\r\n")


def refuses_connections(instance):
    try:
        connect(instance)[0].close()
        return False
    except OSError:
        return True


def postern(instance, command):
    """(exit status, what it says)"""
    done = instance.tool("postern", command, check=False)
    return done.returncode, done.stderr


# ---- start, status, stop ----

def test_status_start_and_stop_tell_by_text_and_exit_status(make_instance):
    instance = make_instance(start=False, users=())
    for command in ("stop", "reload", "abort", "flush"):
        status, text = postern(instance, command)
        assert status == 1 and "fatal: the Postern mail system is not running" in text
    assert postern(instance, "status") == (
        1, "postern/postern-script: the Postern mail system is not running\n")
    assert postern(instance, "start") == (0, "postern/postern-script: starting the Postern mail system\n")
    pid = (instance.queue_dir / "pid/master.pid").read_text().split()[0]
    assert postern(instance, "status") == (
        0, f"postern/postern-script: the Postern mail system is running: PID: {pid}\n")
    assert postern(instance, "stop") == (0, "postern/postern-script: stopping the Postern mail system\n")
    assert postern(instance, "status")[0] == 1
    assert instance.processes() == {}
    instance.wait_log(r"postern/master\[\d+\]: daemon started -- version \S+, configuration ")
    instance.wait_log(r"postern/master\[\d+\]: terminating on signal 15")


def test_a_second_start_of_the_same_instance_is_refused(suite):
    suite.expected_trouble.append("already running")
    before = suite.processes()
    status, text = postern(suite, "start")
    assert status == 1 and "fatal: the Postern mail system is already running" in text
    done = subprocess.run([LIBEXEC / "master", "-c", suite.config, "-w"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and re.search(r"fatal: .*(lock|running)", done.stderr), done.stderr
    assert suite.running() and set(before) <= set(suite.processes())
    send(suite)


def test_a_session_in_data_is_served_to_its_end_while_the_suite_stops(make_instance):
    instance = make_instance()
    idle = connect(instance)
    _, file, _ = connect(instance)
    file.write(b"EHLO client.test\r\nMAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n")
    while not (line := file.readline()).startswith(b"354 "):
        assert line
    file.write(b"Subject: late\r\n\r\nfirst half,\r\n")
    stop = subprocess.Popen([SBIN / "postern", "-c", instance.config, "stop"], stderr=subprocess.DEVNULL)
    wait_until(lambda: refuses_connections(instance), 10, "the end of new connections")
    assert stop.poll() is None
    file.write(b"second half\r\n.\r\nQUIT\r\n")
    assert file.readline().startswith(b"250 2.0.0 Ok: queued as ")
    assert file.readline()[:4] in (b"221 ", b"421 ")
    assert stop.wait(30 * SLOW) == 0
    assert idle[1].readline()[:4] in (b"421 ", b"")
    assert instance.processes() == {}
    instance.start()
    (path,) = instance.wait_messages("bob", 1)
    assert path.read_text().endswith("\n\nfirst half,\nsecond half\n")


def test_a_client_that_does_nothing_does_not_hold_up_a_stop(make_instance):
    instance = make_instance()
    silent = [connect(instance, name) for name in ("smtp", "imap", "pop3")]
    instance.stop()
    assert instance.processes() == {}
    for _, file, _ in silent:
        while file.readline():
            pass


def test_abort_ends_everything_at_once_and_the_queue_survives(make_instance):
    instance = make_instance(params=CLOSED)
    send(instance)
    instance.wait_log(r"to=<bob@a\.test>.*status=deferred")
    kept = instance.queue_ids()
    sessions = [connect(instance) for _ in range(3)]
    assert postern(instance, "abort")[0] == 0
    assert instance.processes() == {} and not instance.running()
    for _, file, _ in sessions:
        assert file.readline() == b""
    instance.start()
    assert instance.queue_ids() == kept != []
    instance.set(transport_maps="")
    instance.reload()
    instance.tool("postqueue", "-f")
    instance.wait_messages("bob", 1)


def test_flush_delivers_what_waits(make_instance):
    instance = make_instance(params=CLOSED)
    send(instance)
    instance.wait_log(r"to=<bob@a\.test>.*status=deferred")
    instance.set(transport_maps="")
    instance.reload()
    assert postern(instance, "flush") == (0, "")
    instance.wait_messages("bob", 1)


# ---- reload ----

@pytest.mark.parametrize("service, greeting", [("smtp", b"220 "), ("imap", b"* OK "), ("pop3", b"+OK ")])
def test_no_connection_is_refused_while_settings_are_reloaded(suite, service, greeting):
    stop, greetings, failures = threading.Event(), [], []

    def client():
        while not stop.is_set():
            try:
                sock, _, line = connect(suite, service)
                (greetings if line.startswith(greeting) else failures).append(line)
                sock.close()
            except OSError as e:
                failures.append(e)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for c in clients:
        c.start()
    for i in range(10):
        before = len(greetings) + len(failures)
        suite.reload()
        wait_until(lambda: len(greetings) + len(failures) > before + 10, 20, "greetings after a reload")
    stop.set()
    for c in clients:
        c.join()
    assert not failures, f"{len(failures)} of {len(failures) + len(greetings)}: {failures[:3]}"


def test_a_reload_changes_new_sessions_and_leaves_those_that_run(make_instance):
    instance = make_instance()
    with smtp(instance) as old:
        old.ehlo()
        old.mail("alice@a.test")
        for edition in range(10):           # once it has returned, nobody is greeted by the settings of before
            instance.set(smtpd_banner=f"$myhostname ESMTP edition {edition}", message_size_limit="20000000")
            instance.reload()
            sock, _, greeting = connect(instance)
            assert greeting == f"220 mx.a.test ESMTP edition {edition}\r\n".encode()
            sock.close()
        assert old.rcpt("bob@a.test")[0] == 250
        assert old.data("Subject: over a reload\r\n\r\nbody\r\n")[0] == 250
    instance.wait_messages("bob", 1)
    # The processes of the old settings end with their last session.
    wait_until(lambda: len(instance.pids("smtpd")) == 1, 20, "the end of the old smtpd")


def test_a_service_added_by_reload_listens_and_one_taken_away_does_not(make_instance):
    instance = make_instance(start=False)
    entry = f"127.0.0.1:{instance.port['smtps']}"
    instance.tool("postconf", "-MX", f"{entry}/inet")
    instance.start()
    with pytest.raises(ConnectionRefusedError):
        connect(instance, "smtps")
    instance.tool("postconf", "-M", f"{entry}/inet={entry} inet n - n - - smtpd")
    instance.reload()
    assert connect(instance, "smtps")[2].startswith(b"220 ")
    instance.tool("postconf", "-MX", f"{entry}/inet")
    instance.reload()
    with pytest.raises(ConnectionError):        # reset: it came as the socket was closed
        connect(instance, "smtps")


# ---- wrong configurations ----

WRONG = [
    ("main.cf", "smtpd_timeout = soon", r"main\.cf, line {line}: .*smtpd_timeout"),
    ("main.cf", "message_size_limit = -5", r"main\.cf, line {line}: .*message_size_limit"),
    ("main.cf", "smtpd_tls_security_level = ${{myhostname", r"main\.cf, line {line}: .*smtpd_tls_security_level"),
    ("main.cf", "smtpd_tls_security_level = must",
     r"main\.cf, line {line}: .*smtpd_tls_security_level: \"must\": expected none, may or encrypt, or nothing"),
    ("main.cf", "this is no setting", r"main\.cf, line {line}: "),
    ("main.cf", "net_owner = no-such-user", r"main\.cf, line {line}: parameter net_owner: unknown account \"no-such-user\""),
    ("master.cf", "extra unix - - n - smtp", r"master\.cf, line {line}: "),
    ("master.cf", "extra unix - - n - - nosuchprogram", r"master\.cf, line {line}: service extra: .*nosuchprogram"),
    ("master.cf", "nowhere:smtp inet n - n - - smtpd", r"master\.cf, line {line}: service nowhere:smtp: "),
    ("master.cf", "extra unix - - n - - smtp -o smtp_helo_timeout=soon",
     r"master\.cf, line {line}: service extra: .*smtp_helo_timeout: \"soon\": expected a time"),
    ("master.cf", "extra radio - - n - - smtp", r"master\.cf, line {line}: .*radio"),
    ("master.cf", "extra unix perhaps - n - - smtp", r"master\.cf, line {line}: .*perhaps"),
]


@pytest.fixture(params=WRONG, ids=lambda w: w[1].split()[0] + "-" + w[1].split()[-1])
def wrong(request):
    """break_(instance): spoils its configuration; the pattern of what has to be said about it."""
    name, line, says = request.param
    if line.startswith("net_owner") and os.geteuid() != 0:
        pytest.skip("accounts do not matter in single-user mode")

    def break_(instance):
        path = instance.config / name
        lines = [*path.read_text().splitlines(), "# the last line is wrong", line.replace("{{", "{")]
        path.write_text("\n".join(lines) + "\n")
        return says.format(line=len(lines))

    return break_


@pytest.fixture
def restored(suite):
    """The module's instance, with its configuration files put back afterwards."""
    files = {p: p.read_bytes() for p in (suite.config / "main.cf", suite.config / "master.cf")}
    yield suite
    for path, content in files.items():
        path.write_bytes(content)


def test_a_start_with_a_wrong_configuration_is_refused_with_file_line_and_name(make_instance, wrong):
    instance = make_instance(start=False, users=())
    instance.expected_trouble.append("fatal: ")
    says = wrong(instance)
    for command in ("start", "check"):
        status, text = postern(instance, command)
        assert status == 1 and re.search(says, text), text
    assert not instance.running() and instance.processes() == {}


def test_a_reload_with_a_wrong_configuration_keeps_the_old_one(restored, wrong):
    pid = restored.pid
    restored.expected_trouble.append("fatal: the configuration is not usable")
    says = wrong(restored)
    status, text = postern(restored, "reload")
    assert status == 1 and re.search(says, text), text
    os.kill(pid, 1)             # as those do who do not use the command
    restored.wait_log(r"master\[\d+\]: error: reload failed, the old configuration stays in use: .*" + says)
    assert Path(f"/proc/{pid}").exists()
    send(restored)


def test_a_table_that_cannot_be_opened_stops_a_start_and_a_reload(make_instance):
    table = {"virtual_alias_maps": "texthash:$config_directory/aliases"}
    says = r"main\.cf, line \d+: bad value for parameter virtual_alias_maps: cannot open table texthash:\S+/aliases: "
    instance = make_instance(start=False, params=table)
    instance.expected_trouble += ["fatal: ", "exit status 1"]
    status, text = postern(instance, "start")
    assert status == 1 and re.search(says, text), text
    assert not instance.running()
    (instance.config / "aliases").touch()
    instance.start()
    pid = instance.pid
    send(instance)      # its servers have the table now
    (instance.config / "aliases").unlink()
    status, text = postern(instance, "reload")
    assert status == 1 and re.search(says, text), text
    send(instance)
    assert instance.pid == pid
    os.kill(pid, 1)     # who does not use the command is told by the servers
    instance.wait_log(r"master\[\d+\]: reload -- version")
    sock = socket.create_connection(("127.0.0.1", instance.port["smtp"]))
    instance.wait_log(r"smtpd\[\d+\]: error: bad value for parameter virtual_alias_\w+: cannot open table texthash:")
    instance.wait_log(r"master\[\d+\]: warning: \S+/smtpd: bad command startup -- throttling")
    sock.close()


def test_check_warns_of_files_that_others_may_change(make_instance):
    instance = make_instance(start=False, users=())
    assert postern(instance, "check") == (0, "")
    (instance.config / "main.cf").chmod(0o666)
    assert postern(instance, "check") == (
        0, f"postern/postern-script: warning: group or other writable: {instance.config}/main.cf\n")


def test_check_names_each_setting_that_does_nothing(make_instance):
    instance = make_instance(start=False, users=(), params={
        "smtpd_timout": "3s", "smtp_timeout": "3s", "my_own": "x", "unheard_of": "$my_own", "queue_run_delay": "5m", "relay_recipient_limit": "7"})
    status, text = postern(instance, "check")
    main = f"postconf: warning: {instance.config}/main.cf: unused parameter: "
    assert status == 0 and sorted(text.splitlines()) == [
        main + "smtp_timeout=3s", main + "smtpd_timout=3s (is smtpd_timeout meant?)", main + "unheard_of=$my_own",
        "postern/postern-script: queue_run_delay: Accepted without effect: retry times are kept exactly, there are no scans."], text


# ---- users ----

def signs_in(instance, password, user="carol"):
    context = ssl.create_default_context(cafile=instance.certificate[1])
    try:
        with imaplib.IMAP4_SSL("localhost", instance.port["imaps"], ssl_context=context) as imap:
            return imap.login(instance.address(user), password)[0] == "OK"
    except imaplib.IMAP4.error:
        return False


def rcpt(instance, user):
    with smtp(instance) as s:
        s.ehlo()
        s.mail("alice@a.test")
        return s.rcpt(user)[0]


def test_users_are_added_changed_listed_and_deleted_while_the_suite_runs(make_instance):
    instance = make_instance()
    assert rcpt(instance, "carol@a.test") == 550
    instance.tool("postuser", "add", "Carol@A.test", input="first\n")
    assert instance.tool("postuser", "list").split() == ["alice@a.test", "bob@a.test", "carol@a.test"]
    wait_until(lambda: signs_in(instance, "first"), 10, "the new user")
    wait_until(lambda: rcpt(instance, "carol@a.test") == 250, 10, "the new address")
    instance.tool("postuser", "passwd", "carol@a.test", input="second\n")
    wait_until(lambda: signs_in(instance, "second"), 10, "the new password")
    assert not signs_in(instance, "first")
    instance.tool("postuser", "delete", "carol@a.test")
    wait_until(lambda: not signs_in(instance, "second"), 10, "the end of the user")
    wait_until(lambda: rcpt(instance, "carol@a.test") == 550, 10, "the end of the address")
    assert instance.tool("postuser", "list").split() == ["alice@a.test", "bob@a.test"]
    assert "first" not in instance.log() and "second" not in instance.log()


@pytest.mark.parametrize("args, input, status, says", [
    (("add", "alice@a.test"), "x\n", 1, "user alice@a.test exists already"),
    (("add", "alice"), "x\n", 1, "expected user@domain"),
    (("add", "../x@a.test"), "x\n", 1, "expected user@domain"),
    (("add", "a:b@a.test"), "x\n", 1, "expected user@domain"),
    (("add", "x@elsewhere.test"), "x\n", 1, "domain elsewhere.test is not hosted here"),
    (("add", "x@a.test"), "", 1, "empty password"),
    (("passwd", "nobody@a.test"), "x\n", 1, "no user nobody@a.test"),
    (("delete", "nobody@a.test"), "", 1, "no user nobody@a.test"),
    (("add",), "", 64, "usage: "),
    ((), "", 64, "usage: "),
])
def test_what_postuser_cannot_do_it_says_and_leaves_the_files_alone(suite, args, input, status, says):
    before = {p: p.read_bytes() for p in suite.config.iterdir()}
    done = suite.tool("postuser", *args, input=input, check=False)
    assert done.returncode == status and says in done.stderr
    assert {p: p.read_bytes() for p in suite.config.iterdir()} == before


# ---- the log and queue files ----

def test_postlog_writes_lines_to_the_mail_log(suite):
    done = suite.tool("postlog", "-t", "backup", "-p", "warn", "nearly", "full", check=False)
    assert (done.returncode, done.stderr) == (0, "backup: warning: nearly full\n")
    assert re.search(r"backup\[\d+\]: warning: nearly full$", suite.log(), re.M)
    suite.tool("postlog", input="one\ntwo \x1b[1m\n")
    assert re.search(r"postern/postlog\[\d+\]: one$", suite.log(), re.M)
    assert "\x1b" not in suite.log()
    assert suite.tool("postlog", "-p", "loud", "x", check=False).returncode != 0


def test_postcat_shows_a_queued_message_its_envelope_and_what_was_tried(make_instance):
    instance = make_instance(params=CLOSED)
    send(instance)
    instance.wait_log(r"to=<bob@a\.test>.*status=deferred")
    queue_id, = instance.queue_ids()
    whole = instance.tool("postcat", "-q", queue_id)
    assert f"*** ENVELOPE RECORDS cur/{queue_id} ***\n" in whole
    assert "\nsender: alice@a.test\n" in whole and "\nrecipient: bob@a.test\n" in whole
    assert f"*** MESSAGE CONTENTS cur/{queue_id} ***\n" in whole
    assert re.search(r"(?m)^Received: from client\.test ", whole)
    assert "\nSubject: test\n" in whole and "\n\nbody\n" in whole
    assert re.search(r"(?m)dsn=4\.7\.0 .*\(closed today\)$", whole)
    assert instance.tool("postcat", "-bq", queue_id).endswith("body\n")
    assert "Subject" not in instance.tool("postcat", "-eq", queue_id)
    assert instance.tool("postcat", "-q", "0123456789AB", check=False).returncode != 0
