"""The room of sources: the folder is the registry, settings are checked, and reading ahead loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from watchbill.core.errors import SettingsError
from watchbill.records.batch import Batch
from watchbill.records.parse import parse_ndjson
from watchbill.sources.base import LineParser, Source, SourceSettings, ahead, kinds, load, open_source, wait


def batch(number: int) -> Batch:
    return parse_ndjson(b"", source="s", identity="f").batch("s", {"n": number})


def test_the_folder_is_the_registry() -> None:
    assert {"files", "http", "stdin"} <= set(kinds())
    assert "base" not in kinds()
    for kind in kinds():
        module = load(kind)
        assert issubclass(module.Settings, SourceSettings)
        assert module.Settings.model_fields["kind"].default == kind
        assert callable(module.open_source)
    with pytest.raises(SettingsError, match="no such kind"):
        load("fax")


def test_sources_open_from_settings() -> None:
    source = open_source("s", {"kind": "stdin"})
    assert isinstance(source, Source)
    assert source.name == "s"
    for wrong in ({"kind": "stdin", "colour": 1}, {"kind": "files"}, {"kind": "stdin", "batch_rows": 0}):
        with pytest.raises(SettingsError, match=r"sources\.s"):
            open_source("s", wrong)


def test_a_mapping_replaces_the_parser() -> None:
    settings = SourceSettings(
        kind="x", mapping="SELECT 'view' AS kind, 1760000000000 AS time, line AS account FROM input"
    )
    parsed = LineParser("s", settings).parse(b"E1\n", "f", 1)
    assert parsed.table.column("account").to_pylist() == ["E1"]


def test_reading_ahead_keeps_order_and_raises_in_the_caller() -> None:
    def broken(_stop: object) -> Iterator[Batch]:
        for n in range(5):
            yield batch(n)
        raise OSError("disk")

    reading = ahead(broken, lambda: False)
    assert [next(reading).position["n"] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="disk"):
        next(reading)


def test_closing_early_ends_the_thread() -> None:
    made = []

    def endless(stop: Callable[[], bool]) -> Iterator[Batch]:
        while not stop():
            made.append(1)
            yield batch(len(made))

    before = threading.active_count()
    reading = ahead(endless, lambda: False)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(made) <= 4


def test_waiting_ends_when_told() -> None:
    wait(3600, lambda: True)
    wait(0.01, lambda: False)
