"""The protocol as the certification scenario exercises it: unknown members, types, defaults, batch semantics, obligations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.responses.asks import Ask, Decided
from watchbill.web.authzen import (
    EVALUATIONS_MAX,
    OBLIGATIONS,
    ProtocolError,
    Question,
    Several,
    answer,
    cut_off,
    metadata,
    read_one,
    read_several,
    refused,
)

BODY: dict[str, Any] = {
    "subject": {"type": "user", "id": "YT001", "properties": {"device": "HS1"}},
    "action": {"name": "view"},
    "resource": {"type": "waybill", "id": "W1", "properties": {"subjects": ["p1"], "fields": ["recipient.phone"]}},
    "context": {"ip": "10.0.0.1", "ticket": "T1", "time": "1985-10-26T01:22-07:00"},
}


def put(path: str, value: object) -> dict[str, Any]:
    """BODY with one member changed (None = left out)."""
    out: dict[str, Any] = {name: dict(part) for name, part in BODY.items()}
    *way, last = path.split(".")
    place = out
    for step in way:
        place[step] = dict(place[step])
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return out


def test_a_request_becomes_a_look() -> None:
    assert read_one(BODY, "r1") == Question(
        Ask("r1", "YT001", device="HS1", ip="10.0.0.1", waybill="W1", subjects=("p1",), fields=("recipient.phone",), ticket="T1")
    )  # fmt: skip


def test_a_device_can_ask_for_itself_and_a_customer_can_be_the_resource() -> None:
    body = BODY | {"subject": {"type": "device", "id": "SC9"}, "resource": {"type": "customer", "id": "p7"}}
    asked = read_one(body, "r").ask
    assert (asked.account, asked.device, asked.waybill, asked.subjects) == ("", "SC9", "", ("p7",))


def test_unknown_members_are_ignored_everywhere() -> None:
    body = {name: {**part, "x-new": [1, {"a": None}]} for name, part in BODY.items()} | {"x-more": True}
    assert read_one(body, "r1") == read_one(BODY, "r1")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("subject", None), ("action", None), ("resource", None), ("subject.id", None), ("subject.type", None),
        ("action.name", None), ("resource.id", None), ("resource.type", None), ("subject", "YT001"), ("subject.id", 7),
        ("subject.id", ""), ("subject.type", True), ("action.name", ["view"]), ("action.name", "fly"), ("resource.id", {}),
        ("context", []), ("context", "x"), ("context.ip", 5), ("resource.properties", []),
        ("resource.properties.fields", "phone"), ("resource.properties.fields", [1]), ("action.properties", {"page": -1}),
        ("action.properties", {"results": True}), ("subject.id", "x" * 1025), ("context.obligations_supported", "custom"),
    ],
)  # fmt: skip
def test_a_wrong_type_or_a_missing_member_is_told_by_its_place_only(path: str, value: object) -> None:
    with pytest.raises(ProtocolError) as error:
        read_one(put(path, value), "r1")
    first, _, rest = path.partition(".")
    assert (rest.rpartition(".")[2] or first) in str(error.value) or first in str(error.value)
    assert "YT001" not in str(error.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BODY, "evaluations", "id", "type", "name", "options"]), inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_nothing_that_can_be_sent_breaks_the_reader(body: object) -> None:
    for read in (read_one, read_several):
        try:
            found = read(body, "r")
        except ProtocolError:
            continue
        assert isinstance(found, Question | Several)


def test_defaults_are_merged_and_overridden_member_by_member() -> None:
    body = BODY | {"evaluations": [{}, {"resource": {"type": "waybill", "id": "W2"}}, {"action": {"name": "export"}}]}
    several = read_several(body, "r")
    assert isinstance(several, Several)
    asks = [question.ask for question in several.questions if isinstance(question, Question)]
    assert [ask.waybill for ask in asks] == ["W1", "W2", "W1"]
    assert [ask.kind for ask in asks] == ["view", "view", "export"]
    assert [ask.fields for ask in asks] == [("recipient.phone",), (), ("recipient.phone",)]
    assert len({ask.request for ask in asks}) == 3


def test_without_evaluations_it_is_a_single_request() -> None:
    assert read_several(BODY, "r") == read_one(BODY, "r")
    assert read_several(BODY | {"evaluations": []}, "r") == read_one(BODY, "r")


def test_one_bad_element_is_one_denial_and_a_bad_whole_is_refused() -> None:
    several = read_several(BODY | {"evaluations": [{}, {"action": {"name": 3}}, 7]}, "r")
    assert isinstance(several, Several)
    assert [isinstance(question, str) for question in several.questions] == [False, True, True]
    assert refused(str(several.questions[1]))["decision"] is False
    for bad in ({"evaluations": {}}, {"evaluations": [{}] * (EVALUATIONS_MAX + 1)}, {"evaluations": [{}], "options": {"evaluations_semantic": "all"}},
                {"evaluations": [{}], "options": []}, {"evaluations": [{}], "subject": 4}):  # fmt: skip
        with pytest.raises(ProtocolError):
            read_several(BODY | bad, "r")


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_semantics_cut_after_the_first_denial_or_grant(grants: list[bool]) -> None:
    answers = [{"decision": grant} for grant in grants]
    assert cut_off("execute_all", answers) == answers
    first = grants.index(False) + 1 if False in grants else len(grants)
    assert cut_off("deny_on_first_deny", answers) == answers[:first]
    first = grants.index(True) + 1 if True in grants else len(grants)
    assert cut_off("permit_on_first_permit", answers) == answers[:first]


def test_answers_carry_what_the_caller_must_do() -> None:
    question = Question(Ask("r", "YT001", fields=("recipient.phone", "recipient.id_number")))
    plain = answer(question, Decided("d1", "allow", {"recipient.phone": "plain"}))
    assert plain == {
        "decision": True,
        "context": {
            "watchbill": {"id": "d1", "decision": "allow", "step": "none", "fields": {"recipient.phone": "plain"}}
        },
    }
    partly = answer(question, Decided("d1", "allow", {"recipient.phone": "plain", "recipient.id_number": "hidden"}))
    assert partly["context"]["obligations"] == [
        {"id": "obl-1", "type": "custom", "vendor": "watchbill", "action": "mask", "fields": {"recipient.id_number": "hidden"}}
    ]  # fmt: skip
    asked = answer(question, Decided("d2", "ask_reason", {"recipient.phone": "masked"}))
    assert [one["action"] for one in asked["context"]["obligations"]] == ["mask", "ask_reason"]
    proof = answer(question, Decided("d3", "step_up", {"recipient.phone": "masked"}, step="step_up", until=9))
    assert proof["decision"] is False
    assert {one["type"] for one in proof["context"]["obligations"]} == {"custom", "step-up"}
    ended = answer(question, Decided("d4", "deny", step="end_session"))
    assert ended["decision"] is False
    assert ended["context"]["obligations"] == [{"id": "obl-1", "type": "session_termination", "subject": "YT001"}]
    assert set(ended["context"]["reason_user"]) == {"zh", "en"}


def test_a_caller_that_cannot_mask_is_not_granted_a_masked_look() -> None:
    body = put("context.obligations_supported", ["step-up", "made-up"])
    question = read_one(body, "r")
    assert question.able == {"step-up"}
    assert answer(question, Decided("d", "mask", {"recipient.phone": "masked"}))["decision"] is False
    assert answer(question, Decided("d", "allow", {"recipient.phone": "plain"}))["decision"] is True
    able = read_one(put("context.obligations_supported", ["custom"]), "r")
    assert answer(able, Decided("d", "mask", {"recipient.phone": "masked"}))["decision"] is True


def test_metadata_names_the_endpoints_and_the_obligations() -> None:
    told = metadata("https://pdp.example")
    assert told["policy_decision_point"] == "https://pdp.example"
    assert told["access_evaluation_endpoint"] == "https://pdp.example/access/v1/evaluation"
    assert told["access_evaluations_endpoint"].endswith("/access/v1/evaluations")
    assert tuple(told["obligations_supported"]) == OBLIGATIONS


@pytest.mark.parametrize("decision", ["allow", "mask", "ask_reason", "step_up", "throttle", "deny"])
def test_the_recipient_can_be_called_through_the_bridge_whatever_is_decided(decision: str) -> None:
    asked = read_one(BODY, "r1")
    bridge = "https://bridge.example.com/{waybill}"
    ours = answer(asked, Decided("d1", decision), bridge=bridge)["context"]["watchbill"]
    assert ours["call"] == {"via": "bridge", "url": "https://bridge.example.com/W1"}
    assert "call" not in answer(asked, Decided("d1", decision))["context"]["watchbill"]


@pytest.mark.parametrize("decision", ["allow", "mask", "ask_reason", "step_up", "throttle", "deny"])
def test_where_presence_is_proven_is_said_to_who_can_be_asked_for_it(decision: str) -> None:
    asked, where = read_one(BODY, "r1"), "https://watch.example.com/presence/v1/proof/begin"
    ask = replace(asked.ask, account="a1", session="s1")
    whole = replace(asked, ask=ask)
    nobody = replace(asked, ask=replace(ask, session=""))
    named = [
        answer(one, Decided("d1", decision), prove=where)["context"]["watchbill"].get("prove")
        for one in (whole, nobody)
    ]
    assert named == [where if decision == "step_up" else None, None]
    assert "prove" not in answer(whole, Decided("d1", decision))["context"]["watchbill"]


def test_who_can_notify_is_told_to_and_nobody_else() -> None:
    decided = Decided("d", "mask", {"recipient.phone": "masked"}, step="mask", until=99)
    can = put("context.obligations_supported", ["custom", "notification"])
    told = [
        one for one in answer(read_one(can, "r"), decided)["context"]["obligations"] if one["type"] == "notification"
    ]
    assert [(one["recipient"], one["step"], one["message"]["until"]) for one in told] == [("YT001", "mask", 99)]
    assert set(told[0]["message"]) == {"zh", "en", "until"}
    free = Decided("d", "allow", {"recipient.phone": "plain"})
    for body, said in ((BODY, decided), (put("context.obligations_supported", ["custom"]), decided), (can, free)):
        kinds = [one["type"] for one in answer(read_one(body, "r"), said)["context"].get("obligations", [])]
        assert "notification" not in kinds
