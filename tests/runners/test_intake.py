from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from watchbill.cases.parties import Party
from watchbill.cases.tips import Tip
from watchbill.core.errors import LedgerError, LimitError, NotFoundError, SettingsError, SourceError
from watchbill.runners import intake
from watchbill.runners.intake import (
    DAY_MS,
    access_book,
    add_party,
    find_leak,
    handle_leak,
    leak_book,
    leaked_bytes,
    leaks_of,
    parties_of,
    read_tip,
    take_leak,
    take_tip,
    tip_book,
    tips_of,
)

NOW = 1_750_000_123_456
SAID: dict[str, Any] = {
    "channel": "wechat",
    "finder": "f1",
    "by": "r7",
    "found": 5,
    "legal_basis": "own report",
    "price_yuan": 800,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text("13812345678\n", encoding="utf-8")
    return path


def test_a_leak_is_kept_sealed_with_its_hash_and_its_chain(tmp_path: Path, file: Path) -> None:
    taken = take_leak(tmp_path, file, SAID, NOW)
    assert [step.act for _, step in taken.chain] == ["received"]
    handle_leak(tmp_path, {"leak": taken.leak.id, "act": "handed_over", "by": "r7", "to": "police"}, NOW + 1)
    held = find_leak(tmp_path, taken.leak.id)
    assert [(time, step.act, step.to) for time, step in held.chain] == [
        (NOW, "received", ""),
        (NOW + 1, "handed_over", "police"),
    ]
    assert {step.sha256 for _, step in held.chain} == {held.leak.sha256}
    copy = tmp_path / "leaks" / f"{taken.leak.id}.sealed"
    assert b"13812345678" not in copy.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert leaked_bytes(tmp_path, held.leak) == file.read_bytes()
    assert [one.leak.id for one in leaks_of(tmp_path)] == [taken.leak.id]
    assert held.to_json()["price_yuan"] == 800


def test_a_leak_is_taken_once_and_changes_are_noticed(tmp_path: Path, file: Path) -> None:
    taken = take_leak(tmp_path, file, SAID, NOW)
    with pytest.raises(SettingsError, match="before"):
        take_leak(tmp_path, file, SAID, NOW)
    copy = tmp_path / "leaks" / f"{taken.leak.id}.sealed"
    copy.write_bytes(copy.read_bytes()[:-1])
    with pytest.raises(LedgerError):
        leaked_bytes(tmp_path, taken.leak)
    copy.unlink()
    with pytest.raises(NotFoundError):
        leaked_bytes(tmp_path, taken.leak)
    book = leak_book(tmp_path).path
    book.write_bytes(book.read_bytes().replace(b"wechat", b"market"))
    with pytest.raises(LedgerError):
        leaks_of(tmp_path)


def test_what_is_wrong_leaves_nothing_behind(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        take_leak(tmp_path, file, SAID | {"channel": "fax"}, NOW)
    with pytest.raises(SourceError):
        take_leak(tmp_path, tmp_path / "none", SAID, NOW)
    with pytest.raises(NotFoundError):
        handle_leak(tmp_path, {"leak": "0" * 12, "act": "copied", "by": "r"}, NOW)
    monkeypatch.setattr(intake, "BYTES_MAX", 5)
    with pytest.raises(LimitError):
        take_leak(tmp_path, file, SAID, NOW)
    assert leaks_of(tmp_path) == []


def test_a_tip_keeps_its_words_sealed_and_no_hour(tmp_path: Path) -> None:
    kept = take_tip(tmp_path, Tip(about="offer", text="有人出钱租我的工号"), NOW)
    again = take_tip(tmp_path, Tip(about="offer", text="有人出钱租我的工号"), NOW)
    assert kept.id != again.id
    text = tip_book(tmp_path).path.read_text(encoding="utf-8")
    assert "工号" not in text
    assert str(NOW) not in text
    assert [one.day % DAY_MS for one in tips_of(tmp_path)] == [0, 0]


def test_reading_a_tip_is_recorded_before_its_words_are_given(tmp_path: Path) -> None:
    kept = take_tip(tmp_path, Tip(about="sale", text="secret", outlet="O1"), NOW)
    for wrong in ({"by": "r7"}, {"by": "", "why": "case"}):
        with pytest.raises(ValidationError):
            read_tip(tmp_path, kept.id, wrong, NOW)
    with pytest.raises(NotFoundError):
        read_tip(tmp_path, "nothing", {"by": "r7", "why": "case 3"}, NOW)
    assert access_book(tmp_path).entries() == []
    assert read_tip(tmp_path, kept.id, {"by": "r7", "why": "case 3"}, NOW + 9).text == "secret"
    assert [(one.time, one.said["by"], one.said["tips"]) for one in access_book(tmp_path).entries()] == [
        (NOW + 9, "r7", [kept.id])
    ]


def test_parties_are_kept_by_case_and_the_last_word_counts(tmp_path: Path) -> None:
    first = Party(id="p1", case="c1", role="intermediary", name="broker", by="r7")
    add_party(tmp_path, first, NOW)
    add_party(tmp_path, first.model_copy(update={"case": "c2"}), NOW)
    add_party(tmp_path, first.model_copy(update={"role": "up_line"}), NOW + 1)
    assert [(one.case, one.role) for one in parties_of(tmp_path)] == [("c1", "up_line"), ("c2", "intermediary")]
    assert [one.role for one in parties_of(tmp_path, ["c1"])] == ["up_line"]
