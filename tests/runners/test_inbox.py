"""Verdicts wait as files until they stand in the journal; what is none is put aside, and nothing counts twice."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from runners.counter import AWAY, HOUR, MINUTE, firm_settings, said_of, trap, write_tables
from runners.judged import opened, verdict
from runners.test_engine import START, batch, engine
from watchbill.cases.acts import CaseAct, Note
from watchbill.core.errors import SettingsError
from watchbill.ledger.reader import Ledger
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import BYTES_MAX, inbox_of, put, read_verdicts, take_inbox
from watchbill.runners.proving import Proof

if TYPE_CHECKING:
    from pathlib import Path


def test_a_verdict_goes_from_the_inbox_into_the_journal(tmp_path: Path) -> None:
    made = opened(tmp_path)
    (case,) = made.pipeline.book.cases
    path = put(tmp_path, verdict("dismissed", "test", case=case))
    copy = tmp_path / "copy.json"
    shutil.copy(path, copy)
    assert len(take_inbox(made, START + 5_000_000)) == 1
    assert not path.exists()
    assert made.pipeline.book.cases[case].status == "dismissed"
    assert made.arrival == START + 5_000_000
    shutil.copy(copy, path)  # a crash came between journal and unlink
    take_inbox(made)
    assert len(made.pipeline.book.cases[case].verdicts) == 1
    made.close()
    said = [
        row
        for part in Ledger(tmp_path).records(["kind", "extra"])
        for row in part.to_pylist()
        if row["kind"] == "wb.verdict"
    ]
    assert {json.loads(row["extra"])["id"] for row in said} == {"v1"}


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        '{"id": "v1"}',
        "x" * (BYTES_MAX + 1),
        "[]",
        "[" * 60_000,
        '{"presence": {"id": "k"}}',
        '{"presence": 1}',
        "\xff",
    ],
)
def test_what_is_no_verdict_is_put_aside(tmp_path: Path, text: str) -> None:
    made = opened(tmp_path)
    inbox_of(tmp_path).mkdir()
    (inbox_of(tmp_path) / "0000000000001-bad.json").write_text(text, encoding="latin-1")
    height = made.journal.durable
    (said,) = take_inbox(made)
    assert "refused" in said
    assert sorted(path.name for path in inbox_of(tmp_path).iterdir()) == [
        f"0000000000001-bad.{end}" for end in ("refused", "why")
    ]
    assert made.journal.durable == height
    made.close()


def test_a_case_that_is_not_there_is_put_aside_and_other_names_are_left_alone(tmp_path: Path) -> None:
    made = opened(tmp_path)
    path = put(tmp_path, verdict("dismissed", "test", case="c404"))
    (inbox_of(tmp_path) / "half.new").write_text("{")
    (inbox_of(tmp_path) / "readme.txt").write_text("hello")
    take_inbox(made)
    assert path.with_suffix(".refused").exists()
    assert (inbox_of(tmp_path) / "half.new").exists()
    made.close()


def test_an_empty_home_leaves_verdicts_waiting(tmp_path: Path) -> None:
    made = engine(tmp_path)
    path = put(tmp_path, verdict("confirmed", "owner", account="a1"))
    assert take_inbox(made) == []
    assert path.exists()
    made.close()


def test_verdicts_for_a_replay_come_by_time(tmp_path: Path) -> None:
    rows = [
        {"account": "a2", "verdict": "confirmed", "reason": "ring", "by": "r", "time": 9},
        {"id": "own", "account": "a1", "verdict": "dismissed", "reason": "task", "by": "r", "time": 5},
    ]
    path = tmp_path / "verdicts.ndjson"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert [(one.arrival, one.payload["id"]) for one in read_verdicts(path)] == [(5, "own"), (9, "line-1")]
    for line in ("[]", "{", '{"account": "a"}'):
        path.write_text(json.dumps(rows[0]) + "\n" + line)
        with pytest.raises(SettingsError, match=r"verdicts\.ndjson:2"):
            read_verdicts(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_verdicts(tmp_path / "none")


def said(model: type[CaseAct | Note], number: int, **more: Any) -> CaseAct | Note:
    return model.model_validate({"id": f"s{number}", "by": "r1", "time": START + number, **more})


def test_what_people_do_with_a_case_goes_the_same_way(tmp_path: Path) -> None:
    made = opened(tmp_path)
    (case,) = made.pipeline.book.cases
    words = [
        said(CaseAct, 1, case=case, act="review"), said(Note, 2, case=case, text="seen"),
        said(CaseAct, 3, case=case, act="archive"), said(CaseAct, 4, case=case, act="review"),
        said(CaseAct, 5, case=case, act="reopen"),
    ]  # fmt: skip
    for one in words:
        put(tmp_path, one)
    told = take_inbox(made)
    # legal or not is judged with what came before it in the same go
    assert [("refused" in line) for line in told] == [False, False, False, True, False]
    assert "archived takes no review" in told[3]
    assert made.pipeline.book.cases[case].status == "open"
    assert [path.suffix for path in sorted(inbox_of(tmp_path).iterdir())] == [".refused", ".why"]
    made.close()
    kinds = [row["kind"] for part in Ledger(tmp_path).records(["kind"]) for row in part.to_pylist()]
    assert [kind for kind in kinds if kind in {"wb.case", "wb.note"}] == ["wb.case", "wb.note", "wb.case", "wb.case"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"kind": "wb.settings", "id": "x"}', "kind is none of"),
        ('{"kind": 7}', "kind is none of"),
        ('{"kind": "wb.note", "id": "x", "case": "c1", "by": "r", "time": 1}', "text"),
        ("[" * 50_000, ""),
    ],
)
def test_a_record_of_another_kind_is_refused_with_its_reason(tmp_path: Path, text: str, why: str) -> None:
    made = opened(tmp_path)
    inbox_of(tmp_path).mkdir()
    place = inbox_of(tmp_path) / "0000000000001-bad.json"
    place.write_text(text)
    (line,) = take_inbox(made)
    assert why in line
    assert why in place.with_suffix(".why").read_text()
    made.close()


def test_a_verdict_of_an_older_release_has_no_kind(tmp_path: Path) -> None:
    made = opened(tmp_path)
    (case,) = made.pipeline.book.cases
    inbox_of(tmp_path).mkdir()
    (inbox_of(tmp_path) / "0000000000001-v1.json").write_text(verdict("dismissed", "test", case=case).model_dump_json())
    assert "in force" in take_inbox(made)[0]
    assert made.pipeline.book.cases[case].status == "dismissed"
    made.close()


def test_a_proof_of_presence_goes_from_the_inbox_into_the_journal_and_counts_once(tmp_path: Path) -> None:
    made = Engine(tmp_path / "home", firm_settings(), ManualClock(START + HOUR))
    made.reload(write_tables(tmp_path / "reference"))
    rows = [
        {"id": f"r{at}", **trap(at, AWAY), "time": START + at * MINUTE, "fields": ["recipient.phone"]} for at in (1,)
    ]
    made.take(batch(*rows))
    said: list[dict[str, Any]] = []
    made.on_said = said.extend
    proof = Proof(id="k1", account="a1", session="s-clerk", time=START + 2 * MINUTE)
    for _ in range(2):
        path = put(tmp_path / "home", proof)
        assert take_inbox(made, START + 3 * MINUTE) == ["a proof of presence: in the journal"]
        assert not path.exists()
    assert [said_of(row) for row in said] == ["none key"]
    made.close()
