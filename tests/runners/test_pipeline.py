from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from watchbill.context.reference import find_tables, read_table
from watchbill.core.settings import (
    GateSettings,
    PolicySettings,
    ReasonSettings,
    Role,
    Settings,
    default_roles,
    parse_settings,
)
from watchbill.detectors.base import detector_ids
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress, Rates
from watchbill.lab.simulator.world import build_world
from watchbill.records.columns import KIND, Columns, columns_of
from watchbill.records.schema import LOOKS, SCHEMA
from watchbill.responses.policy import DO_STEP_UP
from watchbill.runners.checkpoint import load_checkpoint, save_checkpoint
from watchbill.runners.pipeline import Output, Pipeline

HOUR = 3_600_000
DAY = 24 * HOUR
SEED = 20_250_303
ATTACKS = (
    AttackSpec("blatant_lease", day=2), AttackSpec("list_decryption", day=3), AttackSpec("leaver_reuse", day=3),
)  # fmt: skip


@dataclass
class World:
    """Records of a tiny carrier in journal form, its reference tables, and which looks were wrongful (by id)."""

    table: pa.Table
    reference: dict[str, pa.Table]
    wrongful: dict[str, str]

    @property
    def columns(self) -> Columns:
        return columns_of(self.table, 1000)


def canonical(path: Path) -> pa.Table:
    table = pa.concat_tables([pq.read_table(file) for file in sorted(path.glob("records/*.parquet"))])
    n = table.num_rows
    stamped = pc.fill_null(pc.coalesce(table.column("received"), table.column("time")), 0).to_numpy()
    given = {
        "source": pa.array(["lab"] * n),
        "arrival": pa.array(np.maximum.accumulate(stamped)),
        "extra": pa.nulls(n, pa.string()),
    }
    arrays = [
        given.get(field.name, table[field.name] if field.name in table.column_names else None) for field in SCHEMA
    ]
    return pa.table(arrays, schema=SCHEMA).combine_chunks()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    out = tmp_path_factory.mktemp("world")
    stress = HonestStress(feed_down=0.3, late_scan=0.05, cover=0.1, roster_late=0.05)
    build_world(
        out, seed=SEED, days=5, outlets=3, scale=0.1, format="parquet", attacks=ATTACKS, honest_stress=stress, parcels=True,
        rates=Rates(courier_parcels_median=70.0),
    )  # fmt: skip
    truth = pq.read_table(out / "truth" / "looks.parquet")
    wrongful = {row["id"]: row["attack"] for row in truth.filter(truth["wrongful"]).to_pylist()}
    reference = {
        name: read_table(name, path, "Asia/Shanghai", 10**7) for name, path in find_tables(out / "reference").items()
    }
    table = canonical(out)
    assert table.num_rows < 60_000
    return World(table, reference, wrongful)


def fresh(world: World, settings: Settings | None = None) -> Pipeline:
    pipeline = Pipeline(settings or Settings())
    for name, table in world.reference.items():
        pipeline.apply(name, table)
    return pipeline


@dataclass
class Heard:
    """What a run said, batch cuts forgotten."""

    verdicts: dict[str, np.ndarray[Any, Any]]
    interventions: list[dict[str, Any]]
    cases: list[dict[str, Any]]


def run(
    pipeline: Pipeline, columns: Columns, edges: Iterable[int], between: Callable[[Pipeline], Pipeline] | None = None
) -> Heard:
    """Step over the pieces between `edges`; `between` may exchange the pipeline after each piece."""
    outputs: list[tuple[int, Output]] = []
    edges = [0, *edges, len(columns)]
    for start, stop in itertools.pairwise(edges):
        outputs.append((start, pipeline.step(columns.cut(start, stop))))
        pipeline = between(pipeline) if between else pipeline
    names = ("row", "decision", "reason", "score", "left")
    verdicts = {
        name: np.concatenate([getattr(out.verdicts, name) + (start if name == "row" else 0) for start, out in outputs])
        for name in names
    }
    return Heard(verdicts, [row for _, out in outputs for row in out.interventions], pipeline.book.snapshot())


