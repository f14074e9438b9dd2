"""Case rows count exposure as `watchbill exposure` does: parcels, unknown masking and `shown` included."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from runners.test_engine import START, batch, engine, look
from runners.test_outputs import replayed
from watchbill.cases.case import Case
from watchbill.core.settings import Settings
from watchbill.inquiry.caseexposure import CaseExposure, exposure
from watchbill.inquiry.exposure import exposure_of
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.world import build_world
from watchbill.ledger.reader import Ledger
from watchbill.runners.casefiles import case_rows
from watchbill.runners.local import replay
from watchbill.sources.base import open_source


def case(account: str, since: int, until: int, number: int = 0) -> Case:
    """An open case of an account over a span."""
    return Case(
        id=f"c{number}", seq=number, opened=since, updated=until, account=account, kind="owner", posterior=0.5, since=since,
        until=until, records=1,
    )  # fmt: skip


def expected(home: Path, account: str, since: int, until: int) -> tuple[int, int, int]:
    """(persons, items, complete records) of the unexplained looks of a span, by the inquiry room."""
    ledger = Ledger(home)
    mine = ledger.of_account(account, since, until + 1)
    parts = [pq.read_table(path) for path in sorted((home / "parts").glob("verdicts-*.parquet"))]
    said = pa.concat_tables(parts)
    explained = said.filter(said.column("explained")).column("seq").combine_chunks()
    wild = mine.filter(pc.invert(pc.is_in(mine.column("seq"), explained)))
    answer = exposure_of(home, wild, ledger.height, account)
    return answer.persons, answer.items, answer.complete_records


def counted(answer: CaseExposure) -> tuple[int, int, int]:
    return answer.saw.persons, answer.saw.items, answer.saw.complete_records


def counts(rows: Iterable[dict[str, Any]]) -> list[tuple[int, int, int]]:
    return [(row["persons"], row["items"], row["complete_records"]) for row in rows]


def test_the_small_world_s_cases_agree_with_the_inquiry_room(tmp_path_factory: pytest.TempPathFactory) -> None:
    home, out = replayed(str(tmp_path_factory.mktemp("cases")))
    rows = [json.loads(line) for line in (out / "cases.ndjson").read_text().splitlines()]
    spans = [row["tenancies"][0] for row in rows]
    assert counts(rows) == [counted(exposure(home, row["id"])) for row in rows]
    assert max(row["complete_records"] for row in rows) > 50
    ledger = Ledger(home)
    accounts = sorted({row["accounts"][0] for row in rows})
    first, last = min(span["from"] for span in spans), max(span["until"] for span in spans)
    many = [case(accounts[n % len(accounts)], first + n * 3_600_000, last, n) for n in range(50)]
    began = time.process_time()
    made = case_rows(home, many, [])
    took = time.process_time() - began
    assert len(made) == 50
    assert took < 1, "fifty cases are one pass over the ledger, not fifty"
    some = made[::17]
    alone = [case_rows(home, [many[n]], [])[0] for n in range(0, 50, 17)]
    assert counts(some) == counts(alone), "what a case counts does not depend on the others"
    assert ledger.height == Ledger(home).height


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Looks of one account that name nobody, are masked, denied, narrowed, or come from a source that cannot tell."""
    folder = tmp_path / "reference"
    folder.mkdir()
    # a shared number: nobody can be told apart, so the span of the case decides
    (folder / "accounts.csv").write_text("account,person,role,outlet\na1,p,courier,O1\na1,q,courier,O1\n")
    (folder / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (folder / "parcels.csv").write_text("waybill,sender,recipient\nW1,s1,p1\nW2,s2,p2\n")
    full = ["recipient.name", "recipient.phone", "recipient.address"]
    one = engine(tmp_path / "home")
    one.reload(folder)
    one.declare("blind", "unknown")
    one.take(batch(
        look(1, subjects=None, fields=full),  # the parcels table knows whom
        look(2, subjects=["p2"], fields=["recipient.phone"]),
        look(3, subjects=["p3"], masked=True),
        look(4, subjects=["p4"], outcome="denied"),
        look(5, subjects=["p5", "p6"], shown=[{"subject": "p5", "fields": ["sender.name"]}], fields=full),
        look(6, subjects=None, waybill=None, kind="search", results=40),
        look(7, subjects=["p2"], fields=["recipient.phone", "sender.phone"]),
    ))  # fmt: skip
    one.take(batch(look(8, subjects=["p8"]), look(9, subjects=["p2"], fields=full), source="blind"))
    one.checkpoint()
    one.close()
    return tmp_path / "home"


def test_parcels_unknown_masking_and_shown_count_as_the_contract_says(home: Path) -> None:
    row = case_rows(home, [case("a1", START, START + 60_000)], [])[0]
    assert counts([row]) == [expected(home, "a1", START, START + 60_000)] == [(4, 9, 2)]
    assert row["tenancies"][0]["records"] == 7
    assert row["tenancies"][0]["estimated_yield"] == 7.0


def test_a_span_is_kept_to(home: Path) -> None:
    cases = [
        case("a1", START + 2_000, START + 2_000, 1),
        case("a1", START + 3_000, START + 4_000, 2),
        case("nobody", START, START, 3),
    ]
    assert counts(case_rows(home, cases, [])) == [(1, 1, 0), (0, 0, 0), (0, 0, 0)]


def test_no_cases_no_rows(tmp_path: Path) -> None:
    assert case_rows(tmp_path, [], []) == []


@pytest.mark.slow
def test_rings_of_a_carrier_are_one_case_each_with_nobody_else_in_it(tmp_path: Path) -> None:
    attacks = [AttackSpec(kind, day=4, days=3) for kind in ("device_ring", "numbers_in_turn")]
    world = build_world(tmp_path / "w", seed=3, days=7, outlets=9, scale=0.4, attacks=attacks)
    sources = [open_source("files", {"paths": [str(world.out / "records")]})]
    replay(sources, tmp_path / "home", tmp_path / "out", Settings(), reference=world.out / "reference")
    rings = [set(one["accounts"]) for one in json.loads((world.out / "truth" / "attacks.json").read_text())]
    rows = [json.loads(line) for line in (tmp_path / "out" / "cases.ndjson").read_text().splitlines()]
    several = [row for row in rows if len(row["accounts"]) > 1]
    assert len(several) == len(rings)
    for row in several:
        assert row["kind"] == "ring"
        assert set(row["accounts"]) in rings
        assert {one["account"] for one in row["tenancies"]} == set(row["accounts"])
        assert row["persons"] == exposure(tmp_path / "home", row["id"]).saw.persons > 0
