from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from watchbill.core import settings as module
from watchbill.core.errors import SettingsError
from watchbill.core.settings import TEMPLATES, Settings, default_masks, default_roles, load_settings, parse_settings

DOC = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", DOC, re.MULTILINE))
SECTIONS = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseModel)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"tick_secs": 5}, "tick_secs"),
        ({"reasons": {"after_minutes": -1}}, "reasons.after_minutes"),
        ({"policy": {"suspend_minutes": 16}}, "policy.suspend_minutes"),
        ({"risk": {"weights": {"reason": 0.9, "volume": 0.2}}}, "risk.weights"),
        ({"risk": {"weights": {"reason": -0.1}}}, "risk.weights"),
        ({"reasons": {"roles": {"courier": {"reasons": [{"template": "magic"}]}}}}, "reasons.roles.courier.reasons.0.template"),
        ({"reasons": {"roles": {"courier": {"reasons": [{"template": "ticket", "types": ["x"]}]}}}}, "reasons.roles.courier.reasons.0.types"),
        ({"limits": {"accounts_max": "many"}}, "limits.accounts_max"),
        ({"reasons": 5}, "reasons"),
        ({"masks": {"courier": {"phone": "half"}}}, "masks.courier.phone"),
        ({"masks": {"courier": {"recipient.phone": "plain"}}}, "masks: "),
        ({"masks": {f"r{n}": {} for n in range(300)}}, "masks: "),
        ({"masks": {"courier": 5}}, "masks.courier"),
        ({"masks": 5}, "masks"),
        ({"policy": {"shadow_steps": ["none"]}}, "policy.shadow_steps.0"),
        ({"policy": {"mode": "loud"}}, "policy.mode"),
        ({"policy": {"budget_share": 1.5}}, "policy.budget_share"),
        ({"policy": {"cost_yuan": {"step_up": -1}}}, "policy.cost_yuan.step_up"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(data: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(data, "watchbill.toml")
    assert f"watchbill.toml: {said}" in str(caught.value)


def test_given_roles_are_laid_over_the_default_ones() -> None:
    made = parse_settings({"reasons": {"roles": {"guard": {"reasons": [{"template": "own_scan"}]}}}}, "x")
    assert set(made.reasons.roles) == {*default_roles(), "guard"}
    assert made.reasons.roles["courier"] == default_roles()["courier"]
    assert made.reasons.roles["guard"].tokens_max == 40
    assert parse_settings({}, "x") == Settings()


def test_given_masks_are_laid_over_the_default_ones_field_by_field() -> None:
    made = parse_settings({"masks": {"courier": {"phone": "masked"}, "guard": {"name": "hidden"}}}, "x").masks
    assert made["courier"] == {"id_number": "hidden", "bank_card": "hidden", "phone": "masked"}
    assert made["guard"] == {"id_number": "hidden", "bank_card": "hidden", "name": "hidden"}
    assert made["it"] == default_masks()["it"]
    said = parse_settings({"masks": {"courier": {"id_number": "plain"}}}, "x").masks
    assert said["courier"]["id_number"] == "plain", "only in so many words"
    assert all(fields["id_number"] == "hidden" for fields in Settings().masks.values())


def test_a_shadow_detector_has_somebody_who_reads_it() -> None:
    with pytest.raises(SettingsError, match="shadow_owner"):
        parse_settings({"detectors_shadow": ["rhythm"]}, "x")
    made = parse_settings({"detectors_shadow": ["rhythm"], "shadow_owner": "data desk"}, "x")
    assert made.detectors_shadow == ("rhythm",)


def test_files(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('time_zone = "Europe/Berlin"\n[[reasons.roles.x.reasons]]\ntemplate = "held"\n', encoding="utf-8")
    assert parse_settings(load_settings(good), "good.toml").reasons.roles["x"].reasons[0].label == "held"
    bad.write_bytes(b"time_zone = \xff")
    for path in (bad, tmp_path / "none.toml"):
        with pytest.raises(SettingsError, match=path.name):
            load_settings(path)


def test_settings_cannot_be_changed_behind_the_journal() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().time_zone = "UTC"


def test_every_field_and_template_is_documented() -> None:
    fields = {name for section in SECTIONS for name in section.model_fields}
    named = set(re.findall(r"`(\w+)`", DOC))
    assert fields <= named, f"docs/settings.md: add {sorted(fields - named)}"
    reasons = (Path(__file__).resolve().parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in reasons for name in TEMPLATES)


def test_documented_numbers_are_the_defaults() -> None:
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            default = field.default
            if isinstance(default, (int, float)) and not isinstance(default, bool):
                assert float(ROWS[name].replace(",", "")) == pytest.approx(float(default)), name
