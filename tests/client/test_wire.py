from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.client.look import Look
from watchbill.client.wire import (
    ABLE,
    GRANTS,
    REFUSALS,
    AnswerError,
    body_of,
    read_answers,
)
from watchbill.core.errors import ContractError
from watchbill.responses.asks import Ask, Decided
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN
from watchbill.responses.policy import DECISIONS, STEPS
from watchbill.web import authzen
from watchbill.web.authzen import Question, Several, answer, read_one, read_several

ASK = Ask(
    "r1", "YT001", "view", "PC1", "10.0.0.1", "s1", "desk", "W1", ("c1", "c2"), ("recipient.phone", "recipient.name"), "T1",
    "客户来电", results=2, page=1,
)  # fmt: skip
PHONE = "recipient.phone"

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
asks = st.builds(
    Ask, request=st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True), account=names, kind=st.sampled_from(["view", "search", "export", "print"]), device=names | st.just(""),
    ip=st.ip_addresses().map(str) | st.just(""), session=names | st.just(""), app=names | st.just(""), waybill=names,
    subjects=st.lists(names, max_size=3, unique=True).map(tuple), fields=st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    ticket=names | st.just(""), reason=names | st.just(""), results=st.none() | st.integers(0, 9), page=st.none() | st.integers(0, 9),
)  # fmt: skip


def test_words_are_those_of_the_other_side() -> None:
    assert {*GRANTS, *REFUSALS} == set(DECISIONS)
    assert set(ABLE) == set(authzen.OBLIGATIONS)
    from watchbill.client import wire

    assert wire._STEPS == STEPS
    assert (wire.EVALUATION_PATH, wire.EVALUATIONS_PATH) == (authzen.EVALUATION_PATH, authzen.EVALUATIONS_PATH)
    assert wire.BATCH_MAX <= authzen.EVALUATIONS_MAX
    assert (wire.TEXT_MAX, wire.LIST_MAX) == (authzen.TEXT_MAX, authzen.LIST_MAX)


@given(asks)
def test_a_question_arrives_as_it_was_asked(ask: Ask) -> None:
    path, body = body_of([ask])
    assert path.endswith("/evaluation")
    assert read_one(json.loads(body), ask.request) == Question(ask, frozenset(ABLE))


@given(st.lists(asks, min_size=2, max_size=4))
def test_several_questions_arrive_in_order(several: list[Ask]) -> None:
    path, body = body_of(several)
    assert path.endswith("/evaluations")
    found = read_several(json.loads(body), "b")
    assert isinstance(found, Several)
    assert [one.ask.account for one in found.questions if isinstance(one, Question)] == [ask.account for ask in several]


def test_an_address_that_is_none_is_left_out() -> None:
    assert read_one(json.loads(body_of([replace(ASK, ip="unknown")])[1]), "r1").ask == replace(ASK, ip="")


def test_without_a_waybill_the_first_customer_is_the_resource() -> None:
    ask = Ask("r", "a", "search", subjects=("c1", "c2"), fields=(PHONE,))
    asked = read_one(json.loads(body_of([ask])[1]), "r").ask
    assert (asked.waybill, asked.subjects) == ("", ("c1", "c2"))
    lone = read_one(json.loads(body_of([Ask("r", device="SC9", waybill="W", fields=(PHONE,))])[1]), "r").ask
    assert (lone.account, lone.device) == ("", "SC9")


@pytest.mark.parametrize(
    "ask",
    [
        Ask("r", "a", waybill="W"), Ask("r", "", waybill="W", fields=(PHONE,)), Ask("r", "a", fields=(PHONE,)),
        Ask("r", "a", waybill="W" * 1025, fields=(PHONE,)), Ask("r", "a", waybill="W", fields=("",)),
        Ask("r", "a", "peek", waybill="W", fields=(PHONE,)), Ask("r", "a", waybill="\ud800", fields=(PHONE,)),
        Ask("r", "a", subjects=("c",) * 10_001, fields=(PHONE,)), Ask("编号", "a", waybill="W", fields=(PHONE,)),
        Ask("r" * 201, "a", waybill="W", fields=(PHONE,)), Ask("", "a", waybill="W", fields=(PHONE,)), Ask("r\r\nX: y", "a", waybill="W", fields=(PHONE,)),
    ],
)  # fmt: skip
def test_questions_that_could_not_be_read_are_not_sent(ask: Ask) -> None:
    with pytest.raises(ContractError) as caught:
        body_of([ask])
    assert caught.value.todo


decisions = st.sampled_from(DECISIONS)
levels = st.dictionaries(st.sampled_from([PHONE, "recipient.name", "other"]), st.sampled_from([PLAIN, MASKED, HIDDEN]))


