# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: they drive the installed suite (POSTERN_ROOT)."""
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instance import SBIN, Instance


@pytest.fixture(scope="session")
def workdir():
    """Below /var/tmp: a disk, not memory; open to the suite's accounts."""
    with tempfile.TemporaryDirectory(prefix="postern-e2e.", dir="/var/tmp") as d:
        Path(d).chmod(0o755)
        yield Path(d)


@pytest.fixture(scope="session")
def certificate(workdir):
    """A self-signed certificate for localhost: (file with key and certificate, CA file)."""
    key, crt, both = (workdir / n for n in ("key.pem", "ca.pem", "chain.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-keyout", key, "-out", crt, "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    both.write_text(key.read_text() + crt.read_text())
    both.chmod(0o600)
    return both, crt


@pytest.fixture(scope="module")
def make_instance(workdir, certificate):
    """Makes instances that are ended with the module; started unless start=False."""
    if not (SBIN / "postern").exists():
        pytest.exit(f"the suite is not installed below {SBIN.parent}: use tests/run", 2)
    made = []

    def make(start=True, **kw):
        directory = Path(tempfile.mkdtemp(prefix="i", dir=workdir))
        directory.chmod(0o755)
        instance = Instance(directory, certificate, **kw)
        made.append(instance)
        return instance.start() if start else instance

    yield make
    with ThreadPoolExecutor(8) as pool:
        stuck = [instance for instance, ended in zip(made, pool.map(Instance.end, made)) if not ended]
    assert stuck == [], "did not stop:\n" + "\n".join(i.log()[-2000:] for i in stuck)
    # Nothing that a test did may have crashed a process; kills by tests are signal 9.
    bad = [line for i in made for line in i.log_lines(
        r"panic: |fatal: |killed by signal (?!9\b)|exit status [1-9]|AddressSanitizer|runtime error:")]
    allowed = [p for i in made for p in i.expected_trouble]
    bad = [line for line in bad if not any(p in line for p in allowed)]
    assert bad == [], "processes died:\n" + "\n".join(bad)


@pytest.fixture(scope="module")
def suite(make_instance):
    """One running instance for the tests of a module: domain a.test, users alice and bob."""
    return make_instance()
