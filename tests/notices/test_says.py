from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from notices.incident import CASE, facts, incident
from watchbill.cases.verdicts import KINDS
from watchbill.inquiry.exposure import Gap, SeenSubject
from watchbill.notices.control import shadowed_steps
from watchbill.notices.facts import FIRM, Facts
from watchbill.notices.record import append
from watchbill.notices.says import FACTS, ROWS_MAX
from watchbill.notices.wording import LANGS, Lang
from watchbill.responses.policy import STEPS


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts(incident(tmp_path_factory.mktemp("home")))


def text(name: str, found: Facts, lang: Lang = "en") -> str:
    return "\n".join(
        " ".join([block.text, *block.head, *(cell for row in block.rows for cell in row)])
        for block in FACTS[name](found, lang)
    )


def test_bounds_and_gaps_are_said_honestly(known: Facts) -> None:
    answer = known.answer
    assert answer is not None
    assert "At least 80 and at most 80 persons" in text("numbers", known)
    assert "Who sat at the desk is an estimate" in text("numbers", known)
    assert "实际操作人系推定" in text("numbers", known, "zh")
    assert answer.hash in text("numbers", known)
    exact = dataclasses.replace(
        known, answer=dataclasses.replace(answer, saw=dataclasses.replace(answer.saw, complete=True, gaps=[]))
    )
    assert "80 persons are concerned (counted one by one; exact)" in text("numbers", exact)
    gaps = [Gap("no_subjects", 1_234, None, ""), Gap("new kind", 5, None, "")]
    open_ = dataclasses.replace(
        known, answer=dataclasses.replace(answer, saw=dataclasses.replace(answer.saw, upper=None, gaps=gaps))
    )
    assert "no upper bound" in text("numbers", open_)
    assert "1,234 looks name nobody" in text("numbers", open_)
    assert "5 looks are uncertain for another reason" in text("numbers", open_)
    assert "no bound" in text("meter", dataclasses.replace(open_, meter=dataclasses.replace(known.meter, high=None)))  # type: ignore[type-var]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cause_for_every_kind(known: Facts, kind: str) -> None:
    said = dataclasses.replace(known, case={**(known.case or {}), "kind": kind})
    assert "provisional until a person confirms" in text("cause", said)
    assert text("cause", said, "zh").startswith("初步判断")
    sure = {**(said.case or {}), "status": "confirmed", "verdicts": [{"verdict": "confirmed", "time": 0}]}
    assert "A person confirmed this finding (1970-01-01 08:00)" in text("cause", dataclasses.replace(said, case=sure))


def test_measures_are_those_of_the_case_and_none_is_nothing(known: Facts) -> None:
    assert "suspend the account 1" in text("measures", known)
    assert FACTS["measures"](dataclasses.replace(known, steps=()), "en") == []


def test_a_table_has_a_bound_and_says_what_it_leaves_out(known: Facts) -> None:
    answer = known.answer
    assert answer is not None
    odd = [SeenSubject("s", [f"recipient.f{n}" for n in range(ROWS_MAX + 7)], 1, 2, 1)]
    many = dataclasses.replace(
        known, answer=dataclasses.replace(answer, saw=dataclasses.replace(answer.saw, subjects=odd))
    )
    (table,) = FACTS["categories"](many, "en")
    assert len(table.rows) == ROWS_MAX + 1
    assert table.rows[-1][0] == "7 further categories (left out)"


def test_persons_read_nothing_of_others(known: Facts) -> None:
    short = " ".join(text(name, known) for name in ("kinds_only", "when", "measures_short"))
    assert "80" not in short
    assert "E1" not in short


def test_the_law_decides_nothing_here(known: Facts) -> None:
    assert "for counsel and the courts" in text("meter", known)
    assert "没有业务理由的查询 +9.1 80" in text("evidence", known, "zh")


def test_grade_and_told(tmp_path: Path) -> None:
    home = incident(tmp_path)
    assert FACTS["grade"](facts(home), "en") == FACTS["told"](facts(home), "en") == []
    append(home, "grade", CASE, "r\u202e1", 0, level="larger", aware=0, note="")
    append(home, "told", CASE, "r1", 0, channel="sms", list="ab", persons=80)
    append(home, "not_told", CASE, "r1", 0, reason="because")
    assert 'r\ufffd1 graded the incident "larger"' in text("grade", facts(home))
    assert "80 persons were told" in text("told", facts(home))
    assert "because: because" in text("told", facts(home))


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_fact_reads_in_both_languages(known: Facts, tmp_path: Path, name: str, lang: Lang) -> None:
    firm = name in ("monitored", "in_force", "control")
    found = facts(incident(tmp_path), FIRM) if firm else known
    for block in FACTS[name](found, lang):
        assert all(len(row) == len(block.head) for row in block.rows)
    assert FACTS[name](found, lang) or name in ("aware", "grade", "told")


def test_what_is_in_shadow_is_not_called_in_force(tmp_path: Path) -> None:
    found = facts(incident(tmp_path), FIRM)
    assert "in shadow" not in text("in_force", found)
    assert shadowed_steps({"mode": "shadow"}) == set(STEPS) - {"none"}
    assert shadowed_steps({"shadow_steps": ["suspend", "unknown"]}) == {"suspend"}
    assert shadowed_steps({}) == set()


def test_a_case_is_needed_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        FACTS["numbers"](facts(incident(tmp_path), FIRM), "en")
