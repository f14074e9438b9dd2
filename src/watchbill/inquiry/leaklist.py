"""Reads a leaked list as it turns up: CSV, NDJSON or text with noise, other columns, duplicates and masked phones; nothing is trusted.

A line is one record: what in it may be a waybill, a phone or a customer's id is tried, names and addresses are not. A phone whose
middle or end is masked counts when 7 digits are left where they usually are; what is masked further fits too many to say anything.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from watchbill.core.errors import LimitError, SourceError
from watchbill.inquiry.marks import taken_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BYTES_MAX: Final = 64 << 20
LINES_MAX: Final = 1_000_000
LINE_CHARS_MAX: Final = 20_000
TOKENS_MAX: Final = 40
"""Texts of one line that are tried."""
NAMED_MAX: Final = 100
"""Unread lines that are listed by number; the others are counted."""
BY: Final = ("waybill", "subject")
_ENCODINGS: Final = ("utf-8-sig", "gb18030")
_STARS: Final = str.maketrans(dict.fromkeys("●•∗★□×✱", "*"))
_HIDDEN: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b-\x1f\x7f]")
_GROUPED: Final = re.compile(
    r"(?<![0-9A-Za-z*])(?:\+?86[-. ]?)?(1[3-9][0-9])[-. ]?([0-9*xX]{4})[-. ]?([0-9*xX]{4})(?![0-9A-Za-z*])"
)
_SPLIT: Final = re.compile(r"[\s,;|\"'<>(){}\[\]，；、。：:=/\\]+")
_PHONE: Final = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})")
_MASKED: Final = re.compile(r"(1[3-9][0-9])([0-9*]{4})([0-9*]{4})")
_IDENTIFIER: Final = re.compile(r"(?=[^*]*[0-9])[0-9A-Za-z][0-9A-Za-z._@#+-]{0,200}")
_SEPARATORS: Final = re.compile(r"[-._]")
_PLAIN_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,7}([.,][0-9]*)?|[0-9]+[.,][0-9]{1,2}")
_DATE: Final = re.compile(
    r"(19|20)[0-9]{2}[-./年]?[01]?[0-9].{0,2}[0-9]{0,2}.{0,16}|[0-9]{1,2}[-.][0-9]{1,2}[-.][0-9]{2,4}"
)
_DATE_CHARS: Final = re.compile(r"[0-9TZ:.+-]{6,30}")


@dataclass(frozen=True)
class Item:
    """One record of the list: texts that may be its waybill or customer, visible parts of masked phones; `line` from 1.

    `marks`: extensions that it bears (`marks.py`). `before`: epoch ms; only sightings before it count for this record.
    """

    texts: tuple[str, ...]
    masked: tuple[str, ...] = ()
    line: int = 0
    marks: tuple[str, ...] = ()
    before: int | None = None

    @property
    def same_as(self) -> tuple[str, ...]:
        """Equal for records that differ in capitals and dashes only."""
        return (*sorted({_SEPARATORS.sub("", text).upper() for text in self.texts}), *self.masked)


@dataclass
class LeakList:
    """What could be read.

    Attributes:
        items: records, each once. lines: not empty. duplicates: records that were there already.
        unread: reason -> lines; unread_lines: the first of their numbers. digest: SHA-256 of the file, hex. bytes: its size.
    """

    items: list[Item] = field(default_factory=list)
    lines: int = 0
    duplicates: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    unread_lines: list[int] = field(default_factory=list)
    digest: str = ""
    bytes: int = 0


def read_leak(path: Path) -> LeakList:
    """Read a list from a file.

    Raises:
        SourceError: it cannot be read. LimitError: it is over `BYTES_MAX` bytes or `LINES_MAX` lines.
    """
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise SourceError("cannot be read", where=path.name, todo=error.strerror or "check the file") from error
    if len(data) > BYTES_MAX:
        raise LimitError(f"the list is over {BYTES_MAX >> 20} MiB", where=path.name, todo="Split it")
    return parse_leak(data, path.name)


def parse_leak(data: bytes, where: str = "list") -> LeakList:
    """Read a list from bytes, as `read_leak`."""
    found = LeakList(digest=hashlib.sha256(data).hexdigest(), bytes=len(data))
    if data[:4] == b"PK\x03\x04" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise SourceError("is a spreadsheet or an archive", where=where, todo="Save the sheet as CSV, in UTF-8")
    seen: dict[tuple[str, ...], int] = {}
    for number, text in _lines(_decoded(data, where)):
        found.lines += 1
        if found.lines > LINES_MAX:
            raise LimitError(f"the list has over {LINES_MAX:,} lines", where=where, todo="Split it")
        item, why = item_of(text, number)
        if item is None:
            _refuse(found, why, number)
        elif (at := seen.setdefault(item.same_as, len(found.items))) < len(found.items):
            found.duplicates += 1
            both = {*found.items[at].marks, *item.marks}
            found.items[at] = replace(found.items[at], marks=tuple(sorted(both)))
        else:
            found.items.append(item)
    return found


def _refuse(found: LeakList, why: str, number: int) -> None:
    found.unread[why] = found.unread.get(why, 0) + 1
    if len(found.unread_lines) < NAMED_MAX:
        found.unread_lines.append(number)


def _decoded(data: bytes, where: str) -> str:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace")
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SourceError("is no text", where=where, todo="Give CSV, NDJSON or text in UTF-8, UTF-16 or GB 18030")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of lines that hold anything; quoted CSV cells with line breaks are joined first."""
    if text.count('"') and text.lstrip()[:1] not in {"{", "["}:
        text = _joined(text)
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _joined(text: str) -> str:
    """Quoted cells lose their line breaks; a file whose quotes do not close stays as it is."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        return "\n".join(",".join(cell.replace("\n", " ").replace("\r", " ") for cell in row) for row in rows)
    except csv.Error:
        return text


def item_of(line: str, number: int = 0) -> tuple[Item | None, str]:
    """(the record of a line, or None with the reason why there is none)."""
    if len(line) > LINE_CHARS_MAX:
        return None, "longer than a line may be"
    texts, masked, hidden = set[str](), set[str](), False
    bare, marks = taken_out(normal(_values(line)))
    for token in list(_tokens(bare))[:TOKENS_MAX]:
        if "*" in token:
            visible = visible_of(token)
            hidden = hidden or not visible
            masked |= {visible} - {""}
        else:
            texts |= set(_forms(token))
    if not texts and not masked:
        return (
            None,
            "masked too far to say whose it is" if hidden else "nothing that may be a waybill, a phone or an id",
        )
    return Item(tuple(sorted(texts)), tuple(sorted(masked)), number, marks), ""


def _values(line: str) -> str:
    """The values of a JSON object, else the line itself."""
    if not line.lstrip().startswith("{"):
        return line
    try:
        said = json.loads(line.strip().rstrip(","))
    except (ValueError, RecursionError):
        return line
    return " ".join(str(value) for value in _leaves(said, 4))


def _leaves(value: object, depth: int) -> Iterable[str | int]:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return [value]
    if depth and isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one, depth - 1)]
    if depth and isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one, depth - 1)]
    return []


def normal(text: str) -> str:
    """Full width becomes half width, hidden marks go, spaces and dashes inside a phone go."""
    text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text)).translate(_STARS)
    return _GROUPED.sub(lambda hit: " " + "".join(hit.groups()).replace("x", "*").replace("X", "*") + " ", text)


def _tokens(text: str) -> Iterator[str]:
    """Texts of a line that may be an identifier, from the left."""
    for token in _SPLIT.split(text):
        bare = token.strip(".-_+#@")
        if "*" in bare:
            if any(char.isdigit() for char in bare):
                yield bare
        elif _IDENTIFIER.fullmatch(bare) and not _is_number(bare):
            yield bare


def _is_number(token: str) -> bool:
    """A price, a count, a date or a time, not an identifier."""
    return bool(
        _PLAIN_NUMBER.fullmatch(token)
        or (_DATE.fullmatch(token) and _DATE_CHARS.fullmatch(token) and not token.isdigit())
    )


def _forms(token: str) -> Iterator[str]:
    """How an identifier may stand in the records: as it is, in capitals, without dashes; a phone with and without +86."""
    phone = _PHONE.fullmatch(token)
    if phone:
        yield from (phone[1], "86" + phone[1], "+86" + phone[1])
        return
    bare = _SEPARATORS.sub("", token)
    yield from {token, token.upper(), bare, bare.upper()} - {""}


def visible_of(token: str) -> str:
    """A masked phone in one of the two forms that are looked up ("138****1234", "1381234****"), else nothing."""
    hit = _MASKED.fullmatch(re.sub(r"^\+?86", "", token))
    if hit is None:
        return ""
    head, middle, tail = hit.groups()
    if middle == "****" and tail.isdigit():
        return f"{head}****{tail}"
    return f"{head}{middle}****" if tail == "****" and middle.isdigit() else ""
