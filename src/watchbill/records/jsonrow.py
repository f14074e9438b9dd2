"""The exact path for one NDJSON line: reads it strictly and either gives the record's fields or says what is wrong.

It is the meaning of the format; the kernels of `kernel_jsonscan` only answer sooner for lines without anything odd.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Final, NoReturn

import numpy as np

from watchbill.records.kernel_jsonscan import INTS, LISTS, TEXTS
from watchbill.records.kernel_jsontext import NO_TIME, rfc3339
from watchbill.records.limits import NESTING_MAX, UNKNOWN_FIELDS_MAX

_SPACE: Final = re.compile(r"[ \t\r]*")
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_TIMES: Final = frozenset(INTS[:3])
_INT64_DIGITS: Final = 19
_INT64_MAX: Final = (1 << 63) - 1


class Refused(ValueError):
    """This line is no record; the text says why, without repeating what stood in it."""


class _Number(str):
    """A JSON number as it was written, told apart from a string."""

    __slots__ = ()


def _no_constant(_name: str) -> NoReturn:
    raise Refused("NaN and Infinity are no JSON numbers")


_DECODER: Final = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_no_constant)


def rfc3339_ms(text: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time with offset, or None when the text is none."""
    data = np.frombuffer(text.encode("utf-8", "replace") + b"\n" * 8, dtype=np.uint8)
    value = int(rfc3339(data, 0, data.shape[0] - 8))
    return None if value == NO_TIME else value


def read_line(line: bytes, line_bytes_max: int) -> dict[str, object] | None:
    """The fields of one line as canonical Python values (`extra` as JSON text), or None when the line is blank.

    Raises:
        Refused: the line breaks the contract's types.
    """
    if len(line) > line_bytes_max:
        raise Refused(f"line of {len(line)} bytes is longer than line_bytes_max = {line_bytes_max}")
    try:
        text = line.decode("utf-8").removeprefix("\ufeff").strip(" \t\r")
    except UnicodeDecodeError as error:
        raise Refused(f"invalid UTF-8 at byte {error.start} of the line") from None
    if not text:
        return None
    try:
        return _record(_members(text), text)
    except RecursionError:
        raise Refused(f"nested deeper than {NESTING_MAX} levels") from None
    except json.JSONDecodeError as error:
        raise Refused(f"not valid JSON at character {error.pos}: {error.msg}") from None
    except UnicodeEncodeError:
        raise Refused("half of a surrogate pair in a string") from None


def strict_json(text: str) -> object:
    """The JSON value that fills `text`, numbers kept as written. Raises Refused."""
    try:
        value, end = _DECODER.raw_decode(text.strip())
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, Refused) else Refused("not valid JSON") from None
    if end != len(text.strip()):
        raise Refused("something follows the JSON value")
    return value


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _members(text: str) -> dict[str, tuple[object, int, int]]:
    """Key -> (value, offset of the key's quote, offset after the value) of the object that fills `text`."""
    if text[0] != "{":
        raise Refused("the line is not a JSON object")
    members: dict[str, tuple[object, int, int]] = {}
    at = _space(text, 1)
    while text[at : at + 1] != "}" or members:
        start = at
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("expected a field name in quotes", text, at)
        key, at = scanstring(text, at + 1, True)
        key.encode()
        at = _space(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("expected ':'", text, at)
        value, at = _DECODER.raw_decode(text, _space(text, at + 1))
        if key in members:
            raise Refused("the same field stands twice in one record")
        members[key] = (value, start, at)
        at = _space(text, at)
        if text[at : at + 1] == "}":
            break
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("expected ',' or '}'", text, at)
        at = _space(text, at + 1)
    if at + 1 != len(text):
        raise json.JSONDecodeError("something follows the object", text, at + 1)
    return members


def _record(members: dict[str, tuple[object, int, int]], text: str) -> dict[str, object]:
    row: dict[str, object] = {}
    unknown: list[str] = []
    known = 0
    for key, (value, start, end) in members.items():
        _check_depth(value)
        if key in _READERS:
            known += 1
            row[key] = None if value is None else _READERS[key](key, value)
        elif value is not None:
            unknown.append(text[start:end])
    if len(members) - known > UNKNOWN_FIELDS_MAX:
        raise Refused(f"more than {UNKNOWN_FIELDS_MAX} unknown fields")
    row["extra"] = "{" + ",".join(unknown) + "}" if unknown else None
    return row


def _check_depth(value: object) -> None:
    """Refuse what nests too deep or holds half a surrogate pair; walks without recursion."""
    level: list[object] = [value]
    for _ in range(NESTING_MAX + 1):
        following: list[object] = []
        for item in level:
            if isinstance(item, str):
                item.encode()
            elif isinstance(item, list):
                following += item
            elif isinstance(item, dict):
                following += item.keys()
                following += item.values()
        if not following:
            return
        level = following
    raise Refused(f"nested deeper than {NESTING_MAX} levels")


def _text(key: str, value: object) -> str | None:
    if not isinstance(value, str) or isinstance(value, _Number):
        raise Refused(f"{key} must be a string, not {_type_name(value)}")
    return value or None


def _whole(key: str, value: object) -> int:
    if not isinstance(value, _Number) or not _WHOLE.match(value):
        raise Refused(f"{key} must be a whole number, not {_type_name(value)}")
    number = int(value) if len(value) <= _INT64_DIGITS + 1 else _INT64_MAX + 1
    if not -_INT64_MAX <= number <= _INT64_MAX:
        raise Refused(f"{key} is out of range")
    return number


def _time(key: str, value: object) -> int:
    if isinstance(value, str) and not isinstance(value, _Number):
        found = rfc3339_ms(value)
        if found is None:
            raise Refused(f"{key} is neither epoch milliseconds nor an RFC 3339 time with offset")
        return found
    return _whole(key, value)


def text_items(key: str, value: object) -> list[str] | None:
    """A list of texts without its nulls and empty texts; None when nothing is left. Raises Refused."""
    if not isinstance(value, list):
        raise Refused(f"{key} must be a list of strings, not {_type_name(value)}")
    items = [_text(f"an item of {key}", item) for item in value if item is not None]
    return [item for item in items if item is not None] or None


def shown_items(key: str, value: object) -> list[dict[str, object]] | None:
    """The contract's `shown`: subjects with what was shown of each; None when empty. Raises Refused."""
    if not isinstance(value, list):
        raise Refused(f"{key} must be a list of {{subject, fields}}, not {_type_name(value)}")
    items: list[dict[str, object]] = []
    for item in value:
        if not isinstance(item, dict) or not set(item) <= {"subject", "fields"}:
            raise Refused(f"an item of {key} must be {{subject, fields}}")
        subject, fields = item.get("subject"), item.get("fields")
        if not isinstance(subject, str) or isinstance(subject, _Number) or not subject:
            raise Refused(f"an item of {key} has no subject")
        items.append({"subject": subject, "fields": None if fields is None else text_items("fields", fields) or []})
    return items or None


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{key} must be true or false, not {_type_name(value)}")
    return value


def _type_name(value: object) -> str:
    if isinstance(value, _Number):
        return "a number"
    names = {str: "a string", bool: "a boolean", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "something else")


_READERS: Final = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(LISTS, text_items),
    **{name: _time if name in _TIMES else _whole for name in INTS},
    "shown": shown_items,
    "masked": _flag,
}
