from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.pdp import RECORDS_TOKEN, TOKEN
from watchbill.client.allowance import Allowance
from watchbill.client.fallback import FEW, Fallback
from watchbill.client.look import Look
from watchbill.client.settings import client_settings
from watchbill.client.spool import Spool
from watchbill.records.parse import parse_ndjson
from watchbill.responses.asks import LOOK_KINDS, Ask, Decided
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN

ASK = Ask(
    "r",
    "YT001",
    "view",
    "PC1",
    waybill="W1",
    subjects=("c1",),
    fields=("recipient.phone", "recipient.id_number"),
    reason="x",
)
NOW_NS = 1_800_000_000_000_000_000


def fallback(folder: Path, **given: Any) -> Fallback:
    modes = given.pop("on_failure", {"view": "few"})
    settings = client_settings(
        url="http://127.0.0.1:1", token=TOKEN, records_token=RECORDS_TOKEN,
        spool_folder=str(folder), on_failure=modes, **given,
    )  # fmt: skip
    numbers = itertools.count()
    ids = lambda: f"{next(numbers):06d}"  # noqa: E731 - one line is clearer
    spool = Spool(folder, settings.spool_bytes_max, ids)
    allowance = Allowance(settings.few_looks, settings.few_refill_minutes * 60, settings.few_accounts_max, lambda: 0.0)
    return Fallback(settings, allowance, spool, lambda: NOW_NS, ids)


def spooled(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.ndjson")) for line in path.read_text().splitlines()]


def test_a_few_plain_looks_each_on_disk_before_it_is_shown(tmp_path: Path) -> None:
    one = fallback(tmp_path, few_looks=2)
    looks = []
    for number in range(3):
        looks.append(Look(ASK, one.answer(ASK, outage=True)))
        assert len(spooled(tmp_path)) == min(2, number + 1)
    assert [look.level("recipient.phone") for look in looks] == [PLAIN, PLAIN, MASKED]
    assert looks[0].level("recipient.id_number") == HIDDEN
    assert [look.record(1) is None for look in looks] == [True, True, False]
    assert one.answer(Ask("r", "YT002", waybill="W1", fields=("recipient.phone",)), outage=True).reveals


def test_what_is_spooled_keeps_the_records_contract(tmp_path: Path) -> None:
    fallback(tmp_path).answer(ASK, outage=True)
    (record,) = spooled(tmp_path)
    assert record["fields"] == ["recipient.phone"]
    assert (record["time"], record["masked"]) == (NOW_NS // 1_000_000, False)
    assert "decision" not in record
    text = (json.dumps(record) + "\n").encode()
    assert parse_ndjson(text, source="t", identity="t", first_line=1).table.num_rows == 1


def test_a_spool_that_cannot_be_written_means_masked_and_takes_no_token(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    one = fallback(blocked, few_looks=1)
    assert not one.answer(ASK, outage=True).reveals
    blocked.unlink()
    assert one.answer(ASK, outage=True).reveals


def test_an_account_under_a_step_gets_nothing_until_that_ends(tmp_path: Path) -> None:
    one = fallback(tmp_path)
    now_ms = NOW_NS // 1_000_000
    one.heard(ASK, Decided("d", "mask", step="mask", until=now_ms + 1))
    assert not one.answer(ASK, outage=True).reveals
    one.heard(ASK, Decided("d", "mask", step="mask"))
    assert not one.answer(ASK, outage=True).reveals
    one.heard(ASK, Decided("d", "mask", step="mask", until=now_ms))
    assert one.answer(ASK, outage=True).reveals
    one.heard(ASK, Decided("d", "mask", step="mask"))
    one.heard(ASK, Decided("d", "allow"))
    assert one.answer(ASK, outage=True).reveals


def test_a_refusal_to_answer_us_is_no_outage(tmp_path: Path) -> None:
    assert not fallback(tmp_path).answer(ASK, outage=False).reveals
    assert fallback(tmp_path, on_failure={"view": "deny"}).answer(ASK, outage=False).decision == "deny"


@given(
    st.sampled_from(LOOK_KINDS),
    st.dictionaries(st.sampled_from(LOOK_KINDS), st.sampled_from(["masked", "deny"])),
    st.booleans(),
)
def test_without_few_nothing_plain_is_ever_given(kind: str, modes: dict[str, str], outage: bool) -> None:
    one = fallback(Path("nowhere"), on_failure=modes)
    decided = one.answer(Ask("r", "a", kind, waybill="W", fields=("recipient.phone",)), outage=outage)
    assert decided.decision == {"masked": "mask", "deny": "deny"}[modes.get(kind, "masked")]
    assert not decided.reveals


def test_an_export_takes_as_many_tokens_as_it_shows_customers(tmp_path: Path) -> None:
    one = fallback(tmp_path, on_failure={"export": "few"}, few_looks=5)
    wide = Ask("r", "a", "export", subjects=("1", "2", "3"), fields=("recipient.phone",), results=6)
    assert not one.answer(wide, outage=True).reveals
    three = Ask("r", "a", "export", subjects=("1", "2", "3"), fields=("recipient.phone",))
    assert [one.answer(three, outage=True).reveals for _ in range(2)] == [True, False]


@pytest.mark.parametrize("fields", [("recipient.id_number",), ("recipient.bank_card",)])
def test_what_nobody_may_see_is_not_seen_in_an_outage(tmp_path: Path, fields: tuple[str, ...]) -> None:
    decided = fallback(tmp_path).answer(Ask("r", "a", waybill="W", fields=fields), outage=True)
    assert decided.why != FEW
    assert not decided.reveals
