# SPDX-License-Identifier: Apache-2.0
"""BODYSTRUCTURE, BODY and ENVELOPE as a strict client reads them: every rule of RFC 3501 section 9, no mercy."""
import re

TOKEN = re.compile(rb'(?P<open>\()|(?P<close>\))|(?P<space> )|(?P<nil>NIL)|(?P<number>\d+)(?=[ )])'
                   rb'|"(?P<quoted>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"|\{(?P<literal>\d+)\}\r\n')


class Violation(Exception):
    pass


class String(str):
    """A string, so that it is not taken for a number or NIL."""


def tokens(text):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise Violation(f"at {text[at:at + 40]!r}")
        at = m.end()
        if m.lastgroup == "literal":
            size = int(m["literal"])
            if at + size > len(text) or b"\0" in text[at:at + size]:
                raise Violation("literal")
            yield "string", String(text[at:at + size].decode("utf-8", "surrogateescape"))
            at += size
        elif m.lastgroup == "quoted":
            yield "string", String(re.sub(rb'\\(["\\])', rb"\1", m["quoted"]).decode())
        else:
            yield m.lastgroup, m[m.lastgroup]


def nested(text):
    """Lists of lists of String, int and None. One blank stands between elements; none between two lists, as bodies and addresses are."""
    stack, gap = [[]], "open"
    for kind, value in tokens(text):
        if kind == "space":
            if gap != "value":
                raise Violation("blank too many")
            gap = "space"
            continue
        if kind == "close":
            if gap == "space" or len(stack) == 1 or gap == "open":
                raise Violation("empty list, or a blank before )")
            done = stack.pop()
            stack[-1].append(done)
            gap = "value"
        elif kind == "open":
            if gap == "value" and not isinstance(stack[-1][-1], list):
                raise Violation("blank missing")
            stack.append([])
            gap = "open"
        else:
            if gap == "value":
                raise Violation("blank missing")
            stack[-1].append(int(value) if kind == "number" else value if kind == "string" else None)
            gap = "value"
    if len(stack) != 1 or len(stack[0]) != 1 or gap == "space":
        raise Violation("unbalanced")
    return stack[0][0]


def need(condition, what):
    if not condition:
        raise Violation(what)


def is_nstring(x):
    return x is None or isinstance(x, String)


def check_params(x):
    if x is not None:
        need(isinstance(x, list) and len(x) % 2 == 0 and all(isinstance(s, String) for s in x), f"parameters {x}")


def check_extension(ext):
    """[dsp [SP lang [SP loc]]]"""
    if len(ext) > 0 and ext[0] is not None:
        need(isinstance(ext[0], list) and len(ext[0]) == 2 and isinstance(ext[0][0], String), f"disposition {ext[0]}")
        check_params(ext[0][1])
    if len(ext) > 1:
        need(is_nstring(ext[1]) or all(isinstance(s, String) for s in ext[1]), f"language {ext[1]}")
    need(len(ext) < 3 or is_nstring(ext[2]), "location")
    need(len(ext) <= 3, "more than is defined")


def check_envelope(e):
    need(isinstance(e, list) and len(e) == 10, f"envelope {e}")
    for i in (0, 1, 8, 9):
        need(is_nstring(e[i]), f"envelope field {e[i]}")
    for addresses in e[2:8]:
        for a in addresses or ():
            need(isinstance(a, list) and len(a) == 4 and all(is_nstring(s) for s in a), f"address {a}")


def check_body(b, extended):
    """Raises Violation unless it is a body; the tree as text, "mixed(text/plain, image/png)"."""
    need(isinstance(b, list) and b, f"body {b}")
    if isinstance(b[0], list):
        n = next((i for i, x in enumerate(b) if not isinstance(x, list)), len(b))
        parts = [check_body(part, extended) for part in b[:n]]
        need(n < len(b) and isinstance(b[n], String), "subtype")
        need(extended or len(b) == n + 1, "extension data in BODY")
        if len(b) > n + 1:
            check_params(b[n + 1])
            check_extension(b[n + 2:])
        return f"{b[n]}({', '.join(parts)})"
    need(len(b) >= 7, f"fields {b}")
    need(isinstance(b[0], String) and isinstance(b[1], String), "type")
    check_params(b[2])
    need(is_nstring(b[3]) and is_nstring(b[4]), "id, description")
    need(isinstance(b[5], String) and b[5] != "", "encoding")
    need(isinstance(b[6], int), "octets")
    name, rest = f"{b[0]}/{b[1]}".lower(), b[7:]
    if name in ("message/rfc822", "message/global"):     # RFC 9051 section 9: both are media-message
        need(len(rest) >= 3 and isinstance(rest[2], int), "message")
        check_envelope(rest[0])
        name += f"({check_body(rest[1], extended)})"
        rest = rest[3:]
    elif name.startswith("text/"):
        need(rest and isinstance(rest[0], int), "lines")
        rest = rest[1:]
    need(extended or not rest, "extension data in BODY")
    if rest:
        need(is_nstring(rest[0]), "MD5")
        check_extension(rest[1:])
    return name
