# SPDX-License-Identifier: Apache-2.0
"""Manual pages: all programs have one, they are well-formed, and lists on them are those of the tables and sources."""
import re
import shutil
import subprocess

import pytest

from instance import LIBEXEC, ROOT, SBIN

PAGE = ROOT / "share/man/man5/postconf.5"


@pytest.fixture(scope="module")
def idle(make_instance):
    return make_instance(start=False, users=())


def entries():
    return re.findall(r"^\.It Cm (\S+)", PAGE.read_text(), re.M)


def test_every_restriction_and_every_parameter_is_on_the_page_once(idle):
    restrictions = [line.split()[0] for line in idle.tool("postconf", "-R").splitlines()]
    parameters = idle.tool("postconf", "-d", "-H").split()
    assert len(restrictions) > 50 and len(parameters) > 150
    assert entries() == restrictions + parameters


def test_a_restriction_is_listed_with_the_argument_it_takes(idle):
    listed = idle.tool("postconf", "-R").splitlines()
    assert "reject_unauth_destination" in listed
    assert "check_client_access type:table" in listed
    assert "reject_rbl_client domain[=address]" in listed


PAGES = sorted((ROOT / "share/man").glob("man*/*"))
CHECKERS = {"man": ("man", "--warnings", "-E", "UTF-8", "-l"), "mandoc": ("mandoc", "-T", "lint", "-W", "error")}


@pytest.mark.parametrize("checker", CHECKERS)
def test_all_pages_are_well_formed(checker):
    if not shutil.which(checker):
        pytest.skip(f"{checker} is not installed")
    for page in PAGES:
        if page.read_text().splitlines()[1].startswith(".so "):
            assert (ROOT / "share/man" / page.read_text().split()[-1]).exists(), page
            continue
        done = subprocess.run([*CHECKERS[checker], page], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "MANPAGER": "cat"})
        # a value that is longer than a line cannot be broken
        said = [line for line in done.stderr.splitlines() if "can't break line" not in line]
        assert (done.returncode, said) == (0, []), page


@pytest.mark.parametrize("folder, section", [(SBIN, 1), (LIBEXEC, 8)], ids=["commands", "servers"])
def test_every_program_has_a_page_with_its_name(folder, section):
    for program in folder.iterdir():
        page = ROOT / f"share/man/man{section}/{program.name}.{section}"
        if page.read_text().splitlines()[1].startswith(".so "):
            page = ROOT / "share/man" / page.read_text().split()[-1]
        assert re.search(rf"^\.Nm {program.name}$", page.read_text(), re.M), program.name


@pytest.mark.parametrize("command", ["postalias", "postcat", "postconf", "postern", "postlog", "postmap", "postqueue", "postsuper"])
def test_every_option_that_a_command_names_when_it_is_misused_is_on_its_page(idle, command):
    usage = idle.tool(command, "-?", check=False).stderr
    options = set("".join(re.findall(r"(?<![\w.])-([A-Za-z]+)\b", usage)))
    items = re.findall(r"^\.It Fl ([^\n]*)", (ROOT / f"share/man/man1/{command}.1").read_text(), re.M)
    shown = {letter for item in items for letter in re.findall(r"(?:^|, )(\S)(?= |$)", item)}
    assert len(options) >= 2 and options - shown == set(), usage


def test_a_server_s_page_lists_what_its_sources_read(idle):
    page = (ROOT / "share/man/man8/smtpd.8").read_text()
    assert ".It Cm smtpd_timeout " in page and ".It Cm smtpd_tls_cert_file " in page
    assert ".It Cm virtual_mailbox_limit " not in page and ".It Cm smtp_helo_name " not in page
