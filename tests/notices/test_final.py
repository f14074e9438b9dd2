from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices.incident import CASE, facts, fill_all, incident, signed
from watchbill.core.errors import LedgerError, NotFoundError, SettingsError
from watchbill.notices import final as final_module
from watchbill.notices.facts import FIRM, Facts
from watchbill.notices.final import final_files, finalize, finals_of
from watchbill.notices.record import read_record
from watchbill.reports.base import profiles

NOW = 2_000_000_000_000


def test_only_what_lacks_nothing_is_signed_off(tmp_path: Path) -> None:
    home = incident(tmp_path)
    with pytest.raises(SettingsError, match="3 fields are missing: likely_harm, person_measures, persons_told"):
        finalize(home, profiles()["pipl57_authority"], facts(home), "r2", NOW)
    assert read_record(home) == []
    assert not any((home / "reports").glob("*-*"))
    fill_all(home, profiles()["pipl57_authority"], NOW)
    with pytest.raises(SettingsError, match="nobody signs"):
        finalize(home, profiles()["pipl57_authority"], facts(home), " ", NOW)
    row = finalize(home, profiles()["pipl57_authority"], facts(home), "r2", NOW)
    files = final_files(home, row)
    said = json.loads(files["zh.json"])
    assert said["final"]
    assert said["signed"] == ["r2", str(NOW)]
    assert row["exposure"] == facts(home).answer.hash  # type: ignore[union-attr]
    assert "本文件为草稿" not in files["zh.html"].decode()


@pytest.mark.parametrize("name", sorted(profiles()))
def test_each_report_can_be_signed_off_and_is_kept_as_it_was(name: str, tmp_path: Path) -> None:
    home = incident(tmp_path)
    row = signed(home, name, NOW)
    case = CASE if profiles()[name].about == "case" else FIRM
    assert finals_of(home, case, name) == [row]
    again = finalize(home, profiles()[name], facts(home, case), "r2", NOW + 9)
    assert again["folder"] != row["folder"]
    assert final_files(home, row)


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    home = incident(tmp_path)
    row = signed(home, "postal", NOW)
    place = home / "reports" / row["folder"] / "zh.html"
    place.write_bytes(place.read_bytes().replace(b"80", b"8"))
    with pytest.raises(LedgerError, match="not what was signed off"):
        final_files(home, row)
    place.unlink()
    with pytest.raises(LedgerError):
        final_files(home, row)


def test_stages_one_after_the_other(tmp_path: Path) -> None:
    home = incident(tmp_path)
    fill_all(home, profiles()["cac"], NOW)
    with pytest.raises(SettingsError, match="stage_first"):
        finalize(home, profiles()["cac"], facts(home), "r2", NOW, "followup")
    for stage in profiles()["cac"].stages:
        assert finalize(home, profiles()["cac"], facts(home), "r2", NOW, stage)["stage"] == stage


def test_without_a_font_it_is_final_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_font(*_: object) -> bytes:
        raise NotFoundError("no font for Chinese")

    monkeypatch.setattr(final_module, "pdf_of", no_font)
    row = signed(incident(tmp_path), "postal", NOW)
    assert row["without_pdf"] == ["zh", "en"]
    assert set(row["files"]) == {"zh.json", "zh.html", "en.json", "en.html"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    found: Facts = facts(incident(tmp_path_factory.mktemp("home")))
    return found


PERSONS = [one.id for one in profiles()["gdpr33"].fields if one.source == "person"]


@given(st.sets(st.sampled_from(PERSONS)), st.booleans())
def test_no_final_report_ever_lacks_a_field(known: Facts, entered: set[str], graded: bool) -> None:
    row = {"kind": "set", "profile": "gdpr33", "value": "said", "lang": "", "hash": "0", "time": NOW}
    record: list[dict[str, Any]] = [{**row, "field": name} for name in sorted(entered)]
    if graded:
        aware = NOW - 100 * 3_600_000
        record.append({"kind": "grade", "level": "larger", "by": "r1", "time": NOW, "aware": aware, "hash": "0"})
    found = dataclasses.replace(known, record=tuple(record))
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(final_module, "pdf_of", lambda *_: b"%PDF")
        home = Path(place)
        if graded and {"likely_harm", "delay_reason"} <= entered:
            signed_off = finalize(home, profiles()["gdpr33"], found, "r2", NOW)
            for lang in ("zh", "en"):
                said = json.loads(final_files(home, signed_off)[f"{lang}.json"])
                assert not [one["id"] for one in said["sections"] if one["missing"] or not one["blocks"]]
        else:
            with pytest.raises(SettingsError):
                finalize(home, profiles()["gdpr33"], found, "r2", NOW)
            assert finals_of(home, CASE) == []
