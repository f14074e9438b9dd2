from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.client.sweep import Sweep, _worth

PHONE = "13800001234"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"call {PHONE} now", "call ****** now"), ("138-0000-1234", "******"), ("电话138 0000 1234。", "电话******。"), ("+86 138 0000 1234", "+******"),
        ("13800001235", "13800001235"), ("王伟先生", "******先生"), ("nothing", "nothing"), (f"{PHONE}{PHONE}", "******"),
    ],
)  # fmt: skip
def test_a_value_is_found_wherever_it_stands(text: str, clean: str) -> None:
    assert Sweep([PHONE, "王伟"]).text(text) == clean


def test_keys_numbers_and_lists_too() -> None:
    document = {PHONE: 1, "n": [int(PHONE), {"x": f"t:{PHONE}"}], "f": 1.5, "b": True, "z": None}
    assert Sweep([PHONE]).document(document) == {
        "******": 1,
        "n": ["******", {"x": "t:******"}],
        "f": 1.5,
        "b": True,
        "z": None,
    }


def test_what_is_too_short_or_only_stars_is_left_alone() -> None:
    sweep = Sweep(["Li", "王", "****", "a"])
    assert sweep.text("Li at Lido **** 王 a") == "Li at Lido **** 王 a"


letters = st.text(st.sampled_from("ab王伟*1 -2"), max_size=12)


@given(st.lists(letters, max_size=6), st.lists(letters, max_size=4))
def test_no_value_is_left_and_it_ends(values: list[str], texts: list[str]) -> None:
    swept = Sweep(values).document(texts)
    for value in values:
        if _worth(value.strip()):
            assert not any(value.strip() in text for text in swept)


def test_ten_thousand_values_with_one_beginning_take_no_longer_than_they_should() -> None:
    values = [f"浙江省杭州市余杭区文一西路{n}号" for n in range(10_000)]
    texts = [value[:-1] + "x" for value in values]
    began = time.monotonic()
    assert Sweep(values).document(texts[:3000])
    assert time.monotonic() - began < 20
