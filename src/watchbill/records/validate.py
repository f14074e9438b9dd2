"""The contract's rules on whole columns: what each kind needs, enumerations, ranges and lengths; and the arrival clock.

Source: shared/contract/records.md. Every check is a pass over a column, and columns that hold nothing are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.kernel import kernel
from watchbill.records.batch import distinct_reasons
from watchbill.records.kernel_jsontext import whole
from watchbill.records.limits import DAY_MS, DEFAULT_LIMITS, MINUTE_MS, RecordLimits
from watchbill.records.schema import CONTROL_PREFIX, KINDS, LOOKS, OUTCOMES, STATES, STATUSES, TICKET_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_KINDS: Final = pa.array(KINDS)
_LOOK_CODES: Final = np.array([KINDS.index(kind) for kind in LOOKS])
_ENUMERATIONS: Final = {"outcome": OUTCOMES, "status": STATUSES, "state": STATES, "type": TICKET_TYPES}
_NEEDED: Final = {
    "login": ("account",),
    "scan": ("waybill", "outlet", "status"),
    "ticket": ("ticket", "state"),
}
_IDENTIFIERS: Final = (
    "id", "kind", "account", "session", "device", "ip", "app", "waybill", "ticket", "decision", "outlet",
    "next_outlet", "assignee", "channel",
)  # fmt: skip
_YEAR_9999_MS: Final = 253_402_300_799_999
"""The last instant that `until` may name: "for ever" is often written so."""


@dataclass
class _Findings:
    """The first reason against each row."""

    n: int
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, bad: NDArray[np.bool_], reason: str) -> None:
        """Note `reason` for the rows of `bad` that have none yet."""
        for row in np.flatnonzero(bad).tolist():
            self.reasons.setdefault(row, reason)


def check(table: pa.Table, limits: RecordLimits = DEFAULT_LIMITS) -> dict[int, str]:
    """Rows that break the contract, with the first reason found for each.

    Args:
        table: n rows with the columns of `SCHEMA`, one chunk each; empty texts and lists are null already.
        limits: limits on times, texts and lists.

    Returns:
        Row -> reason. Reasons name fields and allowed values, never what stood in the record.
    """
    findings = _Findings(table.num_rows)
    columns = {name: table.column(name) for name in table.column_names}
    columns = {name: c.chunk(0) for name, c in columns.items() if c.num_chunks and c.null_count < table.num_rows}
    _check_kinds(columns, findings)
    _check_times(columns, findings, limits)
    _check_values(columns, findings)
    _check_sizes(columns, findings, limits)
    return findings.reasons


def _absent(columns: dict[str, pa.Array], name: str, n: int) -> NDArray[np.bool_]:
    column = columns.get(name)
    return np.ones(n, dtype=np.bool_) if column is None else np.asarray(column.is_null())


def _check_kinds(columns: dict[str, pa.Array], findings: _Findings) -> None:
    n = findings.n
    kind = columns.get("kind")
    if kind is None:
        findings.add(np.ones(n, dtype=np.bool_), "kind is missing")
        return
    codes = np.asarray(pc.index_in(kind, _KINDS).fill_null(-1))
    if (codes < 0).any():
        findings.add(np.asarray(kind.is_null()), "kind is missing")
        ours = np.asarray(pc.starts_with(kind, CONTROL_PREFIX).fill_null(False))
        findings.add(ours, "kinds beginning wb. are written by Watchbill only")
        findings.add(codes < 0, f"kind is none of {', '.join(KINDS)}")
    looks = np.isin(codes, _LOOK_CODES)
    nobody = looks & _absent(columns, "account", n) & _absent(columns, "device", n)
    findings.add(nobody, "a look needs an account or a device")
    for name, needed in _NEEDED.items():
        of_kind = codes == KINDS.index(name)
        if of_kind.any():
            for column in needed:
                findings.add(of_kind & _absent(columns, column, n), f"{column} is missing, which a {name} needs")


def _check_times(columns: dict[str, pa.Array], findings: _Findings, limits: RecordLimits) -> None:
    findings.add(_absent(columns, "time", findings.n), "time is missing")
    latest = {"time": limits.time_max_ms, "received": limits.time_max_ms, "until": _YEAR_9999_MS}
    for name, high in latest.items():
        if name in columns:
            value = np.asarray(columns[name].fill_null(limits.time_min_ms))
            bad = (value < limits.time_min_ms) | (value > high)
            findings.add(bad, f"{name} is out of range (time_min_ms {limits.time_min_ms} to {high})")


def _check_values(columns: dict[str, pa.Array], findings: _Findings) -> None:
    for name, allowed in _ENUMERATIONS.items():
        if name in columns:
            known = pc.is_in(columns[name], pa.array([*allowed, None], pa.string()))
            findings.add(~np.asarray(known), f"{name} is none of {', '.join(allowed)}")
    for name in ("results", "page"):
        if name in columns:
            findings.add(np.asarray(columns[name].fill_null(0)) < 0, f"{name} is below zero")
    if "ip" in columns:
        findings.add(_not_addresses(columns["ip"]), "ip is neither an IPv4 nor an IPv6 address")


def _check_sizes(columns: dict[str, pa.Array], findings: _Findings, limits: RecordLimits) -> None:
    for name in _IDENTIFIERS:
        if name in columns:
            reason = f"{name} is longer than text_bytes_max = {limits.text_bytes_max} bytes"
            findings.add(_longer(columns[name], limits.text_bytes_max), reason)
    if "reason" in columns:
        text = f"reason is longer than reason_bytes_max = {limits.reason_bytes_max} bytes"
        findings.add(_longer(columns["reason"], limits.reason_bytes_max), text)
    for name in ("subjects", "fields", "shown"):
        if name in columns:
            _check_list(columns[name], name, findings, limits)


def _check_list(column: pa.Array, name: str, findings: _Findings, limits: RecordLimits) -> None:
    lengths = np.diff(_offsets(column))
    findings.add(
        lengths > limits.list_items_max, f"{name} has more than list_items_max = {limits.list_items_max} items"
    )
    items = column.flatten()
    rows = np.repeat(np.arange(len(column)), lengths) if len(items) == lengths.sum() else None
    if name == "shown":
        _check_shown(items, rows, findings, limits)
        return
    _long_items(items, rows, name, findings, limits)


def _long_items(
    items: pa.Array, rows: NDArray[np.int64] | None, name: str, findings: _Findings, limits: RecordLimits
) -> None:
    long = _longer(items, limits.text_bytes_max)
    if long.any() and rows is not None:
        bad = np.zeros(findings.n, dtype=np.bool_)
        bad[rows[long]] = True
        findings.add(bad, f"an item of {name} is longer than text_bytes_max = {limits.text_bytes_max} bytes")


def _check_shown(items: pa.Array, rows: NDArray[np.int64] | None, findings: _Findings, limits: RecordLimits) -> None:
    _long_items(items.field("subject"), rows, "shown", findings, limits)
    inner = items.field("fields")
    lengths = np.diff(_offsets(inner))
    too_many = lengths > limits.list_items_max
    if rows is None:
        return
    if too_many.any():
        bad = np.zeros(findings.n, dtype=np.bool_)
        bad[rows[too_many]] = True
        findings.add(bad, f"an item of shown has more than list_items_max = {limits.list_items_max} fields")
    if len(inner.flatten()) == lengths.sum():
        _long_items(inner.flatten(), np.repeat(rows, lengths), "shown", findings, limits)


def _offsets(column: pa.Array) -> NDArray[np.int32]:
    offsets: NDArray[np.int32] = np.frombuffer(column.buffers()[1], dtype=np.int32)
    return offsets[column.offset : column.offset + len(column) + 1]


def _longer(column: pa.Array, limit: int) -> NDArray[np.bool_]:
    if len(column) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(np.diff(_offsets(column)) > limit)


@kernel
def _not_ipv4(data: NDArray[np.uint8], offsets: NDArray[np.int32], out: NDArray[np.bool_]) -> None:
    """Mark the texts that are no dotted IPv4 address (no leading zeros)."""
    for row in range(out.shape[0]):
        dots, value, digits, good = 0, 0, 0, True
        for p in range(offsets[row], offsets[row + 1]):
            c = whole(data[p])
            if c == 46:
                good &= digits > 0
                dots += 1
                value, digits = 0, 0
            elif 48 <= c <= 57 and not (digits == 1 and value == 0) and digits < 3:
                value = value * 10 + c - 48
                digits += 1
            else:
                good = False
                break
            good &= value <= 255
        out[row] = not (good and dots == 3 and digits > 0)


def _not_addresses(column: pa.Array) -> NDArray[np.bool_]:
    out = np.zeros(len(column), dtype=np.bool_)
    data = column.buffers()[2]
    text = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    _not_ipv4(text, _offsets(column), out)
    out &= np.asarray(column.is_valid())
    if out.any():
        rows = np.flatnonzero(out)
        others = column.take(pa.array(rows)).dictionary_encode()
        bad = np.array([not _is_address(text) for text in others.dictionary.to_pylist()], dtype=np.bool_)
        out[rows] = bad[np.asarray(others.indices)]
    return out


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@kernel
def _stamp(
    candidate: NDArray[np.int64], time: NDArray[np.int64], previous: int, ahead_ms: int, jump_ms: int,
    arrival: NDArray[np.int64], bad: NDArray[np.int8],
) -> int:  # fmt: skip
    """Run the clock over the rows; a refused row leaves it where it was. `previous` 0 = no record yet."""
    for i in range(candidate.shape[0]):
        now = max(previous, candidate[i])
        arrival[i] = now
        if time[i] - now > ahead_ms:
            bad[i] = 1
        elif previous > 0 and now - previous > jump_ms:
            bad[i] = 2
        else:
            previous = now
    return previous


@dataclass(frozen=True)
class Stamped:
    """A table with `arrival` set, what is refused (row -> reason), and the clock after the rows that stay."""

    table: pa.Table
    reasons: dict[int, str]
    arrival: int


def stamp_arrival(
    table: pa.Table, previous_arrival: int, *, live_now: int | None, limits: RecordLimits = DEFAULT_LIMITS
) -> Stamped:
    """Set the arrival clock on records in their order (contract/records.md, "Order and clock").

    Args:
        table: n records in `SCHEMA`.
        previous_arrival: the clock so far, epoch milliseconds; 0 before the first record, which sets it freely.
        live_now: the runner's clock in epoch milliseconds when live; None in a replay.
        limits: how far ahead `time` may be, and how far the clock may jump.

    Returns:
        The table with `arrival` (rows that are to be refused still in it), reasons by row, and the new clock, which
        refused rows did not move.
    """
    n = table.num_rows
    time = np.asarray(table.column("time").combine_chunks())
    if live_now is not None:
        candidate = np.full(n, live_now, dtype=np.int64)
    else:
        candidate = np.asarray(pc.coalesce(table.column("received"), table.column("time")).combine_chunks())
    arrival, bad = np.empty(n, dtype=np.int64), np.zeros(n, dtype=np.int8)
    never = 1 << 62
    ahead = never if limits.allow_ahead else int(limits.ahead_minutes_max * MINUTE_MS)
    # A live clock is the machine's own: after a long standstill it has to move on, however far.
    jump = never if limits.allow_jump or live_now is not None else int(limits.jump_days_max * DAY_MS)
    clock = int(_stamp(candidate, time, previous_arrival, ahead, jump, arrival, bad))
    rows = np.flatnonzero(bad)
    texts: Sequence[str] = (
        "",
        f"time is more than {limits.ahead_minutes_max:g} minutes later than arrival (allow_ahead)",
        f"arrival jumps over {limits.jump_days_max:g} days (allow_jump)",
    )
    at = table.schema.get_field_index("arrival")
    stamped = table.set_column(at, table.schema.field(at), pa.array(arrival))
    return Stamped(stamped, distinct_reasons(rows.tolist(), bad[rows].tolist(), texts), clock)
