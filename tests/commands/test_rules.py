from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from runners.small import small_world
from watchbill.commands import rules as commands
from watchbill.core.errors import LedgerError, NotFoundError, SettingsError
from watchbill.core.settings import Settings
from watchbill.detectors.base import detector_ids
from watchbill.rules.bundle import RuleSource
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

LOGIN = """title: Night login
id: 33333333-0000-4000-8000-000000000001
logsource: {product: watchbill, service: auth}
detection:
  a: {hour|lt: 12}
  condition: a
"""
FEW = Settings(detectors_off=tuple(set(detector_ids()) - {"bounded_loss", "unexplained"}))
"""Rules need no detectors: the others' kernels would only cost time."""
LATER = 4_000_000_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rules")
    (place / "rules").mkdir()
    (place / "rules" / "r.yml").write_text(LOGIN)
    first = sorted((small_world() / "records").rglob("*.ndjson"))[:1]
    source = open_source("files", {"kind": "files", "paths": [str(path) for path in first]})
    replay([source], place / "home", place / "out", FEW, reference=small_world() / "reference", rules=RuleSource(place / "rules"))  # fmt: skip
    return place / "home"


def app() -> typer.Typer:
    whole = typer.Typer()
    commands.register(whole)
    whole.command("other")(lambda: None)
    return whole


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app(), ["rules", *words])
    return done.exit_code, done.output


def test_lint_says_file_line_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(LOGIN)
    assert run("lint", str(tmp_path)) == (0, "1 rules in 1 files, 0 errors, 0 warnings\n")
    (tmp_path / "bad.yml").write_text(LOGIN.replace("hour", "hours"))
    code, said = run("lint", str(tmp_path))
    assert code == 1
    assert "bad.yml:5: error: `hours` there is no such field. Did you mean `hour`?" in said
    code, said = run("lint", str(tmp_path), "--json")
    assert code == 1
    assert json.loads(said)["complaints"][0]["line"] == 5


def test_list_findings_and_back_test_of_a_home(home: Path) -> None:
    code, said = run("list", "--home", str(home), "--json")
    assert code == 0
    assert [(r["title"], r["mode"], r["service"]) for r in json.loads(said)["rules"]] == [
        ("Night login", "shadow", "auth")
    ]
    assert "Night login" in run("list", "--home", str(home))[1]
    found = json.loads(run("findings", "--home", str(home), "--json")[1])["findings"]
    assert found
    one = found[0]["account"]
    assert {r["account"] for r in commands.found_by(home, account=one)["findings"]} == {one}
    assert commands.found_by(home, rule="no such")["findings"] == []
    assert f"{len(found):,} findings" in run("findings", "--home", str(home))[1]
    code, said = run("test", str(home.parent / "rules"), "--home", str(home), "--json")
    assert code == 0
    assert json.loads(said)["rules"][0]["hits"] == len(found)
    assert "Back-test" in run("test", str(home.parent / "rules"), "--home", str(home))[1]


def test_a_snooze_is_noted_for_the_engine(home: Path) -> None:
    wanted = {"rule": "33333333-0000-4000-8000-000000000001", "field": "account", "value": "E1", "note": "works nights"}
    said = commands.snoozed(home, wanted, LATER)
    assert said["until"] == LATER
    assert json.loads((home / "rules" / "snoozes.json").read_text()) == [said]


@pytest.mark.parametrize(("change", "until", "error", "what"), [
    ({"rule": "gone"}, LATER, NotFoundError, "no such rule"), ({"field": "acount"}, LATER, SettingsError, "no such field"),
    ({}, 5, SettingsError, "passed"), ({}, None, SettingsError, "passed"), ({"value": ""}, LATER, SettingsError, "empty"),
])  # fmt: skip
def test_snoozes_that_cannot_be(
    home: Path, change: dict[str, str], until: int | None, error: type[Exception], what: str
) -> None:
    wanted = {"rule": "33333333-0000-4000-8000-000000000001", "field": "account", "value": "E1", "note": ""} | change
    with pytest.raises(error, match=what):
        commands.snoozed(home, wanted, until)


def test_where_there_are_no_rules(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no rules are in force"):
        commands.snoozed(tmp_path, {"rule": "r", "field": "account", "value": "x", "note": ""}, LATER)
    assert commands.listed(tmp_path) == {"height": 0, "rules": [], "snoozes": []}
    (tmp_path / "bad.yml").write_text("x: 1")
    with pytest.raises(NotFoundError, match="no rule"):
        commands.backtested(tmp_path, tmp_path)
