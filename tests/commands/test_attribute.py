from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.commands.attribute import asked_of
from watchbill.core.errors import SettingsError
from watchbill.lab.simulator.world import WorldReport

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def leaked(world: WorldReport, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A list of what the rented account was shown, as it turns up, and the account."""
    account = world.attacks[0]["accounts"][0]
    numbers: list[str] = []
    for file in sorted((world.out / "records").glob("*")):
        text = file.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines() if account in line]
        numbers += [
            row["waybill"]
            for row in rows
            if row.get("kind") == "search" and row.get("subjects") and not row.get("masked")
        ]
    path = tmp_path_factory.mktemp("leak") / "list.csv"
    lines = [
        "单号,价格",
        *(f"{number.lower()},1.00" for number in numbers[:: len(numbers) // 20][:20]),
        *(f"138{n:08d}," for n in range(10)),
        "无,无",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, account


def test_the_rented_account_is_named(home: Path, leaked: tuple[Path, str], run: Run) -> None:
    path, account = leaked
    said = run("attribute", path, "--home", home, "--json").json
    assert (said["outcome"], said["named"], said["size"], said["matched"]) == ("named", [account], 30, 20)
    assert said["ranking"][0]["account"] == account
    assert said["list"]["lines"] == 32
    assert said["list"]["unread_lines"] == [1, 32]
    assert said["list"]["sha256"]
    told = run("attribute", path, "--home", home)
    assert told.code == 0
    assert f"named: {account}" in told.out
    assert "A lead, not a judgement" in told.out


def test_a_date_before_everything_names_nobody(home: Path, leaked: tuple[Path, str], run: Run) -> None:
    told = run("attribute", leaked[0], "--home", home, "--before", "2020-01-01")
    assert told.code == 0
    assert "nobody here" in told.out
    assert run("attribute", leaked[0], "--home", home, "--by", "subject", "--json").json["outcome"] == "nobody"


def test_what_is_wrong_is_one_line(home: Path, leaked: tuple[Path, str], tmp_path: Path, run: Run) -> None:
    for words in (["--by", "phone"], ["--fields", "shoes"], ["--before", "soon"], ["--home", tmp_path]):
        told = run("attribute", leaked[0], "--home", home, *words)
        assert told.code == 2, words
        assert len(told.err.strip().splitlines()) == 1
    assert run("attribute", tmp_path / "none", "--home", home).code == 2


def test_options_mean() -> None:
    assert asked_of(" waybill , subject", "name, phone", 5) == (("waybill", "subject"), 5, 3)
    with pytest.raises(SettingsError):
        asked_of("", "", None)


def test_the_home_keeps_the_index_for_the_next_question(home: Path, leaked: tuple[Path, str], run: Run) -> None:
    run("attribute", leaked[0], "--home", home)
    assert (home / "sightings" / "runs.json").is_file()
