# SPDX-License-Identifier: Apache-2.0
"""SEARCH finds what a second implementation finds: charsets, encodings, case, dates, and programs put together at random."""
import base64
import datetime
import os
import quopri
import random
from pathlib import Path

import pytest

from imap_client import Client
from search_model import Message

OWN = Path(__file__).resolve().parents[1] / "data" / "mails"
PROGRAMS = int(os.environ.get("POSTERN_TEST_SEARCHES", "250"))

# What broken mail is taken apart to is no question of searching; their structure is tested elsewhere.
AMBIGUOUS = {"boundary-unclosed.eml", "no-blank-line.eml", "line-endings-mixed.eml", "bare-cr-in-body.eml", "nul-in-body.eml",
             "smtp-smuggling-sequences.eml"}

LONG = "x" * 510 + "\u00e4needle\u00f6" + "y" * 70_000 + "Z\u00fcrich" + "z" * 3000


def word(text, charset, form="B"):
    data = text.encode(charset) if isinstance(text, str) else text
    text = base64.b64encode(data).decode() if form == "B" else quopri.encodestring(data, header=True).decode().replace("=\n", "")
    return f"=?{charset}?{form}?{text}?="


def mail(subject, body=b"", kind="text/plain", encoding="8bit", extra="", date="Thu, 1 Jan 2026 10:00:00 +0000"):
    sender = word("J\u00fcrgen M\u00fcller", "iso-8859-1", "Q")
    head = (f"From: {sender} <j@b.test>\r\nDate: {date}\r\nSubject: {subject}\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n{extra}\r\n")
    return head.encode() + body


def b64(text, charset, step=57):
    data = text.encode(charset) if isinstance(text, str) else text
    return b"\r\n".join(base64.b64encode(data[i:i + step]) for i in range(0, len(data), step)) + b"\r\n"


def qp(text, charset):
    return quopri.encodestring(text.encode(charset)).replace(b"\n", b"\r\n")


def text_in(charset):
    return f"text/plain; charset={charset}"


EURO = "\u20ac".encode()
CYRILLIC = "\u0421\u044a\u0435\u0448\u044c \u0435\u0449\u0451 \u044d\u0442\u0438\u0445 \u043c\u044f\u0433\u043a\u0438\u0445 \u0431\u0443\u043b\u043e\u043a"
JAPANESE = "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c"
CHINESE = "\u4f60\u597d\uff0c\u4e16\u754c\u3400\U00020000"
DESERET = "\U00010400\U00010401 \U0001f600"      # capitals beyond the BMP, and a face

