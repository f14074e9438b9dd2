"""Control records among the records: those that wait go before the next record, those with a time before the first that is later.

Where a control record stands depends on records and their arrival alone, never on how batches were cut.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.ledger.canonical import canonical
from watchbill.records.schema import CONTROL_PREFIX, CONTROL_SOURCE
from watchbill.runners.askrecords import DECISION, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Timed(NamedTuple):
    """A control record that is to come at an arrival (epoch ms)."""

    arrival: int
    kind: str
    payload: dict[str, Any]


def control_rows(
    controls: Sequence[tuple[str, dict[str, Any]]], arrival: int, height: int, first: int = 0
) -> list[dict[str, Any]]:
    """Rows of the journal for control records; `height` and `first` make their ids.

    A `wb.decision` is given as columns, any other as what `extra` is to say.
    """
    rows = []
    for number, (kind, payload) in enumerate(controls, start=first):
        row = {
            "source": CONTROL_SOURCE,
            "id": f"{kind}:{height}:{number}",
            "time": arrival,
            "arrival": arrival,
            "kind": kind,
        }
        said = {} if kind == DECISION else {"extra": json.dumps(payload, ensure_ascii=False, sort_keys=True)}
        rows.append(row | (payload if kind == DECISION else said))
    return rows


def control_table(
    controls: Sequence[tuple[str, dict[str, Any]]], arrival: int, height: int, first: int = 0
) -> pa.Table:
    """As `control_rows`, as a table."""
    return table_of(control_rows(controls, arrival, height, first))


def with_controls(
    table: pa.Table, controls: Sequence[tuple[str, dict[str, Any]]], timed: Sequence[Timed], height: int
) -> pa.Table:
    """A batch's records (at least one, by arrival) with control records: `controls` first, `timed` each in its place.

    Args:
        timed: due by the last record, by arrival.
    """
    arrivals = np.asarray(table.column("arrival").combine_chunks())
    at = np.searchsorted(arrivals, [one.arrival for one in timed], side="left").tolist()
    parts = [control_table(controls, int(arrivals[0]), height)] if controls else []
    done = 0
    for number, (place, one) in enumerate(zip(at, timed, strict=True), start=len(controls)):
        parts.append(table.slice(done, place - done))
        moment = int(arrivals[min(place, arrivals.shape[0] - 1)])
        parts.append(control_table([(one.kind, one.payload)], moment, height, number))
        done = place
    parts.append(table.slice(done))
    return pa.concat_tables(parts).combine_chunks()


def first_sent(table: pa.Table) -> bytes:
    """Canonical bytes of the first record that a source sent."""
    sent = table.filter(pc.not_equal(table.column("source"), CONTROL_SOURCE)).slice(0, 1)
    return canonical(sent.combine_chunks(), None)[0].tobytes()


def runs_of(table: pa.Table) -> Iterator[tuple[bool, int, int]]:
    """(whether it is one control record, start, stop) over the rows of a frame, in order; records come in runs."""
    marks = np.asarray(pc.starts_with(table.column("kind").combine_chunks(), CONTROL_PREFIX))
    done = 0
    for at in np.flatnonzero(marks).tolist():
        if at > done:
            yield False, done, at
        yield True, at, at + 1
        done = at + 1
    if done < table.num_rows:
        yield False, done, table.num_rows
