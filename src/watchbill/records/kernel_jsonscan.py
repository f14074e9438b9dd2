"""The fast path for NDJSON: one kernel finds every field of every line, a second writes the Arrow buffers.

A line with anything odd in it (wrong type, duplicate key, escaped key, bad JSON) is only marked; `jsonrow` reads it
again and decides. So both paths accept the same records, and one bad line costs one line (docs/decisions/parsing.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.kernel import kernel
from watchbill.records.kernel_jsontext import (
    NO_TIME,
    after_space,
    copy_text,
    integer,
    literal_end,
    place,
    rfc3339,
    text_end,
    value_end,
    whole,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS: Final = (
    "id", "kind", "account", "session", "device", "ip", "app", "waybill", "ticket", "reason", "decision", "outcome",
    "outlet", "next_outlet", "assignee", "status", "state", "type", "channel",
)  # fmt: skip
LISTS: Final = ("subjects", "fields")
INTS: Final = ("time", "received", "until", "results", "page")
"""Whole numbers; the first three may also be RFC 3339 texts."""

SHOWN = len(TEXTS)
EXTRA = SHOWN + 1
LIST_0 = EXTRA + 1
INT_0 = LIST_0 + len(LISTS)
MASKED = INT_0 + len(INTS)
EXTRA_NULL = MASKED + 1
"""Codes of fields: texts, then the raw text of `shown`, unknown fields, lists, whole numbers, `masked`."""
_ONE: int = np.uintp(1)  # type: ignore[assignment]
_TIMES = 3
_UNKNOWN_MAX = 256

_NAMES = (*TEXTS, "shown", "", *LISTS, *INTS, "masked")
_SLOTS = 256


def _hash_name(name: bytes) -> int:
    return name[0] * 31 + name[-1] * 7 + len(name) * 61


def _name_table() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Bytes of all names, their offsets, and a probing table from hash to code (-1 = free)."""
    data = np.frombuffer("".join(_NAMES).encode(), dtype=np.uint8)
    offsets = np.cumsum([0, *(len(name) for name in _NAMES)]).astype(np.int64)
    slots = np.full(_SLOTS, -1, dtype=np.int64)
    for code, name in enumerate(_NAMES):
        slot = _hash_name(name.encode()) % _SLOTS if name else 0
        while name and slots[slot] >= 0:
            slot = (slot + 1) % _SLOTS
        if name:
            slots[slot] = code
    return data, offsets, slots


_DATA, _OFFSETS, _TABLE = _name_table()


@kernel
def _key(buf: NDArray[np.uint8], p: int) -> tuple[int, int]:
    """(offset of the closing quote, code) of the key whose first character is at `p`; offset -1 when odd."""
    start = p
    q = place(p)
    while buf[q] != 34:
        if buf[q] < 32 or buf[q] == 92:
            return -1, EXTRA
        q += _ONE
    p = whole(q)
    if p == start:
        return p, EXTRA
    slot = (whole(buf[start]) * 31 + whole(buf[p - 1]) * 7 + (p - start) * 61) & (_SLOTS - 1)
    while _TABLE[slot] >= 0:
        code = _TABLE[slot]
        first = _OFFSETS[code]
        if _OFFSETS[code + 1] - first == p - start:
            a, b = place(first), place(start)
            while b < q and _DATA[a] == buf[b]:
                a += _ONE
                b += _ONE
            if b == q:
                return p, code
        slot = (slot + 1) & (_SLOTS - 1)
    return p, EXTRA


@kernel
def _same_key(buf: NDArray[np.uint8], a: int, b: int) -> bool:
    """Whether the keys that open (quote included) at `a` and `b` are equal."""
    i = 1
    while buf[a + i] == buf[b + i]:
        if buf[a + i] == 34:
            return True
        i += 1
    return False


@kernel
def _repeats(buf: NDArray[np.uint8], at: int, toks: NDArray[np.int32], first: int, last: int) -> bool:
    """Whether the unknown key at `at` stands already among the tokens of its row (or there are too many of them)."""
    seen = 0
    for t in range(first, last):
        if toks[t, 0] == EXTRA or toks[t, 0] == EXTRA_NULL:
            seen += 1
            if _same_key(buf, toks[t, 1], at):
                return True
    return seen >= _UNKNOWN_MAX


@kernel
def _list(buf: NDArray[np.uint8], p: int) -> tuple[int, int, int]:
    """(offset after the list of texts at `p`, items, bytes); offset -1 when odd."""
    items, size = 0, 0
    p = after_space(buf, p + 1)
    if buf[p] == 93:
        return p + 1, 0, 0
    while True:
        if buf[p] == 34:
            end = text_end(buf, p + 1)
            if end < 0:
                return -1, 0, 0
            items += 1
            size += end - p - 1
            p = end + 1
        elif buf[p] == 110:
            p = literal_end(buf, p)
            if p < 0:
                return -1, 0, 0
        else:
            return -1, 0, 0
        p = after_space(buf, p)
        if buf[p] == 93:
            return p + 1, items, size
        if buf[p] != 44:
            return -1, 0, 0
        p = after_space(buf, p + 1)


