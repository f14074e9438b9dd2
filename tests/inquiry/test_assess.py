"""The first day at a customer, on a small carrier and its broken variants, and on web-server logs alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from watchbill.context.coverage import CLOSED
from watchbill.context.reference import find_tables, read_table
from watchbill.core.settings import Settings
from watchbill.detectors.base import load_detectors
from watchbill.inquiry.assess import Assessment, assess
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.simulator.world import build_world
from watchbill.records.batch import Batch
from watchbill.records.columns import columns_of
from watchbill.records.validate import stamp_arrival
from watchbill.runners.pipeline import Pipeline
from watchbill.sources.base import open_source

Reference = dict[str, pa.Table]
SETTINGS = Settings()


@dataclass
class World:
    folder: Path
    reference: Reference
    attacks: list[dict[str, Any]]

    def batches(self, *, without: str = "") -> Iterator[Batch]:
        source = open_source("world", {"paths": [str(self.folder / "records")]})
        for batch in source.read(None, stop=lambda: False):
            if without:
                batch = batch.keep(np.asarray(pc.not_equal(batch.table.column("kind"), without)))  # noqa: PLW2901
            yield batch


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three days of a small carrier; one account is rented out from the second."""
    folder = tmp_path_factory.mktemp("world") / "w"
    report = build_world(
        folder, seed=11, days=3, outlets=8, scale=0.4, attacks=[AttackSpec("blatant_lease", day=1, days=2)],
        honest_stress=HonestStress(surge=1.0, roster_late=0, feed_down=0, leaver=0, new_hire=0, merger=0),
    )  # fmt: skip
    paths = find_tables(folder / "reference")
    tables = {name: read_table(name, path, "Asia/Shanghai", 10**6) for name, path in paths.items()}
    return World(folder, tables, report.attacks)


@pytest.fixture(scope="module")
def whole(world: World) -> Assessment:
    return assess(world.batches(), world.reference, SETTINGS)


def interventions(batches: Iterator[Batch], reference: Reference) -> tuple[Pipeline, list[dict[str, Any]]]:
    """What the engine would do on the same logs."""
    pipeline, clock, done, out = Pipeline(SETTINGS), 0, 0, []
    for name, table in reference.items():
        pipeline.apply(name, table)
    for batch in batches:
        stamped = stamp_arrival(batch.table, clock, live_now=None)
        clock = stamped.arrival
        out += pipeline.step(columns_of(stamped.table.combine_chunks(), done)).interventions
        done += batch.table.num_rows
    return pipeline, out


# --- a whole day -------------------------------------------------------------------------------------------------------


def test_counts_fields_and_joins(world: World, whole: Assessment) -> None:
    said = whole.to_json()
    assert json.loads(json.dumps(said)) == said
    assert sum(whole.records.values()) == sum(batch.table.num_rows for batch in world.batches())
    assert 0.9 < whole.fields["view"]["account"] < 1.0  # scanners and handsets read without one
    assert 0 < whole.fields["view"]["ticket"] < 1
    shares = {one.join: one.share for one in whole.joins}
    assert shares["looks' accounts in the roster"] == 1.0
    assert shares["looks' parcels among scans"] > 0.9
    assert shares["looks' parcels in the parcels table"] is None
    assert {one.id for one in whole.detectors} == {one.id for one in load_detectors(SETTINGS)}
    assert not any(one.silent for one in whole.detectors)
    assert whole.roster["unknown_accounts"] == 0


def test_big_roles_are_explained_and_small_ones_are_not_judged(whole: Assessment) -> None:
    roles = {one.role: one for one in whole.coverage if one.outlet == ""}
    assert roles["courier"].gate == "open"
    assert roles["courier"].explained > 0.9
    assert roles["legal"].gate != "open"
    assert all(one.accounts >= 3 for one in whole.coverage if one.gate == "open")


def test_a_rented_account_is_screened_and_few_others_are(world: World, whole: Assessment) -> None:
    rented = {account for attack in world.attacks for account in attack["accounts"]}
    listed = {one.account for one in whole.screen}
    assert rented <= listed
    assert len(listed - rented) <= 0.05 * whole.accounts


def test_shared_numbers_of_the_roster(world: World, whole: Assessment) -> None:
    accounts = world.reference["accounts"]
    again = pa.concat_tables([accounts, accounts.slice(0, 2).set_column(2, "person", pa.array(["PX", "PY"]))])
    shared = assess(world.batches(), {**world.reference, "accounts": again}, SETTINGS).shared
    assert shared["several_persons"] >= max(2, whole.shared["several_persons"])


# --- 3 % of the roster wrong -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoiled(world: World) -> tuple[Reference, int, int]:
    """Reference with 3 % of the couriers' and clerks' rows missing or ended too early, and how many of each."""
    rows = world.reference["accounts"].to_pylist()
    times = [pc.min_max(batch.table.column("time")).as_py() for batch in world.batches()]
    first = max(time["max"] for time in times) - 3 * 86_400_000  # the first midnight, nearly
    busy = [at for at, row in enumerate(rows) if row["role"] in {"courier", "clerk"}]
    wrong = random.Random(4).sample(busy, max(4, round(0.03 * len(rows))))
    missing, late = wrong[::2], wrong[1::2]
    for at in late:
        rows[at]["until"] = first + 30 * 3_600_000  # ended on paper, works on
    kept = [row for at, row in enumerate(rows) if at not in missing]
    table = pa.Table.from_pylist(kept, schema=world.reference["accounts"].schema)
    return {**world.reference, "accounts": table}, len(missing), len(late)


