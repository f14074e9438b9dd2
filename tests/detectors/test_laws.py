"""One law suite for all detectors: it finds them by the folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import watchbill.detectors
from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT, WORK
from watchbill.core.settings import Settings
from watchbill.detectors.base import FAMILIES, DetectorBase, Surroundings, detector_ids, load_detectors
from watchbill.detectors.kernels import example_looks

IDS = detector_ids()
Run = Callable[..., NDArray[np.float32]]
DAY = 86_400_000
HOUR = 3_600_000
ACCOUNTS = 12
SEEDS = (1, 2, 3)


def fresh(name: str) -> DetectorBase:
    return next(detector for detector in load_detectors(Settings()) if detector.id == name)


@pytest.fixture
def around() -> Surroundings:
    return Surroundings(
        accounts=ACCOUNTS, outlets=4, roles=("courier", "service", "unknown", "robot"),
        lat=np.array([39.9, 26.1]), lon=np.array([116.4, 119.3]), place_kind=np.array([1, 1], np.uint8),
        present=frozenset({"accounts", "outlets", "networks", "canaries", "devices", "shifts"}),
        tokens_max=np.full(4, 40, np.float32), looks_a_day=np.full(4, 100, np.float32),
        ends=np.array([2**62] * (ACCOUNTS - 1) + [20_002 * DAY]),
    )  # fmt: skip


def test_the_folder_is_the_registry() -> None:
    files = {path.stem for path in Path(watchbill.detectors.__path__[0]).glob("*.py")} - {"__init__", "base"}
    assert set(IDS) == {name for name in files if not name.endswith("kernels")}
    assert [d.id for d in load_detectors(Settings(detectors_off=(IDS[0],)))] == IDS[1:]


@pytest.mark.parametrize("name", IDS)
class TestLaws:
    def test_says_what_it_catches_and_what_it_misses(self, name: str) -> None:
        text = importlib.import_module(f"watchbill.detectors.{name}").__doc__ or ""
        assert "Catches: " in text
        assert "Misses: " in text
        kind = type(fresh(name))
        assert kind.family in {*FAMILIES, "bound"}
        assert kind.text_en
        assert kind.text_zh

    def test_examples_replay(self, name: str, around: Surroundings) -> None:
        examples = type(fresh(name)).examples()
        assert {example.found for example in examples} == {True, False}
        for example in examples:
            detector = fresh(name)
            if example.before is not None:
                detector.observe(example.before.copy(), around)
                detector.publish(int(example.before["arrival"][-1]) + HOUR, around)
            out = detector.observe(example.events.copy(), around)
            found = out[-1] < 0 if detector.family == "bound" else out[-1] >= example.nats_min
            assert found == example.found, (example.name, out[-1])
            if not example.found:
                assert (out >= 0).all()
                assert detector.family == "bound" or (out < example.nats_min).all(), (example.name, out.max())

    @pytest.mark.parametrize("seed", SEEDS)
    def test_cuts_change_nothing(self, name: str, seed: int, stream: Any, run_hours: Run) -> None:
        events = stream(seed, 6_000)
        rng = np.random.default_rng(seed)
        whole = run_hours(fresh(name), events)
        assert whole.shape == (6_000,)
        start = int(rng.integers(0, 5_500))
        edges = [*rng.integers(1, 6_000, 80).tolist(), *range(start, start + 400)]
        np.testing.assert_array_equal(whole, run_hours(fresh(name), events, edges))

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_snapshot_in_the_middle_changes_nothing(self, name: str, seed: int, stream: Any, run_hours: Run) -> None:
        events = stream(seed, 4_000)
        whole = run_hours(fresh(name), events)
        half = int(np.random.default_rng(seed).integers(1, 3_999))
        first = fresh(name)
        run_hours(first, events[:half])
        saved = first.snapshot()
        frozen = {key: value.tobytes() for key, value in saved.items()}
        hour = int(events["arrival"][half - 1]) // HOUR
        second = fresh(name)
        second.restore(saved)
        np.testing.assert_array_equal(whole[half:], run_hours(second, events[half:], start=hour))
        np.testing.assert_array_equal(whole[half:], run_hours(first, events[half:], start=hour))
        assert frozen == {key: value.tobytes() for key, value in saved.items()}

    @pytest.mark.parametrize("seed", SEEDS)
    def test_other_accounts_change_nothing_but_through_published_tables(
        self, name: str, seed: int, stream: Any, around: Surroundings
    ) -> None:
        events = stream(seed, 5_000)
        mine = events["account"] == 5
        together = fresh(name).observe(events, around)[mine]  # no tick: nothing is published
        alone = fresh(name).observe(events[mine].copy(), around)
        np.testing.assert_array_equal(together, alone)

    def test_scoring_precedes_learning(self, name: str, stream: Any, run_hours: Run) -> None:
        events = stream(4, 2_000)
        whole = run_hours(fresh(name), events)
        for cut in (1, 700, 1_999):
            np.testing.assert_array_equal(whole[:cut], run_hours(fresh(name), events[:cut]))
        # a first alarm is not hidden by what the event itself teaches: the same event says the same after any future
        changed = events.copy()
        changed[1_000:] = changed[1_000:][::-1]
        changed["arrival"] = events["arrival"]
        np.testing.assert_array_equal(whole[:1_000], run_hours(fresh(name), changed)[:1_000])

    def test_state_is_bounded(self, name: str, stream: Any, run_hours: Run) -> None:
        detector = fresh(name)
        assert detector.row.itemsize <= 128
        run_hours(detector, stream(1, 3_000))
        rows, tables = detector.rows.shape[0], sum(getattr(detector, t).nbytes for t in detector.tables)
        run_hours(detector, stream(2, 12_000))
        assert detector.rows.shape[0] == rows  # rows follow accounts, not events
        assert sum(getattr(detector, t).nbytes for t in detector.tables) == tables
        assert len(detector.snapshot()["rows"]) == rows

    @pytest.mark.parametrize("seed", SEEDS)
    def test_forgiving_one_account_leaves_its_profile_and_touches_no_other(
        self, name: str, seed: int, stream: Any, run_hours: Run
    ) -> None:
        events = stream(seed, 4_000)
        hour = int(events["arrival"][1_999]) // HOUR
        detector, other = fresh(name), fresh(name)
        run_hours(detector, events[:2_000])
        run_hours(other, events[:2_000])
        before = detector.rows[3].copy()
        detector.forgive(3)
        blank = detector.blank(1)[0]
        for field in detector.rows.dtype.names or ():
            if field in detector.kept and not (name == "login_place" and field == "active_days"):
                np.testing.assert_array_equal(detector.rows[3][field], before[field])
            elif field not in detector.kept:
                np.testing.assert_array_equal(detector.rows[3][field], blank[field])
        rest = events[2_000:2_600]
        rest = rest[(rest["arrival"] // HOUR == hour) | (np.arange(rest.shape[0]) < 40)].copy()
        rest["arrival"] = hour * HOUR  # until the next tick, which publishes what all may read
        strangers = rest["account"] != 3
        said = run_hours(detector, rest, start=hour)
        np.testing.assert_array_equal(said[strangers], run_hours(other, rest, start=hour)[strangers])

    def test_who_is_frozen_is_scored_all_the_same(self, name: str, stream: Any, around: Surroundings) -> None:
        events = stream(5, 1_000)
        around.frozen = np.full(ACCOUNTS, 3, np.uint8)
        out = fresh(name).observe(events, around)
        assert np.isfinite(out).all()
        spoken = around.__class__(**{**vars(around), "frozen": np.zeros(0, np.uint8)})
        free = fresh(name).observe(events, spoken)
        assert (out != 0).any() == (free != 0).any()

    def test_evidence_is_finite_whatever_comes(self, name: str, around: Surroundings) -> None:
        rng = np.random.default_rng(8)
        events = np.zeros(4_000, EVENT)
        far = np.iinfo(np.int64).max // 4
        events["seq"] = np.arange(4_000)
        events["time"] = rng.choice([0, -1, 1, 20_000 * DAY, far, -far], 4_000)
        events["arrival"] = rng.choice([0, 1, 20_000 * DAY, 20_001 * DAY, far], 4_000)
        events["day"] = rng.choice([0, -1, 1, 20_000, 19_000, 2**31 - 1, -(2**31)], 4_000)
        events["hour"] = rng.choice([0, 23], 4_000)
        events["account"] = rng.integers(-1, ACCOUNTS, 4_000)
        events["place"] = rng.integers(-1, 2, 4_000)
        events["outlet_id"] = rng.integers(-1, 4, 4_000)
        events["weight"] = rng.choice([0, 1, 1e30, 3e38], 4_000)
        events["item"] = rng.choice(np.array([0, 1, 2**64 - 1], np.uint64), 4_000)
        events["device"] = rng.choice(np.array([0, 1, 2**64 - 1, 2**32], np.uint64), 4_000)
        events["number"] = rng.choice([0, 1, far, 10**17], 4_000)
        for field, most in (
            ("session", 9),
            ("address", 9),
            ("what", 2**32 - 1),
            ("results", 2**31 - 1),
            ("page", 2**31 - 1),
            ("fields", 255),
        ):
            events[field] = rng.choice(np.array([0, 1, most], np.int64), 4_000)
        events["at"] = rng.integers(-1, 4, 4_000)
        events["tenure_days"] = rng.choice([-1, 0, 32_000], 4_000)
        for field, most in (("assigned", 3), ("fresh", 2), ("own_scan", 2), ("follows", 2), ("shift", 3), ("lone", 2)):
            events[field] = rng.integers(0, most, 4_000)
        events["persons"] = rng.choice([1, 2, 255], 4_000)
        events["kind"] = rng.choice([LOOK, LOGIN, RETRACT, WORK], 4_000)
        for flag in ("first", "reveal", "success", "canary"):
            events[flag] = rng.integers(0, 2, 4_000)
        events["gated"] = rng.integers(0, 4, 4_000)
        events["roster"] = rng.integers(0, 4, 4_000)
        events["role"] = rng.integers(0, 3, 4_000)
        detector = fresh(name)
        with np.errstate(all="raise"):
            out = np.concatenate([detector.observe(part, around) for part in np.array_split(events, 9)])
        assert np.isfinite(out).all()
        if detector.family != "bound":
            assert (out >= 0).all()
        for field in detector.rows.dtype.names or ():
            if detector.rows[field].dtype.kind == "f":
                assert np.isfinite(detector.rows[field]).all(), field

    def test_nobody_is_accused_of_what_has_no_account(self, name: str, around: Surroundings) -> None:
        events = example_looks(50)
        events["account"], events["canary"] = -1, 1
        detector = fresh(name)
        assert (detector.observe(events, around) >= 0).all()
        blank = detector.blank(detector.rows.shape[0])
        for field in detector.rows.dtype.names or ():  # by field: the bytes between fields mean nothing
            np.testing.assert_array_equal(detector.rows[field], blank[field])

    def test_without_its_tables_it_is_silent_and_says_so(self, name: str) -> None:
        detector = fresh(name)
        blind = Surroundings(accounts=ACCOUNTS)
        out = detector.observe(example_looks(3), blind)
        assert bool(detector.silent(blind)) == bool(detector.needs)
        if detector.needs:
            assert (out == 0).all()
            assert detector.needs[0] in detector.silent(blind)
