"""What people decide, through the engine: it clears or holds, restores or bars learning, and follows from the journal alone."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.judged import DAY, HOUR, opened, reference, tell, trapped, verdict
from runners.test_engine import START, batch, engine, look
from watchbill.cases.acts import ACTS, VERDICT
from watchbill.core.settings import RiskSettings, Settings
from watchbill.detectors.base import CONFIRMED, SUSPECTED
from watchbill.responses.policy import MASK, NONE, SUSPEND
from watchbill.runners.clock import ManualClock
from watchbill.runners.controls import Timed
from watchbill.runners.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path


def interventions(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "interventions.ndjson").read_text().splitlines()]


def state(made: Engine) -> tuple[int, int, int]:
    """(step, held, frozen) of a1."""
    at = made.pipeline.context.accounts.find("a1")
    row = made.pipeline.standing[at]
    frozen = made.pipeline.frozen
    return int(row["step"]), int(row["held"]), int(frozen[at])


def the_case(made: Engine) -> str:
    (case,) = made.pipeline.book.cases
    return case


def evidence(made: Engine) -> float:
    at = made.pipeline.context.accounts.find("a1")
    return sum(float(d.rows["log_m"][at]) for d in made.pipeline.detectors if "log_m" in (d.rows.dtype.names or ()))


def test_dismissed_clears_the_account_and_its_evidence(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    assert state(made)[0] == SUSPEND
    assert evidence(made) > 10
    tell(made, verdict("dismissed", "test", case=the_case(made)))
    assert state(made) == (NONE, 0, 0)
    assert evidence(made) == 0
    last = interventions(tmp_path / "home")[-1]
    assert (last["step"], last["verdict"], last["case"], last["account"]) == ("none", "dismissed", the_case(made), "a1")
    made.take(batch(look(20), look(21)))
    assert state(made)[0] == NONE
    assert made.pipeline.book.cases[the_case(made)].status == "dismissed"


def test_confirmed_stays_without_end_until_it_is_lifted(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    made.take(batch(look(30 * 60)))  # past fifteen minutes: masked work, and the firm's failure
    assert state(made)[0] == MASK
    assert made.pipeline.book.cases[the_case(made)].unattended == 1
    tell(made, verdict("confirmed", "owner", case=the_case(made)))
    assert state(made) == (SUSPEND, SUSPEND, CONFIRMED)
    assert interventions(tmp_path / "home")[-1]["until"] is None
    for day in range(1, 4):
        made.take(batch(look(0, id=f"d{day}", time=START + day * DAY)))
    assert state(made) == (SUSPEND, SUSPEND, CONFIRMED | SUSPECTED)
    tell(made, verdict("lifted", "settled", 2, case=the_case(made)))
    assert state(made) == (NONE, 0, 0)
    assert made.pipeline.book.cases[the_case(made)].status == "closed"


def test_a_step_that_nobody_looked_at_lapses_after_a_day(tmp_path: Path) -> None:
    made = engine(tmp_path / "home")
    made.reload(reference(tmp_path / "reference"))
    made.take(batch(look(1, waybill="TRAP1")))
    step = state(made)[0]
    assert step > NONE
    made.take(batch(look(0, id="near", time=START + DAY - HOUR)))
    assert state(made)[0] == step
    for day in range(6):  # evidence fades by the day; then the step is over
        made.take(batch(look(0, id=f"far{day}", time=START + DAY * (day + 1) + 5_000)))
    assert state(made)[0] == NONE


def test_an_account_may_be_named_and_one_that_is_unknown_changes_nothing(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    tell(made, verdict("confirmed", "hijacked", account="a2"))
    at = made.pipeline.context.accounts.find("a2")
    assert made.pipeline.standing[at]["held"] > 0
    assert made.pipeline.frozen[at] == CONFIRMED
    before = made.pipeline.standing.tobytes()
    tell(made, verdict("confirmed", "hijacked", 2, account="nobody"))
    tell(made, verdict("dismissed", "wrong", 3, case="c404"))
    assert made.pipeline.standing.tobytes() == before


def test_roles_that_take_no_steps_are_not_held(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    made.pipeline.steps[:] = 0
    tell(made, verdict("dismissed", "test", case=the_case(made)))
    tell(made, verdict("confirmed", "owner", 2, case=the_case(made)))
    assert state(made) == (NONE, 0, CONFIRMED)


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize(("word", "reason"), [("dismissed", "test"), ("confirmed", "owner")])
def test_a_restart_comes_to_the_same(tmp_path: Path, word: str, reason: str, checkpoint: bool) -> None:
    made = opened(tmp_path / "home")
    tell(made, verdict(word, reason, case=the_case(made)))
    if checkpoint:
        made.checkpoint()
    made.take(batch(look(40), look(41, account="a2")))
    said = state(made), made.pipeline.book.snapshot(), made.pipeline.shift, made.done
    rows = interventions(tmp_path / "home")
    made.close()
    again = Engine(tmp_path / "home", None, ManualClock(START))
    assert (state(again), again.pipeline.book.snapshot(), again.pipeline.shift, again.done) == said
    assert interventions(tmp_path / "home") == rows
    tell(again, verdict(word, reason, case=the_case(again)))  # the same id
    assert again.pipeline.book.snapshot() == said[1]
    again.close()


def test_verdicts_move_the_prior_only_where_settings_allow(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    score = made.pipeline.book.cases[the_case(made)].posterior
    tell(made, verdict("dismissed", "wrong", case=the_case(made)))
    assert made.pipeline.shift < 0
    made.take(trapped(100))
    second = made.pipeline.book.cases[the_case(made)]
    assert second.status == "dismissed"
    settings = Settings(risk=RiskSettings(learn_from_verdicts=False))
    made.pipeline = made.pipeline.switched(settings)
    assert made.pipeline.shift == 0
    assert 0 < score < 1


def test_who_was_under_a_step_at_the_tick_is_frozen(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    assert state(made)[2] == 0  # from the next tick on
    made.take(batch(look(0, id="later", time=START + 2 * HOUR)))
    assert state(made)[2] == SUSPECTED


RECORDS = [
    look(n * 200, id=f"q{n}", account=f"a{1 + n % 3}", waybill="TRAP1" if n in (5, 23) else "TRAP2" if n in (8, 29) else f"W{n}")
    for n in range(60)
]  # fmt: skip
TOLD = [
    Timed(START + 2_300_000, VERDICT, verdict("confirmed", "owner", 1, account="a3").model_dump()),
    Timed(START + 3_000_000, VERDICT, verdict("dismissed", "covering", 2, account="a3").model_dump()),
    Timed(START + 3_000_001, VERDICT, verdict("confirmed", "ring", 3, account="a1").model_dump()),
]


def run(home: Path, cuts: list[int]) -> tuple[Any, ...]:
    made = engine(home)
    made.reload(reference(home / "tables"))
    made.timed = list(TOLD)
    for start, stop in itertools.pairwise(sorted({0, len(RECORDS), *cuts})):
        made.take(batch(*RECORDS[start:stop]))
    made.tell_rest()
    said = interventions(home), made.pipeline.book.snapshot(), made.done, made.pipeline.standing["held"].tolist()[:3]
    made.close()
    return said


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 59), max_size=20))
def test_no_cut_of_the_batches_moves_a_verdict(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    whole = run(tmp_path_factory.mktemp("whole") / "home", [])
    assert whole[1]
    assert [row["verdict"] for row in whole[0] if "verdict" in row]
    assert run(tmp_path_factory.mktemp("cut") / "home", cuts) == whole


def kept(made: Engine) -> dict[str, Any]:
    """What speaks for each person, field by field: the padding between fields is not for comparing."""
    records = made.pipeline.records
    return {name: records[name].tolist() for name in records.dtype.names or ()}


def test_a_restart_from_a_checkpoint_goes_on_counting_what_speaks_for_the_person(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    made.checkpoint()
    made.take(batch(look(40, waybill="TRAP1"), look(90_000, waybill="TRAP2"), look(90_001, waybill="TRAP1")))
    said = made.pipeline.book.snapshot(), kept(made)
    made.close()
    again = Engine(tmp_path / "home", None, ManualClock(START))
    assert (again.pipeline.book.snapshot(), kept(again)) == said
    assert again.pipeline.records.dtype.isalignedstruct


# --- what people do with cases besides judging them --------------------------------------------------------------------


def word(made: Engine, kind: str, **given: Any) -> None:
    made.control(kind, ACTS[kind].model_validate({"case": the_case(made), "time": START + 60_000} | given).model_dump())
    made.tell()


def test_an_upheld_appeal_clears_as_a_dismissal_does_and_the_hook_hears_of_corrections(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    heard: list[dict[str, Any]] = []
    made.on_corrected = heard.extend
    word(made, "wb.tell", id="t1", act="told", by="r1", text_en="What:")
    word(made, "wb.tell", id="t2", act="told", by="r1", to="idp")
    tell(made, verdict("confirmed", "owner", case=the_case(made)))
    assert state(made)[1] == SUSPEND
    word(made, "wb.appeal", id="p1", act="open", by="staff", to="reviewer-7")  # who confirmed: not legal
    assert made.pipeline.book.cases[the_case(made)].appeals == []
    word(made, "wb.appeal", id="p2", act="open", by="staff", to="r2")
    word(made, "wb.appeal", id="p3", act="uphold", by="r2", reason="wrong")
    assert state(made) == (NONE, 0, 0)
    assert evidence(made) == 0
    assert [(one["to"], one["account"], one["why"]) for one in heard] == [
        ("person", "a1", "wrong"),
        ("idp", "a1", "wrong"),
    ]
    last = interventions(tmp_path / "home")[-1]
    assert (last["step"], last["verdict"], last["id"]) == ("none", "dismissed", "p3")
    made.close()


def test_a_word_about_a_merged_case_holds_for_each_account(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    made.take(batch(*(look(10 + number, account="a2", waybill="TRAP1" if number else "TRAP2") for number in range(2))))
    one, two = made.pipeline.book.cases
    made.control("wb.case", ACTS["wb.case"].model_validate(
        {"id": "m", "case": one, "act": "merge", "other": two, "by": "r", "time": START}).model_dump())  # fmt: skip
    made.tell()
    tell(made, verdict("confirmed", "ring", case=one))
    at = [made.pipeline.context.accounts.find(name) for name in ("a1", "a2")]
    assert (made.pipeline.standing["held"][at] > 0).all()
    assert {row["case"] for row in interventions(tmp_path / "home")[-2:]} <= {one, two}
    tell(made, verdict("lifted", "settled", 2, case=two))
    assert made.pipeline.standing["held"][at].tolist() == [0, 0]
    assert [row["account"] for row in interventions(tmp_path / "home")[-2:]] == ["a1", "a2"]
    assert {row["case"] for row in interventions(tmp_path / "home")[-2:]} == {one}
    made.close()


def test_a_restart_after_work_on_a_case_comes_to_the_same(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    word(made, "wb.case", id="w1", act="review", by="r1")
    made.checkpoint()
    word(made, "wb.tell", id="w2", act="told", by="r1")
    word(made, "wb.note", id="w3", text="x", by="r1")
    whole = made.pipeline.book.snapshot()
    made.close()
    again = Engine(tmp_path / "home", None, ManualClock(START))
    assert again.pipeline.book.snapshot() == whole
    again.close()


def test_a_state_of_the_release_before_this_one_loads(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    tell(made, verdict("confirmed", "owner", case=the_case(made)))
    old = made.pipeline.book.snapshot()
    for name in ("lines", "into", "apart", "reviewing", "assigned", "due", "due_set", "begun", "looked", "step", "notices",
                 "delay", "appeals", "corrections", "history", "steps_listed"):  # fmt: skip
        del old[0][name]
    made.pipeline.book.restore(old, ["v1"])
    case = made.pipeline.book.cases[the_case(made)]
    assert [(one["what"], one["by"]) for one in case.history] == [("opened", ""), ("confirmed", "reviewer-7")]
    assert (case.begun, case.due, case.status) == (case.opened, 0, "confirmed")
    word(made, "wb.note", id="w3", text="x", by="r1")
    assert case.history[-1]["n"] == 3
    made.close()
