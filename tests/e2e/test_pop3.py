# SPDX-License-Identifier: Apache-2.0
"""POP3 as mail programs of all ages use it (RFC 1939, 2449, 2595, 3206, 5034, 6856)."""
import os
import poplib
import re

import pytest

from instance import SLOW, wait_until
from lines import Pop3Client

@pytest.fixture(scope="module")
def suite(make_instance):
    instance = make_instance(users=("alice", "bob", "carol"), params={"imap_allow_plaintext_auth": "127.0.0.1"})
    box = instance.maildir("alice")
    write(instance, box, {f"10{i}.M{i}P1.host:2,": f"Subject: {i}\n\nText {i}\n.dot\n" for i in range(5)})
    return instance


def write(instance, box, files):
    """Messages as another program puts them into a Maildir."""
    for d in box.parent, box, box / "cur", box / "new", box / "tmp":
        if not d.exists():
            d.mkdir()
            os.chown(d, instance.owner.pw_uid, instance.owner.pw_gid)
    for name, text in files.items():
        path = box / "cur" / name
        path.write_bytes(text.encode())
        os.chown(path, instance.owner.pw_uid, instance.owner.pw_gid)


def login(suite, user="alice"):
    pop = poplib.POP3("127.0.0.1", suite.port["pop3"], timeout=30 * SLOW)
    pop.user(suite.address(user))
    pop.pass_(suite.password)
    return pop


def flags(suite):
    return {p.name.split(":2,")[0]: p.name.split(":2,")[1] for p in (suite.maildir("alice") / "cur").glob("*")}


