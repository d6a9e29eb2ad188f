# SPDX-License-Identifier: Apache-2.0
"""Delivery to commands: what they get, who they are, and what their exit status means."""
import getpass
import os
import pwd
import re
import smtplib

import pytest

from instance import AS_ROOT, wait_until

USER = "nobody" if AS_ROOT else getpass.getuser()
SCRIPT = """\
#!/bin/sh
# keeps what it got: arguments one a line, the message, who and where it is
out=$1; shift
for a in "$@"; do printf '%s\\n' "$a"; done > $out/args
cat > $out/message
{ id -u; id -g; id -G; pwd; ls /proc/self/fd | wc -l; grep -E 'CapEff|NoNewPrivs' /proc/self/status; env | sort; } > $out/self
touch $out/done
"""
ANSWER = """\
#!/bin/sh
# exits as the local part says: exit-67, with the rest as output
code=${1#*-}; text=${2}
[ "$text" ] && echo "$text"
case $code in
sleep) sleep 60 & sleep 60 ;;
kill) kill -9 $$ ;;
loud) yes | head -c 3000000; exit 0 ;;
*) exit $code ;;
esac
"""


@pytest.fixture(scope="module")
def pipes(make_instance, workdir):
    base = workdir / "pipe"
    for name in ("full", "plain", "many"):
        (base / name).mkdir(parents=True)
        if AS_ROOT:
            os.chown(base / name, pwd.getpwnam(USER).pw_uid, -1)
    for name, text in (("keep", SCRIPT), ("answer", ANSWER)):
        (base / name).write_text(text)
        (base / name).chmod(0o755)
    base.chmod(0o755)
    service = "{name} unix - n n - - pipe flags={flags} user={user} {more}argv={base}/{argv}"
    rows = [
        {"name": "full", "flags": "DORFhuq.>", "more": "directory=/usr null_sender=nobody ",
         "argv": "keep %s/full ${recipient} ${sender} ${extension} $user $(domain) ${mailbox} ${nexthop} ${size} ${queue_id}"
                 " ${original_recipient} ${client_address} ${client_helo} a$$b" % base},
        {"name": "plain", "flags": "X", "more": "eol=\\r\\n size=5000 ", "argv": "keep %s/plain" % base},
        {"name": "many", "flags": "B", "more": "", "argv": "keep %s/many -f ${sender} -- ${recipient} end" % base},
        {"name": "answer", "flags": "", "more": "", "argv": "answer ${user} ${extension}"},
        {"name": "absent", "flags": "", "more": "", "argv": "absent"},
    ]
    suite = make_instance(params={
        "transport_maps": "inline:{ {full.test = full:hop} {plain.test = plain:} {many.test = many:} {answer.test = answer:}"
                          " {absent.test = absent:} }",
        "virtual_alias_maps": "inline:{ {first@a.test = Ann+Ext@Full.test} }", "recipient_delimiter": "+",
        "full_destination_recipient_limit": "1", "answer_destination_recipient_limit": "1", "answer_time_limit": "2s",
        "minimal_backoff_time": "1h", "maximal_backoff_time": "1h",
    }, services=[service.format(base=base, user=USER, **r) for r in rows])
    suite.base = base
    yield suite
    suite.stop()


def send(suite, to, sender="alice@a.test", body="body\r\n", options=(), rcpt_options=()):
    with smtplib.SMTP("127.0.0.1", suite.port["smtp"], "client.test") as s:
        s.sendmail(sender, to, f"From: a\r\nSubject: test\r\n\r\n{body}".encode(), options, rcpt_options)


def kept(suite, name):
    folder = suite.base / name
    wait_until((folder / "done").exists, 20, "the end of the command")
    (folder / "done").unlink()
    return ((folder / "args").read_text().splitlines(), (folder / "message").read_bytes(),
            (folder / "self").read_text().splitlines())


def test_a_command_gets_its_arguments_and_the_message_as_flags_ask_for(pipes):
    send(pipes, "first@a.test", body=".dot\r\nFrom here\r\nFromage\r\n")
    args, message, _ = kept(pipes, "full")
    queue_id = pipes.wait_log(r"(\w+): to=<Ann\+Ext@Full\.test>, orig_to=<first@a\.test>, relay=full, .*dsn=2\.0\.0, "
                              r"status=sent \(delivered via full service\)")[1]
    size = args.pop(7)
    assert args == ["ann+ext@full.test", "alice@a.test", "ext", "ann", "full.test", "ann+ext", "hop", queue_id,
                    "first@a.test", "127.0.0.1", "client.test", "a$b"]
    text = message.decode()
    assert b"\r" not in message and int(size) > 100
    first, rest = text.split("\n", 1)
    assert re.fullmatch(r"From alice@a\.test \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", first)
    assert rest.startswith("Return-Path: <alice@a.test>\nX-Original-To: first@a.test\nDelivered-To: Ann+Ext@Full.test\n")
    assert text.endswith("\n\n..dot\n>From here\nFromage\n.\n")


