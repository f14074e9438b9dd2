from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from watchbill import scoring
from watchbill.context.events import EVENT
from watchbill.scoring.reasons import CAP_NATS, CLUES, against, clue_nats, clues_of, for_person
from watchbill.scoring.record import EXPLAINED, FOLLOWED, LATE, LOOKS, OWN_PLACE, RECORD


def clues(*, clean: bool = True, event: dict[str, int] | None = None, **counts: int) -> dict[str, int]:
    record, one = np.zeros(1, RECORD), np.zeros(1, EVENT)
    record["looks"], record["followed"] = counts.pop("usual_looks", 100), counts.pop("usual_followed", 40)
    places = {"looks": LOOKS, "explained": EXPLAINED, "followed": FOLLOWED, "own_place": OWN_PLACE, "late": LATE}
    for name, count in counts.items():
        record["now"][0, places[name]] = count // 2
        record["before"][0, places[name]] = count - count // 2
    one["tenure_days"] = -1
    for name, value in (event or {}).items():
        one[name] = value
    return {found.name: found.records for found in clues_of(record[0], one[0], clean=clean)}


@pytest.mark.parametrize(
    ("counts", "holds"),
    [
        ({"looks": 20, "explained": 18}, {"explained_looks": 18}),
        ({"looks": 20, "explained": 17}, {}),
        ({"looks": 9, "explained": 9, "own_place": 9, "followed": 9}, {}),
        ({"looks": 20, "followed": 5, "usual_followed": 50}, {"consequence": 5}),  # half of the usual share
        ({"looks": 20, "followed": 4, "usual_followed": 50}, {}),
        ({"looks": 20, "followed": 20, "usual_followed": 4}, {}),  # who never follows his looks proves nothing by it
        ({"looks": 20, "followed": 20, "usual_looks": 5, "usual_followed": 5}, {}),
        ({"looks": 20, "own_place": 18}, {"own_place": 18}),
        ({"late": 1}, {"late_records": 1}),
    ],
)
def test_clues_of_two_days(counts: dict[str, int], holds: dict[str, int]) -> None:
    assert clues(**counts) == holds


def test_clues_of_the_event() -> None:
    assert clues(event={"shift": 1, "gated": 1}) == {"on_shift": 0, "feed": 0}
    assert clues(event={"shift": 2, "gated": 2, "tenure_days": 364}) == {}
    assert clues(event={"tenure_days": 365}) == {"tenure": 0}
    assert clues(event={"tenure_days": 365}, clean=False) == {}


def test_no_clue_speaks_against_and_none_weighs_more_than_a_family() -> None:
    nats = clue_nats()
    assert set(nats) == set(CLUES)
    assert all(-CAP_NATS <= value <= 0 for value in nats.values())
    saved = json.loads((Path(scoring.__path__[0]) / "clues.json").read_text(encoding="utf-8"))
    assert saved["seeds"]
    assert max(saved["seeds"]) < 100  # judged seeds never teach
    assert all(0 < share < 1 for pair in saved["clues"].values() for share in pair.values())


def test_contributions_are_signed_sorted_and_in_two_languages() -> None:
    record, one = np.zeros(1, RECORD), np.zeros(1, EVENT)
    record["now"][0, [LOOKS, EXPLAINED, OWN_PLACE]] = 30
    rows = for_person(clues_of(record[0], one[0], clean=True))
    assert {row["detector"] for row in rows} == {"explained_looks", "own_place"}
    assert [row["nats"] for row in rows] == sorted(row["nats"] for row in rows)
    assert all(row["text_en"] and row["text_zh"] and row["nats"] <= 0 for row in rows)
    texts = {"volume": ("too many", "过多")}
    said = against({"volume": (3.0, 4), "rule: own": (0.0, 2), "unexplained": (7.12345, 9)}, texts)
    assert [(row["detector"], row["nats"], row["records"]) for row in said] == [
        ("unexplained", 7.123, 9),
        ("volume", 3.0, 4),
        ("rule: own", 0.0, 2),
    ]
    assert (said[1]["text_en"], said[1]["text_zh"], said[2]["text_en"]) == ("too many", "过多", "rule: own")
