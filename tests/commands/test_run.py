"""`watchbill run` in a process of its own: stopped, killed, read while it works, two at once."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands.conftest import Told
from commands.shell import one_line, start, text_of, until
from watchbill.ledger.reader import Ledger

Run = Callable[..., Told]
TOKEN = "a-token-of-this-test-0123"  # noqa: S105 - made up
PLANTED = ("王小明", "13912345678", "acc-of-a-person")
SETTINGS = f"""
home = "home"
checkpoint_seconds = 0.3
reload_seconds = 0.2
reference = "reference"
[sources.desk]
paths = ["in"]
follow = true
poll_seconds = 0.05
[sources.push]
kind = "http"
token = "{TOKEN}"
[http]
port = PORT
"""


def look(number: int, **more: object) -> dict[str, object]:
    """A look that happens now; it names people in every field that may."""
    name, phone, account = PLANTED
    return {
        "id": f"x{number}", "time": time.time_ns() // 1_000_000, "kind": "view", "account": account, "waybill": f"W{number}",
        "subjects": [f"{name}{number}"], "fields": ["recipient.phone"], "reason": f"{name} asked, call {phone}",
        "note": phone,
    } | more  # fmt: skip


class Live:
    """A running `watchbill run`; `said` gathers what it writes to standard error."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.process = start("run", "--config", place / "watchbill.toml", "--json")
        self.said: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        until(lambda: self.url or self.process.poll() is not None)
        if not self.url:
            self.close()  # an open pipe would fail another test
        assert self.url, "".join(self.said)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.decode())

    @property
    def url(self) -> str:
        found = re.search(r"listening on (\S+)", "".join(self.said))
        return f"http://{found[1]}/v1/records" if found else ""

    def post(self, *rows: dict[str, object]) -> httpx.Response:
        told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
        return httpx.post(self.url, content=text_of(*rows), headers=told, timeout=30)

    def end(self, how: signal.Signals = signal.SIGTERM) -> dict[str, Any]:
        self.process.send_signal(how)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        self.process.wait(60)
        return json.loads(out) if out.strip() else {}

    def close(self) -> None:
        """Killed, if it still runs; nothing of it is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        self.reader.join(60)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with settings, sources and reference tables."""
    (tmp_path / "in").mkdir()
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\n")
    (tmp_path / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (tmp_path / "watchbill.toml").write_text(SETTINGS.replace("PORT", "0"))
    return tmp_path


@pytest.fixture
def live(place: Path) -> Iterator[Live]:
    """Started; killed whatever happens."""
    one = Live(place)
    yield one
    one.close()


def test_read_while_it_runs_refused_to_others_and_ended_by_sigterm(run: Run, live: Live, place: Path) -> None:
    home = place / "home"
    for number in range(5):
        assert live.post(look(number)).status_code == 202
        seen = run("saw", PLANTED[2], "--home", home, "--json").json
        assert (seen["persons"], seen["height"] > number) == (number + 1, True)
    assert live.post(look(5), look(6, kind="view", account=None)).json()["quarantined"] == 1
    assert run("verify", "--home", home, "--json").json["ok"] is True
    until(lambda: run("status", "--home", home, "--json").json.get("records") == 6)
    status = run("status", "--home", home, "--json").json
    assert status["sources"]["push"]["silent"] is False
    assert status["sources"]["desk"] == {"last_arrival": None, "lag_ms": None, "silent": True}
    assert run("status", "--home", home).code == 0
    other = run("replay", place / "watchbill.toml", "--home", home, "--out", place / "o", "--json")
    assert other.code == 2
    assert "another process" in one_line(other.err)
    second = start("run", "--config", place / "watchbill.toml")
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (2, b"")
    assert "another process" in one_line(err.decode())
    summary = live.end()
    assert live.process.returncode == 0
    assert summary["records"] == {"view": 6}
    assert summary["ledger_sealed"] == summary["ledger_height"] == Ledger(home).sealed
    assert json.loads((home / "out" / "summary.json").read_text()) == summary
    assert run("verify", "--home", home, "--json").json["ok"] is True
    no_names(home, "".join(live.said))


def no_names(home: Path, told: str) -> None:
    """No file but the records themselves, and no line of a log, names anyone."""
    texts = {"standard error": told}
    kept = {"journal", "segments", "state", "parts", "out", "cases.ndjson", "quarantine.ndjson", "interventions.ndjson"}
    for path in home.rglob("*"):
        inside = path.relative_to(home).parts
        if path.is_file() and inside[0] not in kept:
            texts["/".join(inside)] = path.read_bytes().decode("utf-8", "replace")
    texts["out/summary.json"] = (home / "out" / "summary.json").read_text()
    assert {"status.json", "summary.json"} <= set(texts)
    for where, text in texts.items():
        for name in PLANTED:
            assert name not in text, where


def test_killed_while_it_is_posted_to_no_202_is_lost(place: Path) -> None:
    taken: list[str] = []
    number = 0
    for attempt in range(3):
        one = Live(place)
        first = number
        while one.process.poll() is None:
            if number == first + 20:
                threading.Timer(0.05 * attempt, one.process.kill).start()
            try:
                answer = one.post(look(number), look(number + 1))
            except httpx.HTTPError:
                break
            if answer.status_code == 202:
                taken += [f"x{number}", f"x{number + 1}"]
            number += 2
        one.close()
    assert len(taken) > 40
    last = Live(place)
    assert last.post(look(999_999)).status_code == 202
    summary = last.end()
    last.close()
    ledger = Ledger(place / "home")
    there = {row for table in ledger.records(["id"]) for row in table.column("id").to_pylist()}
    assert set(taken) <= there
    assert summary["records"]["view"] == summary["looks"] >= len(taken) + 1


def test_a_followed_file_is_rotated_and_truncated(live: Live, place: Path) -> None:
    home, log = place / "home", place / "in" / "a.ndjson"

    def there(*numbers: int) -> None:
        until(lambda: all(Ledger(home).find("id", f"x{n}").num_rows == 1 for n in numbers))

    log.write_bytes(text_of(look(1), look(2)))
    there(1, 2)
    log.rename(place / "in" / "a.1.ndjson")
    log.write_bytes(text_of(look(3)))
    with (place / "in" / "a.1.ndjson").open("ab") as old:
        old.write(text_of(look(4)))
    there(3, 4)
    log.write_bytes(text_of(look(5)))
    there(5)
    live.process.kill()
    live.process.wait(60)
    with log.open("ab") as grown:
        grown.write(text_of(look(6)))
    again = Live(place)
    there(6)
    assert again.end()["records"] == {"view": 6}
    again.close()


def test_a_port_in_use_is_one_line(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (place / "watchbill.toml").write_text(SETTINGS.replace("PORT", str(port)))
        process = start("run", "--config", place / "watchbill.toml")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, b"")
    assert "cannot listen" in err.decode().strip().splitlines()[-1]
    assert "Traceback" not in err.decode()


def test_wrong_settings_are_one_line_and_leave_nothing_behind(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    for text, word in {
        "": "no source",
        "[sources.a]\nkind = 'smoke'\n": "kind",
        "[sources.a]\nkind = 'http'\ntoken = 5\n": "token",
        "reference = 'nowhere'\n[sources.a]\npaths = ['.']\n": "nowhere",
        "checkpoint_seconds = 0\n": "checkpoint_seconds",
        "x = [": "TOML",
    }.items():
        file.write_text(text)
        told = run("run", "--config", file)
        assert (told.code, told.out) == (2, "")
        assert word in one_line(told.err), text
        assert list(tmp_path.iterdir()) == [file]