def test_the_null_sender_has_a_name_and_line_ends_are_chosen(pipes):
    send(pipes, "x@full.test", sender="")
    assert kept(pipes, "full")[0][1] == "nobody"
    send(pipes, "x@plain.test")
    _, message, _ = kept(pipes, "plain")
    assert message.endswith(b"\r\n\r\nbody\r\n") and message.count(b"\n") == message.count(b"\r\n")


def test_one_command_delivers_to_all_recipients_of_a_request(pipes):
    send(pipes, ["one@many.test", "-two@many.test"])
    args, message, _ = kept(pipes, "many")
    assert args[:3] == ["-f", "alice@a.test", "--"] and args[-1] == "end"
    assert sorted(args[3:-1]) == ["-two@many.test", "one@many.test"]
    assert message.endswith(b"\nbody\n\n")
    pipes.wait_log(r"to=<one@many\.test>, relay=many, .*status=sent")


def test_a_command_is_its_user_and_has_nothing_of_ours(pipes):
    send(pipes, "x@full.test")
    uid, gid, groups, cwd, fds, *rest = kept(pipes, "full")[2]
    who = pwd.getpwnam(USER)
    assert (int(uid), cwd) == (who.pw_uid, "/usr")
    if AS_ROOT:
        assert (int(gid), groups) == (who.pw_gid, str(who.pw_gid))
    assert int(fds) == 4                            # 0 1 2 and that of ls
    assert "CapEff:\t0000000000000000" in rest or not AS_ROOT
    assert "NoNewPrivs:\t1" in rest
    names = {line.split("=")[0] for line in rest if "=" in line}
    assert names <= {"LANG", "PATH", "PWD", "_", "SHLVL", "OLDPWD"}


@pytest.mark.parametrize("user, outcome", [
    ("exit-0", r"dsn=2\.0\.0, status=sent \(delivered via answer service\)"),
    ("exit-0+all=well", r"dsn=2\.0\.0, status=sent \(delivered via answer service \(all=well\)\)"),
    ("exit-67", r"dsn=5\.1\.1, status=bounced \(user unknown\)"),
    ("exit-67+who", r"dsn=5\.1\.1, status=bounced \(user unknown\. Command output: who\)"),
    ("exit-69", r"dsn=5\.3\.0, status=bounced \(service unavailable\)"),
    ("exit-71", r"dsn=4\.3\.0, status=deferred \(system resource problem\)"),
    ("exit-75", r"dsn=4\.3\.0, status=deferred \(temporary failure\)"),
    ("exit-77", r"dsn=5\.7\.0, status=bounced \(permission denied\)"),
    ("exit-1", r"dsn=5\.3\.0, status=bounced \(Command died with status 1: \"\S+/answer\"\)"),
    ("exit-kill", r"dsn=4\.3\.0, status=deferred \(Command died with signal 9: \"\S+/answer\"\)"),
    ('"exit-1+4.2.2 over quota"', r"dsn=4\.2\.2, status=deferred \(over quota\)"),
    ('"exit-75+5.7.1 go away"', r"dsn=5\.7\.1, status=bounced \(go away\)"),
    ("exit-sleep", r"dsn=5\.3\.0, status=bounced \(Command time limit exceeded: \"\S+/answer\"\)"),
    ("exit-loud", r"dsn=2\.0\.0, status=sent \(delivered via answer service \(y\?y\?.*\)\)"),
])
def test_the_exit_status_decides(pipes, user, outcome):
    send(pipes, f"{user}@answer.test", body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 3000)
    bare = re.escape(user.strip('"'))
    pipes.wait_log(rf"to=<\"?{bare}\"?@answer\.test>, relay=answer, .*{outcome}", 20)


def test_nothing_of_a_command_whose_time_is_over_lives_on(pipes):
    def sleepers():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    found += [pid] * (b"answer\0exit-sleep" in f.read())
            except OSError:
                continue
        return found

    pipes.wait_log(r"Command time limit exceeded")
    wait_until(lambda: not sleepers(), 10, "the end of the command")


def test_a_command_that_is_not_there_defers_and_a_message_over_the_size_is_returned(pipes):
    send(pipes, "x@absent.test")
    pipes.wait_log(r"to=<x@absent\.test>, relay=absent, .*dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: "
                   r"cannot execute the command: No such file or directory\)")
    send(pipes, "x@plain.test", body="x\r\n" * 3000)
    pipes.wait_log(r"to=<x@plain\.test>, relay=plain, .*dsn=5\.2\.3, status=bounced \(message size \d+ exceeds size limit 5000 "
                   r"of transport plain\)")


def test_success_is_a_relay_unless_the_command_is_said_to_be_final(pipes):
    for to, action in (("x@many.test", "relayed"), ("x@plain.test", "delivered")):
        send(pipes, to, sender="bob@a.test", rcpt_options=["NOTIFY=SUCCESS"])
        path, = pipes.wait_messages("bob", 1)
        assert f"\nAction: {action}\n" in path.read_text()
        path.unlink()
