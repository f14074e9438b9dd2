"""Reference tables that become keys: parcels (work that no scan shows), canaries, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.context.spans import SpanTable, open_span, span_slot
from watchbill.context.traces import T_ASSIGNED, T_IN, T_OUT
from watchbill.core.hashing import hash_column, work_key
from watchbill.core.kernel import kernel
from watchbill.core.tables import Table64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.context.interning import Interner

_FOREVER: Final = np.iinfo(np.int64).max // 4


@kernel
def _pair_keys(owners: NDArray[np.uint64], items: NDArray[np.uint64], tag: int, out: NDArray[np.uint64]) -> None:
    for i in range(out.shape[0]):
        out[i] = work_key(owners[i], items[i], tag) if owners[i] and items[i] else np.uint64(0)


@kernel
def _open_all(
    spans: NDArray[np.void], keys: NDArray[np.uint64], since: NDArray[np.int64], until: NDArray[np.int64]
) -> int:
    added = 0
    for i in range(keys.shape[0]):
        if keys[i]:
            # one key may stand for several parcels of a customer: the widest span of them counts
            held = spans[span_slot(spans, keys[i])]
            added += open_span(spans, keys[i], since[i], max(until[i], held.until))
    return added


def _add(table: SpanTable, keys: NDArray[np.uint64], since: NDArray[np.int64], until: NDArray[np.int64]) -> None:
    table.reserve(keys.shape[0])
    table.count += int(_open_all(table.cells, keys, since, until))


def parcel_spans(table: pa.Table | None) -> SpanTable:
    """Work that the parcels table declares.

    Origin and destination outlets and the assigned account have work on the waybill, and (for looks that name no waybill)
    on its sender and recipient.
    """
    if table is None or table.num_rows == 0:
        return SpanTable.none()
    out = SpanTable()
    since = pc.fill_null(table.column("from"), 0).to_numpy()
    until = np.minimum(pc.fill_null(table.column("until"), int(_FOREVER)).to_numpy(), _FOREVER)
    hashed = {name: hash_column(table.column(name)) for name in table.column_names if name not in {"from", "until"}}
    owners = (("origin", T_OUT), ("destination", T_OUT), ("destination", T_IN), ("assigned", T_ASSIGNED))
    for owner, tag in owners:
        for item in ("waybill", "sender", "recipient"):
            keys = np.zeros(table.num_rows, np.uint64)
            _pair_keys(hashed[owner], hashed[item], tag, keys)
            _add(out, keys, since, until)
    return out


def canary_spans(table: pa.Table | None) -> SpanTable:
    """Waybills and subjects that do not exist, each from the moment it was placed."""
    if table is None or table.num_rows == 0:
        return SpanTable.none()
    out = SpanTable()
    since = pc.fill_null(table.column("placed"), 0).to_numpy()
    until = np.full(table.num_rows, _FOREVER, np.int64)
    for name in ("waybill", "subject"):
        _add(out, hash_column(table.column(name)), since, until)
    return out


def device_outlets(table: pa.Table | None, outlets: Interner) -> Table64:
    """Registered devices: hash -> dense outlet * 16 + kind code (0 = not said) * 2 + shared."""
    out = Table64()
    if table is None or table.num_rows == 0:
        return out
    kinds = {"pc": 1, "handset": 2, "scanner": 3, "server": 4, "personal": 5}
    values = [
        (outlets.add(outlet) if outlet else -1) * 16 + kinds.get(kind or "", 0) * 2 + (shared in {"true", "1", "yes"})
        for outlet, kind, shared in zip(
            table.column("outlet").to_pylist(), table.column("kind").to_pylist(),
            pc.utf8_lower(table.column("shared").cast(pa.string())).to_pylist(), strict=True,
        )
    ]  # fmt: skip
    out.put(hash_column(table.column("device")), np.array(values, np.int64))
    return out
