from __future__ import annotations

from watchbill.inquiry.settle import Candidate, more_items, settling

A = Candidate("E1", 0.6, frozenset({0, 1, 2}), 500)
B = Candidate("E2", 0.4, frozenset({1, 2, 3}), 600)


def test_the_more_two_share_the_more_records_it_takes() -> None:
    assert more_items(A, B, 0.0, 0.0) == 3
    assert more_items(A, B, 0.5, 0.5) == 12
    assert more_items(A, B, 0.9, 0.5) > 12
    assert more_items(A, A, 1.0, 0.5) == -1
    assert more_items(A._replace(posterior=0.999), B._replace(posterior=1e-6), 0.5, 0.5) == 0


def test_sizes_alone_tell_those_apart_who_saw_the_same() -> None:
    assert 0 < more_items(A, B._replace(customers=50_000), 1.0, 0.5) < 4


def test_a_set_says_how_many_more_records_and_which_lines_only_one_saw() -> None:
    said = settling("set", [A, B], [11, 12, 13, 14], {"E2": 0.5}, [], 0)
    assert said[0].startswith("E1 or E2: about 8 further records")
    assert "only E1 saw those of lines 11" in said[0]
    assert "only E2 saw those of lines 14" in said[0]
    assert any("--before" in one for one in said)


def test_each_outcome_says_its_own() -> None:
    assert settling("named", [A, B], [1], {}, [], 0) == []
    assert any("slips" in one and "outlet O1" in one for one in settling("custody", [A], [1], {}, ["outlet O1"], 0))
    assert any("7 records" in one for one in settling("nobody", [], [1], {}, [], 7))
    assert all("canaries" in settling(outcome, [], [], {}, [], 0)[-1] for outcome in ("set", "custody", "nobody"))
