# SPDX-License-Identifier: Apache-2.0
"""cmake --install, as packagers use it: all below DESTDIR, and nothing of the administrator's is changed."""
import os
import subprocess

import pytest

from instance import ROOT

BUILD = ROOT.parent
pytestmark = pytest.mark.skipif(not (BUILD / "CMakeCache.txt").exists(), reason="the suite was not installed from a build directory")


def install(destination):
    subprocess.run(["cmake", "--install", BUILD], check=True, capture_output=True, env={**os.environ, "DESTDIR": str(destination)})
    return destination / ROOT.relative_to("/")


def test_all_that_is_installed_lies_below_destdir_once_and_nothing_of_the_administrator_is_changed(tmp_path):
    root = install(tmp_path)
    assert [path for path in tmp_path.iterdir()] == [tmp_path / ROOT.parts[1]]
    assert len(list(tmp_path.rglob("postern.service"))) == 1 and len(list(tmp_path.rglob("postqueue"))) == 1
    config = root / "etc/postern"
    assert sorted(path.name for path in config.iterdir()) == ["main.cf", "master.cf", "users", "vmailbox"]
    assert (config / "users").stat().st_mode & 0o777 == 0o600
    assert (root / "sbin/mailq").readlink().name == "sendmail"
    for path in config.iterdir():
        path.write_text("mine\n")
        path.chmod(0o640)
    install(tmp_path)
    assert all((path.read_text(), path.stat().st_mode & 0o777) == ("mine\n", 0o640) for path in config.iterdir())
