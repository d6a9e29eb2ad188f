# SPDX-License-Identifier: Apache-2.0
"""What SEARCH ought to find, by Python's email package: a second implementation to differ from."""
import base64
import binascii
import codecs
import datetime
import email
import email.utils
import quopri
import re
import unicodedata

ENCODED_WORD = re.compile(rb"=\?([!#-'*+\-/0-9A-Z\\^-~]+)\?([BbQq])\?([^? ]*)\?=")


def crlf(raw):
    return re.sub(rb"\r?\n", b"\r\n", raw)


def decode(data, charset):
    try:
        return data.decode(charset)
    except (LookupError, UnicodeError):
        return None


def words(value):
    """Encoded words (RFC 2047): those of one charset that follow each other are decoded together."""
    out, at, run = [], 0, None      # run: charset, bytes, raw text
    for m in ENCODED_WORD.finditer(value):
        between = value[at:m.start()]
        charset = m[1].split(b"*")[0].decode().lower()
        try:
            data = base64.b64decode(m[3], validate=True) if m[2] in b"Bb" else quopri.decodestring(m[3], header=True)
        except binascii.Error:
            data = None
        if run and not between.strip(b" \t") and run[0] == charset:
            run = (charset, None if data is None or run[1] is None else run[1] + data, run[2] + between + m[0])
        else:
            flush(out, run)
            if not run or between.strip(b" \t"):
                out.append(between)
            run = (charset, data, m[0])
        at = m.end()
    flush(out, run)
    return b"".join(out) + value[at:]


def flush(out, run):
    if run:
        text = None if run[1] is None else decode(run[1], run[0])
        out.append(run[2] if text is None else text.encode())


def fields(header):
    """(name, decoded value, raw) of each field."""
    for m in re.finditer(rb"(?m)^([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r(?!\n))*(?:\r\n[ \t]+(?:[^\r\n]|\r(?!\n))*)*)\r\n", header):
        value = re.sub(rb"\r\n[ \t]", b" ", m[2]).strip(b" \t")
        yield m[1].lower(), words(value), m[0]


def split(message):
    """Header section and body."""
    if message.startswith(b"\r\n"):
        return b"", message[2:]
    at = message.find(b"\r\n\r\n")
    return (message, b"") if at < 0 else (message[:at + 2], message[at + 4:])


def part_text(part):
    """A text part without its transfer encoding and charset."""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding in ("base64", "quoted-printable"):
        data = part.get_payload(decode=True)
    else:
        data = part._payload.encode("ascii", "surrogateescape")     # get_payload() would guess at the charset
    charset = part.get_param("charset") or "us-ascii"
    if isinstance(charset, tuple):
        charset = charset[2]
    try:
        codec = codecs.lookup(charset).name
    except (LookupError, ValueError, TypeError):
        return data
    if codec in ("ascii", "utf-8"):
        return data
    return data.decode(codec, "replace").encode("utf-8", "replace")


def form(text):
    """i;unicode-casemap (RFC 5051); bytes that are no UTF-8 stay as they are."""
    if all(b < 128 for b in text):
        return text.upper()
    chars = text.decode("utf-8", "surrogateescape")
    titled = "".join(t if len(t := c.title()) == 1 else c for c in chars)
    return unicodedata.normalize("NFKD", titled).encode("utf-8", "surrogateescape")


def contains(text, needle):
    if all(b < 128 for b in needle):
        return needle.lower() in text.lower()
    return form(needle) in form(text)


class Message:
    def __init__(self, raw, received):
        self.raw, self.received = crlf(raw), received
        self.header, _ = split(self.raw)
        self.fields = list(fields(self.header))
        parsed = email.message_from_bytes(self.raw)
        self.texts, self.inner = [], []
        for part in parsed.walk():
            if part.get_content_type() in ("message/rfc822", "message/global") and part.is_multipart():
                inner = part.get_payload(0).as_bytes()
                self.inner += list(fields(split(crlf(inner))[0]))
            elif part.get_content_maintype() == "message" and part.is_multipart():
                self.texts += [p.as_bytes() for p in part.get_payload()]
            elif part.get_content_maintype() == "text" and not part.is_multipart():
                self.texts.append(part_text(part))

    def in_header(self, needle, name=None):
        return any((name is None or name.lower().encode() == f) and (contains(value, needle) or name is None and contains(raw, needle))
                   for f, value, raw in self.fields) if needle or name else bool(self.fields)

    def in_body(self, needle):
        return not needle or any(contains(text, needle) for text in self.texts) or \
            any(contains(value, needle) or contains(raw, needle) for _, value, raw in self.inner)

    def in_text(self, needle):
        return self.in_header(needle) or self.in_body(needle)

    def sent(self):
        """The day that the Date field names, whatever its zone."""
        value = next((v for n, v, _ in self.fields if n == b"date"), None)
        parsed = email.utils.parsedate_tz(value.decode("ascii", "replace")) if value else None
        try:
            return datetime.date(*parsed[:3]) if parsed else None
        except ValueError:
            return None