HARD = {
    "a word cut in the middle of a character": mail(word(EURO[:1], "utf-8") + "\r\n " + word(EURO[1:] + b" paid", "utf-8", "Q")),
    "cut in three, in both encodings": mail(" ".join([word(EURO[:1], "UTF-8", "Q"), word(EURO[1:2], "utf-8"), word(EURO[2:], "Utf-8", "Q")])),
    "blanks between words are none, around them are": mail(f"one {word('two', 'utf-8')} {word('three', 'utf-8')} four"),
    "folded between and within": mail("a\r\n folded\r\n\tsubject with   blanks", b"folded\r\nbody"),
    "ISO-2022-JP": mail(word(JAPANESE, "iso-2022-jp"), JAPANESE.encode("iso-2022-jp") + b"\r\n", text_in("iso-2022-jp"), "7bit"),
    "GB18030": mail(word(CHINESE, "gb18030"), b64(CHINESE, "gb18030", 6), text_in("GB18030"), "base64"),
    "UTF-16": mail("wide", b64("\ufeff" + CYRILLIC, "utf-16le", 9), text_in("utf-16"), "base64"),
    "UTF-16BE": mail("wide, too", b64(DESERET + CYRILLIC, "utf-16be", 9), text_in("utf-16be"), "base64"),
    "KOI8-R": mail(word(CYRILLIC, "koi8-r", "Q"), CYRILLIC.encode("koi8-r") + b"\r\n", text_in("koi8-r")),
    "KS_C_5601-1987": mail("korean", "\ud55c\uad6d\uc5b4".encode("euc-kr"), text_in("ks_c_5601-1987")),
    "capitals beyond the BMP": mail(word(DESERET, "utf-8"), DESERET.encode(), text_in("utf-8")),
    "a charset nobody knows": mail(word(b"hidden", "x-martian") + " plain", b"raw \xe4 text", text_in("x-martian")),
    "a charset that the text is not of": mail(word(b"caf\xe9", "utf-8") + " odd", b"Stra\xdfe und \xc3\xa4pfel", text_in("utf-8")),
    "an encoding nobody knows": mail("odd encoding", b"as it stands", text_in("us-ascii"), "x-martian"),
    "quoted-printable with words across lines": mail("qp", qp("Ein sehr langes Wort, Donaudampfschifffahrtsgesellschaftskapit\u00e4nsm\u00fctze, "
                                                             "\u00fcber Zeilen hinweg.", "iso-8859-1"), text_in("iso-8859-1"), "quoted-printable"),
    "base64 with words across lines and pieces": mail("long", b64(LONG, "utf-8"), text_in("utf-8"), "base64"),
    "long in another charset": mail("long, too", LONG.encode("iso-8859-1"), text_in("iso-8859-1")),
    "HTML": mail("html", "<p>Gr&uuml;&szlig;e, <b>Gr\u00fc\u00dfe</b></p>".encode(), "text/html; charset=utf-8"),
    "nested": mail("outer", b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: " + word("inn\u00e9r", "utf-8").encode() +
                   b"\r\nX-Deep: down\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\ndeep text\r\n--c\r\n"
                   b"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<i>fran=E7ais</i>\r\n"
                   b"--c--\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\nunsearched bytes\r\n--b\r\n"
                   b"Content-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n--b--\r\n", "multipart/mixed; boundary=b"),
    "no body": b"Subject: nothing more\r\n\r\n",
    "no header": b"\r\nonly a body\r\n",
    "empty fields": b"Subject:\r\nX-Empty: \r\nTo: someone@b.test\r\n\r\nx\r\n",
    "dates: a zone that leads to the next day": mail("zone", date="Wed, 31 Dec 2025 23:30:00 -1200"),
    "dates: a zone of its own": mail("zone", date="1 Jan 26 00:30 +1345"),
    "dates: obsolete": mail("zone", date="Thu, 01 Jan 98 10:00:00 PST (Pacific)"),
    "dates: none that could be": mail("zone", date="yesterday"),
    "quotes": mail('say \\"hi\\" \\\\ back', b'She said "hi" \\ and left\r\n'),
}
RECEIVED = 1_767_225_600    # 1 Jan 2026 00:00 UTC
STEP = 6 * 3600
KEYWORDS = ["$Label1", "a.b", "x-", "NonJunk", "["]


@pytest.fixture(scope="module")
def box(make_instance):
    """A client with the messages selected, and the model of each."""
    suite = make_instance(users=("alice",), params={"imap_allow_plaintext_auth": "127.0.0.1", "imap_bad_command_limit": 1000})
    client = Client(suite, "alice")
    client.ok("SELECT INBOX")
    files = [p for p in sorted(OWN.rglob("*.eml")) if p.name not in AMBIGUOUS]
    raws = [*HARD.values(), *(p.read_bytes() for p in files if b"\0" not in p.read_bytes())]
    models = []
    for i, raw in enumerate(raws):
        received = RECEIVED + i * STEP
        when = datetime.datetime.fromtimestamp(received, datetime.timezone.utc)
        m = Message(raw, received)
        m.keyword = KEYWORDS[i % len(KEYWORDS)] if i % 3 else None
        m.seen = i % 2 == 0
        flags = "(" + " ".join([*(["\\Seen"] if m.seen else []), *([m.keyword] if m.keyword else [])]) + ")"
        client.append(m.raw, flags=f'{flags} "{when:%d-%b-%Y %H:%M:%S} +0000" ')
        models.append(m)
    client.ok("NOOP")
    yield client, models
    client.close()


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"{%d+}\r\n%s" % (len(data), data)


def found(client, program):
    lines, answer = client.run(b"SEARCH " + program)
    assert answer.startswith("OK"), (program, answer)
    return [int(n) for n in lines[-1].split()[2:]]


def names(models, numbers):
    known = list(HARD)
    return [known[n - 1] if n <= len(known) else models[n - 1].raw[:200] for n in numbers]


def check(box, program, wanted):
    client, models = box
    want = [i + 1 for i, m in enumerate(models) if wanted(m)]
    got = found(client, program)
    assert got == want, (program, "found besides", names(models, set(got) - set(want)), "missed", names(models, set(want) - set(got)))
    return len(want)


