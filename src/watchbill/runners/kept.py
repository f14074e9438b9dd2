"""Texts that a journal record puts in force, each kept in a file named by its digest: settings, rules."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from watchbill.core.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path


def digest_of(text: str) -> str:
    """SHA-256 of the text, as a record names it."""
    return hashlib.sha256(text.encode()).hexdigest()


def keep_text(folder: Path, text: str) -> str:
    """Keep a text (written beside, then renamed) and return its digest."""
    digest = digest_of(text)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{digest}.json"
    if not place.exists():
        beside = place.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.rename(place)
    return digest


def kept_text(folder: Path, digest: str) -> str:
    """The text of a digest.

    Raises:
        LedgerError: the kept file is missing or was changed.
    """
    place, what = folder / f"{digest}.json", folder.name
    try:
        text = place.read_text(encoding="utf-8")
    except OSError as error:
        raise LedgerError(
            f"the kept {what} of a record are missing", where=place.name, todo=f"restore home/{what} from a copy"
        ) from error
    if digest_of(text) != digest:
        raise LedgerError(f"the kept {what} of a record were changed", where=place.name, todo="restore it from a copy")
    return text
