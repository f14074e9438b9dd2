from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inquiry.leaks import T0, keep_roster, ledger, look, roster, scan
from watchbill.inquiry import attribute as attributing
from watchbill.inquiry.attribute import Attribution, attribute, shipped
from watchbill.inquiry.leakhits import Asked
from watchbill.inquiry.leaklist import parse_leak

PEOPLE = 40
CUSTOMERS = 20_000


def carrier(rng: np.random.Generator) -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
    """40 accounts of 20 outlets; each saw 60 customers of its own hundreds, two of one outlet share a third of them."""
    seen, rows = {}, []
    for n in range(PEOPLE):
        own = (n // 2) * 1_000
        numbers = own + np.concatenate([rng.permutation(40)[:20], 100 + (n % 2) * 100 + rng.permutation(100)[:40]])
        seen[f"E{n}"] = sorted(numbers.tolist())
        rows += [look(f"E{n}", int(number)) for number in seen[f"E{n}"]]
    rows += [look("R1", int(number)) for number in rng.permutation(CUSTOMERS)[:3_000]]
    return rows, seen


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[int]]]:
    place = tmp_path_factory.mktemp("carrier")
    rows, seen = carrier(np.random.default_rng(7))
    outlets = {f"E{n}": f"O{n // 2}" for n in range(PEOPLE)}
    keep_roster(place, **outlets)
    held = [scan(9_000 + n, "O4", "E9") for n in range(150)] + [scan(9_000 + n, "H1", "E30") for n in range(-600, 600)]
    return ledger(place, [roster(**outlets), *rows, *held], (900, 2000)), seen


def ask(place: Path, lines: list[str], **more: Any) -> Attribution:
    return attribute(place, parse_leak("\n".join(lines).encode()), Asked(**more))


def lines_of(numbers: list[int]) -> list[str]:
    return [f"C{number:011d}" for number in numbers]


def test_the_leaker_is_named_in_half_noise(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, seen = home
    answer = ask(place, lines_of([*seen["E5"][30:40], *range(15_500, 15_510)]))
    assert (answer.outcome, answer.named) == ("named", ["E5"])
    first = answer.ranking[0]
    assert (first.account, first.kind, first.hits, first.unique_hits) == ("E5", "account", 10, 10)
    assert first.posterior >= 0.99
    assert first.customers == 60
    assert answer.made_after == first.last
    assert (answer.size, answer.height) == (20, ask(place, []).height)
    assert answer.settle_with == []


def test_two_who_saw_the_same_are_a_set_with_what_settles_it(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, seen = home
    both = sorted(set(seen["E4"]) & set(seen["E5"]))[:6]
    assert len(both) >= 4
    answer = ask(place, lines_of(both))
    assert (answer.outcome, answer.named) == ("set", [])
    assert {"E4", "E5"} <= set(answer.set)
    assert any("further records of the same list" in one or "no number" in one for one in answer.settle_with)


def test_two_leakers_are_both_named(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, seen = home
    answer = ask(place, lines_of([*seen["E5"][25:45], *seen["E12"][25:45], *range(15_500, 15_510)]))
    assert sorted(answer.named) == ["E12", "E5"]


def test_strangers_are_nobody_here(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, _ = home
    for lines in (lines_of(list(range(15_500, 15_520))), ["13812345678", "13912345678"], []):
        answer = ask(place, lines)
        assert (answer.outcome, answer.named, answer.set) == ("nobody", [], [])
        assert answer.nobody > 0.5
    assert ask(place, lines_of([900_000])).unmatched == 1


def test_parcels_that_nobody_looked_at_are_custody(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, _ = home
    answer = ask(place, [f"YT{9_000 + n:013d}" for n in range(60, 72)])
    assert (answer.outcome, answer.named) == ("custody", [])
    assert answer.custody > 0.9
    assert {(one.kind, one.holder) for one in answer.holders[:2]} == {("outlet", "O4"), ("account", "E9")}
    assert max(one.posterior for one in answer.ranking) < 0.99  # whoever held them was not alone with them
    assert any("slips" in one for one in answer.settle_with)


def test_a_date_before_the_looks_clears_who_looked_later(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, seen = home
    lines = lines_of(seen["E5"][30:42])
    assert ask(place, lines).named == ["E5"]
    assert ask(place, lines, before=T0 + 5).named == []


def test_order_and_duplicates_change_nothing(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, seen = home
    lines = lines_of([*seen["E5"][30:36], *seen["E7"][:3], *range(15_500, 15_504)])
    whole = ask(place, lines)
    again = ask(place, [*reversed(lines), *lines, *(f" {line.lower()},1.50" for line in lines)])
    assert [(one.account, one.hits, one.unique_hits) for one in whole.ranking[:2]] == [
        (one.account, one.hits, one.unique_hits) for one in again.ranking[:2]
    ]
    assert [one.posterior for one in again.ranking] == pytest.approx([one.posterior for one in whole.ranking], abs=2e-6)
    assert (again.size, again.matched, again.outcome) == (whole.size, whole.matched, whole.outcome)


def test_json_has_what_the_contract_says(home: tuple[Path, dict[str, list[int]]]) -> None:
    place, seen = home
    said = ask(place, lines_of(seen["E5"][:8])).to_json()
    assert {"size", "matched", "ranking", "nobody", "custody", "outcome", "set", "settle_with"} <= set(said)
    assert {"account", "posterior", "hits", "unique_hits"} <= set(said["ranking"][0])


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_pure_noise_is_never_a_name(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        rows, _ = carrier(rng)
        answer = ask(ledger(Path(folder), rows), lines_of(rng.permutation(CUSTOMERS)[:40].tolist()))
        assert answer.named == []


def test_the_shipped_constants_are_tuned_ones_and_rise() -> None:
    held = shipped()
    low, high = (int(part) for part in held.seeds.split("-"))
    assert 1 <= low <= high <= 99
    assert list(held.raw) == sorted(held.raw)
    assert list(held.posterior) == sorted(held.posterior)
    assert (held.raw[0], held.posterior[0], held.raw[-1]) == (0.0, 0.0, 1.0)
    assert held.posterior[-1] >= attributing.NAMED_AT
    flat = replace(held, raw=(0.0, 1.0), posterior=(0.0, 0.5))
    assert flat.of(np.array([0.5])).tolist() == [0.25]
