# SPDX-License-Identifier: Apache-2.0
"""Lookup tables and the tools that show and change the configuration."""
import os
import smtplib
import stat

import pytest

from instance import AS_ROOT, wait_until


@pytest.fixture
def idle(make_instance):
    """An instance that is not started: only its files and tools are used."""
    return make_instance(start=False, users=())


def read(instance, name):
    return (instance.config / name).read_text()


# ---- postmap, postalias, newaliases ----

@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb"])
def test_postmap_makes_what_it_can_ask_and_list(idle, kind):
    source = idle.config / "map"
    source.write_text("# people\nAlice@A.test  one\nbob@a.test\n   two words\n")
    table = f"{kind}:{source}"
    if kind not in idle.tool("postconf", "-m").split():
        pytest.skip(f"{kind} is not built in")
    idle.tool("postmap", table)
    assert idle.tool("postmap", "-q", "ALICE@a.test", table) == "one\n"
    missing = idle.tool("postmap", "-q", "nobody", table, check=False)
    assert (missing.returncode, missing.stdout, missing.stderr) == (1, "", "")
    assert idle.tool("postmap", "-q", "-", table, input="x\nbob@a.test\n") == "bob@a.test\ttwo words\n"
    assert sorted(idle.tool("postmap", "-s", table).splitlines()) == ["alice@a.test\tone", "bob@a.test\ttwo words"]
    idle.tool("postmap", "-d", "bob@a.test", table)
    idle.tool("postmap", "-i", table, input="carol three\n")
    assert sorted(idle.tool("postmap", "-s", table).splitlines()) == ["alice@a.test\tone", "carol\tthree"]


def test_a_duplicate_is_warned_about_and_the_first_wins(idle):
    source = idle.config / "map"
    source.write_text("a 1\na 2\nlonely\n")
    done = idle.tool("postmap", f"texthash:{source}", check=False)
    assert done.returncode == 1                 # nothing to build
    done = idle.tool("postmap", source, check=False)
    assert done.returncode == 0
    assert 'duplicate entry: "a"' in done.stderr
    assert f"{source}, line 3: expected format: key whitespace value" in done.stderr
    assert idle.tool("postmap", "-q", "a", source) == "1\n"


def test_a_table_keeps_the_secrets_of_its_source(idle):
    source = idle.config / "secret"
    source.write_text("a 1\n")
    source.chmod(0o600)
    idle.tool("postmap", f"lmdb:{source}")
    assert stat.S_IMODE(os.stat(f"{source}.lmdb").st_mode) == 0o600


def test_newaliases_rebuilds_what_alias_database_names(idle):
    (idle.config / "aliases").write_text('root: alice,\n   "|/bin/cat -u"\n"two words": bob\n')
    idle.set(alias_database="lmdb:$config_directory/aliases")
    idle.tool("newaliases")
    table = f"lmdb:{idle.config}/aliases"
    assert idle.tool("postalias", "-q", "ROOT", table) == 'alice, "|/bin/cat -u"\n'
    assert "two words:\tbob" in idle.tool("postalias", "-s", table).splitlines()


@pytest.mark.parametrize("table, says", [
    ("hash:/nonexistent/x", "postmap hash:/nonexistent/x"),
    ("nosuch:x", "unsupported table type"),
    ("cidr:{file}", "{file}, line 2: non-null host address bits"),
])
def test_a_table_that_cannot_be_opened_says_why(idle, table, says):
    source = idle.config / "wrong"
    source.write_text("# networks\n192.0.2.1/24 x\n")
    if table.startswith("hash") and "hash" not in idle.tool("postconf", "-m").split():
        pytest.skip("hash is not built in")
    done = idle.tool("postmap", "-q", "a", table.format(file=source), check=False)
    assert done.returncode == 1 and done.stderr.startswith("postmap: fatal: ")
    assert says.format(file=source) in done.stderr


# ---- postconf ----

def test_settings_change_in_place(idle):
    (idle.config / "main.cf").write_text(
        "# head\nmyhostname = a.test\nmydestination = x,\n# within\n   y\nrelayhost = r\nmydestination = z\n")
    idle.tool("postconf", "-e", "mydestination = $myhostname,   b", "smtpd_timeout=7s", "append_dot_mydomain=yes")
    idle.tool("postconf", "-#", "relayhost")
    assert read(idle, "main.cf") == (
        "# head\nmyhostname = a.test\nmydestination = $myhostname,   b\n# within\n#relayhost = r\n"
        "mydestination = $myhostname,   b\nappend_dot_mydomain = yes\nsmtpd_timeout = 7s\n")
    idle.tool("postconf", "-X", "mydestination", "append_dot_mydomain")
    assert idle.tool("postconf", "-nH").split() == ["config_directory", "myhostname", "smtpd_timeout"]
    assert not list(idle.config.glob("*.tmp"))


def test_values_are_shown_as_asked_for(idle):
    (idle.config / "main.cf").write_text("myhostname = a.b.test\nmydestination =\n  $myhostname,\n   x\nrelayhost =\n")
    show = lambda *a: idle.tool("postconf", *a)
    assert show("mydestination", "relayhost") == "mydestination = $myhostname, x\nrelayhost =\n"
    assert show("-h", "mydestination") == "$myhostname, x\n"
    assert show("-xh", "mydestination", "mydomain") == "a.b.test, x\nb.test\n"
    assert show("-o", "myhostname=c.test", "-xh", "mydestination") == "c.test, x\n"
    assert show("-d", "smtpd_timeout") == "smtpd_timeout = 300s\n"
    assert show("-j", "mydestination") == '{"mydestination": "$myhostname, x"}\n'
    names = [line.split(" =")[0] for line in show().splitlines()]
    assert names == sorted(names) and "virtual_alias_maps" in names


