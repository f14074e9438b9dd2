"""The dry run against what the engine really did, and against what a person can count by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from runners.judged import DAY, opened, tell, trapped, verdict
from runners.small import small_world
from runners.test_engine import batch, look
from watchbill.core.settings import PolicySettings, Settings
from watchbill.detectors.base import detector_ids
from watchbill.runners.clock import ManualClock, SystemClock
from watchbill.runners.local import replay
from watchbill.runners.tryout import Tryout, Wanted
from watchbill.runners.trytally import STEPS
from watchbill.sources.base import open_source

FEW = Settings(detectors_off=tuple(set(detector_ids()) - {"bounded_loss", "unexplained", "canary", "login_place"}))
SOONER = FEW.model_copy(update={"policy": PolicySettings(ask_reason_at=20, step_up_at=100)})


def files(home: Path) -> dict[str, tuple[int, int]]:
    return {str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mtime_ns) for path in home.rglob("*")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tryout")
    source = open_source("files", {"kind": "files", "paths": [f"{small_world()}/records"]})
    replay([source], place / "home", place / "out", FEW, reference=small_world() / "reference")
    return place / "home"


def tried(home: Path, new: Settings, **more: Any) -> dict[str, Any]:
    return Tryout(home, Wanted(FEW, new, **more), SystemClock()).run().report


def test_under_the_settings_in_force_it_says_what_the_engine_said(home: Path) -> None:
    before = files(home)
    told: list[tuple[int, int]] = []
    said = Tryout(home, Wanted(FEW, FEW), SystemClock()).run(lambda done, height: told.append((done, height))).report
    assert files(home) == before, "the home stays as it is"
    assert said["now"] == said["new"]
    assert (said["differ"], said["settings"], said["finished"]) == ([], [], True)
    assert told[-1] == (said["height"], said["height"])
    verdicts = pq.read_table(home.parent / "out" / "verdicts.parquet").to_pylist()
    for decision, counts in said["now"]["looks"].items():
        assert counts["all"] == sum(row["decision"] == decision for row in verdicts), decision
    stopped = {row["account"] for row in verdicts if row["decision"] in {"step_up", "throttle", "deny"}}
    assert said["now"]["interrupted"]["all"] == len(stopped) > 0
    assert sum(said["now"]["records"][name]["all"] for name in ("shown", "saved")) > 100


def test_sooner_steps_interrupt_more_and_save_more(home: Path) -> None:
    said = tried(home, SOONER)
    now, new = said["now"], said["new"]
    assert new["interrupted"]["all"] > now["interrupted"]["all"]
    assert new["records"]["saved"]["all"] > now["records"]["saved"]["all"]
    whole = [side["records"]["saved"]["all"] + side["records"]["shown"]["all"] for side in (now, new)]
    assert whole[0] == whole[1], "each record is shown or saved"
    assert {row["setting"] for row in said["settings"]} == {"policy.ask_reason_at", "policy.step_up_at"}
    differ = {row["account"]: row for row in said["differ"]}
    assert said["differ_count"] == len(differ) > 0
    assert any(STEPS.index(row["new"]["step"]) > STEPS.index(row["now"]["step"]) for row in differ.values())
    assert f"and saved {new['records']['saved']['all']:,}" in said["summary"]
    assert sum(new["cost_yuan"].values()) > sum(now["cost_yuan"].values())


def test_in_shadow_nobody_is_interrupted_and_it_is_counted(home: Path) -> None:
    said = tried(home, FEW.model_copy(update={"policy": PolicySettings(mode="shadow")}))
    assert said["new"]["interrupted"]["all"] == 0
    assert said["new"]["records"]["saved"]["all"] == 0
    assert said["new"]["shadow_rows"] > 0 == said["now"]["shadow_rows"]


def test_only_the_asked_span_counts(home: Path) -> None:
    times = sorted(row["time"] for row in pq.read_table(home.parent / "out" / "verdicts.parquet").to_pylist())
    middle = times[len(times) // 2]
    whole, first, second = tried(home, SOONER), tried(home, SOONER, end=middle), tried(home, SOONER, begin=middle)
    for decision, counts in whole["new"]["looks"].items():
        parts = first["new"]["looks"][decision]["all"] + second["new"]["looks"][decision]["all"]
        assert counts["all"] == parts, decision
    assert (first["to"], second["from"], whole["from"]) == (middle, middle, None)


def test_interrupted_and_gone_on_with_it_says_the_same(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchbill.runners.tryout.PIECE_ROWS", 2_000)
    wanted, whole = Wanted(FEW, SOONER), tried(home, SOONER)
    heard: list[int] = []
    begun = Tryout(home, wanted, SystemClock(), work=tmp_path / "w")
    part = begun.run(lambda done, _: heard.append(done), lambda: len(heard) >= 4)
    assert not part.finished
    assert 0 < part.report["done"] < part.report["height"]
    again = Tryout(home, wanted, SystemClock(), work=tmp_path / "w")
    assert again.done == part.report["done"]
    assert again.run().report == whole
    other = Tryout(home, Wanted(FEW, FEW), SystemClock(), work=tmp_path / "w")
    assert other.done == 0, "another question begins anew"
    assert (tmp_path / "w" / "now").stat().st_mode & 0o077 == 0


def test_a_run_killed_between_its_two_sides_goes_on_where_both_were(home: Path, tmp_path: Path) -> None:
    wanted = Wanted(FEW, SOONER)
    first = Tryout(home, wanted, SystemClock(), work=tmp_path)
    first.done = 0
    first._save()
    first.done = 7
    first.halves["now"].save(tmp_path / "now", 7, {"digest": wanted.digest, "judged": {}, "records": 7})
    assert Tryout(home, wanted, SystemClock(), work=tmp_path).done == 0


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_verdicts_split_what_is_counted(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")  # a1 touched two canaries: suspended; its next look was denied
    case = next(iter(made.pipeline.book.cases))
    tell(made, verdict("dismissed", "test", case=case))
    made.take(trapped(50))
    made.checkpoint()
    settings = made.settings
    made.close()
    calm = settings.model_copy(
        update={"policy": settings.policy.model_copy(update={"suspend_at": 1e30, "mode": "shadow"})}
    )
    wanted = Wanted(settings, calm, accounts={case: "a1"})
    said = Tryout(tmp_path / "home", wanted, ManualClock(0)).run().report
    assert said["now"]["interrupted"] == {"all": 1, "dismissed": 1, "confirmed": 0, "unjudged": 0}
    assert said["now"]["steps"]["suspend"]["dismissed"] == 1
    assert said["now"]["cost_yuan"] == {"dismissed": 1002.0, "confirmed": 0.0, "unjudged": 0.0}, "asked, then suspended"
    assert said["new"]["interrupted"]["all"] == 0
    assert said["summary"] == (
        "would have interrupted 0 accounts of dismissed cases (now 1) and saved 0 records (now 0)"
    )
    assert [(row["account"], row["verdict"]) for row in said["differ"]] == [("a1", "dismissed")]


def test_what_people_confirmed_is_held_on_both_sides(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    tell(made, verdict("confirmed", "canary", account="a1"))
    made.take(batch(look(900, time=look(1)["time"] + 3 * DAY)))  # type: ignore[operator] # a number
    made.checkpoint()
    settings = made.settings
    made.close()
    never = settings.model_copy(update={"policy": PolicySettings(**dict.fromkeys(NUMBERS, 1e30))})
    said = Tryout(tmp_path / "home", Wanted(settings, never), ManualClock(0)).run().report
    assert said["new"]["interrupted"]["confirmed"] == said["now"]["interrupted"]["confirmed"] == 1
    assert said["new"]["steps"]["suspend"]["all"] == 0 < said["now"]["steps"]["suspend"]["all"]


NUMBERS = ("ask_reason_at", "step_up_at", "throttle_at", "end_session_at", "suspend_at")
