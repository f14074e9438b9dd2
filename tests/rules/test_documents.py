from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.rules.documents import DocumentError, read_documents
from watchbill.rules.settings import FILE_BYTES_MAX


def test_data_and_lines() -> None:
    text = "title: t\ndetection:\n  a:\n    account: [x,\n      y]\n    results: 3\n---\n\ntitle: u\n"
    first, second = read_documents(text)
    assert first.data == {"title": "t", "detection": {"a": {"account": ["x", "y"], "results": 3}}}
    assert first.line_of("detection", "a", "account", 1) == 5
    assert first.line_of("detection", "a", "results") == 6
    assert first.line_of("detection", "gone", "deeper") == 2
    assert (second.data, second.line) == ({"title": "u"}, 9)


def test_scalars_are_yamls_own() -> None:
    (one,) = read_documents("[1, 1.5, true, null, '1', 2024-01-02, ~, text, 0x10]")
    assert one.data[:5] == [1, 1.5, True, None, "1"]
    assert str(one.data[5]) == "2024-01-02"
    assert one.data[6:] == [None, "text", 16]


HOSTILE = [
    ("a: &x [1]\nb: *x", 1, "anchors"),
    ("\n" + "[" * 100_000, 2, "nested"),
    ("{a: " * 50_000, 1, "nested"),
    ("a: 1\nb: 2\na: 3", 3, "same key"),
    ("? [1, 2]\n: x", 1, "a key is"),
    ("a: !!python/object/apply:os.system ['x']", 1, "tag"),
    ("a: !!python/name:os.system x", 1, "tag"),
    ("a: !mine x", 1, "tag"),
    ("a: 2024-13-45", 1, "not what it looks like"),
    ("- 1\n" * 30_000, 20_000, "more than"),
    ("a: [1\nb: 2", 2, "not YAML"),
    ("a: \x01", 1, "not YAML"),
    ("x" * (FILE_BYTES_MAX + 1), 1, "larger"),
]


@pytest.mark.parametrize(("text", "line", "what"), HOSTILE)
@pytest.mark.timeout(5)
def test_hostile_files_are_refused_at_once(text: str, line: int, what: str) -> None:
    with pytest.raises(DocumentError, match=what) as caught:
        read_documents(text)
    assert abs(caught.value.line - line) <= 1
    assert caught.value.todo


@given(st.text(st.sampled_from("ab:[]{}-,\n '\"&*!#|>?%@x0"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(DocumentError):
        assert all(document.line >= 1 for document in read_documents(text))
