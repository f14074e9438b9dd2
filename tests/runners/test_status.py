"""What a home says of itself: silent detectors and why, gates, sources, findings, and nobody's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runners.judged import opened
from runners.test_engine import START, batch, engine, look
from watchbill.detectors.base import detector_ids
from watchbill.inquiry.exposure import silent_sources
from watchbill.responses.budget import hour_of
from watchbill.runners.engine import Engine
from watchbill.runners.outputs import write_json
from watchbill.runners.status import findings, sources_of, status_of

HOUR = 3_600_000


def roster(folder: Path, *rows: str) -> Path:
    """A reference folder with these rows of accounts."""
    folder.mkdir(exist_ok=True)
    (folder / "accounts.csv").write_text("\n".join(["account,person,role,outlet,from,until", *rows]) + "\n")
    (folder / "outlets.csv").write_text("outlet,name\nO1,one\n")
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Any:
    """An engine of an empty home."""
    made = engine(tmp_path / "home")
    yield made
    made.close()


def test_each_detector_works_or_says_why_not(one: Engine, tmp_path: Path) -> None:
    one.take(batch(look(1)))
    said = status_of(one)["detectors"]
    assert sorted(said) == detector_ids()
    silent = {name for name, why in said.items() if why}
    assert "roster_status" in silent
    assert "canary" in silent
    one.reload(roster(tmp_path / "r", "a1,張三,courier,O1,,"))
    (tmp_path / "r" / "canaries.csv").write_text("waybill,subject,placed,note\nW99,,2020-01-01,\n")
    one.reload(tmp_path / "r")
    one.take(batch(look(2)))
    after = status_of(one)["detectors"]
    assert not after["roster_status"]
    assert not after["canary"]


def test_counts_gates_and_findings_without_a_name(one: Engine, tmp_path: Path) -> None:
    one.reload(
        roster(
            tmp_path / "r",
            "a1,李四,courier,O1,,",
            "a9,王五,courier,O1,,2020-01-01",
            "a8,趙六,courier,O1,,",
            "a8,孫七,courier,O1,,",
        )
    )
    rows = [
        look(n, account=account, reason="call 13912345678") for n, account in enumerate(["a1", "a9", "stranger", "a8"])
    ]
    one.take(batch(*rows, rows[0], {"kind": "view", "account": "a1", "reason": "王小明"}))
    roster(tmp_path / "r")
    one.reload(tmp_path / "r")
    said = status_of(one)
    assert (said["height"], said["records"], said["duplicates"], said["quarantined"]) == (one.done, 4, 1, 1)
    found = {(row["kind"], row["count"]) for row in findings(one)}
    assert ("shared", 2) in found, "both rows of the number"
    assert ("roster", 1) in found
    assert any(kind == "reference" for kind, _ in found)
    assert set(said["gates"]) == {"roles_closed", "groups_closed", "feeds_gated"}
    assert said["findings"] == findings(one)
    text = json.dumps(said, ensure_ascii=False)
    for name in ("李四", "王五", "stranger", "13912345678", "王小明", "p1", '"a9"', "a8"):
        assert name not in text, name


def test_a_source_that_stops_is_silent_and_every_answer_says_so(one: Engine) -> None:
    one.declare("desk", "known")
    one.declare("hub", "known")
    one.take(batch(*(look(n, time=START + n * 60_000) for n in range(30))))
    one.take(batch(*(look(100 + n, time=START + n * 60_000) for n in range(200)), source="hub"))
    said = sources_of(one)
    assert said["desk"] == {"last_arrival": START + 29 * 60_000, "lag_ms": 170 * 60_000, "silent": True}
    assert said["hub"] == {"last_arrival": START + 199 * 60_000, "lag_ms": 0, "silent": False}
    write_json(one.home / "status.json", status_of(one))
    text = "sources that are silent where they should send: desk"
    assert {"kind": "source", "count": 1, "text": text} in status_of(one)["findings"]
    assert [gap.text for gap in silent_sources(one.home)] == ["source desk is silent: looks may be missing"]
    one.take(batch(look(500, time=START + 200 * 60_000)))
    assert sources_of(one)["desk"]["silent"] is False


def test_only_what_is_read_now_can_be_silent(tmp_path: Path) -> None:
    first = engine(tmp_path)
    first.declare("history", "known")
    first.take(batch(look(1), source="history"))
    first.checkpoint()
    first.close()
    second = engine(tmp_path)
    second.declare("desk", "known")
    second.take(batch(look(2, time=START + 5 * HOUR)))
    second.close()
    third = engine(tmp_path)
    assert sources_of(third) == sources_of(second) | {"desk": sources_of(third)["desk"]}
    third.declare("desk", "known")
    said = sources_of(third)
    assert said == sources_of(second)
    assert said["history"]["lag_ms"] == 5 * HOUR - 1000
    assert said["history"]["silent"] is False
    third.close()


def test_by_the_clock_of_a_live_run_a_source_that_never_spoke_is_silent(one: Engine) -> None:
    one.declare("desk", "known")
    assert sources_of(one)["desk"]["silent"] is False
    assert sources_of(one, START)["desk"]["silent"] is True
    one.take(batch(look(1)))
    now = START + 1000 + HOUR
    assert sources_of(one, now)["desk"] == {"last_arrival": START + 1000, "lag_ms": HOUR, "silent": False}
    assert sources_of(one, now + 1)["desk"]["silent"] is True


def test_standing_is_counted_as_it_is_now_and_the_budget_is_said(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    said = status_of(made)
    assert said["standing"] == {"suspend": 1}
    assert said["shadow"] == {
        "mode": "enforce", "steps": [], "owner": "", "detectors": {}, "rows": {"steps": 0, "detectors": 0},
    }  # fmt: skip
    assert status_of(made, made.arrival + 20 * 60_000)["standing"] == {"mask": 1}
    assert status_of(made, made.arrival + 2 * 24 * HOUR)["standing"] == {}, "without a further record"
    # a canary needs no budget; what is not one does, and who is refused is a finding about the data
    assert (said["budget"]["room"], said["budget"]["spent"], said["budget"]["refused"]) == (20, 0, 0)
    made.pipeline.budget["refused"][0], made.pipeline.budget["hour"] = 3, hour_of(made.arrival)
    assert [row["count"] for row in findings(made) if row["kind"] == "budget"] == [3]
    assert status_of(made, made.arrival + HOUR)["budget"]["refused"] == 0
    made.close()