@given(decisions, levels, st.sampled_from(STEPS), st.integers(0, 1 << 50), st.integers(0, 1000))
def test_no_answer_of_the_server_is_read_as_more_than_it_gave(
    decision: str, given_levels: dict[str, Any], step: str, until: int, retry: int
) -> None:
    sent = Decided("d1", decision, given_levels, step, until, retry)
    text = json.dumps(answer(Question(ASK, frozenset(ABLE)), sent)).encode()
    (read,) = read_answers(text, [ASK])
    assert (read.id, read.decision, read.step, read.until, read.retry_seconds) == ("d1", decision, step, until, retry)
    look = Look(ASK, read)
    order = [PLAIN, MASKED, HIDDEN]
    for field in ASK.fields:
        least = HIDDEN if decision in REFUSALS else PLAIN if decision == "allow" else MASKED
        said = given_levels.get(field, MASKED if given_levels else PLAIN)
        assert order.index(look.level(field)) >= max(order.index(least), order.index(said))
    assert not look.decided.reveals or sent.reveals


def good() -> dict[str, Any]:
    return answer(Question(ASK), Decided("d1", "allow", {PHONE: PLAIN, "recipient.name": MASKED}))


def test_a_good_answer_is_read() -> None:
    (read,) = read_answers(json.dumps(good()).encode(), [ASK])
    assert Look(ASK, read).level(PHONE) == PLAIN
    assert Look(ASK, read).level("recipient.name") == MASKED


def changed(path: str, value: object) -> bytes:
    body = good()
    place: Any = body
    *way, last = path.split(".")
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("decision", "true"), ("decision", 1), ("decision", None), ("context", []), ("context", None), ("context.watchbill", None),
        ("context.watchbill", "x"), ("context.watchbill.id", ""), ("context.watchbill.id", 5), ("context.watchbill.decision", "ALLOW"),
        ("context.watchbill.decision", "deny"), ("context.watchbill.step", "odd"), ("context.watchbill.fields", {PHONE: "clear"}),
        ("context.watchbill.fields", [PHONE]), ("context.watchbill.until", -1), ("context.watchbill.until", True),
        ("context.watchbill.retry_seconds", "3"), ("context.watchbill.why", 3), ("context.obligations", {"type": "custom"}),
        ("context.obligations", ["x"]), ("context.obligations", [{"type": "custom", "vendor": "watchbill", "action": "mask"}]),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_the_protocol_is_no_answer(path: str, value: object) -> None:
    with pytest.raises(AnswerError):
        read_answers(changed(path, value), [ASK])


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"true", b"<html>", b'{"decision":true', b"\xff", b"[" * 100_000, b'{"decision":false,"decision":true}',
     b'{"decision":NaN}'],
)  # fmt: skip
def test_what_is_no_answer_at_all(text: bytes) -> None:
    with pytest.raises(AnswerError):
        read_answers(text, [ASK])
    with pytest.raises(AnswerError):
        read_answers(text, [ASK, ASK])


@pytest.mark.parametrize(
    "obligation",
    [{"type": "fanfare"}, {"type": "custom", "vendor": "other", "action": "mask", "fields": "all"}, {},
     {"type": "custom", "vendor": "watchbill", "action": "shred"}, {"type": 7}],
)  # fmt: skip
def test_an_obligation_that_is_not_known_means_deny(obligation: dict[str, Any]) -> None:
    body = good()
    body["context"]["obligations"].append(obligation)
    (read,) = read_answers(json.dumps(body).encode(), [ASK])
    assert (read.decision, read.why) == ("deny", "obligation")
    assert Look(ASK, read).level(PHONE) == HIDDEN


def test_an_obligation_to_mask_counts_even_where_the_levels_say_plain() -> None:
    body = good()
    body["context"]["obligations"] = [{"type": "custom", "vendor": "watchbill", "action": "mask", "fields": "all"}]
    (read,) = read_answers(json.dumps(body).encode(), [ASK])
    assert {Look(ASK, read).level(field) for field in ASK.fields} == {MASKED}
    body["context"]["obligations"][0]["fields"] = {PHONE: HIDDEN}
    (read,) = read_answers(json.dumps(body).encode(), [ASK])
    assert Look(ASK, read).level(PHONE) == HIDDEN


def test_a_denial_without_more_is_a_denial_and_a_grant_without_more_is_nothing() -> None:
    (read,) = read_answers(b'{"decision":false}', [ASK])
    assert read.decision == "deny"
    with pytest.raises(AnswerError):
        read_answers(b'{"decision":true}', [ASK])
    (read,) = read_answers(json.dumps(good() | {"decision": False}).encode(), [ASK])
    assert read.decision == "deny"


def test_as_many_answers_as_questions() -> None:
    text = json.dumps({"evaluations": [good()]}).encode()
    with pytest.raises(AnswerError):
        read_answers(text, [ASK, ASK])
    both = read_answers(json.dumps({"evaluations": [good(), authzen.refused("no")]}).encode(), [ASK, ASK])
    assert [one.decision for one in both] == ["allow", "deny"]
