# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for one test module, and what TLSA records and fingerprints say of its certificates."""
import hashlib
import subprocess
from pathlib import Path


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, input=input).stdout


class Authority:
    """Signs certificates: .file is its own."""

    def __init__(self, directory, name="Test CA"):
        self.dir = Path(directory)
        self.file, self.key = self.dir / "authority.pem", self.dir / "authority.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.key,
                "-out", self.file, "-days", 30, "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, *names, with_authority=False):
        """A file with key, certificate for these DNS names, and perhaps the authority's own."""
        base = self.dir / names[0].replace("*", "any")
        key, request, extensions, cert = (base.with_name(base.name + s) for s in (".key", ".csr", ".ext", ".crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                request, "-subj", "/CN=not-a-name")
        extensions.write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names))
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", 30,
                "-extfile", extensions, "-out", cert)
        both = base.with_name(base.name + ".pem")
        both.write_text(key.read_text() + cert.read_text() + (self.file.read_text() if with_authority else ""))
        both.chmod(0o600)
        return both


def der(file):
    return openssl("x509", "-in", file, "-outform", "DER")


def public_key(file):
    return openssl("pkey", "-pubin", "-outform", "DER", input=openssl("x509", "-in", file, "-noout", "-pubkey"))


def tlsa(usage, selector, matching, file):
    data = public_key(file) if selector else der(file)
    data = {0: bytes.hex, 1: lambda d: hashlib.sha256(d).hexdigest(), 2: lambda d: hashlib.sha512(d).hexdigest()}[matching](data)
    return f"TLSA {usage} {selector} {matching} {data}"


def fingerprint(data, digest="sha256"):
    text = hashlib.new(digest, data).hexdigest().upper()
    return ":".join(text[i:i + 2] for i in range(0, len(text), 2))
