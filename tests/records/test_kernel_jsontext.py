"""Kernels on JSON text against Python's own reader."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.records.kernel_jsontext import copy_text, integer, text_end, value_end

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def buffer(text: bytes) -> np.ndarray:
    return np.frombuffer(text + b"\n", dtype=np.uint8)


@settings(deadline=None, max_examples=200)
@given(values, st.booleans())
def test_a_json_value_ends_where_it_ends(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert value_end(buffer(text + b" ,"), 0) == len(text)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='[]{}",:0123456789.eE+-truefalsn \\u', max_size=12))
def test_what_python_refuses_is_odd(text: str) -> None:
    end = value_end(buffer(text.encode()), 0)
    try:
        json.loads(text.strip(" "), parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert end < 0 or text[:end] != text.rstrip(" ")


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20), st.booleans())
def test_strings_are_unescaped(text: str, ascii_only: bool) -> None:
    quoted = json.dumps(text, ensure_ascii=ascii_only).encode()
    buf = buffer(quoted)
    end = text_end(buf, 1)
    assert end == len(quoted) - 1
    out = np.zeros(len(quoted) + 8, dtype=np.uint8)
    size = copy_text(buf, 1, end, out, 0)
    assert out[:size].tobytes().decode() == text


@given(st.integers(-(10**20), 10**20))
@settings(deadline=None)
def test_whole_numbers(value: int) -> None:
    text = str(value).encode()
    end, found = integer(buffer(text), 0)
    if abs(value) < 10**18:
        assert (end, found) == (len(text), value)
    else:
        assert end == -1
