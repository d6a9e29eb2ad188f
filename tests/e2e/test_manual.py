# SPDX-License-Identifier: Apache-2.0
"""The manual page has every row of the tables that it is made from, and is well-formed."""
import re
import shutil
import subprocess

import pytest

from instance import ROOT

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


@pytest.mark.parametrize("checker", [("man", "--warnings", "-E", "UTF-8", "-l"), ("mandoc", "-T", "lint", "-W", "error")],
                         ids=["man", "mandoc"])
def test_the_page_is_well_formed(checker):
    if not shutil.which(checker[0]):
        pytest.skip(f"{checker[0]} is not installed")
    done = subprocess.run([*checker, PAGE], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "MANPAGER": "cat"})
    # a value that is longer than a line cannot be broken
    said = [line for line in done.stderr.splitlines() if "can't break line" not in line]
    assert (done.returncode, said) == (0, [])
    assert "smtpd_relay_restrictions" in done.stdout or checker[0] == "mandoc"
