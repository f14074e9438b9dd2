from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inquiry.test_exposure import control, journal_rows
from notices.incident import CASE, incident
from runners.test_erasure import journaled
from watchbill.inquiry.silence import Heard
from watchbill.ledger.keys import seed_days
from watchbill.ledger.sealing import seal
from watchbill.notices.control import HOUR_MS, MINUTE_MS, alerts_of, control_of, silent_minutes
from watchbill.runners.clock import ManualClock
from watchbill.runners.erasure import retain

T = 1_740_931_200_000


def home_of(place: Path, hours: dict[str, list[float]], settings: list[tuple[float, dict[str, Any]]] = []) -> Path:  # noqa: B006
    """A home whose sources sent records at these hours, under settings from these hours on."""
    rows: list[dict[str, Any]] = [
        {"source": name, "arrival": T + round(hour * HOUR_MS), "account": "E1"}
        for name, held in hours.items()
        for hour in held
    ]
    (place / "settings").mkdir(parents=True)
    for n, (hour, policy) in enumerate(settings):
        (place / "settings" / f"d{n}.json").write_text(json.dumps({"policy": policy}))
        rows.append({**control("wb.settings", digest=f"d{n}"), "arrival": T + round(hour * HOUR_MS)})
    rows.sort(key=lambda row: row["arrival"])
    for n, row in enumerate(rows):
        row |= {"time": row["arrival"], "id": str(n)}
    return journal_rows(place, rows, sealed=len(rows) // 2)


EVERY = [k / 4 for k in range(41)]  # ten hours, each quarter


def test_a_source_that_never_pauses_is_never_silent(tmp_path: Path) -> None:
    said = control_of(home_of(tmp_path, {"a": EVERY}))
    assert (said.enforcing, said.shadow, said.blind, said.silent) == (said.hours, 0.0, 0.0, {})
    assert said.hours == pytest.approx(10, abs=0.02)


def test_blind_is_when_every_source_is_silent(tmp_path: Path) -> None:
    one = [hour for hour in EVERY if not 2 < hour < 8]
    two = [hour for hour in EVERY if not 5 < hour < 9]
    said = control_of(home_of(tmp_path, {"a": one, "b": two}))
    assert said.silent["a"] == pytest.approx(5, abs=0.05), "six hours of pause, of which the first is none"
    assert said.silent["b"] == pytest.approx(3, abs=0.05)
    assert said.blind == pytest.approx(2, abs=0.05), "from six to eight"
    assert said.partly_blind == pytest.approx(5 + 3 - 2 * 2, abs=0.05)
    assert said.enforcing + said.shadow + said.blind == pytest.approx(said.hours, abs=0.02)


def test_shadow_by_the_settings_in_force(tmp_path: Path) -> None:
    steps = ["mask", "ask_reason", "step_up", "throttle", "end_session", "suspend"]
    policies: list[tuple[float, dict[str, Any]]] = [
        (0, {}),
        (2, {"mode": "shadow"}),
        (5, {"mode": "enforce", "shadow_steps": ["suspend"]}),
        (8, {"shadow_steps": steps}),
    ]
    said = control_of(home_of(tmp_path, {"a": EVERY}, policies))
    assert said.shadow == pytest.approx(3 + 2, abs=0.05)
    assert said.partly_shadow == pytest.approx(3, abs=0.05)
    assert said.enforcing == pytest.approx(2 + 3, abs=0.05)


def test_a_replay_enforced_nothing(tmp_path: Path) -> None:
    home = home_of(tmp_path, {"a": EVERY})
    seed_days(home, b"x" * 32)
    said = control_of(home)
    assert (said.enforcing, said.shadow) == (0.0, 0.0)
    assert said.replayed == said.hours


def test_a_span_is_cut_out_and_silence_goes_on_to_its_end(tmp_path: Path) -> None:
    home = home_of(tmp_path, {"a": EVERY})
    assert control_of(home, since=T + 2 * HOUR_MS, until=T + 4 * HOUR_MS).hours == 2.0
    later = T + 20 * HOUR_MS
    assert control_of(home, until=later).blind == 0.0, "it may have ended"
    (home / "status.json").write_text(json.dumps({"sources": {"a": {"silent": True}}}))
    assert control_of(home, until=later).blind == pytest.approx(9, abs=0.05)


def test_alerts_and_the_first_look(tmp_path: Path) -> None:
    rows = [
        {"id": "c1", "opened": T, "verdicts": [{"time": T + 3 * HOUR_MS}], "unattended": 1},
        {"id": "c2", "opened": T, "verdicts": []},
        {"id": "c3", "opened": T, "verdicts": []},
    ]
    record = [{"kind": "grade", "case": "c2", "time": T + HOUR_MS}]
    said = alerts_of(rows, record, T + 10 * HOUR_MS)
    assert said == {
        "cases": 3, "unread": 1, "unattended": 1, "first_look_median_ms": 2 * HOUR_MS, "first_look_longest_ms": 3 * HOUR_MS,
    }  # fmt: skip
    assert alerts_of(rows, record, T + 2 * HOUR_MS)["unread"] == 2, "as of the end of the span"
    assert control_of(incident(tmp_path)).cases == 1
    assert CASE


@given(st.lists(st.integers(1, 600), min_size=1, max_size=40))
def test_silence_is_the_runners_rule_minute_by_minute(pauses: list[int]) -> None:
    held = np.cumsum([0, *pauses])
    mask = silent_minutes(held, 0, int(held[-1]) + 1, to_the_end=False)
    heard = Heard()
    for at, minute in enumerate(held.tolist()):
        heard.hear(np.array([minute * MINUTE_MS]))
        upto = int(held[at + 1]) if at + 1 < held.shape[0] else minute + 1
        for inside in range(minute + 1, upto):
            assert bool(mask[inside]) == heard.silent(inside * MINUTE_MS)


def test_days_whose_records_were_dropped_by_age_do_not_stop_it(tmp_path: Path) -> None:
    hours = [*EVERY, *(240 * 24 + hour for hour in EVERY)]
    times = [T + round(hour * HOUR_MS) for hour in hours]
    home = tmp_path / "home"
    home.mkdir()
    row = {"source": "a", "kind": "view", "account": "E1", "subjects": ["c"], "fields": ["recipient.phone"]}
    journaled(home, [{**row, "id": f"i{n}", "time": time, "arrival": time} for n, time in enumerate(times)])
    seal(home, final=True)
    before = control_of(home)
    retain(home, 180, clock=ManualClock(T + 240 * 24 * HOUR_MS + 24 * HOUR_MS))
    after = control_of(home)
    assert after.since > before.since, "what is gone is not counted as seen"
    assert after.hours == pytest.approx(10, abs=0.05)
