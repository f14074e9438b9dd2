"""What people bring in from outside: leaks with their chain of custody, tips with a protected source, parties of a case.

Each is a diary of the home (`ledger/diary.py`), beside the journal: nothing of it changes what the engine says. A leaked file is kept
sealed under a key of the home; a tip's words are sealed, its day alone is kept, and every reading is recorded first.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.leaks import Handling, Leak
from watchbill.cases.parties import Party, current
from watchbill.cases.tips import Access, Tip
from watchbill.core.errors import LimitError, NotFoundError, SettingsError, SourceError
from watchbill.inquiry.leaklist import BYTES_MAX
from watchbill.ledger import files
from watchbill.ledger.diary import Diary
from watchbill.ledger.keys import named_key, sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

LEAKS, TIPS = "leaks", "tips"
DAY_MS: Final = 86_400_000
_PRIVATE: Final = 0o600
_LEAK, _HANDLED, _TIP, _READ, _PARTY = "leak", "handled", "tip", "read", "party"
_ID: Final = 12


# --- leaks -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TakenIn:
    """A leak and what happened to it since: (epoch ms, step), in order."""

    leak: Leak
    taken: int
    chain: tuple[tuple[int, Handling], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        chain = [{"time": time, **step.model_dump()} for time, step in self.chain]
        return {"taken": self.taken, **self.leak.model_dump(), "chain": chain}


def leak_book(home: Path) -> Diary:
    """The diary of leaks."""
    return Diary(home / LEAKS / "leaks.ndjson")


def take_leak(home: Path, path: Path, said: dict[str, Any], now: int) -> TakenIn:
    """Keep a sealed copy of a leaked file and write down where it came from.

    Args:
        said: the fields of `Leak` but id, sha256 and bytes.

    Raises:
        SourceError: the file cannot be read. LimitError: it is too long. SettingsError: the same file is there already.
        pydantic.ValidationError: what is said makes no sense.
    """
    data = _bytes_of(path)
    digest = hashlib.sha256(data).hexdigest()
    leak = Leak.model_validate(said | {"id": digest[:_ID], "sha256": digest, "bytes": len(data)})
    if any(one.leak.sha256 == digest for one in leaks_of(home)):
        raise SettingsError("this file was taken in before", where=digest[:_ID], todo="`watchbill leak show` has it")
    files.make_directory(home / LEAKS)
    (home / LEAKS).chmod(0o700)
    files.write_atomic(_copy(home, leak.id), sealed(named_key(home, LEAKS), data, leak.id.encode()), mode=_PRIVATE)
    leak_book(home).add(_LEAK, leak.model_dump(), now)
    handle_leak(home, {"leak": leak.id, "act": "received", "by": leak.by}, now)
    return find_leak(home, leak.id)


def handle_leak(home: Path, said: dict[str, Any], now: int) -> Handling:
    """Add a step to a leak's chain of custody."""
    leak = find_leak(home, str(said.get("leak", ""))).leak
    step = Handling.model_validate(said | {"sha256": leak.sha256})
    leak_book(home).add(_HANDLED, step.model_dump(), now)
    return step


def leaks_of(home: Path) -> list[TakenIn]:
    """All leaks with their chains, in order.

    Raises:
        LedgerError: the diary was changed.
    """
    leaks: dict[str, tuple[Leak, int]] = {}
    chains: dict[str, list[tuple[int, Handling]]] = {}
    for entry in leak_book(home).entries():
        if entry.kind == _LEAK:
            leak = Leak.model_validate(entry.said)
            leaks[leak.id] = (leak, entry.time)
        else:
            step = Handling.model_validate(entry.said)
            chains.setdefault(step.leak, []).append((entry.time, step))
    return [TakenIn(leak, time, tuple(chains.get(leak.id, ()))) for leak, time in leaks.values()]


