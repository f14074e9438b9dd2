"""Kernels that walk JSON text byte by byte: strings, numbers, whole values, RFC 3339 times. Strict: -1 for anything odd.

All of them stop at a newline, so a buffer that ends with one is never left. `buf` is uint8[n]; `p` is a byte offset.
Odd text is not judged here: the exact path (jsonrow.py) reads that line again and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TIME = -(1 << 62)
"""What `rfc3339` gives for a text that is no RFC 3339 time."""
whole: Callable[[Any], int] = np.int64  # type: ignore[assignment]
"""A byte as a signed 64-bit number: numba would make a float of unsigned and signed together."""
place: Callable[[int], int] = np.uintp  # type: ignore[assignment]
"""An offset that is known not to be negative: numba then leaves out Python's wrap-around, a third of the time here."""
_ONE: int = np.uintp(1)  # type: ignore[assignment]
_DEPTH_MAX = 62
"""Levels that fit the bit stack; deeper values take the exact path, which knows the real limit."""


@kernel
def after_space(buf: NDArray[np.uint8], p: int) -> int:
    """Offset of the first byte that is no space, tab or carriage return."""
    q = place(p)
    while buf[q] <= 32 and (buf[q] == 32 or buf[q] == 9 or buf[q] == 13):
        q += _ONE
    return whole(q)


@kernel
def _hex4(buf: NDArray[np.uint8], p: int) -> int:
    value = 0
    for i in range(4):
        c = whole(buf[p + i])
        if 48 <= c <= 57:
            value = value * 16 + c - 48
        elif 97 <= c <= 102:
            value = value * 16 + c - 87
        elif 65 <= c <= 70:
            value = value * 16 + c - 55
        else:
            return -1
    return value


@kernel
def _escape(buf: NDArray[np.uint8], p: int) -> tuple[int, int]:
    """(offset after the escape that starts at `p`, its code point), or (-1, 0); lone surrogates are refused."""
    c = whole(buf[p + 1])
    if c == 34 or c == 92 or c == 47:
        return p + 2, c
    if c == 117:
        high = _hex4(buf, p + 2)
        if high < 0 or 0xDC00 <= high < 0xE000:
            return -1, 0
        if high < 0xD800 or high >= 0xE000:
            return p + 6, high
        if buf[p + 6] != 92 or buf[p + 7] != 117:
            return -1, 0
        low = _hex4(buf, p + 8)
        if low < 0xDC00 or low >= 0xE000:
            return -1, 0
        return p + 12, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
    for letter, point in ((98, 8), (102, 12), (110, 10), (114, 13), (116, 9)):
        if c == letter:
            return p + 2, point
    return -1, 0


@kernel
def text_end(buf: NDArray[np.uint8], p: int) -> int:
    """Offset of the quote that closes the string whose first character is at `p`, or -1."""
    q = place(p)
    while True:
        c = buf[q]
        if c == 34:
            return whole(q)
        if c == 92:
            p, _ = _escape(buf, whole(q))
            if p < 0:
                return -1
            q = place(p)
        elif c < 32:
            return -1
        else:
            q += _ONE


@kernel
def copy_text(buf: NDArray[np.uint8], p: int, end: int, out: NDArray[np.uint8], at: int) -> int:
    """Write the string in [p, end), escapes resolved, as UTF-8 at `out[at]`; returns the offset after it."""
    while p < end:
        q, to, last = place(p), place(at), place(end)
        while q < last and buf[q] != 92:
            out[to] = buf[q]
            to += _ONE
            q += _ONE
        p, at = whole(q), whole(to)
        if p == end:
            break
        p, point = _escape(buf, p)
        if point < 0x80:
            out[at] = point
            at += 1
        elif point < 0x800:
            out[at] = 0xC0 | (point >> 6)
            out[at + 1] = 0x80 | (point & 0x3F)
            at += 2
        elif point < 0x10000:
            out[at] = 0xE0 | (point >> 12)
            out[at + 1] = 0x80 | ((point >> 6) & 0x3F)
            out[at + 2] = 0x80 | (point & 0x3F)
            at += 3
        else:
            out[at] = 0xF0 | (point >> 18)
            out[at + 1] = 0x80 | ((point >> 12) & 0x3F)
            out[at + 2] = 0x80 | ((point >> 6) & 0x3F)
            out[at + 3] = 0x80 | (point & 0x3F)
            at += 4
    return at


@kernel
def _digits_end(buf: NDArray[np.uint8], p: int) -> int:
    start = p
    while 48 <= buf[p] <= 57:
        p += 1
    return p if p > start else -1


@kernel
def _number_end(buf: NDArray[np.uint8], p: int) -> int:
    if buf[p] == 45:
        p += 1
    if buf[p] == 48:
        p += 1
    else:
        p = _digits_end(buf, p)
    if p > 0 and buf[p] == 46:
        p = _digits_end(buf, p + 1)
    if p > 0 and (buf[p] == 101 or buf[p] == 69):
        p += 1
        if buf[p] == 43 or buf[p] == 45:
            p += 1
        p = _digits_end(buf, p)
    return p


@kernel
def literal_end(buf: NDArray[np.uint8], p: int) -> int:
    """Offset after `null`, `true` or `false` at `p`, or -1."""
    c = buf[p]
    if c == 110 and buf[p + 1] == 117 and buf[p + 2] == 108 and buf[p + 3] == 108:
        return p + 4
    if c == 116 and buf[p + 1] == 114 and buf[p + 2] == 117 and buf[p + 3] == 101:
        return p + 4
    if c == 102 and buf[p + 1] == 97 and buf[p + 2] == 108 and buf[p + 3] == 115 and buf[p + 4] == 101:
        return p + 5
    return -1


