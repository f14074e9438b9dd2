"""The client against `watchbill run` itself: decisions, the confirming log, an outage with spooled looks, a restart."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from commands.shell import start
from watchbill.client.http import BlockingClient
from watchbill.client.look import Look
from watchbill.client.looklog import LookLog
from watchbill.client.settings import client_settings
from watchbill.ledger.reader import Ledger
from watchbill.responses.asks import Ask

TOKEN, SPOOL_TOKEN = "a-token-of-this-test-0123", "another-of-this-test-0123"
SETTINGS = f"""
home = "home"
reference = "reference"
[engine.reasons.roles.courier]
reasons = []
looks_a_day = 5
[decisions]
answer_ms_max = 20000
[decisions.callers.desk]
token = "{TOKEN}"
[sources.log]
paths = ["in"]
follow = true
poll_seconds = 0.05
[sources.spool]
kind = "http"
token = "{SPOOL_TOKEN}"
[http]
port = PORT
"""


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


class Run:
    """`watchbill run` in a process of its own."""

    def __init__(self, place: Path) -> None:
        self.process = start("run", "--config", place / "watchbill.toml", "--json")
        self.said: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        end = time.monotonic() + 90
        while not re.search(r"listening on", "".join(self.said)):
            assert self.process.poll() is None, "".join(self.said)
            assert time.monotonic() < end
            time.sleep(0.02)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.decode())

    def end(self) -> dict[str, Any]:
        self.process.terminate()
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        self.process.wait(60)
        self.reader.join(60)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return dict(json.loads(out))


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, str]:
    for name in ("in", "reference"):
        (tmp_path / name).mkdir()
    (tmp_path / "reference" / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\na2,courier,O1\n")
    (tmp_path / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
    port = free_port()
    (tmp_path / "watchbill.toml").write_text(SETTINGS.replace("PORT", str(port)))
    return tmp_path, f"http://127.0.0.1:{port}"


def ask(number: int, account: str = "a1") -> Ask:
    return Ask(
        f"q{number}",
        account,
        waybill=f"W{number}",
        subjects=(f"p{number}",),
        fields=("recipient.phone", "recipient.id_number"),
    )


def warm(url: str) -> None:
    """Wait for the first answer: in a fresh checkout the engine's kernels are compiled meanwhile."""
    client = BlockingClient(client_settings(url=url, token=TOKEN, timeout_seconds=20))
    end = time.monotonic() + 100
    while (
        client.decide([Ask("warm", "a2", waybill="W", subjects=("p",), fields=("recipient.phone",))])[0].why
        == "unavailable"
    ):
        assert time.monotonic() < end
    client.close()


def looks(home: Path) -> list[dict[str, Any]]:
    table = pa.concat_tables(list(Ledger(home).records(["kind", "source", "id", "decision", "fields", "waybill"])))
    return [row for row in table.sort_by("seq").to_pylist() if row["kind"] == "view"]


@pytest.mark.timeout(300)  # in a fresh checkout the kernels are compiled first
def test_decisions_the_log_that_confirms_them_and_an_outage(place: tuple[Path, str]) -> None:
    folder, url = place
    log = LookLog(folder / "in" / "looks.ndjson")
    client = BlockingClient(
        client_settings(
            url=url, token=TOKEN, records_token=SPOOL_TOKEN, spool_folder=str(folder / "spool"), on_failure={"view": "few"},
            few_looks=2, timeout_seconds=20, deliver_seconds=0.1, open_seconds=0.1,
        )
    )  # fmt: skip
    run = Run(folder)
    try:
        warm(url)
        first = [Look(one, client.decide([one])[0]) for one in map(ask, range(30))]
        again = client.decide([ask(0)])[0]
        several = client.decide([ask(0), ask(1)])
        for look in first:
            record = look.record(time.time_ns() // 1_000_000)
            assert record is not None
            log(record)
        time.sleep(1.0)
    finally:
        ended = run.end()
    assert (first[0].level("recipient.phone"), first[0].level("recipient.id_number")) == ("plain", "hidden")
    assert first[29].level("recipient.phone") == "masked"  # the bucket of a courier without reasons
    assert again.id == first[0].decided.id
    assert len(several) == 2
    assert ended["decisions"]["allow"] >= 1
    assert ended["quarantined"] == 0

    down = [client.decide([ask(number, "a2")])[0] for number in range(100, 103)]
    assert [one.reveals for one in down] == [True, True, False]
    assert not client.decide([ask(103)])[0].reveals  # a1 is under a step, as Watchbill said last

    run = Run(folder)
    try:
        time.sleep(0.3)
        assert client.decide([ask(200, "a2")])[0].why != "unavailable"
        end = time.monotonic() + 10
        while any((folder / "spool").iterdir()) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        ended = run.end()
        client.close()
        log.close()
    found = looks(folder / "home")
    spooled = [row["waybill"] for row in found if row["source"] == "spool"]
    assert sorted(spooled) == ["W100", "W101"]
    confirmed = [row for row in found if row["source"] == "log"]
    assert {row["decision"] for row in confirmed} == {look.decided.id for look in first}
    assert ended["quarantined"] == 0
