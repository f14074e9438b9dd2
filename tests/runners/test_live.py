"""`watchbill run` over real loopback HTTP and real growing files."""

from __future__ import annotations

import gzip
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from watchbill.casedb.store import CaseStore
from watchbill.cases.acts import CaseAct
from watchbill.cases.verdicts import Verdict
from watchbill.commands.proof import seal_now
from watchbill.core.errors import RefusedError, SettingsError
from watchbill.inquiry.complaints import book_of
from watchbill.ledger.reader import Ledger
from watchbill.ledger.verify import verify
from watchbill.ledger.witnessed import check_against, notes_in
from watchbill.runners.clock import SystemClock
from watchbill.runners.config import load_config
from watchbill.runners.delivery import deliver, said_now
from watchbill.runners.live import LiveRunner
from watchbill.web.door import open_door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "a-token-of-this-test-0123"  # noqa: S105 - made up
SETTINGS = f"""
home = "home"
checkpoint_seconds = 0.5
reload_seconds = 0.2
reference = "reference"
[sources.desk]
kind = "files"
paths = ["in"]
follow = true
poll_seconds = 0.05
[sources.push]
kind = "http"
token = "{TOKEN}"
[http]
port = 0
"""


def lines(*numbers: int) -> bytes:
    """Looks that happened just now."""
    now = time.time_ns() // 1_000_000
    rows = (
        {"id": f"x{n}", "time": now, "kind": "view", "account": "a1", "waybill": f"W{n}", "subjects": [f"p{n}"]}
        for n in numbers
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with settings, sources and reference tables."""
    (tmp_path / "in").mkdir()
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\n")
    (tmp_path / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (tmp_path / "watchbill.toml").write_text(SETTINGS)
    return tmp_path


class Running:
    """A live runner in a thread."""

    def __init__(self, place: Path) -> None:
        self.runner = LiveRunner(load_config(place / "watchbill.toml"), door=open_door)
        self.summary: dict[str, Any] = {}
        self.thread = threading.Thread(target=lambda: self.summary.update(self.runner.run()))
        self.thread.start()
        assert self.runner.ready.wait(60)

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        assert self.runner.address is not None
        host, port = self.runner.address
        told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"} | headers
        return httpx.post(f"http://{host}:{port}/v1/records", content=body, headers=told, timeout=30)

    def end(self) -> dict[str, Any]:
        self.runner.stop()
        self.thread.join(60)
        return self.summary


@pytest.fixture
def running(place: Path) -> Iterator[Running]:
    """Started, and stopped whatever happens."""
    it = Running(place)
    yield it
    it.end()


def test_complaints_are_attributed_while_it_runs(place: Path) -> None:
    text = SETTINGS.replace("reload_seconds = 0.2", "reload_seconds = 0.2\ncomplaints_seconds = 0.5")
    (place / "watchbill.toml").write_text(text)
    it = Running(place)
    try:
        now = time.time_ns() // 1_000_000
        rows = [
            json.loads(line) | {"time": now - 60_000, "account": f"a{n % 7}"}
            for n, line in enumerate(lines(*range(300)).splitlines())
        ]
        rows += [
            {"id": f"c{n}", "time": now, "kind": "complaint", "waybill": f"W{n * 7 + 1}", "subjects": [f"p{n * 7 + 1}"]}
            for n in range(9)
        ]
        assert it.post("".join(json.dumps(row) + "\n" for row in rows).encode()).status_code == 202
        until(lambda: bool(book_of(place / "home").entries()), 60)
    finally:
        it.end()
    assert [one.said["who"] for one in book_of(place / "home").entries()] == ["account a1"]


def test_a_202_means_that_it_is_on_disk(running: Running, place: Path) -> None:
    answer = running.post(lines(1, 2, 3))
    assert answer.status_code == 202, answer.text
    height = answer.json()["height"]
    assert Ledger(place / "home").height >= height
    assert Ledger(place / "home").find("id", "x2").num_rows == 1
    again = running.post(gzip.compress(lines(4)), **{"Content-Encoding": "gzip"})
    assert again.status_code == 202
    assert again.json()["height"] == height + 1


def test_files_that_grow_and_http_share_one_journal(running: Running, place: Path) -> None:
    (place / "in" / "a.ndjson").write_bytes(lines(*range(10, 15)))
    until(lambda: Ledger(place / "home").find("id", "x14").num_rows == 1)
    with (place / "in" / "a.ndjson").open("ab") as grown:
        grown.write(lines(15))
    assert running.post(lines(16)).status_code == 202
    until(lambda: Ledger(place / "home").find("id", "x15").num_rows == 1)
    summary = running.end()
    assert summary["records"] == {"view": 7}
    assert summary["ledger_sealed"] == summary["ledger_height"]


def test_a_bad_line_is_quarantined_and_said(running: Running) -> None:
    answer = running.post(lines(1) + b'{"kind":"view"}\nnot json\n')
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["quarantined"]) == (1, 2)


def test_no_token_no_entry(running: Running) -> None:
    assert running.post(lines(1), Authorization="Bearer somebody-else-s-token").status_code == 401


def test_a_new_roster_is_in_force_without_a_restart(running: Running, place: Path) -> None:
    assert running.post(lines(1)).status_code == 202
    (place / "reference" / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\na2,courier,O1\n")
    until(lambda: any("accounts" in path.name for path in (place / "home" / "reference").glob("accounts-*"))
          and len(list((place / "home" / "reference").glob("accounts-*"))) == 2)  # fmt: skip
    assert running.post(lines(2)).status_code == 202
    controls = [row for table in Ledger(place / "home").records(["kind"]) for row in table.column("kind").to_pylist()]
    assert controls.count("wb.reload") == 3


def test_stopped_and_started_again_it_goes_on(place: Path) -> None:
    first = Running(place)
    assert first.post(lines(1)).status_code == 202
    first.end()
    second = Running(place)
    assert second.post(lines(2)).status_code == 202
    summary = second.end()
    assert summary["records"] == {"view": 2}


def test_its_checkpoints_are_published_and_a_pack_beside_it_seals(place: Path) -> None:
    settings = place / "watchbill.toml"
    settings.write_text(settings.read_text() + '[witness]\nfile = "witness.txt"\nevery_seconds = 1\n')
    running = Running(place)
    assert running.post(lines(1, 2)).status_code == 202
    home = running.runner.config.home
    assert seal_now(home).sealed >= 2  # another process may seal beside the running engine
    until((place / "witness.txt").exists)
    assert running.post(lines(3)).status_code == 202
    running.end()
    published = (place / "witness.txt").read_bytes()
    assert len(notes_in(published)) > 1
    assert check_against(home, published).ok
    assert verify(home).ok


def test_settings_that_are_wrong_say_so(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text("[sources.a]\nkind = 'smoke'\n")
    with pytest.raises(SettingsError, match="kind"):
        LiveRunner(load_config(tmp_path / "w.toml"))
    (tmp_path / "w.toml").write_text("hom = 'x'\n")
    with pytest.raises(SettingsError, match="hom is not a setting"):
        load_config(tmp_path / "w.toml")


def test_what_people_do_meanwhile_stands_in_the_database_that_settings_name(place: Path) -> None:
    home, clock = place / "home", SystemClock()
    url = f"sqlite:///{place / 'elsewhere.sqlite'}"
    (place / "watchbill.toml").write_text(SETTINGS + f'[cases]\nurl = "{url}"\n')
    running = Running(place)
    try:
        (place / "in" / "a.ndjson").write_bytes(lines(1))
        until(lambda: Ledger(home).height > 1)
        given = {"account": "a1", "verdict": "confirmed", "reason": "owner", "by": "r1"}
        assert deliver(home, said_now(given, clock, Verdict), clock, 20)["in_force"]
        until(lambda: (home / "cases.ndjson").exists() and "confirmed" in (home / "cases.ndjson").read_text())
        (row,) = [json.loads(line) for line in (home / "cases.ndjson").read_text().splitlines()]
        words: dict[str, Any] = {"case": row["id"], "by": "r1", "act": "assign", "to": "r2"}
        assert deliver(home, said_now(words, clock, CaseAct), clock, 20)["in_force"]
        with pytest.raises(RefusedError, match="confirmed takes no review"):
            deliver(home, said_now(words | {"act": "review", "to": ""}, clock, CaseAct), clock, 20)

        def written() -> bool:
            store = CaseStore(url, write=False)
            try:
                return [one["what"] for one in store.history(row["id"])] == ["opened", "confirmed", "assign"]
            finally:
                store.close()

        until(written)
        assert not (home / "cases.sqlite").exists()
    finally:
        running.end()
