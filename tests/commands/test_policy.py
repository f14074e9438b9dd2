from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.judged import opened
from watchbill.core.settings import PolicySettings, Settings
from watchbill.lab.simulator.world import WorldReport
from watchbill.runners.local import keep_current

Run = Callable[..., Any]

NEW = """
[engine]
detectors_shadow = ["rhythm"]
shadow_owner = "data desk"
[engine.policy]
step_up_at = 1e4
shadow_steps = ["throttle"]
[engine.masks.courier]
phone = "masked"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    place = tmp_path / "new.toml"
    place.write_text(NEW)
    return place


def test_show_says_what_is_in_force(run: Run, home: Path, world: WorldReport) -> None:
    said = run("policy", "show", "--home", home, "--json").json
    assert [row["step"] for row in said["ladder"]] == [
        "mask",
        "ask_reason",
        "step_up",
        "throttle",
        "end_session",
        "suspend",
    ]
    assert [row["at"] for row in said["ladder"]] == [None, 1e3, 1e5, 1e7, 1e8, 1e12]
    assert {row["mode"] for row in said["ladder"]} == {"enforce"}
    assert said["masks"] == Settings().masks
    assert (said["budget"]["share"], said["budget"]["least"]) == (0.01, 10)
    assert said["height"] > 0
    shown = run("policy", "show", "--home", home)
    assert shown.code == 0
    assert "budget: 1.0% of the accounts active in an hour, at least 10, newly stepped up" in shown.out
    assert "id_number" in shown.out


def test_show_says_what_a_file_would_put_in_force(run: Run, config: Path) -> None:
    said = run("policy", "show", "--config", config, "--json").json
    assert [row["step"] for row in said["ladder"] if row["mode"] == "shadow"] == ["throttle"]
    assert said["masks"]["courier"] == {"id_number": "hidden", "bank_card": "hidden", "phone": "masked"}
    assert "detectors in shadow: rhythm; read by data desk" in run("policy", "show", "--config", config).out


def test_try_says_whom_it_would_interrupt_and_changes_nothing(
    run: Run, home: Path, config: Path, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    said = run("policy", "try", "--home", home, "--config", config, "--json", "--work", tmp_path / "work").json
    assert said["finished"]
    assert {row["setting"] for row in said["settings"]} >= {
        "policy.step_up_at",
        "policy.shadow_steps",
        "masks.courier.phone",
    }
    assert said["new"]["interrupted"]["all"] >= 1
    assert said["summary"].startswith("would have interrupted 0 accounts of dismissed cases (now 0) and saved ")
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
    shown = run("policy", "try", "--home", home, "--config", config)
    assert shown.code == 0
    assert "policy.step_up_at: 100000.0 -> 10000.0" in shown.out
    assert said["summary"] in shown.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--from", "2025-03-10", "--to", "2025-03-01"), "--to"),
        (("--from", "soon"), "--from"),
        (("--work", "HOME/work"), "stays as it is"),
    ],
)
def test_what_makes_no_sense_is_said(run: Run, home: Path, config: Path, more: tuple[str, ...], said: str) -> None:
    words = [word.replace("HOME", str(home)) for word in more]
    told = run("policy", "try", "--home", home, "--config", config, *words)
    assert told.code == 2
    assert said in told.err
    assert not (home / "work").exists()


def test_shadow_rows_are_listed(run: Run, tmp_path: Path) -> None:
    made = opened(tmp_path / "home", Settings(policy=PolicySettings(suspend_at=1e5, mode="shadow")))
    made.checkpoint()
    keep_current(made)
    made.close()
    said = run("policy", "shadow", "--home", tmp_path / "home", "--json").json
    assert said["rows"][-1]["step"] == "suspend"
    assert {row["by"] for row in said["rows"]} == {"steps"}
    for more in (("--by", "detectors"), ("--account", "a2")):
        assert run("policy", "shadow", "--home", tmp_path / "home", "--json", *more).json["rows"] == []
    shown = run("policy", "shadow", "--home", tmp_path / "home")
    assert "suspend" in shown.out
    assert f"{len(said['rows'])} rows as of height" in shown.out
    ladder = run("policy", "show", "--home", tmp_path / "home", "--json").json
    assert (ladder["mode"], ladder["shadow_rows"]["steps"]) == ("shadow", len(said["rows"]))


def test_a_home_without_a_ledger_is_said(run: Run, config: Path, tmp_path: Path) -> None:
    assert run("policy", "try", "--home", tmp_path, "--config", config).code == 2
    assert run("policy", "show", "--home", tmp_path).code == 2


def test_ctrl_c_ends_it_cleanly(run: Run, home: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    @contextmanager
    def asked() -> Any:
        yield lambda: True

    monkeypatch.setattr("watchbill.commands.policy.stopping", asked)
    told = run("policy", "try", "--home", home, "--config", config)
    assert told.code == 130
    assert "with --work the same command goes on" in told.out
