from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from watchbill.commands import demo as command
from watchbill.lab import demo as lab


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "SCALE", 0.1)
    monkeypatch.setattr(lab, "LEASE_DAYS", 1)


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command("other")(lambda: None)  # with one command alone typer leaves its name out
    command.register(app)
    result = CliRunner().invoke(app, ["demo", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("small")
def test_json_says_that_the_rented_number_was_stopped_and_the_ledger_is_whole(tmp_path: Path) -> None:
    said = json.loads(run("--days", "5", "--seed", "1", "--json", "--keep", str(tmp_path)))
    assert said["stopped"]
    assert said["records_before_stop"] <= 50
    assert said["records_before_stop"] <= said["records_in_all"] < said["unwatched"]["records"]
    assert said["verify"]["ok"]
    assert said["saw"]["height"] == said["verify"]["height"]
    assert said["saw"]["persons"] >= said["records_before_stop"]
    assert said["unwatched"]["rent_yuan_estimate"] == 500
    assert (tmp_path / "home").is_dir()
    assert (tmp_path / "out" / "verdicts.parquet").is_file()


@pytest.mark.usefixtures("small")
def test_a_pipe_gets_plain_lines_with_the_stop_and_where_everything_lies(tmp_path: Path) -> None:
    said = run("--days", "4", "--keep", str(tmp_path))
    assert "\x1b[" not in said
    assert "STOPPED at" in said
    assert "whole: " in said
    assert str(tmp_path) in said
    assert f"watchbill cases --home {tmp_path / 'home'}" in said