@kernel
def _number(buf: NDArray[np.uint8], p: int, which: int) -> tuple[int, int]:
    """(offset after the whole number or time at `p`, its value); offset -1 when odd."""
    if buf[p] != 34:
        return integer(buf, p)
    end = text_end(buf, p + 1)
    if which >= _TIMES or end < 0:
        return -1, 0
    value = rfc3339(buf, p + 1, end)
    return (-1, 0) if value == NO_TIME else (end + 1, value)


@kernel
def _value(
    buf: NDArray[np.uint8], p: int, code: int, row: int, ints: NDArray[np.int64], masked: NDArray[np.int8],
    toks: NDArray[np.int32], count: int, totals: NDArray[np.int64],
) -> tuple[int, bool]:  # fmt: skip
    """(offset after the known field's value at `p`, whether it made token `count`); offset -1 when odd."""
    if buf[p] == 110:
        return literal_end(buf, p), False
    toks[count, 0] = code
    toks[count, 1] = p + 1
    if code < SHOWN:
        if buf[p] != 34:
            return -1, False
        end = text_end(buf, p + 1)
        if end < 0:
            return -1, False
        toks[count, 2] = end
        totals[code] += end - p - 1
        return end + 1, end > p + 1
    if code == SHOWN:
        end = value_end(buf, p)
        toks[count, 1] = p
        toks[count, 2] = end
        totals[code] += max(end - p, 0)
        return end, True
    if code < INT_0:
        if buf[p] != 91:
            return -1, False
        end, items, size = _list(buf, p)
        toks[count, 2] = end
        totals[code] += size
        totals[MASKED + code - LIST_0] += items
        return end, items > 0
    if code < MASKED:
        end, value = _number(buf, p, code - INT_0)
        ints[row, code - INT_0] = value
        return end, False
    end = literal_end(buf, p)
    masked[row] = 1 if buf[p] == 116 else 0
    return end, False


@kernel
def _unknown(
    buf: NDArray[np.uint8], p: int, key_at: int, toks: NDArray[np.int32], first: int, count: int,
    totals: NDArray[np.int64],
) -> int:  # fmt: skip
    """Offset after the unknown field's value at `p`, noted as token `count`, or -1 when odd."""
    if _repeats(buf, key_at, toks, first, count):
        return -1
    end = value_end(buf, p)
    toks[count, 0] = EXTRA_NULL if buf[p] == 110 else EXTRA
    toks[count, 1] = key_at
    toks[count, 2] = end
    totals[EXTRA] += max(end - key_at, 0) + 2
    return end


@kernel
def _row(
    buf: NDArray[np.uint8], p: int, row: int, ints: NDArray[np.int64], masked: NDArray[np.int8],
    toks: NDArray[np.int32], first: int, totals: NDArray[np.int64],
) -> tuple[int, int]:  # fmt: skip
    """Read the object at `p`. Gives (offset of its newline, tokens so far); offset -1 when odd, -2 when out of room."""
    count = first
    seen = whole(0)
    if buf[p] != 123:
        return -1, first
    p = after_space(buf, p + 1)
    if buf[p] == 125:
        return after_space(buf, p + 1), count
    while True:
        if count >= toks.shape[0]:
            return -2, first
        if buf[p] != 34:
            return -1, first
        key_at = p
        p, code = _key(buf, p + 1)
        if p < 0:
            return -1, first
        p = after_space(buf, p + 1)
        if buf[p] != 58:
            return -1, first
        p = after_space(buf, p + 1)
        if code < SHOWN and buf[p] == 34 and not seen & (whole(1) << code):
            # Most values are texts: read here, as a call with this many arrays costs more than the text.
            seen |= whole(1) << code
            end = text_end(buf, p + 1)
            if end > p + 1:
                toks[count, 0], toks[count, 1], toks[count, 2] = code, p + 1, end
                totals[code] += end - p - 1
                count += 1
            p = end + 1 if end >= 0 else -1
        elif code == EXTRA:
            p = _unknown(buf, p, key_at, toks, first, count, totals)
            count += 1
        else:
            if seen & (whole(1) << code):
                return -1, first
            seen |= whole(1) << code
            p, made = _value(buf, p, code, row, ints, masked, toks, count, totals)
            count += 1 if made else 0
        if p < 0:
            return -1, first
        p = after_space(buf, p)
        if buf[p] == 125:
            return after_space(buf, p + 1), count
        if buf[p] != 44:
            return -1, first
        p = after_space(buf, p + 1)


