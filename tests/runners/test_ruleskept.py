from __future__ import annotations

from pathlib import Path

import pytest

from watchbill.core.errors import LedgerError
from watchbill.rules.bundle import Bundle
from watchbill.rules.snooze import Snooze
from watchbill.runners.ruleskept import RulesKept, add_snooze, read_snoozes

BUNDLE = Bundle(texts=(("a.yml", "x"),))


def test_a_change_is_a_record_and_its_content_is_kept(tmp_path: Path) -> None:
    kept = RulesKept(tmp_path)
    assert kept.change_to(Bundle()) is None, "no rules before, none now"
    record = kept.change_to(BUNDLE)
    assert record is not None
    assert (record["files"], record["snoozes"]) == (1, 0)
    assert kept.change_to(BUNDLE) == record, "in force only when the record is obeyed"
    assert kept.take(record) == BUNDLE
    assert kept.change_to(BUNDLE) is None
    assert kept.change_to(Bundle()) is not None, "taking all rules out is a change"
    assert RulesKept(tmp_path).take(record) == BUNDLE


def test_lost_or_changed_content_is_an_error(tmp_path: Path) -> None:
    kept = RulesKept(tmp_path)
    record = kept.change_to(BUNDLE) or {}
    place = tmp_path / "rules" / f"{record['digest']}.json"
    place.write_text(place.read_text() + " ")
    with pytest.raises(LedgerError, match="changed"):
        kept.take(record)
    place.unlink()
    with pytest.raises(LedgerError, match="missing"):
        kept.take(record)


def test_snoozes_are_noted_and_go_when_they_are_over(tmp_path: Path) -> None:
    def snooze(value: str, until: int) -> Snooze:
        return Snooze(rule="r", field="account", value=value, until=until)

    assert read_snoozes(tmp_path) == ()
    add_snooze(tmp_path, snooze("a", 10), 0)
    add_snooze(tmp_path, snooze("b", 30), 5)
    assert add_snooze(tmp_path, snooze("c", 40), 20) == read_snoozes(tmp_path) == (snooze("b", 30), snooze("c", 40))
    (tmp_path / "rules" / "snoozes.json").write_text("[1]")
    with pytest.raises(LedgerError, match="cannot be read"):
        read_snoozes(tmp_path)
