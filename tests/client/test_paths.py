from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.client.paths import Path, PathError
from watchbill.core.errors import SettingsError

DOC: dict[str, Any] = {
    "recipient": {"phone": "1", "name": None}, "items": [{"p": "a"}, {"p": "b"}], "grid": [["x"], ["y", "z"]], "none": [],
    "note": None,
}  # fmt: skip


def values(text: str, document: object = DOC) -> list[object]:
    return [spot.value for spot in Path.of(text).spots(document)]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("recipient.phone", ["1"]), ("recipient.name", [None]), ("items[].p", ["a", "b"]), ("grid[][]", ["x", "y", "z"]),
        ("none[].p", []), ("recipient.fax?", []), ("note?.phone?", []), ("note?.phone", []), ("gone?.deeper", []),
    ],
)  # fmt: skip
def test_it_leads_where_it_says(path: str, found: list[object]) -> None:
    if path == "note?.phone":
        with pytest.raises(PathError):
            values(path)
        return
    assert values(path) == found


def test_a_list_at_the_top() -> None:
    assert values("[].p", DOC["items"]) == ["a", "b"]


@pytest.mark.parametrize(
    "path",
    ["recipient.fax", "recipient", "items", "items.p", "recipient[]", "items[].q", "recipient.phone.x", "note.x"],
)
def test_what_is_not_there_is_an_error(path: str) -> None:
    with pytest.raises(PathError) as caught:
        values(path)
    assert path in str(caught.value)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "[", "a[0]", "a[]b[", "?", "a?[", "]"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(SettingsError):
        Path.of(text)


def test_values_are_replaced_in_place() -> None:
    document = json.loads(json.dumps(DOC))
    for spot in Path.of("items[].p").spots(document):
        spot.put("*")
    assert document["items"] == [{"p": "*"}, {"p": "*"}]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(json_values, st.sampled_from(["a", "a.b", "a[].b", "[].a", "a?.b", "a?[]"]))
def test_any_document_gives_single_values_or_an_error(document: object, text: str) -> None:
    try:
        spots = Path.of(text).spots(document)
    except PathError:
        return
    assert not any(isinstance(spot.value, (dict, list)) for spot in spots)
