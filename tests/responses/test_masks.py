from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.responses.masks import (
    DEFAULT_MATRIX,
    HIDDEN,
    MASKED,
    PHONE_HIDDEN_MIN,
    PLAIN,
    STAR,
    level_of,
    levels,
    mask_value,
    shown,
)


@pytest.mark.parametrize(
    ("field", "value", "masked"),
    [
        ("recipient.name", "张三丰", "张**"),
        ("recipient.name", "张", "*"),
        ("sender.name", "Lee", "L**"),
        ("recipient.phone", "13812345634", "138******34"),
        ("recipient.phone", "+86 138 1234 5634", "+86 1** **** 5634"),
        ("recipient.phone", "110", "***"),
        ("recipient.phone", "none", "****"),
        ("recipient.address", "河北省邯郸市丛台区人民路12号3栋2单元501室", "河北省邯郸市丛台区人民路12号***"),
        ("recipient.address", "1 Long Road, Apt 7", "1 Long Road, ***"),
        ("recipient.address", "某某村", "某某***"),
        ("recipient.id_number", "130402199001011234", "******"),
        ("recipient.phone", "", ""),
    ],
)
def test_values_are_masked_as_the_waybill_standard_asks(field: str, value: str, masked: str) -> None:
    assert mask_value(field, value) == masked


@given(st.text(alphabet="0123456789-+ ", max_size=30))
def test_of_a_phone_six_digits_are_hidden_or_all(value: str) -> None:
    digits = sum(letter.isdigit() for letter in value.strip())
    masked = mask_value("phone", value)
    assert digits - sum(letter.isdigit() for letter in masked) >= min(PHONE_HIDDEN_MIN, digits)


@given(st.sampled_from(["name", "phone", "address", "id_number", "other"]), st.text(min_size=2, max_size=40))
def test_something_is_always_hidden(field: str, value: str) -> None:
    if len(value.strip()) > 1 and STAR not in value:
        assert mask_value(field, value) != value.strip()
        assert STAR in mask_value(field, value)


def test_an_id_number_is_never_shown_to_a_courier_and_a_decision_only_takes_away() -> None:
    assert level_of(DEFAULT_MATRIX, "courier", "recipient.id_number") == HIDDEN
    fields = ("recipient.phone", "recipient.id_number", "recipient.name")
    assert list(levels(DEFAULT_MATRIX, "courier", fields).values()) == [PLAIN, HIDDEN, PLAIN]
    assert list(levels(DEFAULT_MATRIX, "courier", fields, at_least=MASKED).values()) == [MASKED, HIDDEN, MASKED]
    assert level_of(DEFAULT_MATRIX, "a role nobody set", "recipient.id_number") == HIDDEN


def test_hidden_is_empty_and_plain_is_as_it_is() -> None:
    assert shown("name", "李四", HIDDEN) == ""
    assert shown("name", "李四", PLAIN) == "李四"
    assert shown("name", "李四", MASKED) == "李**"
