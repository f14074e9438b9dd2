from __future__ import annotations

from pathlib import Path

import pytest

from watchbill.core.errors import LimitError, SettingsError
from watchbill.rules import folder as module
from watchbill.rules.folder import read_texts


def test_files_by_path_links_and_hidden_ones_left_out(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.yaml").write_text("1")
    (tmp_path / "a.yml").write_text("2")
    (tmp_path / "notes.txt").write_text("3")
    (tmp_path / ".hidden.yml").write_text("4")
    (tmp_path / "link.yml").symlink_to(tmp_path / "a.yml")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"\xff\xfe")
    found = read_texts(tmp_path)
    assert [(one.path, one.text) for one in found] == [("a.yml", "2"), ("b/x.yaml", "1"), ("latin.yml", None)]
    assert found[2].fault == "cannot be read: it is not UTF-8"


def test_a_folder_that_is_not_there_and_one_that_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        read_texts(tmp_path / "gone")
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("x" * 100)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 99)
    assert all("larger" in one.fault for one in read_texts(tmp_path))
    monkeypatch.setattr(module, "FILES_MAX", 1)
    with pytest.raises(LimitError, match="more than 1 files"):
        read_texts(tmp_path)


def test_one_file_is_a_folder_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("x")
    assert [one.path for one in read_texts(tmp_path / "a.yml")] == ["a.yml"]
