"""`watchbill actions`: the outbox for people, while something else may write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from commands.conftest import Told
from commands.shell import one_line
from watchbill.lab.simulator.world import WorldReport
from watchbill.responses.base import Order
from watchbill.runners.outbox import Outbox

Run = Callable[..., Told]
SETTINGS = """
home = "home"
[actions.door]
kind = "command"
argv = ["/bin/false"]
[actions.chat]
kind = "notify"
on = []
urls = ["json://127.0.0.1:9/a-secret-token"]
[actions.idp]
kind = "caep"
issuer = "https://watch.example.com"
audience = "idp"
subject_format = "email"
subject = "{account}@example.com"
[on_call]
actions = ["chat"]
"""


def order(number: int, account: str = "E1") -> Order:
    return Order(
        f"msg_{number}",
        "apply",
        "step",
        "suspend",
        1_750_000_000_000,
        1_750_000_900_000,
        "c7",
        account,
        txn=f"t{number}",
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home where one entry awaits approval, one is dead, and one suspension was not looked at."""
    place = tmp_path / "home"
    with Outbox(place) as outbox:
        outbox.add("door", "account:E1", order(1), 1_750_000_000_000, state="awaiting_approval")
        outbox.add("door", "account:E2", order(2, "E2"), 1_750_000_000_000)
        entry = outbox.claim("door", 1_750_000_000_000)
        assert entry is not None
        outbox.failed(entry, 1_750_000_000_000, "[actions.door]: ended with code 1", next_at=None)
        outbox.unattended(order(1), 1_750_000_900_000, "chat")
    return place


def test_listed_approved_refused_and_retried(run: Run, home: Path) -> None:
    with Outbox(home) as live:  # somebody runs meanwhile
        said = run("actions", "--home", home, "--json").json
        assert (said["counts"]["awaiting_approval"], said["counts"]["dead"]) == (1, 1)
        assert said["entries"][0]["note"] == "[actions.door]: ended with code 1"
        assert said["unattended"] == [
            {"case": "c7", "began": 1_750_000_000_000, "until": 1_750_000_900_000, "noticed": 1_750_000_900_000, "paged": "chat"}
        ]  # fmt: skip
        text = run("actions", "--home", home).out
        for word in ("awaiting approval", "E1", "c7", "1 dead", "nobody looked at in time"):
            assert word in text
        dead = run("actions", "dead", "--home", home, "--json").json["entries"]
        assert [one["id"] for one in dead] == [2]
        assert "code 1" in run("actions", "dead", "--home", home).out
        assert (
            run("actions", "approve", 1, "--by", "lead-1", "--home", home, "--json").json["decided"]
            == "approved by lead-1"
        )
        assert "waits" in run("actions", "retry", 2, "--home", home).out
        assert [entry.state for entry in live.listed()] == ["waiting", "waiting"]
        again = run("actions", "approve", 1, "--by", "lead-1", "--home", home)
        assert (again.code, "awaits approval" in one_line(again.err)) == (1, True)
        live.add("door", "account:E3", order(3, "E3"), 0, state="awaiting_approval")
        assert "refused" in run("actions", "refuse", 3, "--by", "lead-1", "--home", home).out
        assert live.get(3).state == "skipped"


def test_status_has_what_waits_for_a_person(run: Run, home: Path, world: WorldReport) -> None:
    replayed = run("replay", world.out / "records", "--home", home, "--out", home.parent / "out", "--json")
    assert replayed.code == 0, replayed.err
    said = run("status", "--home", home, "--json").json["actions"]
    assert (said["awaiting_approval"], said["dead"], said["unattended"]) == (1, 1, 1)
    assert "1 actions wait for a person, 1 are dead letters" in run("status", "--home", home).out
    assert [one["state"] for one in run("actions", "--home", home, "--json").json["entries"]] == [
        "dead",
        "awaiting_approval",
    ]


def test_what_is_wrong_is_one_line(run: Run, home: Path, tmp_path: Path) -> None:
    for words, word, code in [
        (("actions", "--home", tmp_path / "none"), "no outbox", 1), (("actions", "retry", 1, "--home", home), "dead letter", 1),
        (("actions", "approve", 1, "--by", "王小明 13912345678", "--home", home), "pseudonym", 2),
        (("actions", "try", "nobody", "--config", tmp_path / "w.toml"), "no such action", 1),
        (("actions", "try", "door", "--step", "jail", "--config", tmp_path / "w.toml"), "no step", 2),
    ]:  # fmt: skip
        (tmp_path / "w.toml").write_text(SETTINGS)
        told = run(*words)
        assert (told.code, told.out) == (code, "")
        assert word in one_line(told.err)
    assert not (tmp_path / "none").exists()


def test_a_dry_run_says_what_would_be_sent_and_touches_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    file.write_text(SETTINGS)
    door = run("actions", "try", "door", "--config", file, "--json").json
    assert [(one["verb"], one["sends"]["stdin"]["type"]) for one in door["would"]] == [
        ("apply", "watchbill.step.applied"), ("undo", "watchbill.step.undone"),
    ]  # fmt: skip
    idp = run("actions", "try", "idp", "--config", file, "--account", "E7", "--json").json
    assert idp["would"][0]["sends"]["claims"]["sub_id"]["email"] == "E7@example.com"
    chat = run("actions", "try", "chat", "--config", file)
    assert "请立即查看" in chat.out
    assert "not told of this step" in chat.out
    assert "a-secret-token" not in chat.out
    assert "not told of this step" in run("actions", "try", "idp", "--step", "mask", "--config", file).out
    assert list(tmp_path.iterdir()) == [file]