def same(one: Heard, other: Heard) -> None:
    for name, column in one.verdicts.items():
        np.testing.assert_array_equal(column, other.verdicts[name], err_msg=name)
    assert one.interventions == other.interventions
    assert one.cases == other.cases


@pytest.fixture(scope="module")
def whole(world: World) -> tuple[Pipeline, Heard]:
    pipeline = fresh(world)
    return pipeline, run(pipeline, world.columns, [])


def test_the_run_says_something_about_everything(world: World, whole: tuple[Pipeline, Heard]) -> None:
    _, heard = whole
    looks = np.flatnonzero(np.isin(world.columns.kind, [KIND[name] for name in LOOKS]))
    np.testing.assert_array_equal(heard.verdicts["row"], looks)
    assert {row["step"] for row in heard.interventions} >= {"mask", "ask_reason", "step_up", "none"}
    assert heard.cases
    assert 0.9 < (heard.verdicts["reason"] > 0).mean() < 1
    assert (heard.verdicts["left"] >= 0).all()
    assert ((heard.verdicts["score"] > 0) & (heard.verdicts["score"] < 1)).all()


def test_a_leased_account_is_stopped(world: World, whole: tuple[Pipeline, Heard]) -> None:
    _, heard = whole
    ids = world.table.column("id").take(heard.verdicts["row"]).to_pylist()
    columns, rows = world.columns, heard.verdicts["row"]
    # those that own work explains are found by other means than the reason (detection.md 1, "reverse traces")
    wild = (columns.masked[rows] == 0) & (columns.outcome[rows] <= 1) & (heard.verdicts["reason"] == 0)
    decisions = [
        decision
        for decision, name, counts in zip(heard.verdicts["decision"], ids, wild, strict=True)
        if counts and world.wrongful.get(name, "").startswith("blatant")
    ]
    assert len(decisions) > 100
    assert sum(decision == 0 for decision in decisions) <= 50  # the gate of detection.md 9: records before stop