def find_leak(home: Path, name: str) -> TakenIn:
    """One leak.

    Raises:
        NotFoundError: there is none of that id.
    """
    for one in leaks_of(home):
        if one.leak.id == name:
            return one
    raise NotFoundError("there is no such leak", where="leak", todo="`watchbill leak list` has them")


def leaked_bytes(home: Path, leak: Leak) -> bytes:
    """The sealed copy of a leak, opened; it is what was taken in, or an error.

    Raises:
        LedgerError: the copy is damaged.
    """
    try:
        held = _copy(home, leak.id).read_bytes()
    except OSError as error:
        raise NotFoundError(
            "the copy of this leak is gone", where=leak.id, todo="Put home/leaks back from a backup"
        ) from error
    return unsealed(named_key(home, LEAKS), held, leak.id.encode())


def _copy(home: Path, name: str) -> Path:
    return home / LEAKS / f"{name}.sealed"


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise SourceError("cannot be read", where=path.name, todo=error.strerror or "Check the path") from error
    if len(data) > BYTES_MAX:
        raise LimitError(f"the file is over {BYTES_MAX >> 20} MiB", where=path.name, todo="Split it")
    return data


# --- tips --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeptTip:
    """A tip without its words: id, day (epoch ms of its first UTC instant), what it is about."""

    id: str
    day: int
    about: str


def tip_book(home: Path) -> Diary:
    """The diary of tips, in a folder of its own."""
    return Diary(home / TIPS / "tips.ndjson")


def access_book(home: Path) -> Diary:
    """The diary of who read tips."""
    return Diary(home / TIPS / "access.ndjson")


def take_tip(home: Path, tip: Tip, now: int) -> KeptTip:
    """Keep a tip: its words sealed, no hour, nobody who told it."""
    files.make_directory(home / TIPS)
    (home / TIPS).chmod(0o700)
    day = now - now % DAY_MS
    number = len(tip_book(home).entries())
    name = hashlib.sha256(f"{number} {tip.about}".encode() + named_key(home, TIPS)).hexdigest()[:_ID]
    held = sealed(named_key(home, TIPS), tip.model_dump_json().encode(), name.encode())
    tip_book(home).add(_TIP, {"id": name, "about": tip.about, "sealed": base64.b64encode(held).decode()}, day)
    return KeptTip(name, day, tip.about)


def tips_of(home: Path) -> list[KeptTip]:
    """All tips without their words."""
    return [KeptTip(entry.said["id"], entry.time, entry.said["about"]) for entry in tip_book(home).entries()]


def read_tip(home: Path, name: str, access: dict[str, Any], now: int) -> Tip:
    """The words of a tip, once the reading is recorded.

    Raises:
        NotFoundError: there is none of that id. pydantic.ValidationError: who reads, or why, is not said.
    """
    held = {entry.said["id"]: entry.said["sealed"] for entry in tip_book(home).entries()}
    if name not in held:
        raise NotFoundError("there is no such tip", where="tip show", todo="`watchbill tip list` has them")
    access_book(home).add(_READ, Access.model_validate(access | {"tips": (name,)}).model_dump(mode="json"), now)
    opened = unsealed(named_key(home, TIPS), base64.b64decode(held[name]), name.encode())
    return Tip.model_validate(json.loads(opened))


# --- parties -----------------------------------------------------------------------------------------------------------


def party_book(home: Path) -> Diary:
    """The diary of parties."""
    return Diary(home / "parties.ndjson")


def add_party(home: Path, party: Party, now: int) -> Party:
    """Name a party of a case, or say more of one (the last word counts)."""
    party_book(home).add(_PARTY, party.model_dump(mode="json"), now)
    return party


def parties_of(home: Path, cases: Collection[str] = ()) -> list[Party]:
    """The parties of these cases, or of all."""
    held = current(Party.model_validate(entry.said) for entry in party_book(home).entries())
    return [party for party in held if not cases or party.case in cases]
