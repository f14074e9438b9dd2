"""Presence in the stream: who proves it is free within a minute and only where they are; a lessor's help frees nobody else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runners.counter import (
    AT_COUNTER,
    AWAY,
    HOUR,
    MINUTE,
    Firm,
    announced,
    firm_settings,
    look,
    said_of,
    scan,
    trap,
    write_tables,
)
from runners.judged import verdict
from runners.test_engine import START, batch
from watchbill.records.columns import columns_of
from watchbill.responses.policy import DECISIONS
from watchbill.runners.checkpoint import load_checkpoint, save_checkpoint
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import VERDICT
from watchbill.runners.judging import judge
from watchbill.runners.pipeline import Pipeline
from watchbill.runners.proving import PRESENCE, Proof, prove

HANDSET = {"device": "H1"}
ROUND = {"status": "delivered", "account": "a2"}


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    made = Firm(tmp_path / "reference")
    made.tell(announced(), announced(waybill="W2"), announced(waybill="W3"))
    return made


def key(firm: Firm, at: float, number: int = 1, **place: str) -> list[str]:
    """What a proof by a key at that minute does."""
    given: dict[str, Any] = place or {"session": "s-clerk"}
    told = Proof(id=f"k{number}", account="a1", time=START + int(at * MINUTE), **given)
    return [said_of(row) for row in prove(firm.pipeline, told.model_dump(), 10_000 + number)]


# --- who is free ------------------------------------------------------------------------------------------------------


def test_the_clerk_at_the_counter_is_free_within_a_minute_and_the_renter_is_not(firm: Firm) -> None:
    assert firm.tell(look(0, AT_COUNTER), trap(1, AT_COUNTER)) == (["allow", "step_up"], ["step_up"])
    assert firm.tell(look(1.1, AT_COUNTER)) == (["step_up"], [])  # being in the office is what was seen all along
    assert firm.tell(scan(1.9)) == ([], ["none scan"])
    assert firm.tell(look(1.95, AT_COUNTER), look(1.96, HANDSET)) == (["allow", "allow"], [])
    row = firm.interventions[-1]
    assert row["evidence"] == {}
    assert row["proof"] == {"how": "scan", "device": "H1", "office": True, "until": row["time"] + 8 * HOUR}
    assert firm.tell(look(2, AWAY)) == (["step_up"], ["step_up again"])
    assert firm.tell(look(2.1, AT_COUNTER), look(2.2, AWAY)) == (["allow", "step_up"], [])


def test_a_lessor_who_scans_while_the_renter_looks_frees_only_himself(firm: Firm) -> None:
    said: list[str] = []
    firm.tell(look(0, AWAY), trap(1, AWAY))
    for minute in range(2, 400, 3):
        firm.tell(scan(minute, f"W{1 + minute % 3}"))
        said += firm.tell(look(minute + 1, AWAY))[0]
    assert set(said) == {"step_up"}
    assert [said_of(row) for row in firm.interventions] == ["step_up", "none scan", "step_up again"]


def test_a_login_or_look_from_the_office_frees_the_office(firm: Firm) -> None:
    firm.tell(trap(1, AWAY))
    login = {"kind": "login", "account": "a1", "time": 2 * MINUTE, **AT_COUNTER}
    assert firm.tell({**login, "outcome": "failure"}) == ([], [])
    assert firm.tell(login) == ([], ["none network"])
    assert firm.tell(look(3, AT_COUNTER), look(4, AWAY)) == (["allow", "step_up"], ["step_up again"])


def test_an_office_of_another_outlet_proves_nothing(firm: Firm) -> None:
    firm.tell(trap(1, AWAY))
    assert firm.tell(look(2, {"device": "PC9", "ip": "10.2.0.1"})) == (["step_up"], [])


def test_a_courier_on_the_round_is_free_on_the_handset_that_scans(firm: Firm) -> None:
    me: dict[str, Any] = {"account": "a2"}
    given = {"status": "out_for_delivery", "assignee": "a2", "account": "a3", "device": "H9"}
    firm.tell(scan(-300, "W1", **given))
    firm.tell(trap(1, HANDSET, **me), look(1.5, HANDSET, **me))
    assert firm.tell(scan(2, "W2", **ROUND)) == ([], [])  # announced here, on nobody's list
    assert firm.tell(scan(2, "W1", **ROUND, device="OTHER")) == ([], [])
    assert firm.tell(scan(2, "W3", **{**ROUND, "status": "problem"})) == ([], [])
    assert firm.tell(scan(3, "W1", **ROUND, outlet="ROUTE-7")) == ([], ["none round"])
    assert firm.interventions[-1]["proof"].keys() == {"how", "device", "until"}
    assert firm.tell(look(4, HANDSET, **me), look(5, AT_COUNTER, **me)) == (["allow", "step_up"], ["step_up again"])


@pytest.mark.parametrize(
    ("what", "record"),
    [
        ("a number that nobody knows", scan(2, "MADE-UP")),
        ("a device that nobody registered", scan(2, device="LAPTOP")),
        ("a handset of another outlet", scan(2, device="H2")),
        ("a scan elsewhere", scan(2, outlet="O2")),
        ("no device", scan(2, device="")),
        ("a scan from before the step that came late", scan(0.5, late=2 * MINUTE)),
        ("a scan that came too late to speak of now", scan(2, late=16 * MINUTE)),
        ("somebody else's scan", scan(2, account="a2")),
        ("a ticket", {"kind": "ticket", "ticket": "T1", "state": "open", "account": "a1", "waybill": "W1", "time": 2 * MINUTE, "device": "H1"}),
    ],
)  # fmt: skip
def test_what_is_no_proof(firm: Firm, what: str, record: dict[str, Any]) -> None:
    firm.tell(trap(1, AWAY))
    assert firm.tell(record) == ([], []), what
    assert firm.tell(look(20, HANDSET)) == (["step_up"], []), what


def test_a_made_up_number_scanned_twice_is_still_made_up(firm: Firm) -> None:
    firm.tell(scan(-60, "MADE-UP"), scan(-50, "MADE-UP", status="out_for_delivery", assignee="a1"))
    firm.tell(trap(1, AWAY))
    assert firm.tell(scan(2, "MADE-UP"), scan(3, "MADE-UP", outlet="ROUTE-7", status="delivered")) == ([], [])


def test_a_parcel_that_is_signed_for_is_not_there(firm: Firm) -> None:
    firm.tell(scan(-5, status="signed"), trap(1, AWAY))
    assert firm.tell(scan(2)) == ([], [])
    assert firm.tell(scan(2, "W2")) == ([], ["none scan"])


def test_a_handset_s_name_that_turns_up_in_another_province_is_not_believed(firm: Firm) -> None:
    firm.tell(trap(1, AWAY), scan(2))
    copied = {"device": "H1", "ip": AWAY["ip"]}
    assert firm.tell(look(3, HANDSET), look(4, copied)) == (["allow", "step_up"], ["step_up again"])


def test_a_personal_phone_frees_itself_and_not_the_office(firm: Firm) -> None:
    firm.tell(trap(1, AT_COUNTER))
    assert firm.tell(scan(2, device="MY1")) == ([], ["none scan"])
    assert firm.tell(look(3, {"device": "MY1"}), look(4, AT_COUNTER)) == (["allow", "step_up"], ["step_up again"])


def test_without_tables_of_devices_and_networks_a_scan_proves_nothing(firm: Firm) -> None:
    firm.pipeline.apply("devices", None)
    firm.pipeline.apply("networks", None)
    firm.tell(trap(1, HANDSET))
    assert firm.tell(scan(2), look(3, HANDSET)) == (["step_up"], [])


# --- for how long, and against what -----------------------------------------------------------------------------------


def test_a_proof_ends_after_its_hours(firm: Firm) -> None:
    firm.tell(trap(1, AT_COUNTER), scan(2))
    end = 2 + 8 * 60
    assert firm.tell(look(end - 0.01, AT_COUNTER)) == (["allow"], [])
    assert firm.tell(look(end, AT_COUNTER)) == (["step_up"], ["step_up again"])
    assert firm.tell(scan(end + 1), look(end + 2, AT_COUNTER)) == (["allow"], ["step_up scan"])


def test_old_evidence_asks_nothing_again_after_the_step_is_over_while_the_proof_stands(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "reference", firm_settings(step_hours=1))
    firm.tell(announced(), trap(1, AT_COUNTER), scan(2))
    assert firm.tell(look(70, AT_COUNTER)) == (["allow"], [])
    assert firm.tell(look(71, AWAY)) == (["step_up"], ["step_up"])  # the step is over; it is taken anew
    assert firm.tell(look(72, AT_COUNTER)) == (["allow"], [])


def test_evidence_that_grows_tenfold_has_to_be_answered_anew(firm: Firm) -> None:
    firm.tell(trap(1, AT_COUNTER), scan(2))
    assert firm.tell(trap(3, AT_COUNTER, 1)) == (["step_up"], ["step_up"])
    # that the clerk is there is no news: their own place made the evidence; a key is a deliberate word, a scan is the day's work
    assert firm.tell(look(4, AT_COUNTER), scan(5), look(6, AT_COUNTER)) == (["step_up", "step_up"], [])
    assert key(firm, 7) == ["none key"]
    assert firm.tell(look(8, AT_COUNTER)) == (["allow"], [])


def test_evidence_that_grows_elsewhere_is_answered_by_the_next_scan(firm: Firm) -> None:
    firm.tell(trap(1, AWAY), scan(2))
    assert firm.tell(trap(3, AWAY, 1)) == (["step_up"], ["step_up"])
    assert firm.tell(look(4, HANDSET), scan(5), look(6, HANDSET)) == (["step_up", "allow"], ["none scan"])


def test_no_proof_answers_what_is_above_the_step(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "reference", firm_settings(throttle_at=6e3))
    firm.tell(announced(), trap(1, AT_COUNTER), scan(2))
    assert firm.tell(trap(3, AT_COUNTER, 1)) == (["throttle"], ["throttle"])
    assert firm.tell(scan(4), look(5, AT_COUNTER)) == (["throttle"], [])


@pytest.mark.parametrize("step", ["end_session_at", "suspend_at"])
def test_nobody_scans_themselves_out_of_an_ended_session_or_a_suspension(tmp_path: Path, step: str) -> None:
    firm = Firm(tmp_path / "reference", firm_settings(**{step: 4e3}))
    firm.tell(announced(), trap(1, AWAY))
    assert firm.tell(scan(2), look(3, AT_COUNTER)) == (["deny"], [])
    assert key(firm, 4) == []
    after = firm.tell(scan(20), look(21, AT_COUNTER))
    # after the ended session presence is what is asked for; after the suspension a person
    assert after == ((["allow"], ["step_up", "none scan"]) if step == "end_session_at" else (["mask"], ["mask"]))
    if step == "end_session_at":
        assert firm.tell(look(22, AWAY), look(23, AT_COUNTER)) == (["step_up", "allow"], ["step_up again"])


def test_what_a_person_confirmed_no_proof_lifts_and_what_they_dismiss_needs_none(firm: Firm) -> None:
    firm.tell(trap(1, AWAY), scan(2))
    (case,) = firm.pipeline.book.cases
    judge(firm.pipeline, verdict("confirmed", "leased", case=case).model_dump(), 500)
    assert firm.tell(look(3, AT_COUNTER), scan(4), look(5, AT_COUNTER)) == (["step_up", "step_up"], [])
    assert key(firm, 6) == []
    judge(firm.pipeline, verdict("dismissed", "other", 2, case=case).model_dump(), 501)
    assert firm.tell(look(7, AWAY)) == (["allow"], [])


def test_the_bucket_bounds_the_loss_whatever_is_proven(firm: Firm) -> None:
    firm.tell(trap(1, AT_COUNTER), scan(2))
    looks = [look(3 + n / 100, AT_COUNTER) for n in range(1_500)]
    proven, left = firm.tell(*looks)[0], firm.left
    other = Firm(firm.folder.parent / "other")
    other.tell(announced(), announced(waybill="W2"), announced(waybill="W3"), trap(1, AT_COUNTER))
    assert set(other.tell(*looks)[0]) == {"step_up"}
    assert other.left == left
    assert proven[0] == "allow"
    assert proven[-1] == "mask"


def test_masked_looks_and_work_from_elsewhere_bring_no_step_back(firm: Firm) -> None:
    firm.tell(trap(1, AT_COUNTER), scan(2))
    ticket = {"kind": "ticket", "ticket": "T1", "state": "open", "account": "a1", "waybill": "W1", "time": 3 * MINUTE}
    assert firm.tell(ticket, look(4, AWAY, masked=True), look(5, AT_COUNTER)) == (["allow", "allow"], [])


def test_an_account_of_which_a_place_is_free_still_teaches_nothing(firm: Firm) -> None:
    firm.tell(trap(1, AT_COUNTER), scan(2), look(130, AT_COUNTER))
    assert firm.pipeline.frozen[firm.pipeline.context.accounts.find("a1")]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_frees_its_session_and_no_other(firm: Firm) -> None:
    firm.tell(trap(1, AWAY))
    assert key(firm, 2) == ["none key"]
    assert firm.tell(look(3, {"ip": "114.1.9.9", "session": "s-clerk"})) == (["allow"], [])
    assert firm.tell(look(3, AWAY)) == (["step_up"], ["step_up again"])
    assert firm.pipeline.book.of("a1")[0].status == "open"


def test_a_session_that_a_key_vouched_for_is_not_believed_from_another_province(firm: Firm) -> None:
    firm.tell(trap(1, AWAY))
    assert key(firm, 2, session="s-renter") == ["none key"]  # a lessor who answers the renter's challenge
    assert firm.tell(look(3, AWAY)) == (["step_up"], ["step_up again"])
    mobile = {**AWAY, "ip": "39.1.1.1"}
    assert firm.tell(look(4, mobile)) == (["allow"], [])  # carrier NAT says nothing about a place


def test_a_key_in_a_device_frees_that_device(firm: Firm) -> None:
    firm.tell(trap(1, AWAY))
    assert key(firm, 2, device="MY1") == ["none key"]
    assert firm.tell(look(3, {"device": "MY1", "session": "any"}), look(4, AT_COUNTER, ip="")) == (
        ["allow", "step_up"], ["step_up again"],
    )  # fmt: skip


def test_a_key_used_before_the_step_twice_or_for_nobody_changes_nothing(firm: Firm) -> None:
    assert key(firm, 0) == []
    firm.tell(trap(1, AWAY))
    assert key(firm, 0.5, 2) == []
    assert key(firm, 3, 3) == ["none key"]
    firm.tell(look(4, AWAY))
    assert key(firm, 5, 3) == []
    assert key(firm, 5, 4) == []  # free already
    assert key(firm, 6, 5, session="other") == ["step_up key"]
    assert prove(firm.pipeline, {"id": "x", "account": "nobody", "session": "s", "time": START}, 1) == []


@pytest.mark.parametrize("place", [{}, {"device": "D", "session": "S"}, {"session": "S", "code": "123456"}])
def test_a_proof_is_of_one_place_and_never_a_code(place: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Proof.model_validate({"id": "k", "account": "a1", "time": 1, **place})


# --- the same for any cut, after any restart --------------------------------------------------------------------------

PLACES = (AT_COUNTER, AWAY, HANDSET, {"device": "MY1"}, {"device": "LAPTOP", "ip": "10.1.0.9", "session": "s2"})


@st.composite
def days(draw: st.DrawFn) -> list[dict[str, Any]]:
    minute, out = 0.0, [announced(), announced(waybill="W2")]
    for number in range(draw(st.integers(3, 30))):
        minute += draw(st.sampled_from([0.0, 0.5, 1, 20, 500]))
        where = draw(st.sampled_from(PLACES))
        kind = draw(st.sampled_from(["look", "look", "trap", "scan", "made-up"]))
        if kind == "look":
            out.append(look(minute, where, waybill=f"Q{number}"))
        elif kind == "trap":
            out.append(trap(minute, where, number % 3))
        else:
            device = draw(st.sampled_from(["H1", "H2", "MY1", "LAPTOP"]))
            out.append(scan(minute, "W1" if kind == "scan" else f"M{number % 2}", device=device))
    return out


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=days(), cuts=st.lists(st.integers(0, 32), max_size=8))
def test_no_cut_and_no_restart_changes_what_is_proven(
    records: list[dict[str, Any]], cuts: list[int], tmp_path: Path
) -> None:
    firm = Firm(tmp_path / "reference")
    columns = firm.columns(*records)
    whole = firm.pipeline.step(columns)
    other, said, rows = firm.fresh(), [], []
    edges = sorted({0, len(columns), *(cut for cut in cuts if cut < len(columns))})
    for start, stop in pairwise(edges):
        part = other.step(columns.cut(start, stop))
        said += part.verdicts.decision.tolist()
        rows += part.interventions
        other = _reborn(other, firm, tmp_path)
    assert said == whole.verdicts.decision.tolist()
    assert rows == whole.interventions


def _reborn(pipeline: Pipeline, firm: Firm, folder: Path) -> Pipeline:
    save_checkpoint(folder, 1, pipeline.snapshot())
    loaded = load_checkpoint(folder, 1)
    assert loaded is not None
    fresh = firm.fresh()
    tables = dict(fresh.context.tables)
    fresh = Pipeline(firm.settings)
    fresh.restore(loaded[1])
    for name, table in tables.items():
        fresh.apply(name, table)
    return fresh


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=days())
def test_no_scan_anywhere_frees_a_place_that_is_neither_the_office_nor_a_device_of_the_outlet(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    firm = Firm(tmp_path / "reference")
    columns = firm.columns(trap(-1, AWAY), *records)
    out = firm.pipeline.step(columns)
    names = np.array([columns.text("device", int(row)) for row in out.verdicts.row])
    ips = np.array([columns.text("ip", int(row)) for row in out.verdicts.row])
    strange = (
        (names == "LAPTOP") & (ips == AWAY["ip"]) & (columns.arrival[out.verdicts.row] < START + 24 * HOUR - MINUTE)
    )
    assert {DECISIONS[code] for code in out.verdicts.decision[strange]} <= {"step_up"}


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_proof_is_a_record_of_the_journal_and_survives_a_kill(tmp_path: Path) -> None:
    def opened() -> Engine:
        made = Engine(tmp_path / "home", firm_settings(), ManualClock(START + HOUR))
        made.reload(write_tables(tmp_path / "reference"))
        return made

    engine = opened()
    said: list[dict[str, Any]] = []
    engine.on_said = said.extend
    engine.take(_batch(trap(1, AWAY)))
    engine.control(PRESENCE, Proof(id="k1", account="a1", session="s-clerk", time=START + 2 * MINUTE).model_dump())
    engine.tell(START + 2 * MINUTE)
    assert [said_of(row) for row in said] == ["step_up", "none key"]
    before = (
        (tmp_path / "home" / "interventions.ndjson").read_text()
        if (tmp_path / "home" / "interventions.ndjson").exists()
        else ""
    )
    proofs = engine.pipeline.proofs.tobytes()
    engine.close()  # without a checkpoint: all of it comes from the journal again
    again = opened()
    assert again.pipeline.proofs.tobytes() == proofs
    decided: list[str] = []
    again.on_step = lambda _, out: decided.extend(DECISIONS[code] for code in out.verdicts.decision)
    again.take(_batch(look(3, {"session": "s-clerk"}), look(4, AWAY)))
    assert decided == ["allow", "step_up"]
    again.close()
    assert not before or (tmp_path / "home" / "interventions.ndjson").read_text().startswith(before)


def test_a_verdict_and_a_proof_with_one_id_count_once(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "home", firm_settings(), ManualClock(START + HOUR))
    engine.reload(write_tables(tmp_path / "reference"))
    engine.take(_batch(trap(1, AWAY)))
    told = verdict("confirmed", "leased", account="a1")
    engine.control(VERDICT, told.model_dump())
    engine.control(PRESENCE, Proof(id=told.id, account="a1", session="s", time=START + 2 * MINUTE).model_dump())
    engine.tell()
    assert engine.pipeline.book.confirmed() == ["a1"]
    assert not engine.pipeline.proofs["until"].any()
    engine.close()


def _batch(*records: dict[str, Any]) -> Any:
    rows = [{"id": f"r{record['time']}", "fields": ["recipient.phone"], **record} for record in records]
    return batch(*({**row, "time": START + int(row["time"])} for row in rows))


def test_columns_of_the_firm_are_stamped_when_they_arrive(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "reference")
    columns = firm.columns(look(1, AWAY, late=MINUTE), look(1.5, AWAY))
    assert columns.arrival.tolist() == [START + 2 * MINUTE, START + 2 * MINUTE]
    assert len(columns_of(columns.table, 0)) == 2