def test_capabilities_are_told_before_and_after_sign_in(suite):
    talk = Pop3Client(suite.port["pop3"])
    assert talk.ask("CAPA") == "+OK"
    before = talk.rest()
    assert {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8 USER", "STLS", "USER", "SASL PLAIN LOGIN"} <= set(before)
    assert talk.ask("AUTH") == "+OK"
    assert talk.rest() == ["PLAIN", "LOGIN"]
    assert talk.ask("UTF8") == "+OK UTF8 enabled"
    assert talk.ask("LANG") == "+OK Language listing follows:" and talk.rest() == ["en English"]
    assert talk.ask("LANG *").startswith("+OK en ") and talk.ask("LANG tlh").startswith("-ERR ")
    assert talk.ask(f"USER {suite.address('alice')}") == "+OK"
    assert talk.ask(f"PASS {suite.password}").startswith("+OK")
    assert talk.ask("CAPA") == "+OK"
    assert {"TOP", "UIDL", "RESP-CODES", "PIPELINING", "UTF8 USER", "LANG", "EXPIRE NEVER", "USER", "SASL PLAIN LOGIN"} <= set(after := talk.rest())
    assert set(before) - set(after) == {"STLS"}     # RFC 2449 section 6, RFC 2595 section 4
    assert talk.ask("LANG EN").startswith("+OK en ") and talk.ask("LANG de").startswith("-ERR ")
    assert talk.ask("LANG") == "+OK Language listing follows:" and talk.rest() == ["en English"]
    talk.close()


def test_a_whole_session_may_be_pipelined(suite):
    talk = Pop3Client(suite.port["pop3"])
    first = talk.ask(f"USER {suite.address('alice')}", f"PASS {suite.password}", "STAT", "LIST 1", "TOP 1 0", "NOOP", "QUIT")
    lines = [first]
    while line := talk.line():
        lines.append(line)
        if line == "":
            break
    lines += [line.rstrip("\r\n") for line in talk.file.read().decode().splitlines()]
    assert [x[:3] for x in lines[:4]] == ["+OK"] * 4 and lines[-1].startswith("+OK Logging out")
    assert "Subject: 0" in lines and "Text 0" not in lines
    talk.close()


def test_what_was_retrieved_is_marked_seen_unless_the_parameter_says_not(suite):
    pop = login(suite)
    pop.retr(1)
    pop.top(2, 0)
    pop.close()     # no QUIT: still the client has the message
    wait_until(lambda: flags(suite)["100.M0P1.host"] == "S", 10, "the flag")
    assert flags(suite)["101.M1P1.host"] == ""
    suite.set(pop3_no_flag_updates="yes")
    suite.reload()
    pop = login(suite)
    pop.retr(3)
    pop.quit()
    suite.wait_log(r"retr=1/\d+, del=0/5.*", count=2)
    assert flags(suite)["102.M2P1.host"] == ""
    suite.set(pop3_no_flag_updates="no")
    suite.reload()


@pytest.mark.parametrize("form,wanted", [
    ("%08Xu%08Xv", r"0000000[1-5][0-9a-f]{8}"),
    ("UID%u-%v", r"UID[1-5]-\d{10}"),
    ("%v-%u", r"\d{10}-[1-5]"),
    ("%f", r"10\d\.M\dP1\.host"),
])
def test_unique_ids_have_the_form_of_the_server_that_was_there_before(suite, form, wanted):
    suite.set(pop3_uidl_format=form)
    suite.reload()
    def listed():
        pop = login(suite)
        ids = [line.decode().split()[1] for line in pop.uidl()[1]]
        one = pop.uidl(2).decode().split()[2]
        pop.quit()
        return ids, one
    ids, one = wait_until(lambda: (r := listed()) and re.fullmatch(wanted, r[0][0]) and r, 10, "the new form")
    assert len(set(ids)) == 5 and all(re.fullmatch(wanted, i) for i in ids) and ids[1] == one
    assert listed() == (ids, one)


def test_lists_and_unique_ids_need_no_message_file(suite):
    """Nobody may read these files, and the sizes are in their names, as we and Dovecot store messages."""
    box = suite.maildir("carol")
    write(suite, box, {f"{1000 + i}.M{i}P1.host,S=20,W={100 + i}:2,": "Subject: a\n\nb\n" for i in range(500)})
    for path in (box / "cur").iterdir():
        path.chmod(0)
    pop = login(suite, "carol")
    assert pop.stat() == (500, sum(100 + i for i in range(500)))
    assert pop.list()[1] == [b"%d %d" % (i + 1, 100 + i) for i in range(500)]
    assert len({line.split()[1] for line in pop.uidl()[1]}) == 500
    with pytest.raises(poplib.error_proto):
        pop.retr(1)
    pop.quit()


def test_bad_input_is_answered_and_the_session_goes_on(suite):
    talk = Pop3Client(suite.port["pop3"])
    for command, answer in [("RETR 1", "-ERR unknown command"), ("PASS x", "-ERR expected USER"), ("USER", "-ERR expected USER name"),
                            ("AUTH X-NONE", "-ERR Unsupported"), ("AUTH PLAIN !!!", "-ERR initial response is not Base64"),
                            ("x" * 20000, "-ERR command line longer"), (f"USER {suite.address('alice')}", "+OK"),
                            (f"PASS {suite.password}", "+OK"), ("LIST 6", "-ERR There is no such message"), ("LIST x", "-ERR A message number"),
                            ("RETR", "-ERR A message number"), ("TOP 1", "-ERR A number of lines"), ("DELE 0", "-ERR There is no such"),
                            ("y" * 600, "-ERR Line longer"), ("DELE 1", "+OK"), ("RETR 1", "-ERR The message is deleted"), ("RSET", "+OK"),
                            ("STAT", "+OK 5 ")]:
        got = talk.ask(command)
        assert got.startswith(answer), (command, got)
    talk.close()


def test_a_wrong_password_has_its_code(suite):
    pop = poplib.POP3("127.0.0.1", suite.port["pop3"], timeout=30 * SLOW)
    pop.user(suite.address("alice"))
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop.pass_("wrong")
    pop.close()
