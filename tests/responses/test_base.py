"""Orders, events and the registry of actions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from watchbill.core.errors import SettingsError
from watchbill.responses.base import SHARED, ActionSettings, Around, Order, event_of, kinds, load, open_action

ROOT = Path(__file__).parents[2]
AROUND = Around(Path("nowhere"), lambda: 0, lambda: 0.0)
ORDER = Order(
    "msg_1", "apply", "step", "suspend", 1_750_000_000_123, 1_750_000_900_000, "c7", "E1", families=("reason",)
)


def test_the_folder_is_the_registry() -> None:
    files = {path.stem for path in (ROOT / "src/watchbill/responses").glob("*.py")} - {"__init__"}
    assert set(kinds()) == files - SHARED
    for kind in kinds():
        assert issubclass(load(kind).Settings, ActionSettings)


def test_every_setting_of_every_kind_is_documented() -> None:
    text = (ROOT / "docs/actions.md").read_text() + (ROOT / "docs/settings.md").read_text()
    for kind in kinds():
        for name in load(kind).Settings.model_fields:
            assert f"`{name}`" in text, f"{kind}: {name}"


def test_an_order_comes_back_from_the_outbox_as_it_was() -> None:
    assert Order.from_json(ORDER.to_json()) == ORDER


def test_an_event_holds_the_account_only_where_settings_say_so() -> None:
    told = event_of(ORDER, ActionSettings(kind="x", link="https://w.example.com/cases/{case}"))
    assert told == {
        "id": "msg_1", "type": "watchbill.step.applied", "timestamp": "2025-06-15T15:06:40.123Z",
        "data": {"step": "suspend", "case": "c7", "until": 1_750_000_900_000, "evidence": ["reason"], "account": "E1",
                 "link": "https://w.example.com/cases/c7"},
    }  # fmt: skip
    assert "E1" not in json.dumps(event_of(ORDER, ActionSettings(kind="x", account=False)))
    device = Order("m", "undo", "step", "mask", 0, device="D9", undoes="msg_0")
    said = event_of(device, ActionSettings(kind="x"))
    assert said["type"] == "watchbill.step.undone"
    assert (said["data"]["device"], said["data"]["undoes"]) == ("D9", "msg_0")


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({}, "kind"), ({"kind": "smoke"}, "no such kind"), ({"kind": "command"}, "argv"),
        ({"kind": "command", "argv": ["true"], "shell": True}, "shell"),
        ({"kind": "command", "argv": ["true"], "on": ["none"]}, "on"),
        ({"kind": "command", "argv": ["true"], "link": "javascript:alert(1)"}, "link"),
        ({"kind": "base"}, "no such kind"),
    ],
)  # fmt: skip
def test_wrong_settings_say_which(table: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        open_action("it", table, AROUND)