def test_a_wrong_roster_is_a_finding_and_nobody_is_a_leaver(world: World, spoiled: tuple[Reference, int, int]) -> None:
    reference, missing, late = spoiled
    said = assess(world.batches(), reference, SETTINGS)
    assert said.roster["unknown_accounts"] == missing
    assert said.roster["worked_on_after_end"] == late
    assert said.roster["back_after_end"] == 0
    assert 0 < said.roster["unknown_looks_share"] < 0.1
    assert {"roster"} <= {one.kind for one in said.findings}
    pipeline, steps = interventions(world.batches(), reference)
    assert not [step for step in steps if "roster" in step["evidence"]]
    assert not [case for case in pipeline.book.cases.values() if case.kind == "leaver"]


# --- without tickets ---------------------------------------------------------------------------------------------------


def test_without_tickets_no_step_rests_on_reasons_where_they_explain_too_little(world: World) -> None:
    said = assess(world.batches(without="ticket"), world.reference, SETTINGS)
    closed = {one.role for one in said.coverage if one.outlet == "" and one.gate != "open"}
    open_ = {one.role for one in said.coverage if one.outlet == "" and one.gate == "open"}
    assert "hq_support" in closed
    assert "courier" in open_
    assert any(one.kind == "coverage" and "hq_support" in one.text for one in said.findings)
    assert {one.missing for one in said.joins if "tickets" in one.join} >= {"no ticket records"}
    pipeline, steps = interventions(world.batches(without="ticket"), world.reference)
    groups = {(one.role, one.outlet) for one in said.coverage if one.outlet and one.gate == "open"}
    accounts = world.reference["accounts"]
    posts = dict(zip(accounts.column("account").to_pylist(), zip(accounts.column("role").to_pylist(), accounts.column("outlet").to_pylist(), strict=True), strict=True))  # fmt: skip
    raised = [step for step in steps if step["step"] != "none" and "reason" in step["evidence"]]
    for step in raised:
        role, outlet = posts[step["account"]]
        assert role in open_ or (role, outlet) in groups, f"a step by reasons for a {role}, whose gate is closed"
    assert raised  # the rented courier's is still taken
    assert not [
        one
        for one in said.screen
        if one.role in closed and any("unexplained" in why or "reason" in why for why in one.why)
    ]
    assert pipeline.coverage.role_said[pipeline.context.roles.index("hq_support")] == CLOSED


# --- web-server logs alone ---------------------------------------------------------------------------------------------

NGINX = r"""
WITH p AS (
  SELECT number, regexp_extract(line,
    '^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) /parcels/(\w+)[^"]*" (\d{3})', ['ip', 'who', 'at', 'verb', 'waybill', 'code']) AS f
  FROM input)
SELECT 'view' AS kind, f.who AS account, f.ip AS ip, f.waybill AS waybill,
  strftime(strptime(f.at, '%d/%b/%Y:%H:%M:%S %z'), '%Y-%m-%dT%H:%M:%SZ') AS time,
  CASE WHEN f.code = '200' THEN 'success' ELSE 'denied' END AS outcome
FROM p WHERE f.verb = 'GET' AND f.waybill <> ''
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Iterator[Batch]]:
    rng = random.Random(8)
    lines = [
        f"10.2.0.{rng.randrange(9)} - E{at % 12:02d} [03/Mar/2025:{8 + at // 240:02d}:{at // 4 % 60:02d}:{at % 60:02d} +0800] "
        f'"GET /parcels/W{rng.randrange(800)} HTTP/1.1" {200 if at % 9 else 403} 512 "-" "Mozilla/5.0"'
        for at in range(2000)
    ]
    path = tmp_path_factory.mktemp("nginx") / "access.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def read() -> Iterator[Batch]:
        return open_source("nginx", {"paths": [str(path)], "mapping": NGINX}).read(None, stop=lambda: False)

    return read


def test_on_web_server_logs_alone(nginx: Callable[[], Iterator[Batch]]) -> None:
    said = assess(nginx(), {}, SETTINGS)
    assert said.records == {"view": 2000}
    assert said.accounts == 12
    assert "subjects" not in said.fields["view"]
    silent = {one.id: one.silent for one in said.detectors}
    assert "scans" in silent["unexplained"]
    assert silent["roster_status"] == "no accounts table"
    assert silent["volume"] == ""
    assert not [one for one in said.coverage if one.gate == "open"]
    assert said.roster == {"present": False}
    assert said.screen == []
    _, steps = interventions(nginx(), {})
    assert not [step for step in steps if "reason" in step["evidence"] or "roster" in step["evidence"]]


def test_nothing_at_all() -> None:
    said = assess([], {}, SETTINGS)
    assert (said.first, said.looks, said.coverage) == (None, 0, [])
    assert all(one.silent for one in said.detectors)


def test_refused_records_and_clocks_are_counted(tmp_path: Path) -> None:
    at = 1_740_931_200_000
    rows: list[dict[str, Any]] = [
        {"kind": "view", "account": "E1", "device": "D", "time": at},
        {"kind": "view", "account": "E1", "device": "D", "time": at - 7_200_000, "received": at + 1000},
        {"kind": "view", "account": "E1", "device": "D", "time": at + 900_000, "received": at + 2000},
        {"kind": "view", "account": "E1", "device": "D", "time": at + 90 * 86_400_000},
        {"kind": "view", "account": "E1", "device": "D", "time": at - 1000},
        {"kind": "view", "account": 7, "time": "yesterday"},
    ]
    (tmp_path / "a.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = assess(open_source("a", {"paths": [str(tmp_path)]}).read(None, stop=lambda: False), {}, SETTINGS)
    assert sum(said.quarantine.values()) == 3
    assert said.records == {"view": 3}
    assert said.clock["over_an_hour_late"] == 1
    assert said.clock["order_goes_back"] == 1
