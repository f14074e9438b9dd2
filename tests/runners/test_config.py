"""The settings file: what it says is what runs, and what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Settings
from watchbill.records.limits import RecordLimits
from watchbill.runners.config import RunConfig, load_config

WHOLE = """
home = "data/home"
reference = "tables"
checkpoint_seconds = 5
reload_seconds = 0.5
[engine]
time_zone = "UTC"
[engine.policy]
step_hours = 12
[records]
line_bytes_max = 4096
[sources.desk]
paths = ["in", "/var/log/x"]
mapping = "select 1"
[sources.push]
kind = "http"
[http]
port = 8080
"""


def file(tmp_path: Path, text: str) -> Path:
    """A settings file with this text."""
    place = tmp_path / "w.toml"
    place.write_text(text)
    return place


def test_a_whole_file(tmp_path: Path) -> None:
    config = load_config(file(tmp_path, WHOLE))
    assert config.home == tmp_path / "data" / "home"
    assert config.reference == tmp_path / "tables"
    assert (config.checkpoint_seconds, config.reload_seconds) == (5.0, 0.5)
    assert (config.engine.time_zone, config.engine.policy.step_hours) == ("UTC", 12)
    assert config.records.line_bytes_max == 4096
    assert config.sources["desk"] == {"paths": [str(tmp_path / "in"), "/var/log/x"], "mapping": "select 1"}
    assert (dict(config.sources["push"]), dict(config.http)) == ({"kind": "http"}, {"port": 8080})


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(file(tmp_path, "")) == RunConfig(
        home=tmp_path / "watchbill-home", engine=Settings(), records=RecordLimits()
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hom = 'x'", "hom is not a setting"),
        ("home = ", "cannot be read"),
        ("engine = 3", "engine is not a table"),
        ("sources = []", "sources is not a table"),
        ("[sources]\nx = 1", "is not a table"),
        ("[engine]\nno_such = 1", "no_such"),
        ("[engine.policy]\nstep_hours = 'long'", "policy.step_hours"),
        ("[records]\nline_bytes_max = 1", "line_bytes_max"),
        ("[records]\nhow = 1", "how"),
        ("checkpoint_seconds = true", "checkpoint_seconds"),
        ("checkpoint_seconds = 0.01", "checkpoint_seconds"),
        ("reload_seconds = 'often'", "reload_seconds"),
        ("[cases]\nurl = 'mysql://u:sesame@x/y'", "is no URL"),
        ("[cases]\nurl = 3", "takes url"),
        ("[cases]\nuri = ''", "takes url"),
        ("[engine.cases]\nfirst_look_hours = 0", "cases.first_look_hours"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_config(file(tmp_path, text))
    said = str(caught.value)
    assert what in said
    assert caught.value.where
    assert caught.value.todo
    assert "sesame" not in said
    if what != "cannot be read":
        assert "\n" not in said


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "w.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_config(tmp_path / "w.toml")


def test_rules_have_a_folder_beside_the_file_and_settings(tmp_path: Path) -> None:
    place = tmp_path / "watchbill.toml"
    place.write_text('[rules]\nfolder = "mine"\nstep_max = "step_up"\nact = ["x"]\n')
    found = load_config(place).rules
    assert (found.folder, found.settings.step_max, found.settings.act) == (tmp_path / "mine", "step_up", ("x",))
    place.write_text("")
    assert load_config(place).rules.folder is None
    place.write_text('[rules]\nstep_max = "suspend"\n')
    with pytest.raises(SettingsError, match="step_max"):
        load_config(place)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('detectors_off = ["magic"]', "magic is no detector"),
        ('detectors_shadow = ["magic"]\nshadow_owner = "desk"', "magic is no detector"),
        ('detectors_shadow = ["bounded_loss"]\nshadow_owner = "desk"', "shadow_steps"),
        ('detectors_shadow = ["rhythm"]', "shadow_owner"),
        ('[engine.masks.courier]\nphone = "half"', "masks.courier.phone"),
    ],
)
def test_what_a_policy_cannot_be_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_config(file(tmp_path, f"[engine]\n{text}\n"))


def test_a_policy_in_full(tmp_path: Path) -> None:
    text = """
[engine]
detectors_shadow = ["rhythm", "mix"]
shadow_owner = "data desk"
[engine.policy]
shadow_steps = ["throttle"]
budget_share = 0.02
budget_min = 5
cost_yuan = {step_up = 12.5}
[engine.masks.courier]
phone = "masked"
"""
    engine = load_config(file(tmp_path, text)).engine
    assert (engine.detectors_shadow, engine.shadow_owner) == (("rhythm", "mix"), "data desk")
    assert (engine.policy.budget_share, engine.policy.budget_min, engine.policy.shadowing) == (0.02, 5, True)
    assert engine.masks["courier"] == {"id_number": "hidden", "bank_card": "hidden", "phone": "masked"}


def test_where_the_database_of_cases_is(tmp_path: Path) -> None:
    place = tmp_path / "w.toml"
    place.write_text(
        '[cases]\nurl = "postgresql+psycopg://w@127.0.0.1/x"\n[engine.cases]\nappeal_reviewers = ["r1", "r2"]\n'
    )
    found = load_config(place)
    assert found.cases_url == "postgresql+psycopg://w@127.0.0.1/x"
    assert found.engine.cases.appeal_reviewers == ("r1", "r2")


def test_retention_and_witness_are_read_and_checked(tmp_path: Path) -> None:
    whole = load_config(file(tmp_path, 'retention_days = 200\n[witness]\nfile = "w.txt"\nevery_seconds = 5\n'))
    assert (whole.retention_days, whole.witness.file, whole.witness.every_seconds) == (200, str(tmp_path / "w.txt"), 5)
    for text in (
        "retention_days = 179",
        "retention_days = true",
        "[witness]\nmail = 1",
        "[witness]\nevery_seconds = 0",
    ):
        with pytest.raises(SettingsError):
            load_config(file(tmp_path, text))
