"""The folder is the registry of reports; a pack is one file, signed, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

import watchbill.reports
from watchbill.core.errors import LedgerError, LimitError, NotFoundError
from watchbill.ledger import checkpoint
from watchbill.ledger.keys import Keys
from watchbill.reports.base import json_part, lines_part, load_report, packed, report_ids


def test_the_folder_is_the_registry() -> None:
    files = {path.stem for path in Path(watchbill.reports.__path__[0]).glob("*.py")} - {"__init__", "base"}
    assert set(report_ids()) == files
    for name in report_ids():
        report = load_report(name)
        assert report.id == name
        assert report.text_en
        assert report.text_zh
    with pytest.raises(NotFoundError):
        load_report("base")


def test_a_pack_is_signed_and_always_the_same(tmp_path: Path) -> None:
    Keys.open(tmp_path)
    one, two = (packed(tmp_path, "c1", 7, parts) for parts in ({"a": b"1", "b": b"2"}, {"b": b"2", "a": b"1"}))
    assert one == two
    assert f"\n\n\u2014 {Keys.open(tmp_path).origin} ".encode() in one
    with pytest.raises(LimitError):
        packed(tmp_path, "c1\nheight 9", 7, {})
    note = checkpoint.sign_text(Keys.open(tmp_path).signing, Keys.open(tmp_path).origin, "other text\n1\nx\n")
    with pytest.raises(LedgerError):
        checkpoint.verify(note, (tmp_path / "keys" / "origin.pub").read_text().strip())


def test_parts_are_plain_utf8() -> None:
    assert json_part({"a": "名"}) == '{\n "a": "名"\n}\n'.encode()
    assert lines_part([{"a": 1}, {"b": None}]) == b'{"a": 1}\n{"b": null}\n'
