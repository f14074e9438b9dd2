"""Numba kernels of the ledger: one pass that writes canonical records row by row from pooled Arrow buffers.

`canonical.py` lays all columns of a batch into a few pools (bytes, offsets, integers, validity) and describes each by a
row of `plan`; the kernel then walks the rows, so that the output is written once, in order.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchbill.core.kernel import kernel
from watchbill.ledger.intrinsics import copy16, digest, pointer

STRING: Final = 0
INT: Final = 1
BOOL: Final = 2
STRINGS: Final = 3
STRUCTS: Final = 4

# fields of a plan row
KIND: Final = 0
NAME: Final = 1
NAME_BYTES: Final = 2
VALID: Final = 3
START: Final = 4
BASE: Final = 5
ESCAPES: Final = 6
CHILD: Final = 7
CHILDREN: Final = 8
PLAN_WIDTH: Final = 9

Pointer: TypeAlias = Any
"""A bare pointer into a pool, as `intrinsics.pointer` gives it."""
_QUOTE: Final = 34
_BACKSLASH: Final = 92
_COMMA: Final = 44
_PAIRS: Final = np.frombuffer("".join(f"{pair:02d}" for pair in range(100)).encode(), dtype=np.uint8)


@kernel
def must_escape(data: NDArray[np.uint8]) -> bool:
    """Tell whether any byte needs a JSON escape (quote, backslash, control)."""
    found = 0
    for byte in data:
        found += int(byte < 32) | int(byte == 34) | int(byte == 92)
    return found > 0


@kernel
def _put_escaped(out: Pointer, at: int, data: Pointer, start: int, end: int) -> int:
    for k in range(start, end):
        byte = data[k]
        if byte == _QUOTE or byte == _BACKSLASH:
            out[at] = _BACKSLASH
            out[at + 1] = byte
            at += 2
        elif byte >= 32:
            out[at] = byte
            at += 1
        else:
            out[at] = _BACKSLASH
            short = 0
            if byte == 8:
                short = 98
            elif byte == 9:
                short = 116
            elif byte == 10:
                short = 110
            elif byte == 12:
                short = 102
            elif byte == 13:
                short = 114
            if short:
                out[at + 1] = short
                at += 2
            else:
                low = byte & 15
                out[at + 1] = 117
                out[at + 2] = 48
                out[at + 3] = 48
                out[at + 4] = 48 + (byte >> 4)
                out[at + 5] = 48 + low if low < 10 else 87 + low
                at += 6
    return at


@kernel
def _put_string(
    out: Pointer, at: int, plan: Pointer, p: int, i: int, data: Pointer,
    offsets: Pointer,
) -> int:  # fmt: skip
    start = plan[p * PLAN_WIDTH + BASE] + offsets[plan[p * PLAN_WIDTH + START] + i]
    end = plan[p * PLAN_WIDTH + BASE] + offsets[plan[p * PLAN_WIDTH + START] + i + 1]
    out[at] = _QUOTE
    at += 1
    if plan[p * PLAN_WIDTH + ESCAPES]:
        at = _put_escaped(out, at, data, start, end)
    else:
        for k in range(0, end - start, 16):
            copy16(out, at + k, data, start + k)
        at += end - start
    out[at] = _QUOTE
    return at + 1


@kernel
def _put_int(out: Pointer, at: int, value: np.int64) -> int:
    rest = np.uint64(value)
    if value < 0:
        out[at] = 45
        at += 1
        rest = np.uint64(0) - rest
    digits = 1
    limit = np.uint64(10)
    while rest >= limit and digits < 19:
        digits += 1
        limit *= np.uint64(10)
    k = at + digits
    while rest >= np.uint64(100):
        hundredth = rest // np.uint64(100)
        pair = np.int64(rest - hundredth * np.uint64(100)) * 2
        k -= 2
        out[k] = _PAIRS[pair]
        out[k + 1] = _PAIRS[pair + 1]
        rest = hundredth
    if rest >= np.uint64(10):
        out[k - 2] = _PAIRS[np.int64(rest) * 2]
        out[k - 1] = _PAIRS[np.int64(rest) * 2 + 1]
    else:
        out[k - 1] = np.uint8(48) + np.uint8(rest)
    return at + digits


@kernel
def _put_null(out: Pointer, at: int) -> int:
    out[at] = 110
    out[at + 1] = 117
    out[at + 2] = 108
    out[at + 3] = 108
    return at + 4


@kernel
def _put_strings(
    out: Pointer, at: int, plan: Pointer, p: int, i: int, data: Pointer,
    offsets: Pointer, valid: Pointer,
) -> int:  # fmt: skip
    child = plan[p * PLAN_WIDTH + CHILD]
    start = plan[p * PLAN_WIDTH + START]
    out[at] = 91
    at += 1
    for j in range(offsets[start + i], offsets[start + i + 1]):
        if plan[child * PLAN_WIDTH + VALID] >= 0 and valid[plan[child * PLAN_WIDTH + VALID] + j] == 0:
            at = _put_null(out, at)
        else:
            at = _put_string(out, at, plan, child, j, data, offsets)
        out[at] = _COMMA
        at += 1
    if out[at - 1] == _COMMA:
        at -= 1
    out[at] = 93
    return at + 1


@kernel
def _put_name(out: Pointer, at: int, plan: Pointer, p: int, data: Pointer) -> int:
    start = plan[p * PLAN_WIDTH + NAME]
    count: int = plan[p * PLAN_WIDTH + NAME_BYTES]
    for k in range(0, count, 16):
        copy16(out, at + k, data, start + k)
    return at + count


@kernel
def _put_structs(
    out: Pointer, at: int, plan: Pointer, p: int, i: int, data: Pointer,
    offsets: Pointer, valid: Pointer,
) -> int:  # fmt: skip
    first = plan[p * PLAN_WIDTH + CHILD]
    start = plan[p * PLAN_WIDTH + START]
    begin, end = offsets[start + i], offsets[start + i + 1]
    out[at] = 91
    at += 1
    for j in range(begin, end):
        if plan[p * PLAN_WIDTH + BASE] >= 0 and valid[plan[p * PLAN_WIDTH + BASE] + j] == 0:
            at = _put_null(out, at)
        else:
            out[at] = 123
            at += 1
            opened = at
            for c in range(first, first + plan[p * PLAN_WIDTH + CHILDREN]):
                if plan[c * PLAN_WIDTH + VALID] >= 0 and valid[plan[c * PLAN_WIDTH + VALID] + j] == 0:
                    continue
                at = _put_name(out, at, plan, c, data)
                if plan[c * PLAN_WIDTH + KIND] == STRINGS:
                    at = _put_strings(out, at, plan, c, j, data, offsets, valid)
                else:
                    at = _put_string(out, at, plan, c, j, data, offsets)
                out[at] = _COMMA
                at += 1
            if at > opened:
                at -= 1
            out[at] = 125
            at += 1
        out[at] = _COMMA
        at += 1
    if end > begin:
        at -= 1
    out[at] = 93
    return at + 1


@kernel
def _put_bool(out: Pointer, at: int, value: int) -> int:
    if value:
        out[at] = 116
        out[at + 1] = 114
        out[at + 2] = 117
    else:
        out[at] = 102
        out[at + 1] = 97
        out[at + 2] = 108
        out[at + 3] = 115
        at += 1
    out[at + 3] = 101
    return at + 4


@kernel
def encode_rows(
    plan: NDArray[np.int64], columns: int, head: NDArray[np.uint8], data: NDArray[np.uint8],
    offsets: NDArray[np.int32], ints: NDArray[np.int64], valid: NDArray[np.uint8], out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> None:  # fmt: skip
    """Write each row as a JSON object behind its `head` bytes.

    Args:
        plan: int64[p * PLAN_WIDTH], one row a column, laid flat, the `columns` top ones first, in key order.
        columns: how many plan rows are top columns.
        head: uint8[n, w], copied before each record (w may be 0).
        data: pooled text bytes and key names, with 16 bytes to spare.
        offsets: pooled int32 offsets.
        ints: pooled int64 values.
        valid: pooled validity, one byte a value; of a bool column 0 null, 1 false, 2 true.
        out: room enough for everything, with 16 bytes to spare.
        ends: int64[n + 1]; `ends[0]` is where to begin; filled with where each record ends.
    """
    flat, cells, texts, out_at = pointer(plan), pointer(offsets), pointer(data), pointer(out)
    present = pointer(valid)
    at = ends[0]
    for i in range(ends.shape[0] - 1):
        for k in range(head.shape[1]):
            out_at[at + k] = head[i, k]
        at += head.shape[1]
        out_at[at] = 123
        at += 1
        for p in range(columns):
            valid_at = flat[p * PLAN_WIDTH + VALID]
            if valid_at >= 0 and present[valid_at + i] == 0:
                continue
            at = _put_name(out_at, at, flat, p, texts)
            kind = flat[p * PLAN_WIDTH + KIND]
            if kind == STRING:
                at = _put_string(out_at, at, flat, p, i, texts, cells)
            elif kind == INT:
                at = _put_int(out_at, at, ints[flat[p * PLAN_WIDTH + START] + i])
            elif kind == BOOL:
                at = _put_bool(out_at, at, present[valid_at + i] - 1)
            elif kind == STRINGS:
                at = _put_strings(out_at, at, flat, p, i, texts, cells, present)
            else:
                at = _put_structs(out_at, at, flat, p, i, texts, cells, present)
            out_at[at] = _COMMA
            at += 1
        if out_at[at - 1] == _COMMA:
            at -= 1
        out_at[at] = 125
        at += 1
        ends[i + 1] = at


@kernel
def hash_rows(
    functions: NDArray[np.int64], data: NDArray[np.uint8], ends: NDArray[np.int64], out: NDArray[np.uint8]
) -> None:
    """Digest each row of `data` into 32 bytes of `out`.

    Args:
        functions: int64[3], addresses of the library's begin, update and end.
        data: uint8[m].
        ends: int64[n + 1], row i is data[ends[i]:ends[i + 1]].
        out: uint8[32 * n].
    """
    state = np.zeros(32, dtype=np.uint64)
    for i in range(ends.shape[0] - 1):
        digest(
            functions[0], functions[1], functions[2], pointer(state), pointer(data), ends[i], ends[i + 1] - ends[i],
            pointer(out), 32 * i,
        )  # fmt: skip


@kernel
def hash_pairs(functions: NDArray[np.int64], row: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Digest 0x01 and each 64 bytes of `row` into 32 bytes of `out`."""
    state = np.zeros(32, dtype=np.uint64)
    message = np.zeros(81, dtype=np.uint8)
    message[0] = 1
    for i in range(out.shape[0] // 32):
        for k in range(0, 64, 16):
            copy16(pointer(message), 1 + k, pointer(row), 64 * i + k)
        digest(
            functions[0], functions[1], functions[2], pointer(state), pointer(message), 0, 65, pointer(out), 32 * i
        )  # fmt: skip