NEEDLES = ["\u20ac", "\u20ac paid", "twothree", "two three", "one two", "three four", "folded subject", "subject with   blanks",
           JAPANESE, JAPANESE[2:5], CHINESE, CHINESE[-1], CYRILLIC, CYRILLIC.swapcase(), "\u0435\u0449\u0451", DESERET,
           "\U00010428\U00010429", "\U0001f600", "\ud55c\uad6d", "hidden", "plain", "raw", "Stra", "\u00e4pfel", "\u00c4PFEL", "caf",
           "as it stands", "gesellschaftskapit\u00e4nsm\u00fctze", "\u00fcber Zeilen", "\u00c4NEEDLE\u00d6", "needle", "z\u00fcrich",
           "y" * 600, LONG[505:600], "x" * 80_000, "gr\u00fc\u00dfe", "Gr&uuml;", "inn\u00e9r", "INN\u00c9R", "down", "deep text",
           "fran\u00e7ais", "unsearched bytes", "5.1.1", "only a body", "nothing more", '"hi"', "\\", "m\u00fcller", "M\u00dcLLER",
           "J\u00fcrgen", "=?", "?=", "utf-8", " ", "  ", "\t", ".", "@", "nowhere at all", "\u1f600", "e\u0301", "inne\u0301r"]


@pytest.mark.parametrize("key", ["SUBJECT", "FROM", "BODY", "TEXT"])
def test_strings_are_found_where_they_are_whatever_encodes_them(box, key):
    for needle in NEEDLES:
        n = needle.encode()
        if len(n) > 60_000:
            continue
        wanted = {"SUBJECT": lambda m: m.in_header(n, "Subject"), "FROM": lambda m: m.in_header(n, "From"),
                  "BODY": lambda m: m.in_body(n), "TEXT": lambda m: m.in_text(n)}[key]
        check(box, key.encode() + b" " + string(n), wanted)
        if key in ("SUBJECT", "FROM"):
            check(box, b"HEADER " + key.encode() + b" " + string(n), wanted)


@pytest.mark.parametrize("key,wanted", [
    ("SUBJECT", lambda m: any(n == b"subject" for n, _, _ in m.fields)), ("HEADER X-Empty", lambda m: any(n == b"x-empty" for n, _, _ in m.fields)),
    ("HEADER X-Deep", lambda m: False), ("BODY", lambda m: True), ("TEXT", lambda m: True),
])
def test_an_empty_string_is_in_whatever_is_there(box, key, wanted):
    check(box, key.encode() + b' ""', wanted)


@pytest.mark.parametrize("charset,text,key", [
    ("ISO-8859-1", b"M\xfcller", "FROM"), ("utf-8", "M\u00fcller".encode(), "FROM"), ("koi8-r", CYRILLIC.encode("koi8-r"), "BODY"),
    ("iso-2022-jp", JAPANESE.encode("iso-2022-jp"), "TEXT"), ("GB18030", CHINESE.encode("gb18030"), "BODY"), ("us-ascii", b"needle", "TEXT"),
    ("KS_C_5601-1987", "\ud55c\uad6d".encode("euc-kr"), "BODY"),
])
def test_what_is_searched_may_come_in_another_charset(box, charset, text, key):
    client, _ = box
    want = found(client, key.encode() + b" " + string(text.decode({"KS_C_5601-1987": "cp949"}.get(charset, charset))))
    assert want and found(client, b"CHARSET " + charset.encode() + b" " + key.encode() + b" " + string(text)) == want


@pytest.mark.parametrize("command,answer", [
    ("SEARCH CHARSET x-martian ALL", "NO [BADCHARSET ("), ("SEARCH CHARSET {1+}\r\n\x01 ALL", "NO [BADCHARSET ("),
    ("SEARCH CHARSET ../../x ALL", "NO [BADCHARSET ("), ('SEARCH CHARSET "" ALL', "BAD"), ("SEARCH CHARSET utf-8", "BAD"),
    ("SORT (DATE) x-martian ALL", "NO [BADCHARSET ("), ("THREAD REFERENCES x-martian ALL", "NO [BADCHARSET ("),
    ("SEARCH ALL CHARSET utf-8", "BAD"), ("SEARCH CHARSET " + "x" * 65 + " ALL", "NO [BADCHARSET ("),
])
def test_an_unknown_charset_is_answered_with_those_that_are_known(box, command, answer):
    assert box[0].run(command)[1].startswith(answer)


def day(date):
    return b"%d-%s" % (date.day, date.strftime("%b-%Y").encode())


