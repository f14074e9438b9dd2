"""Checkpoints that were published earlier, against the log as it is now: rewriting history shows, also with the log's own key.

Whoever holds the key can sign another history; he cannot take back the checkpoints that others hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchbill.core.errors import LedgerError, LimitError
from watchbill.ledger import checkpoint, files
from watchbill.ledger import manifest as manifests
from watchbill.ledger.merkle import range_root
from watchbill.ledger.tiles import TreeHashes

_NOTE: Final = re.compile(rb"[^\n]+\n\d{1,20}\n[A-Za-z0-9+/=]+\n\n(?:\xe2\x80\x94 [^\n]+\n)+")
FILE_BYTES_MAX: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What comparing came to.

    Attributes:
        checked: checkpoints compared. ok: the log continues all of them. size: of the first that it does not, else of the
        last. reason: why not, "" when ok.
    """

    checked: int
    ok: bool
    size: int
    reason: str


def notes_in(data: bytes) -> list[bytes]:
    """Signed checkpoints in a text: one, or one after another, with anything between that is none."""
    return _NOTE.findall(data)


def check_against(home: Path, published: bytes) -> Witnessed:
    """Compare published checkpoints with the tree as it is on disk (`verify` compares that with the records).

    Raises:
        LedgerError: there is no checkpoint in what was given, or the tree's hashes are missing.
        LimitError: it is too large.
    """
    if len(published) > FILE_BYTES_MAX:
        raise LimitError(f"{len(published)} bytes of checkpoints", todo="Give the newest ones")
    notes = notes_in(published)
    if not notes:
        raise LedgerError(
            "there is no checkpoint in this file", where="--against", todo="Give what `witness` published"
        )
    key = (home / files.KEYS / "origin.pub").read_text(encoding="utf-8").strip()
    sealed, last = manifests.load(home).sealed, 0
    with TreeHashes(home, sealed) as tree:
        for number, note in enumerate(notes):
            try:
                told = checkpoint.verify(note, key)
            except LedgerError as error:
                return Witnessed(
                    number, False, last, f"{error.what}: these were published for another log, or by another key"
                )
            if told.size > sealed:
                reason = f"the log was cut: it has {sealed} records, {told.size} were published"
                return Witnessed(number, False, told.size, reason)
            if told.size and range_root(0, told.size, tree.node) != told.root:
                reason = f"history was rewritten: the first {told.size} records are not those that were published"
                return Witnessed(number, False, told.size, reason)
            last = told.size
    return Witnessed(len(notes), True, last, "")
