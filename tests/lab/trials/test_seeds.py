from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import SettingsError
from watchbill.lab.attacks.base import load_attacks
from watchbill.lab.trials.seeds import JUDGED_MIN, TUNED_KINDS, TUNED_MAX, must_be, parse_seeds, purpose_of, world_seed


def test_seeds_are_read_as_written() -> None:
    assert parse_seeds("2001-2003") == [2001, 2002, 2003]
    assert parse_seeds("9, 3,5-6,5") == [3, 5, 6, 9]


@pytest.mark.parametrize("text", ["", "x", "3-", "-3", "5-2", "1-99999999", "1.5"])
def test_what_is_no_list_of_seeds_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--seeds"):
        parse_seeds(text)


def test_tuned_and_judged_seeds_are_never_mixed() -> None:
    assert purpose_of([1, 99]) == "tuned"
    assert purpose_of([1001]) == "judged"
    with pytest.raises(SettingsError, match="mixed"):
        purpose_of([99, 1001])
    for nobodys in ([0], [100], [1000], [5, 500], [500, 2001]):
        with pytest.raises(SettingsError, match="is for nothing"):
            purpose_of(nobodys)
    with pytest.raises(SettingsError, match="no seed"):
        purpose_of([])


def test_calibration_may_not_see_judged_seeds() -> None:
    assert must_be("tuned", [3, 1]) == [1, 3]
    with pytest.raises(SettingsError, match="must be tuned"):
        must_be("tuned", [2001])
    with pytest.raises(SettingsError, match="must be judged"):
        must_be("judged", [7])


@given(st.integers(JUDGED_MIN, 9_999), st.integers(0, 200), st.integers(JUDGED_MIN, 9_999), st.integers(0, 200))
def test_worlds_of_judged_seeds_stay_judged_and_apart(a: int, part: int, b: int, other: int) -> None:
    assert purpose_of([world_seed(a, part)]) == "judged"
    assert (world_seed(a, part) == world_seed(b, other)) == ((a, part) == (b, other))


@given(st.integers(1, TUNED_MAX), st.integers(0, 200))
def test_worlds_of_tuned_seeds_stay_tuned(seed: int, part: int) -> None:
    assert purpose_of([world_seed(seed, part)]) == "tuned"


def test_kinds_said_to_be_tuned_on_exist() -> None:
    assert set(load_attacks()) >= TUNED_KINDS