def test_a_setting_that_nobody_reads_is_warned_about(idle):
    (idle.config / "main.cf").write_text("smptd_timeout = 3\nmine = 1\nrelayhost = $mine$other\n")
    done = idle.tool("postconf", "-n", "relayhost", "no_such_name", check=False)
    assert done.stdout == "relayhost = $mine$other\n"
    assert "postconf: warning: no_such_name: unknown parameter" in done.stderr
    assert f"postconf: warning: {idle.config}/main.cf: unused parameter: smptd_timeout=3" in done.stderr
    assert f"postconf: warning: {idle.config}/main.cf: undefined parameter: other" in done.stderr
    assert "mine=1" not in done.stderr
    assert "main.cf" not in idle.tool("postconf", "-qn", "relayhost", check=False).stderr


def test_services_are_shown_and_changed(idle):
    (idle.config / "master.cf").write_text(
        "# services\nsmtp inet n - n - - smtpd\n  -o a=b\n# note\n  -o { c = d e }\nsmtp unix - - n - - smtp\n")
    show = lambda *a: idle.tool("postconf", "-q", *a)
    assert show("-M", "smtp/inet") == (
        "smtp       inet  n       -       n       -       -       smtpd -o a=b -o {c=d e}\n")
    assert show("-Mf", "smtp/inet").splitlines()[1:] == ["    -o a=b", "    -o {c=d e}"]
    assert show("-F", "*/*/command") == "smtp/inet/command = smtpd -o a=b -o {c=d e}\nsmtp/unix/command = smtp\n"
    assert show("-P") == "smtp/inet/a = b\nsmtp/inet/c = d e\n"
    show("-F", "smtp/unix/process_limit=7")
    show("-P", "smtp/inet/a=1 2", "smtp/unix/x=y")
    show("-M", "new/unix=new unix - n n - - pipe user=nobody")
    show("-M#", "new/unix")
    assert read(idle, "master.cf") == (
        "# services\n"
        "smtp       inet  n       -       n       -       -       smtpd\n    -o {a=1 2}\n    -o {c=d e}\n# note\n"
        "smtp       unix  -       -       n       -       7       smtp\n    -o x=y\n"
        "#new        unix  -       n       n       -       -       pipe user=nobody\n")


@pytest.mark.parametrize("args, says", [
    (("-F", "smtp/inet/private=maybe"), "expected y, n or -"),
    (("-F", "smtp/inet/nosuch=1"), "invalid service attribute name"),
    (("-M", "x/unix=x unix - n n"), "bad field count"),
    (("-MX", "smtp"), "require service_name/type"),
    (("-e", "nothing"), "missing '='"),
    (("-e", "a b=c"), "bad parameter name"),
])
def test_a_wrong_change_leaves_the_file_as_it_was(idle, args, says):
    (idle.config / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    before = {f.name: f.read_bytes() for f in idle.config.iterdir()}
    done = idle.tool("postconf", *args, check=False)
    assert done.returncode == 1 and done.stderr.startswith("postconf: fatal: ")
    assert says in done.stderr
    assert {f.name: f.read_bytes() for f in idle.config.iterdir()} == before


# ---- tables in use ----

def send(instance, *recipients):
    with smtplib.SMTP("127.0.0.1", instance.port["smtp"], timeout=20) as s:
        return s.sendmail("sender@b.test", recipients, "Subject: x\r\n\r\nx\r\n")


@pytest.mark.parametrize("kind", ["hash", "lmdb"])
def test_a_rebuilt_table_is_used_without_a_reload(make_instance, kind):
    instance = make_instance(start=False, params={"virtual_alias_maps": f"{kind}:$config_directory/virtual"})
    if kind not in instance.tool("postconf", "-m").split():
        pytest.skip(f"{kind} is not built in")
    source = instance.config / "virtual"

    def build(text):
        source.write_text(text)
        instance.tool("postmap", f"{kind}:{source}")

    build("team@a.test alice@a.test\n")
    instance.start()
    send(instance, "team@a.test")
    instance.wait_messages("alice", 1)
    build("team@a.test bob@a.test\n")

    def arrived():
        send(instance, "team@a.test")
        return instance.messages("bob")

    wait_until(arrived, timeout=15, what="the new alias")


@pytest.mark.skipif(not AS_ROOT, reason="needs the separate accounts of a suite started by root")
def test_local_users_are_known_through_proxymap(make_instance):
    instance = make_instance(params={"mydestination": "local.test",
                                     "local_recipient_maps": "proxy:unix:passwd.byname"})
    with smtplib.SMTP("127.0.0.1", instance.port["smtp"], timeout=20) as s:
        s.ehlo("b.test")
        assert s.mail("x@b.test")[0] == 250
        assert s.rcpt("daemon@local.test")[0] == 250
        assert s.rcpt("no-such-user@local.test")[0] == 550
