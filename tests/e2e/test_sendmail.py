# SPDX-License-Identifier: Apache-2.0
"""sendmail and set-gid postdrop as an unprivileged user meets them; mailq."""
import os
import re
import shutil
import stat
import subprocess

import pytest

from instance import AS_ROOT, ROOT, SBIN, SLOW, wait_until

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="needs another user to submit as, and a set-gid program")

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def as_nobody(suite, *command, input="", no_new_privs=False, **kw):
    return subprocess.run([*AS_NOBODY, *(["--no-new-privs"] if no_new_privs else []), *map(str, command)], input=input,
                          text=True, capture_output=True, timeout=60 * SLOW,
                          cwd="/", **kw,
                          # The leak checker of a sanitizer build cannot look into a set-gid process.
                          env={"PATH": "/usr/bin:/bin", "MAIL_CONFIG": str(suite.config), "ASAN_OPTIONS": "detect_leaks=0"})


def sendmail(suite, *args, **kw):
    return as_nobody(suite, suite.sbin / "sendmail", "-C", suite.config, *args, **kw)


@pytest.fixture(scope="module")
def installed(make_instance):
    """Makes instances with command directories of their own, in which postdrop is set-gid, and which the built-in
    main.cf knows as alternate_config_directories: postdrop believes nothing else."""
    builtin = ROOT / "etc/postern/main.cf"
    before = builtin.read_bytes()

    def make(**params):
        suite = make_instance(start=False)
        suite.sbin = suite.dir / "sbin"
        suite.sbin.mkdir()
        for name in ("sendmail", "postdrop", "postqueue"):
            shutil.copy(SBIN / name, suite.sbin)
        (suite.sbin / "mailq").symlink_to("sendmail")
        suite.set(command_directory=suite.sbin, **params)
        suite.tool("postern", "set-permissions")
        subprocess.run([SBIN / "postconf", "-c", builtin.parent, "-e", f"alternate_config_directories={suite.config}"],
                       check=True)
        suite.start()
        return suite

    yield make
    builtin.write_bytes(before)


@pytest.fixture
def down(installed):
    """An instance that has run and is stopped."""
    suite = installed()
    suite.stop()
    return suite


def text_of(suite, user, subject):
    def look():
        return next((t for t in (p.read_text() for p in suite.messages(user)) if f"Subject: {subject}\n" in t), None)
    return wait_until(look, 20, f"a message {subject} for {user}")


def test_set_permissions_makes_postdrop_setgid_and_nothing_else(down):
    modes = {p.name: p.stat() for p in down.sbin.iterdir() if not p.is_symlink()}
    assert stat.S_IMODE(modes["postdrop"].st_mode) == 0o2755
    assert not any(s.st_mode & (stat.S_ISUID | stat.S_ISGID) for n, s in modes.items() if n != "postdrop")
    maildrop = os.stat(down.queue_dir / "maildrop")
    assert maildrop.st_gid == modes["postdrop"].st_gid and stat.S_IMODE(maildrop.st_mode) & 0o077 == 0o030


def test_an_unprivileged_user_submits_while_the_suite_is_down_and_is_known_by_uid(down):
    done = sendmail(down, "-f", "alice@a.test", "bob@a.test", input="Subject: dropped\n\nbody\n")
    assert done.returncode == 0, done.stderr
    (drop,) = down.queue_files("maildrop")
    assert drop.stat().st_uid == NOBODY
    # Nobody sees or reads the mail of others.
    assert as_nobody(down, "ls", down.queue_dir / "maildrop").returncode != 0
    down.start()
    assert re.search(r"^Received: by \S+ \(Postern, from userid 65534\)$", text_of(down, "bob", "dropped"), re.M)
    down.wait_log(r"postern/pickup\[\d+\]: \w+: uid=65534 from=<alice@a\.test>")
    down.wait_queue_empty()


def test_without_the_right_to_gain_a_group_the_caller_is_told_to_try_later(down):
    done = sendmail(down, "bob@a.test", input="Subject: no\n\nbody\n", no_new_privs=True)
    assert done.returncode == 75
    assert "cannot write to maildrop" in done.stderr
    assert not down.queue_files("maildrop")


def test_setgid_postdrop_believes_no_configuration_of_its_caller(down, tmp_path_factory):
    own = tmp_path_factory.mktemp("own")
    own.chmod(0o755)
    own.parent.chmod(0o755)
    own.parent.parent.chmod(0o755)
    (own / "main.cf").write_text(f"queue_directory = {down.queue_dir}\n")
    done = as_nobody(down, down.sbin / "postdrop", "-c", own)
    assert done.returncode != 0 and f"{own} is not in alternate_config_directories" in done.stderr
    assert not down.queue_files("maildrop")


def test_postdrop_stores_nothing_for_a_caller_who_speaks_nonsense_or_dies(down):
    for speech in ("", "garbage", "\0" * 1000, "\x00\x00\x00\x10submit\0"):
        assert as_nobody(down, down.sbin / "postdrop", "-c", down.config, input=speech).returncode == 65
    assert not down.queue_files("maildrop") and not down.queue_files("tmp")


def test_the_exit_status_says_what_a_program_should_do_next(installed):
    suite = installed(message_size_limit="1000")
    status = lambda *args, **kw: sendmail(suite, *args, **kw).returncode
    message = "Subject: x\n\nbody\n"
    assert status("bob@a.test", input=message) == os.EX_OK
    assert status("-bz", input=message) == os.EX_USAGE
    assert status("", input=message) == os.EX_USAGE
    assert status("bob@a.test", input="Subject: big\n\n" + 100 * "0123456789012345678\n") == os.EX_UNAVAILABLE
    directory = os.open("/", os.O_RDONLY)       # a read error
    done = subprocess.run([*AS_NOBODY, suite.sbin / "sendmail", "-C", suite.config, "bob@a.test"], stdin=directory,
                          stderr=subprocess.PIPE, cwd="/")
    os.close(directory)
    assert done.returncode == os.EX_DATAERR
    done = as_nobody(suite, suite.sbin / "sendmail", "-C", "/nonexistent", "bob@a.test", input=message)
    assert done.returncode == os.EX_TEMPFAIL
    suite.wait_messages("bob", 1)
    assert len(suite.messages("bob")) == 1


def test_mailq_shows_the_queue_to_any_user_and_q_tries_it_again(installed):
    suite = installed(transport_maps="inline:{ {later.test=retry:4.7.0 closed today} }", minimal_backoff_time="1h")
    mailq = lambda: as_nobody(suite, suite.sbin / "mailq")
    assert mailq().stdout == "Mail queue is empty\n"
    assert sendmail(suite, "-f", "alice@a.test", "x@later.test", input="Subject: x\n\nbody\n").returncode == 0
    queue_id = suite.wait_log(r"(\w+): to=<x@later\.test>.*status=deferred")[1]
    wait_until(lambda: suite.queue()[0]["queue_name"] == "deferred", 10, "the message to wait")
    listing = mailq().stdout
    assert re.search(rf"(?m)^{queue_id}\s+\d+ .* alice@a\.test\n\s*\(closed today\)\n\s+x@later\.test$", listing), listing
    assert listing == sendmail(suite, "-bp").stdout
    assert sendmail(suite, "-q").returncode == 0
    suite.wait_log(r"to=<x@later\.test>.*status=deferred", count=2)
    suite.set(transport_maps="inline:{ later.test=discard: }")
    suite.reload()
    assert sendmail(suite, f"-qI{queue_id}").returncode == 0
    suite.wait_queue_empty()
