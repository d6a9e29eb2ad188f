# SPDX-License-Identifier: Apache-2.0
"""Our own troubles are the client's 4xx: disk full, out of descriptors, a dead cleanup. One log line says which."""
import os
import signal
import smtplib
import socket
import subprocess

import pytest

from instance import AS_ROOT, SLOW, wait_until

CHUNK = "x" * 70 + "\r\n"


def connect(suite):
    s = smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test", timeout=20 * SLOW)
    s.ehlo()
    return s


def send(suite, subject="x"):
    with connect(suite) as s:
        s.mail("alice@a.test")
        s.rcpt("bob@a.test")
        code, text = s.data(f"Subject: {subject}\r\n\r\nx\r\n")
        return f"{code} {text.decode()}"


# ---- disk full ----

@pytest.fixture(scope="module")
def small_disk(make_instance):
    """An instance whose queue lies on a file system of 8 MiB."""
    if not AS_ROOT:
        pytest.skip("only root can mount")
    instance = make_instance(start=False, params={"message_size_limit": "1000000"})
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", instance.queue_dir], capture_output=True)
    if done.returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield instance.start()
    finally:
        instance.end()
        subprocess.run(["umount", instance.queue_dir], check=True)


def test_a_full_disk_is_452_one_log_line_and_over_when_there_is_room_again(small_disk):
    assert send(small_disk, "before").startswith("250 ")
    ballast = small_disk.queue_dir / "ballast"
    small_disk.wait_queue_empty()
    with open(ballast, "wb") as f:
        with pytest.raises(OSError):
            while True:
                f.write(bytes(65536))
                f.flush()
    assert send(small_disk, "during") == "452 4.3.1 Insufficient system storage"
    wait_until(lambda: send(small_disk, "during") and small_disk.log_lines("not enough free space in mail queue: "), 10,
               "the line about the queue's space")
    wait_until(lambda: not small_disk.queue_files("tmp", "new", "cur"), 10, "nothing to be left of it")
    ballast.unlink()
    wait_until(lambda: send(small_disk, "after").startswith("250 "), 10, "room again")
    small_disk.wait_queue_empty()
    texts = [p.read_text() for p in small_disk.messages("bob")]
    assert any("before" in t for t in texts) and not any("during" in t for t in texts)


# ---- a dead cleanup ----

def test_a_cleanup_that_dies_within_a_message_is_451_and_leaves_nothing(suite):
    s = connect(suite)
    s.mail("alice@a.test")
    s.rcpt("bob@a.test")
    assert s.docmd("DATA")[0] == 354
    s.send("Subject: interrupted\r\n\r\n" + CHUNK * 3000)       # more than smtpd holds back: cleanup has a part of it
    wait_until(lambda: suite.queue_files("tmp"), 10, "a file in tmp/")
    for pid in suite.pids("cleanup"):
        os.kill(pid, signal.SIGKILL)
    s.send("x\r\n.\r\n")
    assert s.getreply() == (451, b"4.3.0 Error: queue file write error")
    suite.wait_log(r"warning: cannot submit a message from unknown\[127\.0\.0\.1\] to cleanup, telling it to try again: ")
    assert s.noop()[0] == 250
    s.quit()
    assert send(suite, "after the death").startswith("250 ")    # by a new cleanup
    suite.wait_queue_empty()
    assert not any("interrupted" in p.read_text() for p in suite.messages("bob"))


# ---- out of descriptors ----

def greeted(s):
    s.settimeout(0.2)
    try:
        return s.recv(4) == b"220 "
    except TimeoutError:
        return False


@pytest.mark.parametrize("processes", ["-", "1"])
def test_a_process_takes_no_more_clients_than_it_has_descriptors_for(make_instance, processes):
    """The others are another process's, or, where there may be none, wait until somebody leaves."""
    suite = make_instance(start=False, params={"smtpd_client_connection_count_limit": "0"})
    config = (suite.config / "master.cf").read_text()
    port = f"127.0.0.1:{suite.port['smtp']}"
    (suite.config / "master.cf").write_text(config.replace(f"{port}        inet  n - n - -", f"{port} inet n - n - {processes}", 1))
    suite.prefix = ("prlimit", "--nofile=100:100")
    suite.start()
    suite.prefix = ()
    old = connect(suite)
    more = [socket.create_connection(("127.0.0.1", suite.port["smtp"]), 20 * SLOW) for _ in range(120)]
    try:
        if processes == "-":
            for s in more:
                wait_until(lambda: greeted(s), 20, "the greeting of every client")
            assert len(suite.pids("smtpd")) > 1
        else:
            suite.wait_log(rf'warning: service "{port}" .*has reached its process limit "1": new clients may experience '
                           "noticeable delays")
            assert len(suite.pids("smtpd")) == 1
        assert old.noop() == (250, b"2.0.0 Ok")
    finally:
        for s in more:
            s.close()
    assert old.noop() == (250, b"2.0.0 Ok")
    old.quit()
    assert send(suite, "after the crowd").startswith("250 ")
    assert not suite.log_lines("Too many open files")
