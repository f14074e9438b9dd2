"""Canonical records equal a plain reference for every value, and the vectors of docs/ledger-format.md."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError
from watchbill.ledger.canonical import canonical
from watchbill.records.schema import SCHEMA

DOC = Path(__file__).parents[2] / "docs" / "ledger-format.md"
TEXT = st.one_of(st.text(max_size=12), st.sampled_from(['"\\', "\x00\x1f\x7f", "\b\t\n\f\r", "a" * 33, "快递员", "😀"]))
TEXTS = st.lists(st.one_of(TEXT, st.none()), max_size=3)
SHOWN = st.lists(
    st.one_of(
        st.none(), st.fixed_dictionaries({"subject": st.one_of(TEXT, st.none()), "fields": st.one_of(TEXTS, st.none())})
    ),
    max_size=3,
)
BY_TYPE = {pa.string(): TEXT, pa.int64(): st.integers(-(2**63), 2**63 - 1), pa.bool_(): st.booleans()}
ROWS = st.fixed_dictionaries(
    {},
    optional={
        field.name: st.one_of(
            st.none(), BY_TYPE.get(field.type, TEXTS if field.type == pa.list_(pa.string()) else SHOWN)
        )
        for field in SCHEMA
    },
)
LOOSE = pa.schema([pa.field(field.name, field.type) for field in SCHEMA])


def reference(row: dict[str, Any]) -> bytes:
    def present(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: present(item) for key, item in value.items() if item is not None}
        return [present(item) for item in value] if isinstance(value, list) else value

    return json.dumps(present(row), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def rows_of(data: Any, offsets: Any) -> list[bytes]:
    whole = data.tobytes()
    return [whole[start:end] for start, end in pairwise(offsets)]


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6), st.integers(0, 2**62), st.data())
def test_equals_the_reference(rows: list[dict[str, Any]], first_seq: int, data: st.DataObject) -> None:
    table = pa.Table.from_pylist(rows, schema=LOOSE)
    expected = [reference({**row, "seq": first_seq + at}) for at, row in enumerate(table.to_pylist())]
    assert rows_of(*canonical(table, first_seq)) == expected
    start = data.draw(st.integers(0, len(rows)))
    assert rows_of(*canonical(table.slice(start), first_seq + start)) == expected[start:]
    chunked = pa.concat_tables([table.slice(0, start), table.slice(start)])
    assert rows_of(*canonical(chunked, first_seq)) == expected


def test_made_records(make: Any) -> None:
    table = make(2000)
    expected = [reference({**row, "seq": 5 + at}) for at, row in enumerate(table.to_pylist())]
    assert rows_of(*canonical(table, 5)) == expected
    dictionary = table.set_column(6, "account", table["account"].dictionary_encode())
    assert rows_of(*canonical(dictionary, 5)) == expected
    head = np.arange(2000 * 3, dtype=np.uint8).reshape(2000, 3)
    assert rows_of(*canonical(table, 5, head=head)) == [head[at].tobytes() + text for at, text in enumerate(expected)]


def test_nothing_gives_nothing() -> None:
    data, offsets = canonical(SCHEMA.empty_table(), 0)
    assert (len(data), offsets.tolist()) == (0, [0])


def test_a_type_without_a_form_is_named() -> None:
    with pytest.raises(LedgerError, match="ratio"):
        canonical(pa.table({"ratio": [0.5]}), 0)


def test_vectors_of_the_document() -> None:
    pairs = re.findall(r"<!-- canonical: (.*?) -->\n```json\n(.*?)\n```", DOC.read_text(), re.DOTALL)
    assert len(pairs) >= 3
    for given_row, text in pairs:
        row = json.loads(given_row)
        seq = row.pop("seq")
        table = pa.Table.from_pylist([row], schema=LOOSE)
        assert rows_of(*canonical(table, seq)) == [text.encode()]