@pytest.mark.parametrize("seed", [1, 2])
def test_random_cuts_change_nothing(world: World, whole: tuple[Pipeline, Heard], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = len(world.columns)
    edges = sorted(rng.integers(0, n + 1, 150).tolist())  # empty batches (equal edges) among them
    same(whole[1], run(fresh(world), world.columns, edges))


def test_one_row_batches_for_a_stretch_change_nothing(world: World, whole: tuple[Pipeline, Heard]) -> None:
    first = world.table.column("id").to_pylist().index(next(iter(world.wrongful)))
    edges = range(max(0, first - 150), first + 450)
    same(whole[1], run(fresh(world), world.columns, edges))


@pytest.mark.parametrize("seed", [3, 4])
def test_a_checkpoint_anywhere_changes_nothing(
    world: World, whole: tuple[Pipeline, Heard], seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    n = len(world.columns)

    def reborn(pipeline: Pipeline) -> Pipeline:
        save_checkpoint(tmp_path, 1, pipeline.snapshot())
        loaded = load_checkpoint(tmp_path, 1)
        assert loaded is not None
        other = Pipeline(Settings())
        other.restore(loaded[1])
        for name, table in world.reference.items():
            other.apply(name, table)
        return other

    same(whole[1], run(fresh(world), world.columns, sorted(rng.integers(1, n, 4).tolist()), reborn))


def test_a_snapshot_changes_nothing_and_is_not_changed(world: World, whole: tuple[Pipeline, Heard]) -> None:
    half = len(world.columns) // 2
    pipeline = fresh(world)
    pipeline.step(world.columns.cut(0, half))
    saved = pipeline.snapshot()
    frozen = json.dumps({key: value for key, value in saved.items() if not isinstance(value, np.ndarray)})
    arrays = {key: value.tobytes() for key, value in saved.items() if isinstance(value, np.ndarray)}
    for _ in range(2):  # the same snapshot serves twice: neither run writes into it
        other = fresh(world)
        other.restore(saved)
        for name, table in world.reference.items():
            other.apply(name, table)
        rest = columns_of(world.table.slice(half), 1000 + half)
        heard = run(other, rest, [])
        np.testing.assert_array_equal(
            heard.verdicts["row"] + half, whole[1].verdicts["row"][-len(heard.verdicts["row"]) :]
        )
        assert heard.cases == whole[1].cases
    assert arrays == {key: value.tobytes() for key, value in saved.items() if isinstance(value, np.ndarray)}
    assert frozen == json.dumps({key: value for key, value in saved.items() if not isinstance(value, np.ndarray)})


def test_state_an_account_is_bounded(world: World, whole: tuple[Pipeline, Heard]) -> None:
    pipeline, _ = whole
    assert pipeline.bytes_an_account() <= 6144  # profiles of habit are 3.3 KB of it
    assert len(pipeline.context.accounts) < 200


def test_ties_in_time_stay_ties(world: World) -> None:
    # all arrivals of an hour in one instant: the order of seq alone decides
    arrival = world.table.column("arrival").to_numpy() // HOUR * HOUR
    flat = world.table.set_column(SCHEMA.get_field_index("arrival"), SCHEMA.field("arrival"), pa.array(arrival))
    columns = columns_of(flat.slice(0, 20_000).combine_chunks(), 0)
    edges = sorted(np.random.default_rng(5).integers(0, 20_000, 60).tolist())
    same(run(fresh(world), columns, []), run(fresh(world), columns, edges))


def test_table_ticks_longer_than_hours_and_a_zone_that_changes_its_clocks(world: World) -> None:
    # five days of the world moved onto the night in which Adelaide, half an hour off, puts its clocks forward
    settings = Settings(time_zone="Australia/Adelaide", table_minutes=1000)
    shift = 1_728_000_000_000 - int(world.table.column("arrival")[0].as_py()) // DAY * DAY
    moved = world.table
    for name in ("time", "arrival", "received", "until"):
        at = SCHEMA.get_field_index(name)
        moved = moved.set_column(at, SCHEMA.field(name), pc.add(moved.column(name), shift))
    columns = columns_of(moved.slice(0, 36_000).combine_chunks(), 0)
    tables = World(moved, {k: v for k, v in world.reference.items() if k != "accounts"}, {})
    edges = sorted(np.random.default_rng(6).integers(0, len(columns), 80).tolist())
    same(run(fresh(tables, settings), columns, []), run(fresh(tables, settings), columns, edges))


# --- bad input --------------------------------------------------------------------------------------------------------


def stepped(heard: Heard, *, above: str = "ask_reason") -> set[str]:
    steps = ("none", "mask", "ask_reason", "step_up", "throttle", "end_session", "suspend")
    return {row["account"] for row in heard.interventions if steps.index(row["step"]) > steps.index(above)}


def honest_rows(world: World) -> pa.Table:
    wrongful = pc.is_in(world.table.column("id"), pa.array(list(world.wrongful)))
    return world.table.filter(pc.invert(wrongful)).combine_chunks()


def test_an_account_unknown_to_the_roster_is_judged_and_not_a_leaver_at_once(world: World) -> None:
    accounts = world.reference["accounts"]
    couriers = accounts.filter(pc.equal(accounts.column("role"), "courier")).column("account").to_pylist()
    guilty = {world.table.column("account")[row].as_py() for row, i in enumerate(world.table.column("id").to_pylist())
              if i in world.wrongful}  # fmt: skip
    lost = next(name for name in couriers if name not in guilty)
    thinner = accounts.filter(pc.not_equal(accounts.column("account"), lost))
    heard = run(fresh(replace(world, reference={**world.reference, "accounts": thinner})), world.columns, [])
    rows = np.asarray(pc.fill_null(pc.equal(world.table.column("account"), lost), False))[heard.verdicts["row"]]
    assert rows.sum() > 50
    assert lost not in stepped(heard)
    assert not [row for row in heard.interventions if row["account"] == lost and "roster" in row["evidence"]]
    assert not [case for case in heard.cases if case["account"] == lost and case["kind"] == "leaver"]


def test_a_roster_that_shrinks_to_zero_accuses_nobody(world: World) -> None:
    pipeline = fresh(world)
    columns = world.columns
    day = int(np.searchsorted(columns.arrival, columns.arrival[0] + DAY))
    run(pipeline, columns.cut(0, day), [])
    pipeline.apply("accounts", world.reference["accounts"].slice(0, 0))
    before = len(pipeline.book.cases)
    rest = columns_of(honest_rows(world).slice(day).combine_chunks(), day)
    heard = run(pipeline, rest, [])
    # without a roster volume alone may ask; nobody is asked who would not have been asked with it
    calm = run(fresh(world), columns_of(honest_rows(world), 0), [])
    assert stepped(heard) == set()
    assert stepped(heard, above="mask") <= stepped(calm, above="mask")
    assert len(heard.cases) <= before + len(calm.cases)
    assert (heard.verdicts["decision"] == 0).mean() > 0.99


def test_a_scan_feed_that_stops_accuses_nobody(world: World) -> None:
    table = honest_rows(world)
    scans = np.asarray(pc.equal(table.column("kind"), "scan"))
    arrival = table.column("arrival").to_numpy()
    stops = arrival[0] // DAY * DAY + 3 * DAY + 2 * HOUR  # ten in the morning at Shanghai, on the fourth day
    silent = table.filter(pa.array(~(scans & (arrival >= stops)))).combine_chunks()
    heard = run(fresh(world), columns_of(silent, 0), [])
    assert (heard.verdicts["reason"] == 0).sum() > 500  # the outage does leave looks without a reason
    calm = run(fresh(world), columns_of(table, 0), [])
    assert stepped(heard) == stepped(calm) == set()


def test_clocks_that_go_back_and_wild_times_break_nothing(world: World) -> None:
    rng = np.random.default_rng(9)
    n = 8_000
    part = world.table.slice(0, n).combine_chunks()
    time = part.column("time").to_numpy().copy()
    wild = rng.random(n) < 0.1
    time[wild] -= rng.integers(0, 40 * DAY, wild.sum())  # a clock of weeks ago; later ones are quarantined before
    time[::997] = 0
    part = part.set_column(SCHEMA.get_field_index("time"), SCHEMA.field("time"), pa.array(time))
    one = run(fresh(world), columns_of(part, 0), [])
    other = run(fresh(world), columns_of(part, 0), sorted(rng.integers(0, n, 70).tolist()))
    same(one, other)
    assert np.isfinite(one.verdicts["score"]).all()


def test_an_arrival_clock_that_goes_back_breaks_nothing(world: World) -> None:
    arrival = world.table.column("arrival").to_numpy()[:8_000].copy()
    arrival[4_000:] -= 2 * DAY
    part = world.table.slice(0, 8_000).combine_chunks()
    part = part.set_column(SCHEMA.get_field_index("arrival"), SCHEMA.field("arrival"), pa.array(arrival))
    heard = run(fresh(world), columns_of(part, 0), [2_000, 4_500])
    assert np.isfinite(heard.verdicts["left"]).all()


def test_an_empty_batch_says_nothing(world: World) -> None:
    out = fresh(world).step(columns_of(world.table.slice(0, 0), 0))
    assert out.verdicts.row.shape == (0,)
    assert out.interventions == []


# --- settings reach the step ------------------------------------------------------------------------------------------


def test_a_role_without_steps_is_watched_only(world: World) -> None:
    roles = {name: role.model_copy(update={"steps": False}) for name, role in default_roles().items()}
    heard = run(fresh(world, Settings(reasons=ReasonSettings(roles=roles))), world.columns, [])
    assert heard.interventions == []
    assert (heard.verdicts["decision"] == 0).all()
    assert (heard.verdicts["score"] > 0.01).any()


def test_a_robot_is_stopped_by_its_own_evidence_and_by_nothing_of_its_reasons(world: World) -> None:
    roster = world.reference["accounts"]
    robot = roster.filter(pc.equal(roster.column("role"), "robot")).column("account")[0].as_py()
    own = world.table.filter(pc.equal(world.table.column("account"), robot))
    looks = own.filter(pc.is_in(own.column("kind"), value_set=pa.array(LOOKS))).slice(0, 120)
    end, n = world.table.column("arrival")[-1].as_py() // HOUR * HOUR + 9 * HOUR, looks.num_rows
    stolen = {
        "id": pa.array([f"stolen{i}" for i in range(n)]), "device": pa.array(["PC-OF-SOMEBODY"] * n),
        "waybill": pa.array([f"no-such-{i}" for i in range(n)]),
        "time": pa.array(end + 5_000 * np.arange(n)), "arrival": pa.array(end + 5_000 * np.arange(n)),
    }  # fmt: skip
    for name, column in stolen.items():
        looks = looks.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), column.cast(SCHEMA.field(name).type))
    table = pa.concat_tables([world.table, looks]).combine_chunks()
    heard = run(fresh(world), columns_of(table, 0), [])
    steps = [row for row in heard.interventions if row.get("account") == robot]
    assert "step_up" in {row["step"] for row in steps}
    assert all("service" in row["evidence"] and "reason" not in row["evidence"] for row in steps)
    off = run(fresh(world, Settings(detectors_off=("service",))), columns_of(table, 0), [])
    assert not [row for row in off.interventions if row.get("account") == robot and row["step"] != "ask_reason"]


