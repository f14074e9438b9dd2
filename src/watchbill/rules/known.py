"""What the engine knows of the records of a batch, as rules name it (`taxonomy.KNOWN`), taken from the context's own join."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.context.events import LOOK
from watchbill.context.networks import KINDS
from watchbill.context.roster import STATUS_NAMES
from watchbill.records.columns import KIND
from watchbill.rules.kernel_posts import posts_of
from watchbill.rules.values import Fact, Known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from watchbill.context.context import Context
    from watchbill.records.columns import Columns

_THURSDAY = 3
"""Day 0 of local day numbers, counted from Monday = 0."""


def known_of(context: Context, columns: Columns, facts: NDArray[np.void], events: NDArray[np.void]) -> Known:
    """What is known of a batch that `context` has prepared (`facts`, FACT[n]) and joined (`events`, EVENT[m])."""
    n = len(columns)
    nowhere = np.zeros(n, np.bool_)

    @cache
    def posts() -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        found, status = np.zeros(n, np.int32), np.zeros(n, np.uint8)
        posts_of(
            context.roster.first, context.roster.posts, np.ascontiguousarray(facts["account_id"]),
            np.ascontiguousarray(facts["time"]), found, status,
        )  # fmt: skip
        return found, status

    def role() -> Fact:
        found, _ = posts()
        codes = context.roster.posts["role"][found] if context.roster.posts.shape[0] else np.zeros(n, np.int32)
        unknown = context.roles.index("unknown")
        return Fact(np.where(found >= 0, codes, unknown), facts["account_id"] < 0, context.roles)

    def home_outlet() -> Fact:
        found, _ = posts()
        codes = context.roster.posts["outlet_id"][found] if context.roster.posts.shape[0] else np.full(n, -1, np.int32)
        return _named(np.where((found >= 0) & (facts["account_id"] >= 0), codes, -1), context.outlets.names)

    def roster() -> Fact:
        _, status = posts()
        return Fact(status, facts["account_id"] < 0, STATUS_NAMES)

    def place() -> Fact:
        return _named(facts["place"], [name.rpartition("|")[0] for name in context.places.names])

    def place_kind() -> Fact:
        codes = facts["place"]
        kinds = context.networks.kind[codes] if context.networks.kind.shape[0] else np.zeros(n, np.uint8)
        return Fact(kinds, (codes < 0) | (kinds == 0), ["", *KINDS])

    makers: dict[str, Callable[[], Fact]] = {
        "hour": lambda: Fact(facts["hour"].astype(np.float64), nowhere),
        "weekday": lambda: Fact(((facts["day"] + _THURSDAY) % 7 + 1).astype(np.float64), nowhere),
        "customers": lambda: _customers(columns, facts),
        "role": role,
        "home_outlet": home_outlet,
        "roster": roster,
        "place": place,
        "place_kind": place_kind,
        **_of_looks(context, events, n),
    }
    return Known(makers)


def _named(codes: NDArray[np.int32], names: Sequence[str]) -> Fact:
    """Names by code; null for codes below 0."""
    return Fact(np.maximum(codes, 0), codes < 0, names or [""])


def _customers(columns: Columns, facts: NDArray[np.void]) -> Fact:
    count = np.diff(facts["subject_end"], prepend=np.int32(0)).astype(np.float64)
    exports = np.flatnonzero(facts["kind"] == KIND["export"])
    if exports.shape[0]:  # every row of an export is a customer, listed or not
        results = columns.table.column("results").take(pa.array(exports))
        count[exports] = np.maximum(count[exports], np.asarray(pc.fill_null(results, 0), np.float64))
    return Fact(count, (facts["kind"] < KIND["view"]) | (facts["kind"] > KIND["print"]))


def _of_looks(context: Context, events: NDArray[np.void], n: int) -> dict[str, Callable[[], Fact]]:
    """Fields that only looks have, from their events."""
    looks = events[events["kind"] == LOOK]
    rows = looks["row"].astype(np.int64)
    absent = np.ones(n, np.bool_)
    absent[rows] = False

    def flag(values: NDArray[np.bool_]) -> Fact:
        out = np.zeros(n, np.bool_)
        out[rows] = values
        return Fact(out, absent)

    def label() -> Fact:
        codes = np.full(n, -1, np.int32)
        codes[rows] = np.where(looks["reason"] > 0, looks["reason"], -1)
        return _named(codes, context.labels)

    return {
        "explained": lambda: flag(looks["reason"] > 0),
        "explained_by": label,
        "first": lambda: flag(looks["first"] == 1),
        "canary": lambda: flag(looks["canary"] == 1),
    }
