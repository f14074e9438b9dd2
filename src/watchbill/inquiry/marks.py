"""Per-viewer marks: digits of a virtual extension that tell, on a leaked list, whose screen a number came from.

Where the system that shows customers can show a virtual number with an extension, it asks for the mark of (account, customer) and shows
that. The mark is a keyed hash: nobody without the home's key can tell whose it is, or make somebody else's. Off unless the settings say
that the caller supports it (`mark_digits`): a mark that nobody shows would only be luck.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.ledger.keys import named_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

KEY: Final = "marks"
DIGITS: Final = (3, 8)
"""Shortest and longest extension that is read from a list."""
_MARK: Final = re.compile(r"(?:转|分机|ext\.?|extension|#)[ :：]{0,2}([0-9]{3,8})(?![0-9])", re.IGNORECASE)
_AFTER_PHONE: Final = re.compile(r"(?<![0-9])(1[3-9][0-9]{9}) *[-pP,] *([0-9]{3,7})(?![0-9.\-/])")


def key_of(home: Path) -> bytes:
    """The home's key of marks, made on first use."""
    return named_key(home, KEY)


def mark_of(key: bytes, account: str, customer: str, digits: int) -> str:
    """The extension that this account is shown for this customer: `digits` decimal digits, always the same."""
    said = len(account.encode()).to_bytes(4, "big") + account.encode() + customer.encode()
    drawn = int.from_bytes(blake2b(said, key=key, digest_size=16, person=b"watchbill-marks").digest(), "big")
    return f"{drawn % 10**digits:0{digits}d}"


def taken_out(line: str) -> tuple[str, tuple[str, ...]]:
    """(the line without its extensions, the extensions)."""
    found: list[str] = []

    def keep(hit: re.Match[str]) -> str:
        found.append(hit[hit.lastindex or 1])
        return f"{hit[1]} " if hit.lastindex == 2 else " "  # noqa: PLR2004 - the phone stays, its extension goes

    line = _MARK.sub(keep, _AFTER_PHONE.sub(keep, line))
    return line, tuple(sorted(set(found)))


class Borne(NamedTuple):
    """A record of a list: how its customer may be written, and the extensions that it bears."""

    texts: tuple[str, ...]
    marks: tuple[str, ...]


def factors(key: bytes, digits: int, records: Sequence[Borne], accounts: Sequence[str]) -> NDArray[np.float64]:
    """What the density of each hit (record, account) is multiplied by: 10^digits where it bears the account's own mark; float64[n].

    Noise and other accounts bear a given mark with chance 10^-digits, which cancels.
    """
    out = np.ones(len(records))
    for at, (record, name) in enumerate(zip(records, accounts, strict=True)):
        marks = {mark for mark in record.marks if len(mark) == digits}
        if marks and name and any(mark_of(key, name, text, digits) in marks for text in record.texts):
            out[at] = 10.0**digits
    return out
