"""Actions of a settings file, and what the engine holds of an account."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from watchbill.context.context import grown
from watchbill.context.lone import DEVICE_MARK
from watchbill.core.errors import SettingsError
from watchbill.core.settings import Settings
from watchbill.responses.base import Order
from watchbill.responses.policy import FOREVER, STANDING, STEP_UP, SUSPEND
from watchbill.runners.acting import ACTIONS_MAX, open_actions, open_dispatcher, standing_in
from watchbill.runners.clock import ManualClock
from watchbill.runners.config import load_config
from watchbill.runners.dispatch import Now
from watchbill.runners.engine import Engine
from watchbill.runners.outbox import Outbox

CAEP = 'kind = "caep"\naudience = "x"\nsubject_issuer = "https://idp.example.com"\nissuer = "https://{}.example.com"\n'


def config(folder: Path, text: str) -> Path:
    path = folder / "w.toml"
    path.write_text(text)
    return path


def test_none_configured_none_opened(tmp_path: Path) -> None:
    loaded = load_config(config(tmp_path, 'home = "home"\n'))
    assert open_dispatcher(loaded, ManualClock(), lambda _text: None) is None
    assert not (tmp_path / "home").exists()


def test_entries_that_nothing_sends_any_more_are_said(tmp_path: Path) -> None:
    loaded = load_config(config(tmp_path, 'home = "home"\n'))
    with Outbox(tmp_path / "home") as outbox:
        outbox.add("old", "w", Order("m", "apply", "step", "suspend", 0), 0)
    said: list[str] = []
    dispatcher = open_dispatcher(loaded, ManualClock(), said.append)
    assert dispatcher is not None
    assert "[actions.old]" in said[0]
    dispatcher.outbox.close()


def test_a_dry_opening_writes_nothing_and_files_stand_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("account,subject\nE1,s1\n")
    text = 'home = "home"\n[actions.idp]\n' + CAEP.format("w") + 'subjects_file = "names.csv"\n'
    loaded = load_config(config(tmp_path, text))
    actions = open_actions(loaded, ManualClock())
    order = Order("m", "apply", "step", "suspend", 0, account="E1")
    assert actions["idp"].describe(order)["claims"]["sub_id"]["sub"] == "s1"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[actions]\nidp = 5\n", "not a table"), ("[actions.'a b']\nkind = 'command'\nargv = ['true']\n", "name"),
        ("[actions.a]\n" + CAEP.format("a") + "[actions.b]\n" + CAEP.format("b"), "issuer differs"),
        ("[on_call]\nactions = ['nobody']\n", "can page"), ("[on_call]\nnames = []\n", "something else"),
        ("[actions.a]\n" + CAEP.format("a") + "[on_call]\nactions = ['a']\n", "can page"),
        ("[outbox]\nage_minutes = 0\n", "age_minutes"),
        ("".join(f"[actions.a{n}]\nkind = 'command'\nargv = ['true']\n" for n in range(ACTIONS_MAX + 1)), "more than"),
    ],
)  # fmt: skip
def test_wrong_settings_say_which(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        open_actions(load_config(config(tmp_path, text)), ManualClock())


def test_what_the_engine_holds(tmp_path: Path) -> None:
    engine = Engine(tmp_path, Settings(), ManualClock(1))
    standing_of = standing_in(engine)
    assert standing_of("E1", "", 0) is None
    pipeline = engine.pipeline
    for name in ("E1", DEVICE_MARK + "D1"):
        pipeline.context.accounts.add(name)
    pipeline.standing = grown(pipeline.standing, 2)
    pipeline.standing[0] = np.array((77, 0, 0, 0, SUSPEND, 0, 0), STANDING)
    pipeline.standing[1] = np.array((FOREVER, 0, 0, 0, STEP_UP, STEP_UP, 0), STANDING)
    assert standing_of("E1", "", 76) == Now("suspend", 77)
    lapsed = standing_of("E1", "", 77)
    assert lapsed is not None
    assert lapsed.step == "mask"  # though no record came
    assert standing_of("", "D1", 78) == Now("step_up", None)
    engine.close()