def test_dates_disregard_the_time_and_the_zone(box):
    for n in range(-800, 20, 1):
        if n < -3 and n % 97:
            continue
        date = datetime.date(2026, 1, 1) + datetime.timedelta(days=n)
        received = lambda m: datetime.datetime.fromtimestamp(m.received, datetime.timezone.utc).date()
        for key, of in (b"", received), (b"SENT", Message.sent):
            check(box, key + b"ON " + day(date), lambda m: of(m) == date)
            check(box, key + b"BEFORE " + day(date), lambda m: of(m) and of(m) < date)
            check(box, key + b"SINCE " + day(date), lambda m: of(m) and of(m) >= date)
    assert check(box, b"SENTON 31-Dec-2025", lambda m: m.sent() == datetime.date(2025, 12, 31)) >= 1
    assert check(box, b"SENTON 1-Jan-1998", lambda m: m.sent() == datetime.date(1998, 1, 1)) >= 1


def test_sizes_and_keywords(box):
    sizes = sorted({len(m.raw) for m in box[1]})
    for size in sizes[:5] + sizes[-5:] + [0, 2**32, 2**63 - 1]:
        check(box, b"LARGER %d" % size, lambda m: len(m.raw) > size)
        check(box, b"SMALLER %d" % size, lambda m: len(m.raw) < size)
    for keyword in [*KEYWORDS, "$LABEL1", "unknown-keyword"]:
        check(box, b"KEYWORD " + keyword.encode(), lambda m: (m.keyword or "").lower() == keyword.lower())
        check(box, b"UNKEYWORD " + keyword.encode(), lambda m: (m.keyword or "").lower() != keyword.lower())


# ---- programs at random ----

def pick(rnd, text):
    """Some characters out of a text, perhaps in the other case."""
    text = text.decode("utf-8", "ignore").replace("\0", "")
    if not text:
        return b"x"
    at = rnd.randrange(len(text))
    piece = " ".join(text[at:at + rnd.choice([1, 2, 3, 5, 8, 13, 30])].split()) or "x"
    piece = "".join(c for c in piece if c >= " " and c != "\x7f")
    if rnd.random() < 0.3 and "\ufb01" not in piece:
        piece = piece.swapcase() if len(piece.swapcase()) == len(piece) else piece
    return piece.encode()


def leaf(rnd, models):
    m = rnd.choice(models)
    kind = rnd.choice(["header", "header", "body", "body", "text", "date", "size", "keyword", "seen"])
    if kind == "header" and m.fields:
        name, value, _ = rnd.choice(m.fields)
        name, needle = name.decode("ascii", "replace"), pick(rnd, value)
        return b"HEADER " + string(name) + b" " + string(needle), lambda x: x.in_header(needle, name)
    if kind == "body":
        needle = pick(rnd, rnd.choice(m.texts or [b"x"]))
        return b"BODY " + string(needle), lambda x: x.in_body(needle)
    if kind == "text":
        needle = pick(rnd, rnd.choice([*m.texts, *(v for _, v, _ in m.fields), b"y"]))
        return b"TEXT " + string(needle), lambda x: x.in_text(needle)
    if kind == "date":
        date = m.sent() or datetime.date(2026, 1, 1)
        return b"SENTSINCE " + day(date), lambda x: x.sent() is not None and x.sent() >= date
    if kind == "size":
        return b"LARGER %d" % len(m.raw), lambda x: len(x.raw) > len(m.raw)
    if kind == "keyword":
        k = m.keyword or "none"
        return b"KEYWORD " + k.encode(), lambda x: (x.keyword or "").lower() == k.lower()
    return b"SEEN", lambda x: x.seen


def program(rnd, models, depth):
    kind = rnd.choice(["leaf", "leaf", "and", "or", "not"]) if depth > 0 else "leaf"
    if kind == "leaf":
        return leaf(rnd, models)
    a, fa = program(rnd, models, depth - 1)
    if kind == "not":
        return b"NOT " + a, lambda x: not fa(x)
    b, fb = program(rnd, models, depth - 1)
    if kind == "or":
        return b"OR " + a + b" " + b, lambda x: fa(x) or fb(x)
    return b"(" + a + b" " + b + b")", lambda x: fa(x) and fb(x)


def test_programs_put_together_at_random_find_what_the_model_finds(box):
    rnd = random.Random(5)
    some = 0
    for _ in range(PROGRAMS):
        p, wanted = program(rnd, box[1], 3)
        some += 0 < check(box, p, wanted) < len(box[1])
    assert some > PROGRAMS / 4
