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
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_config(file(tmp_path, text))
    said = str(caught.value)
    assert what in said
    assert caught.value.where
    assert caught.value.todo
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
