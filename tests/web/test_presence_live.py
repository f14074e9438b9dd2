"""A running Watchbill over loopback HTTP: an account that has to prove presence does, and only its session is free."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from runners.counter import AWAY, write_tables
from watchbill.core.errors import SettingsError
from watchbill.detectors.base import detector_ids
from watchbill.ledger.reader import Ledger
from watchbill.runners.config import load_config
from watchbill.runners.live import LiveRunner
from watchbill.runners.presencekeys import PresenceKeys
from watchbill.web.authzen import EVALUATION_PATH
from watchbill.web.door import open_door
from web.authenticator import ORIGIN, RP_ID, Authenticator

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN, PROVING = "a-token-of-this-test", "another-token-of-this-test"
CLERK = {"device": "PC1", "ip": "114.1.0.7", "session": "s-clerk"}
"""Not in the office network, where a look alone would prove presence."""
OFF = [name for name in detector_ids() if name not in {"canary", "bounded_loss"}]
SETTINGS = f"""
home = "home"
reference = "reference"
[engine]
detectors_off = {OFF}
[engine.policy]
ask_reason_at = 2.0
step_up_at = 3.0
throttle_at = 1e30
end_session_at = 1e31
suspend_at = 1e32
bridge_url = "https://bridge.example.com/{{waybill}}"
[http]
port = 0
[decisions]
base_url = "https://watch.example.com/"
answer_ms_max = 20000
[decisions.callers.desk]
token = "{TOKEN}"
[presence]
rp_id = "{RP_ID}"
origins = ["{ORIGIN}"]
token = "{PROVING}"
"""


class House:
    """A runner in a thread, and the firm's desk that asks it."""

    def __init__(self, place: Path) -> None:
        write_tables(place / "reference")
        (place / "watchbill.toml").write_text(SETTINGS)
        self.runner = LiveRunner(load_config(place / "watchbill.toml"), door=open_door)
        self.thread = threading.Thread(target=self.runner.run)
        self.thread.start()
        assert self.runner.ready.wait(60)
        self.number = 0

    def close(self) -> None:
        self.runner.stop()
        self.thread.join(60)

    def post(self, path: str, body: dict[str, Any], token: str) -> httpx.Response:
        assert self.runner.address is not None
        url = "http://{}:{}{}".format(*self.runner.address, path)
        return httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def ask(self, where: dict[str, str], waybill: str = "") -> dict[str, Any]:
        """The answer to one look of a1."""
        self.number += 1
        resource = {"fields": ["recipient.phone"], "subjects": [f"p{self.number}"]}
        body = {
            "subject": {"type": "user", "id": "a1"}, "action": {"name": "view"}, "context": where,
            "resource": {"type": "waybill", "id": waybill or f"L{self.number}", "properties": resource},
        }  # fmt: skip
        answer = self.post(EVALUATION_PATH, body, TOKEN)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def presence(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.post(f"/presence/v1/{path}", body, PROVING)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def test_the_session_that_proves_presence_is_free_within_a_minute_and_no_other_device_is(house: House) -> None:
    home, key = house.runner.config.home, Authenticator()
    keys, now = PresenceKeys(home), time.time_ns() // 1_000_000
    _, code = keys.invite("a1", "boss", now, hours=1)
    begun = house.presence("enrol/begin", account="a1", invite=code)
    enrolled = house.presence("enrol/finish", id=begun["id"], credential=key.create(begun["options"]))
    keys.confirm(enrolled["key"], "boss", now)

    assert house.ask(CLERK)["context"]["watchbill"]["decision"] == "allow"
    house.ask(AWAY, waybill="TRAP0")
    stopped = house.ask(CLERK)
    ours = stopped["context"]["watchbill"]
    assert (stopped["decision"], ours["decision"], ours["step"]) == (False, "step_up", "step_up")
    assert ours["prove"] == "https://watch.example.com/presence/v1/proof/begin"
    assert ours["call"] == {"via": "bridge", "url": f"https://bridge.example.com/L{house.number}"}

    asked = house.presence("proof/begin", account="a1", session=CLERK["session"])
    proven = house.presence("proof/finish", id=asked["id"], credential=key.get(asked["options"]))
    assert proven["proven"] is True
    end = time.monotonic() + 60
    while (free := house.ask(CLERK))["context"]["watchbill"]["decision"] != "allow":
        assert time.monotonic() < end, "it was not free within a minute"
        time.sleep(0.1)
    ours = free["context"]["watchbill"]
    assert (free["decision"], ours["step"], ours["fields"]) == (True, "none", {"recipient.phone": "plain"})

    away = house.ask(AWAY)
    assert (away["decision"], away["context"]["watchbill"]["decision"]) == (False, "step_up")
    still = house.ask(CLERK)
    ours = still["context"]["watchbill"]
    assert (still["decision"], ours["step"], "until" in ours, "prove" in ours) == (True, "none", False, False)
    assert house.ask({**CLERK, "session": "s-other"})["decision"] is False
    house.close()
    rows = [json.loads(line) for line in (home / "interventions.ndjson").read_text().splitlines()]
    assert [row["step"] for row in rows] == ["step_up", "none", "step_up"]
    assert (rows[1]["proof"]["how"], rows[1]["proof"]["session"], rows[2]["resumed"]) == ("key", "s-clerk", True)
    assert Ledger(home).find("id", proven["proof"]).num_rows <= 1
    kinds = [kind for table in Ledger(home).records(["kind"]) for kind in table.column("kind").to_pylist()]
    assert kinds.count("wb.presence") == 1


def test_a_wrong_presence_table_is_named_before_anything_is_served(tmp_path: Path) -> None:
    write_tables(tmp_path / "reference")
    (tmp_path / "watchbill.toml").write_text(SETTINGS.replace(f'rp_id = "{RP_ID}"', "rp_id = 5"))
    runner = LiveRunner(load_config(tmp_path / "watchbill.toml"), door=open_door)
    with pytest.raises(SettingsError, match=r"rp_id"):
        runner.run()
