from __future__ import annotations

from pathlib import Path

from watchbill.casedb.schema import META, history

ROOT = Path(__file__).resolve().parents[2]


def test_every_table_is_documented() -> None:
    text = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
    assert [name for name in META.tables if f"`{name}`" not in text] == []


def test_an_entry_of_history_is_known_by_its_case_and_number() -> None:
    assert [column.name for column in history.primary_key] == ["case_id", "n"]
