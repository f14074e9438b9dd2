"""Kernel that cuts CSV text into records: quotes, newlines inside quotes, and how many fields each record has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def _record_end(buf: NDArray[np.uint8], start: int, size_max: int) -> tuple[int, int, int]:
    """(offset of the newline that ends the record, fields, newlines inside it); offset -1 when it is unfinished."""
    fields, inside, p = 1, 0, start
    at_start, quoted = True, False
    while p < buf.shape[0] and p - start <= size_max:
        c = buf[p]
        if quoted:
            if c == 34 and p + 1 < buf.shape[0] and buf[p + 1] == 34:
                p += 1
            elif c == 34:
                quoted = False
            elif c == 10:
                inside += 1
        elif c == 34 and at_start:
            quoted = True
        elif c == 10:
            return p, fields, inside
        elif c == 44:
            fields += 1
        at_start = c == 44 and not quoted
        p += 1
    return (-1, fields, inside) if p >= buf.shape[0] else (-2, fields, inside)


@kernel
def cut_records(
    buf: NDArray[np.uint8], size_max: int, line: int, final: bool, records: NDArray[np.int64]
) -> tuple[int, int, int]:  # fmt: skip
    """Cut whole records off `buf`, which ends with a newline.

    Args:
        buf: text that begins at a record.
        size_max: a quoted field that makes a record longer than this was never closed; its first line is a record then.
        line: number of the first line.
        final: nothing follows, so an unclosed quote stays so.
        records: int64[lines, 4]: first byte, offset of the newline, line number, fields; blank lines are left out.

    Returns:
        Records, bytes taken, and number of the line that follows.
    """
    count, p = 0, 0
    while p < buf.shape[0]:
        end, fields, inside = _record_end(buf, p, size_max)
        if end == -1 and not final:
            break
        if end < 0:
            end, inside, fields = p, 0, 0
            while buf[end] != 10:
                end += 1
        if end > p and not (end == p + 1 and buf[p] == 13):
            records[count, 0], records[count, 1], records[count, 2], records[count, 3] = p, end, line, fields
            count += 1
        line += inside + 1
        p = end + 1
    return count, p, line
