from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchbill.inquiry.inforce import Device, InForce
from watchbill.inquiry.rings import NAMED_AT, Ring, Tie, Use, may_tie, named

OUTLETS = {f"e{n}": f"o{n}" for n in range(60)}


def uses(tie: Tie, *who: tuple[str, int]) -> set[Use]:
    return {Use(tie, account, hour) for account, hour in who}


def ask(known: tuple[str, ...], *parts: set[Use], outlets: dict[str, str] | None = None) -> Ring:
    return named(known, 7, set().union(*parts), outlets or OUTLETS)


def test_the_seed_case_two_known_numbers_name_the_other_three() -> None:
    one, two = Tie("device", "D1"), Tie("device", "D2")
    line, other = Tie("line", "L1"), Tie("line", "L2")
    answer = ask(
        ("e1", "e2"), uses(one, ("e1", 8), ("e3", 12), ("e5", 16)), uses(two, ("e2", 10), ("e4", 14)),
        uses(line, ("e1", 8), ("e2", 10), ("e5", 16)), uses(other, ("e3", 12), ("e4", 14)),
    )  # fmt: skip
    assert {who.account for who in answer.named} == {"e3", "e4", "e5"}
    assert answer.near == []
    (last,) = [who for who in answer.named if who.account == "e3"]
    assert last.reasons[0] == "device D1: 3 accounts of 3 outlets, one after another, no hour shared; with e1, e5"
    assert (last.first, last.last, last.outlet) == (12 * 3_600_000, 13 * 3_600_000, "o3")
    assert answer.to_json()["named"][0]["score"] == answer.named[0].score


def test_one_line_alone_names_nobody_two_do() -> None:
    first, second = uses(Tie("line", "L1"), ("e1", 1), ("e2", 2)), uses(Tie("line", "L2"), ("e1", 5), ("e2", 6))
    assert [who.account for who in ask(("e1",), first).near] == ["e2"]
    assert [who.account for who in ask(("e1",), first, second).named] == ["e2"]


def test_colleagues_and_crowds_tie_nobody_and_strangers_to_the_roster_do() -> None:
    pair = uses(Tie("device", "D"), ("e1", 1), ("e2", 2))
    same = {"e1": "o1", "e2": "o1"}
    assert ask(("e1",), pair, outlets=same) == Ring(("e1",), 7)
    assert len(ask(("e1",), pair, outlets={"e1": "", "e2": ""}).named) == 1
    crowd = uses(Tie("device", "D"), *((f"e{n}", n) for n in range(50)))
    assert ask(("e1",), crowd).named == []


def test_an_hour_that_two_share_weighs_less() -> None:
    turns, together = uses(Tie("device", "D"), ("e1", 1), ("e2", 2)), uses(Tie("device", "D"), ("e1", 1), ("e2", 1))
    assert ask(("e1",), turns).named[0].score > ask(("e1",), together).named[0].score
    assert "also in the same hour" in ask(("e1",), together).named[0].reasons[0]


@given(st.sets(st.builds(
    Use, st.builds(Tie, st.sampled_from(("device", "line", "session")), st.sampled_from("ABC")),
    st.sampled_from([f"e{n}" for n in range(8)]), st.integers(0, 6),
), max_size=30))  # fmt: skip
def test_scores_are_scores_and_never_fall_when_more_is_known(some: set[Use]) -> None:
    few, more = ask(("e0",), some), ask(("e0", "e1"), some)
    scores = {who.account: who.score for who in [*more.named, *more.near]}
    for who in [*few.named, *few.near]:
        assert 0 < who.score <= 1
        assert (who.score >= NAMED_AT) == (who in few.named) or abs(who.score - NAMED_AT) < 0.001
        if who.account != "e1":
            assert scores[who.account] >= who.score - 0.001


def test_registered_devices_and_unplaced_addresses_may_not_tie() -> None:
    tables = InForce(devices={"D1": Device("o1", "handset", shared=False)})
    assert not may_tie(Tie("device", "D1"), tables)
    assert may_tie(Tie("device", "D2"), tables)
    assert not may_tie(Tie("line", "10.0.0.1"), tables)
    assert may_tie(Tie("session", "S"), tables)
