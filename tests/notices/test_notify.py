from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from notices.incident import CASE, incident
from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.inquiry.caseexposure import CaseExposure, exposure
from watchbill.inquiry.exposure import Saw, SeenSubject
from watchbill.notices.notify import COLUMNS, exported, list_hash, not_told, notice_bytes, notice_rows, told
from watchbill.notices.record import read_record


def test_the_list_is_the_exposure(tmp_path: Path) -> None:
    answer = exposure(incident(tmp_path), CASE)
    rows = notice_rows(answer, "sms")
    assert [row["subject"] for row in rows] == sorted(one.subject for one in answer.saw.subjects)
    assert len(rows) == answer.saw.persons == 80
    by = {one.subject: one for one in answer.saw.subjects}
    assert all(
        (row["first"], row["last"], row["fields"])
        == (by[row["subject"]].first, by[row["subject"]].last, by[row["subject"]].fields)
        for row in rows
    )
    lines = [json.loads(line) for line in notice_bytes(rows, "ndjson").decode().splitlines()]
    assert lines == rows
    cells = list(csv.reader(io.StringIO(notice_bytes(rows, "csv").decode())))
    assert cells[0] == list(COLUMNS)
    assert [row[0] for row in cells[1:]] == [row["subject"] for row in rows]
    assert list_hash(notice_bytes(rows, "csv")) == list_hash(notice_bytes(notice_rows(answer, "sms"), "csv"))


def test_a_cell_is_never_a_formula() -> None:
    odd = ['=cmd|" /C calc"!A1', "+1", "-1", "@x", "a,b\nc", 'q"']
    seen = [SeenSubject(name, ["recipient.phone"], 1, 2, 1) for name in odd]
    saw = Saw("", 1, len(odd), 0, 1, 0, complete=True, lower=0, upper=0, gaps=[], subjects=seen)
    rows = notice_rows(CaseExposure("c", [], all_sessions=False, saw=saw, hash="", sessions={}), "app")
    cells = [row[0] for row in csv.reader(io.StringIO(notice_bytes(rows, "csv").decode(), newline=""))][1:]
    assert not [cell for cell in cells if cell[0] in "=+-@"]
    assert {cell.removeprefix("'") for cell in cells} == set(odd)


def test_told_needs_a_list_and_not_told_a_reason(tmp_path: Path) -> None:
    home = incident(tmp_path)
    answer = exposure(home, CASE)
    data = notice_bytes(notice_rows(answer, "sms"), "csv")
    with pytest.raises(NotFoundError):
        told(home, CASE, list_hash(data), "r1", 5)
    exported(home, CASE, answer, "sms", data, "r1", 5)
    row = told(home, CASE, list_hash(data), "r1", 6)
    assert (row["channel"], row["persons"]) == ("sms", 80)
    with pytest.raises(NotFoundError):
        told(home, "c1", list_hash(data), "r1", 6)
    for reason, by in (("short", "r1"), ("the data was encrypted throughout", " ")):
        with pytest.raises(SettingsError):
            not_told(home, CASE, reason, by, 7)
    assert not_told(home, CASE, "the data was encrypted throughout", "r1", 7)["by"] == "r1"
    kept = json.dumps(read_record(home))
    assert not [one.subject for one in answer.saw.subjects if one.subject in kept], "the record holds no list"
    with pytest.raises(SettingsError):
        notice_rows(answer, "pigeon")