@kernel
def _scalar_end(buf: NDArray[np.uint8], p: int) -> int:
    if buf[p] == 34:
        end = text_end(buf, p + 1)
        return end + 1 if end >= 0 else -1
    if buf[p] == 45 or 48 <= buf[p] <= 57:
        return _number_end(buf, p)
    return literal_end(buf, p)


@kernel
def _after_key(buf: NDArray[np.uint8], p: int) -> int:
    """Offset of the value after the key at `p` (space allowed before), or -1."""
    p = after_space(buf, p)
    if buf[p] != 34:
        return -1
    p = text_end(buf, p + 1)
    if p < 0:
        return -1
    p = after_space(buf, p + 1)
    return after_space(buf, p + 1) if buf[p] == 58 else -1


@kernel
def _close(buf: NDArray[np.uint8], p: int, stack: int, depth: int) -> tuple[int, int, int, bool]:
    """After a value: close what closes. Gives (offset, stack, depth, another value follows), offset -1 when odd."""
    while depth > 0:
        p = after_space(buf, p)
        is_object = stack & 1
        c = buf[p]
        if c == 44:
            p = _after_key(buf, p + 1) if is_object else after_space(buf, p + 1)
            return p, stack, depth, True
        if c != (125 if is_object else 93):
            return -1, stack, depth, False
        p += 1
        stack >>= 1
        depth -= 1
    return p, stack, depth, False


@kernel
def value_end(buf: NDArray[np.uint8], p: int) -> int:
    """Offset after the JSON value at `p`, checked strictly, or -1 (also when it nests too deep for this path)."""
    stack = whole(0)
    depth = whole(0)
    while True:
        c = buf[p]
        if c == 123 or c == 91:
            if depth >= _DEPTH_MAX:
                return -1
            inner = after_space(buf, p + 1)
            if buf[inner] == c + 2:
                p = inner + 1
            else:
                stack = (stack << 1) | (1 if c == 123 else 0)
                depth += 1
                p = _after_key(buf, p + 1) if c == 123 else inner
                if p < 0:
                    return -1
                continue
        else:
            p = _scalar_end(buf, p)
            if p < 0:
                return -1
        p, stack, depth, more = _close(buf, p, stack, depth)
        if p < 0 or not more:
            return p


@kernel
def integer(buf: NDArray[np.uint8], p: int) -> tuple[int, int]:
    """(offset after the whole number at `p`, its value); offset -1 when it is none or has over 18 digits."""
    negative = buf[p] == 45
    if negative:
        p += 1
    end = _digits_end(buf, p)
    if end < 0 or end - p > 18 or (buf[p] == 48 and end - p > 1):
        return -1, 0
    value = whole(0)
    for i in range(p, end):
        value = value * 10 + whole(buf[i]) - 48
    return end, -value if negative else value


@kernel
def _number_at(buf: NDArray[np.uint8], p: int, digits: int) -> int:
    value = 0
    for i in range(p, p + digits):
        if buf[i] < 48 or buf[i] > 57:
            return -1
        value = value * 10 + whole(buf[i]) - 48
    return value


@kernel
def days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's public algorithm)."""
    y = year - (1 if month <= 2 else 0)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@kernel
def _offset_minutes(buf: NDArray[np.uint8], p: int, end: int) -> int:
    """Minutes east of UTC for `Z` or `+hh:mm` filling [p, end), or NO_TIME."""
    if end - p == 1 and (buf[p] == 90 or buf[p] == 122):
        return 0
    if end - p != 6 or buf[p + 3] != 58 or (buf[p] != 43 and buf[p] != 45):
        return NO_TIME
    hours, minutes = _number_at(buf, p + 1, 2), _number_at(buf, p + 4, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return NO_TIME
    return -(hours * 60 + minutes) if buf[p] == 45 else hours * 60 + minutes


@kernel
def rfc3339(buf: NDArray[np.uint8], p: int, end: int) -> int:
    """Epoch milliseconds of the RFC 3339 time with offset in [p, end), finer digits cut off; NO_TIME when it is none.

    A leap second (:60) is the first instant of the next minute. A space may stand for `T`.
    """
    if end - p < 20 or buf[p + 4] != 45 or buf[p + 7] != 45 or buf[p + 13] != 58 or buf[p + 16] != 58:
        return NO_TIME
    if buf[p + 10] != 84 and buf[p + 10] != 116 and buf[p + 10] != 32:
        return NO_TIME
    year, month, day = _number_at(buf, p, 4), _number_at(buf, p + 5, 2), _number_at(buf, p + 8, 2)
    hour, minute, second = _number_at(buf, p + 11, 2), _number_at(buf, p + 14, 2), _number_at(buf, p + 17, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23:
        return NO_TIME
    if minute < 0 or minute > 59 or second < 0 or second > 60:
        return NO_TIME
    following = days_from_civil(year + month // 12, month % 12 + 1, 1)
    days = days_from_civil(year, month, day)
    if days >= following:
        return NO_TIME
    at = p + 19
    millis = 0
    if buf[at] == 46:
        digits_end = _digits_end(buf, at + 1)
        if digits_end < 0 or digits_end >= end:
            return NO_TIME
        for i in range(3):
            digit = whole(buf[at + 1 + i]) - 48 if at + 1 + i < digits_end else 0
            millis = millis * 10 + digit
        at = digits_end
    offset = _offset_minutes(buf, at, end)
    if offset == NO_TIME:
        return NO_TIME
    return (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + millis
