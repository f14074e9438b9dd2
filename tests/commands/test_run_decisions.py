"""`watchbill run` is killed in the middle of a load of decisions: no look that was revealed is missing, record by record."""

from __future__ import annotations

import json
import random
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from commands.test_run import Live
from watchbill.inquiry.exposure import saw
from watchbill.ledger.reader import Ledger

SEED = 20261128
TOKEN = "a-token-of-this-test"  # noqa: S105 - it opens nothing
SETTINGS = f"""
home = "home"
reference = "reference"
checkpoint_seconds = 0.5
[http]
port = 0
[decisions]
[decisions.callers.desk]
token = "{TOKEN}"
"""
ACCOUNTS = 20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "reference").mkdir()
    rows = "".join(f"a{n},courier,O1\n" for n in range(ACCOUNTS))
    (tmp_path / "reference" / "accounts.csv").write_text("account,role,outlet\n" + rows)
    (tmp_path / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (tmp_path / "watchbill.toml").write_text(SETTINGS)
    return tmp_path


def asked(number: int) -> dict[str, Any]:
    properties = {"subjects": [f"p{number}"], "fields": ["recipient.phone", "recipient.id_number"]}
    return {
        "subject": {"type": "user", "id": f"a{number % ACCOUNTS}"}, "action": {"name": "view"},
        "resource": {"type": "waybill", "id": f"W{number}", "properties": properties},
    }  # fmt: skip


def drive(url: str, first: int, step: int, answers: dict[int, dict[str, Any]]) -> None:
    """Ask without end, until the server is gone; what was answered is kept."""
    told = {"Authorization": f"Bearer {TOKEN}"}
    number = first
    try:
        with httpx.Client(headers=told, timeout=20) as client:
            while number < first + 3_000 * step:
                answer = client.post(url, json=asked(number), headers={"X-Request-ID": f"r{number}"})
                if answer.status_code == 200:
                    answers[number] = answer.json()["context"]["watchbill"]
                number += step
    except httpx.HTTPError:
        return


def test_killed_in_the_middle_of_load_no_revealed_look_is_missing(place: Path) -> None:
    rng = random.Random(SEED)
    answers: dict[int, dict[str, Any]] = {}
    for attempt in range(3):
        live = Live(place)
        url = live.url.replace("/v1/records", "/access/v1/evaluation")
        threads = [
            threading.Thread(target=drive, args=(url, attempt * 1_000_000 + n, 4, answers), daemon=True)
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        threading.Timer(0.4 + rng.random(), live.process.send_signal, [signal.SIGKILL]).start()
        for thread in threads:
            thread.join(60)
        live.close()
    assert len(answers) > 100, f"seed {SEED}"
    last = Live(place)
    last.end()
    last.close()
    whole = pa.concat_tables(
        list(Ledger(place / "home").records(["kind", "decision", "waybill", "fields", "extra", "account"]))
    )
    looks = {row["decision"]: row for row in whole.to_pylist() if row["kind"] == "view"}
    told = {row["decision"]: row for row in whole.to_pylist() if row["kind"] == "wb.decision"}
    for number, answer in answers.items():
        look = looks[answer["id"]]
        assert (look["account"], look["waybill"]) == (f"a{number % ACCOUNTS}", f"W{number}"), f"seed {SEED}"
        said = json.loads(told[answer["id"]]["extra"])
        assert (said["decision"], said.get("levels", {})) == (answer["decision"], answer.get("fields", {}))
    assert set(told) == set(looks)  # also of those whose answer nobody heard
    plain = [n for n, answer in answers.items() if "plain" in answer.get("fields", {}).values()]
    seen = {one.subject for n in range(ACCOUNTS) for one in saw(place / "home", f"a{n}").subjects}
    assert {f"p{n}" for n in plain} <= seen
