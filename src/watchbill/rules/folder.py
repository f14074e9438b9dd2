"""A folder of rule files as texts: which files count, in which order, and how much is too much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchbill.core.errors import LimitError, SettingsError
from watchbill.rules.settings import FILE_BYTES_MAX, FILES_MAX, FOLDER_BYTES_MAX

SUFFIXES: Final = (".yml", ".yaml")


@dataclass(frozen=True)
class RuleText:
    """One rule file: its path below the folder, with / between the parts, and its text (None: it could not be read)."""

    path: str
    text: str | None
    fault: str = ""


def read_texts(folder: Path) -> list[RuleText]:
    """All rule files of a folder and the folders in it, by path; links are not followed, hidden files left out.

    Raises:
        SettingsError: there is no such folder.
        LimitError: there is too much in it.
    """
    if folder.is_file() and folder.suffix in SUFFIXES:
        return [_read(folder, folder.name)]
    if not folder.is_dir():
        raise SettingsError("there is no such folder of rules", where=str(folder), todo="Check the path")
    out: list[RuleText] = []
    total = 0
    for path in sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix()):
        one = _read(path, path.relative_to(folder).as_posix())
        total += len(one.text or "")
        out.append(one)
        if len(out) > FILES_MAX or total > FOLDER_BYTES_MAX:
            raise LimitError(
                f"more than {FILES_MAX} files or {FOLDER_BYTES_MAX >> 20} MiB of rules", where=str(folder),
                todo="Give a smaller folder",
            )  # fmt: skip
    return out


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    todo = [folder]
    while todo:
        for path in todo.pop().iterdir():
            if path.name.startswith(".") or path.is_symlink():
                continue
            if path.is_dir():
                todo.append(path)
            elif path.suffix in SUFFIXES:
                found.append(path)
    return found


def _read(path: Path, name: str) -> RuleText:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            return RuleText(name, None, f"the file is larger than {FILE_BYTES_MAX // 1024} KiB")
        return RuleText(name, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return RuleText(name, None, f"cannot be read: {why}")