@kernel
def scan(
    buf: NDArray[np.uint8], line_max: int, cursor: NDArray[np.int64], lines: NDArray[np.int64],
    firsts: NDArray[np.int64], odd: NDArray[np.bool_], ints: NDArray[np.int64], masked: NDArray[np.int8],
    toks: NDArray[np.int32], totals: NDArray[np.int64],
) -> bool:  # fmt: skip
    """Find the fields of all lines; False when `toks` ran out (grow it and call again, `cursor` remembers).

    Args:
        buf: text that ends with a newline.
        line_max: longer lines are odd.
        cursor: int64[4]: offset, row, line, tokens; advanced.
        lines: int64[rows, 3]: first byte, offset of the newline, line number; written.
        firsts: int64[rows + 1]: first token of each row; written.
        odd: rows that the exact path must read; written.
        ints: int64[rows, 5] filled with NO_TIME = absent; written.
        masked: int8[rows] filled with -1 = absent; written.
        toks: int32[capacity, 3]: code, first and end offset of a value; written.
        totals: int64: bytes a column needs at most, then items of each list column; added to.
    """
    p, row, line, count = cursor
    while p < buf.shape[0]:
        start = p
        p = after_space(buf, p)
        if buf[p] == 10:
            p += 1
            line += 1
            continue
        end, reached = _row(buf, p, row, ints, masked, toks, count, totals)
        if end == -2:
            cursor[:] = start, row, line, count
            ints[row] = NO_TIME
            masked[row] = -1
            return False
        if end < 0 or buf[end] != 10 or end - start > line_max:
            end = start
            while buf[end] != 10:
                end += 1
            odd[row] = True
            ints[row] = NO_TIME
            masked[row] = -1
            reached = count
        lines[row, 0], lines[row, 1], lines[row, 2] = start, end, line
        count = reached
        row += 1
        firsts[row] = count
        p = end + 1
        line += 1
    cursor[:] = p, row, line, count
    return True


@kernel
def _fill_list(
    buf: NDArray[np.uint8], p: int, end: int, offsets: NDArray[np.int32], item: int, base: int,
    out: NDArray[np.uint8], at: int,
) -> tuple[int, int]:  # fmt: skip
    """Write the texts of the list in [p, end), empty ones passed over; gives (offset slot, byte) reached."""
    while p < end:
        if buf[p] != 34:
            p += 1
            continue
        close = text_end(buf, p + 1)
        if close > p + 1:
            at = copy_text(buf, p + 1, close, out, at)
            item += 1
            offsets[item] = at - base
        p = close + 1
    return item, at


@kernel
def fill(
    buf: NDArray[np.uint8], firsts: NDArray[np.int64], toks: NDArray[np.int32], out: NDArray[np.uint8],
    bases: NDArray[np.int64], offsets: NDArray[np.int32], item_offsets: NDArray[np.int32],
    item_bases: NDArray[np.int64], used: NDArray[np.int64],
) -> None:  # fmt: skip
    """Write every text and list into `out`, column after column.

    Args:
        buf, firsts, toks: as `scan` left them.
        out: uint8: data of all columns; column c begins at `bases[c]`.
        offsets: int32[columns, rows + 1]: Arrow offsets (of items for list columns).
        item_offsets: int32: Arrow offsets of the list columns' items; list column l begins at `item_bases[l]`.
        used: int64[columns in use]: their codes.
    """
    at = bases[:INT_0].copy()
    items = item_bases[:2].copy()
    for row in range(firsts.shape[0] - 1):
        extra_from = at[EXTRA]
        for t in range(firsts[row], firsts[row + 1]):
            code, a, b = toks[t, 0], whole(toks[t, 1]), whole(toks[t, 2])
            if code < SHOWN:
                at[code] = copy_text(buf, a, b, out, at[code])
            elif code == SHOWN or code == EXTRA:
                to = at[code]
                if code == EXTRA:
                    out[to] = 123 if to == extra_from else 44
                    to += 1
                for p in range(a, b):
                    out[to] = buf[p]
                    to += 1
                at[code] = to
            elif code < INT_0:
                which = code - LIST_0
                items[which], at[code] = _fill_list(buf, a, b, item_offsets, items[which], bases[code], out, at[code])
        if at[EXTRA] > extra_from:
            out[at[EXTRA]] = 125
            at[EXTRA] += 1
        for u in range(used.shape[0]):
            code = used[u]
            reached = items[code - LIST_0] - item_bases[code - LIST_0] if code >= LIST_0 else at[code] - bases[code]
            offsets[code, row + 1] = reached