def test_settings_without_the_unknown_role_still_work(world: World) -> None:
    settings = Settings(reasons=ReasonSettings(roles={"courier": Role(reasons=())}), gates=GateSettings(coverage_min=0))
    heard = run(fresh(world, settings), world.columns.cut(0, 5_000), [])
    assert (heard.verdicts["reason"] == 0).all()


def test_detectors_can_be_left_off(world: World) -> None:
    settings = parse_settings({"detectors_off": ["bounded_loss", "volume"]}, "test")
    pipeline = fresh(world, settings)
    assert [d.id for d in pipeline.detectors] == sorted({*detector_ids()} - {"bounded_loss", "volume"})
    heard = run(pipeline, world.columns.cut(0, 5_000), [])
    assert "mask" not in {row["step"] for row in heard.interventions}


def test_presence_frees_an_owner_at_work_and_not_the_renter_elsewhere(world: World) -> None:
    # nobody obeys in the lab, so that a lease is suspended within a minute; here its step stays at presence
    policy = PolicySettings(throttle_at=1e200, end_session_at=1e201, suspend_at=1e202)
    heard = run(fresh(world, Settings(policy=policy)), world.columns, [])
    accounts, ids = (world.table.column(name).take(heard.verdicts["row"]).to_pylist() for name in ("account", "id"))
    leased = {world.table.column("account")[row].as_py() for row, name in enumerate(world.table.column("id").to_pylist())
              if world.wrongful.get(name, "").startswith("blatant")}  # fmt: skip
    proven = {row["account"] for row in heard.interventions if "proof" in row}
    assert leased & proven  # the lessor scans and looks at the outlet while the renter looks from elsewhere
    columns, rows = world.columns, heard.verdicts["row"]
    shown = (columns.masked[rows] == 0) & (columns.outcome[rows] <= 1)
    stopped, renter, owner = False, [], []
    for name, account, decision, plain in zip(ids, accounts, heard.verdicts["decision"], shown, strict=True):
        if account not in leased or not plain:
            continue
        wrongful = world.wrongful.get(name, "").startswith("blatant")
        stopped = stopped or decision >= DO_STEP_UP
        if stopped:
            (renter if wrongful else owner).append(int(decision))
    assert len(renter) > 50
    assert set(renter) == {DO_STEP_UP}
    assert owner.count(0) > len(owner) / 2
