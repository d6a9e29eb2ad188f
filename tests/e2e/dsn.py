# SPDX-License-Identifier: Apache-2.0
"""A strict reader of delivery status notifications: RFC 3462, RFC 3464, RFC 6533."""
import email
import email.policy
import re
from email.utils import parsedate_to_datetime

ADDRESS = r"(rfc822|utf-8|unknown); ?\S.*"
NAME = r"(dns); ?(\[[0-9A-Fa-f:.]+\]|\[IPv6:[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)"
# field: (its form, or "date"; how often it must and may occur)
MESSAGE_FIELDS = {
    "original-envelope-id": (r"\S.*", 0), "reporting-mta": (NAME, 1), "dsn-gateway": (NAME, 0),
    "received-from-mta": (NAME, 0), "arrival-date": ("date", 0),
}
RECIPIENT_FIELDS = {
    "original-recipient": (ADDRESS, 0), "final-recipient": (ADDRESS, 1),
    "action": (r"failed|delayed|delivered|relayed|expanded", 1), "status": (r"[245]\.\d{1,3}\.\d{1,3}", 1),
    "remote-mta": (NAME, 0), "diagnostic-code": (r"(smtp|x-[a-z0-9-]+); ?\S.*", 0), "last-attempt-date": ("date", 0),
    "final-log-id": (r"\S.*", 0), "will-retry-until": ("date", 0),
}
CLASS_OF = {"failed": "45", "delayed": "4", "delivered": "2", "relayed": "2", "expanded": "2"}


def fields_of(text, known):
    """The fields of a group, lower case names, unfolded; each checked."""
    fields = {}
    for line in re.sub(r"\n[ \t]+", " ", text).splitlines():
        assert len(line) <= 998 * 3
        name, colon, value = line.partition(":")
        assert colon and re.fullmatch(r"[!-9;-~]+", name), f"not a field: {line!r}"
        name, value = name.lower(), value.strip()
        assert name not in fields, f"{name} stands there twice"
        assert name in known or name.startswith("x-"), f"{name} is no field of this group"
        form = known.get(name, (r"\S.*",))[0]
        if form == "date":
            assert parsedate_to_datetime(value)
        else:
            assert re.fullmatch(form, value, re.I), f"{name}: {value!r}"
        fields[name] = value
    for name, (_, least) in known.items():
        assert name in fields or not least, f"{name} is missing"
    return fields


def check_lines(raw):
    assert b"\0" not in raw
    assert all(len(line) <= 998 for line in raw.splitlines())


class Report:
    """raw: the stored message. .message, .utf8, .text (for people), .fields, .recipients (for programs), .returned
    (the third part), .whole (is it the whole message?)."""

    def __init__(self, raw):
        check_lines(raw)
        self.message = m = email.message_from_bytes(raw, policy=email.policy.compat32)
        for name in ("From", "To", "Date", "Message-Id", "Subject", "MIME-Version", "Auto-Submitted"):
            assert len(m.get_all(name, [])) == 1, name
        assert m["Auto-Submitted"] in ("auto-replied", "auto-generated")
        assert m.get_content_type() == "multipart/report"
        self.utf8 = m.get_param("report-type") == "global-delivery-status"
        prefix = "global-" if self.utf8 else ""
        assert m.get_param("report-type") == prefix + "delivery-status"
        parts = re.split(rb"\r?\n--" + re.escape(m.get_boundary().encode()) + rb"(?:--)?[ \t]*\r?\n", raw)
        assert len(parts) == 5 and not parts[4].strip(), "not three parts"
        people, programs, returned = (email.message_from_bytes(p) for p in parts[1:4])
        assert people.get_content_type() == "text/plain"
        charset = people.get_param("charset")
        self.text = people.get_payload(decode=True).decode(charset)
        assert programs.get_content_type() == f"message/{prefix}delivery-status"
        self.read_groups(parts[2])
        kinds = {"message/rfc822": True, "text/rfc822-headers": False} if not self.utf8 else \
                {"message/global": True, "message/global-headers": False}
        self.whole = kinds[returned.get_content_type()]
        self.returned = parts[3].split(b"\n\n", 1)[1].decode()

    def read_groups(self, part):
        header, _, body = part.partition(b"\n\n")
        text = body.decode("utf-8" if self.utf8 else "ascii")
        if text.isascii() is False:
            assert b"8bit" in header
        first, *rest = [g for g in re.split(r"\n{2,}", text.strip("\n")) if g]
        self.fields = fields_of(first, MESSAGE_FIELDS)
        self.recipients = [fields_of(g, RECIPIENT_FIELDS) for g in rest]
        assert self.recipients
        for r in self.recipients:
            assert r["status"][0] in CLASS_OF[r["action"]]
            assert ("will-retry-until" in r) <= (r["action"] == "delayed")
            assert self.utf8 or not r["final-recipient"].startswith("utf-8")

    def __getitem__(self, address):
        found, = [r for r in self.recipients if r["final-recipient"].endswith("; " + address)]
        return found
