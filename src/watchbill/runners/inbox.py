"""The inbox of a home: what people decide, do with cases and prove, one small file each, until it stands in the journal.

A file is put there whole and durable by whoever may write the home; the engine (running, replaying, or opened by the command
itself) journals it and only then takes it away. Taken twice after a crash it counts once, by its id.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from watchbill.cases.acts import RECORDS, VERDICT, CaseAct, Said, kind_of_record
from watchbill.cases.desk import refusal
from watchbill.cases.verdicts import Verdict
from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.controls import Timed
from watchbill.runners.proving import PRESENCE, Proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchbill.runners.engine import Engine

BYTES_MAX: Final = 64 << 10
FILES_MAX: Final = 1_000
"""Files looked at in one go; the rest waits for the next."""
VERDICTS_MAX: Final = 1_000_000
_RECORDS: Final[dict[str, type[Said | Proof]]] = {**RECORDS, PRESENCE: Proof}
_NAME: Final = re.compile(r"[0-9]{1,16}-[\w-]{1,64}\.json")


def inbox_of(home: Path) -> Path:
    """The folder."""
    return home / "inbox"


def put(home: Path, said: Said | Proof) -> Path:
    """Leave what somebody said of a case, or a proof of presence, for the engine; durable when this returns.

    Raises:
        OSError: the disk did not take it.
    """
    folder = inbox_of(home)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{said.time:013d}-{re.sub(r'[^0-9A-Za-z_-]', '_', said.id)}.json"
    beside = place.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"kind": _kind(said), **said.model_dump()}, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(place)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return place


def take_inbox(engine: Engine, now: int | None = None) -> list[str]:
    """Journal what lies in the inbox of an open engine, in order of name; what to tell the operator, one line each.

    What is no record of a known kind, or is not legal for its case, is put aside as NAME.refused, with NAME.why beside it.
    `now` as `Engine.tell`.
    """
    told: list[str] = []
    taken: list[Path] = []
    touched: set[str] = set()
    if engine.journal.height == 0:
        return told  # nothing was ever seen here: a word waits until there is something to judge
    for path in _files(engine.home):
        try:
            said = _read(path)
            mine = set[str]() if isinstance(said, Proof) else _about(engine, said)
            if mine & touched:  # whether it is legal depends on what waits: that comes into force first
                engine.tell(now)
                touched = set()
            _check(engine, said)
        except (OSError, ValueError) as error:
            told.append(_refused(path, error))
            continue
        engine.control(_kind(said), said.model_dump())
        touched |= mine
        taken.append(path)
        told.append(_line(said))
    if taken:
        engine.tell(now)
    for path in taken:
        path.unlink(missing_ok=True)
    return told


def _kind(said: Said | Proof) -> str:
    return PRESENCE if isinstance(said, Proof) else kind_of_record(said)


def _check(engine: Engine, said: Said | Proof) -> None:
    """Refuse what is not legal for its case; of a proof the engine says whether it changes anything."""
    book = engine.pipeline.book
    if not isinstance(said, Proof) and said.id not in book.told and (why := refusal(book, said)):
        raise ValueError(why)


def _about(engine: Engine, said: Said | Proof) -> set[str]:
    """The cases (by their first file) and accounts that a record may change."""
    book = engine.pipeline.book
    named = {said.case, said.other} if isinstance(said, CaseAct) else {getattr(said, "case", "")}
    files = [case for name in named for case in book.whole(name)]
    account = getattr(said, "account", "")
    files += [case for one in book.of(account) for case in book.whole(one.id)]
    return {case.account for case in files} | ({account} if account else set())


def _refused(path: Path, error: Exception) -> str:
    why = fault_of(error) if isinstance(error, ValidationError) else str(error)
    path.with_suffix(".why").write_text(why, encoding="utf-8")
    path.rename(path.with_suffix(".refused"))
    return f"what somebody said in the inbox was refused ({path.stem}): {why}"


def _line(said: Said | Proof) -> str:
    if isinstance(said, Proof):
        return "a proof of presence: in the journal"
    if isinstance(said, Verdict):
        return f"verdict {said.verdict} on {said.case or 'an account'}: in force"
    act = getattr(said, "act", "")
    return f"{kind_of_record(said).removeprefix('wb.')} {act} on {said.case}: in force".replace("  ", " ")


def _files(home: Path) -> Iterator[Path]:
    folder = inbox_of(home)
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))
    yield from (folder / name for name in names[:FILES_MAX])


def _read(path: Path) -> Said | Proof:
    with path.open("rb") as file:
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise ValueError(f"longer than {BYTES_MAX} bytes")
    given = from_json(data)
    if not isinstance(given, dict):
        raise ValueError("is no JSON object")
    if set(given) == {"presence"}:  # as an older release left it
        return Proof.model_validate(given["presence"])
    model = _RECORDS.get(str(given.pop("kind", VERDICT)))
    if model is None:
        raise ValueError(f"kind is none of {', '.join(_RECORDS)}")
    return model.model_validate(given)


def read_verdicts(path: Path) -> list[Timed]:
    """Verdicts for a replay: NDJSON, one `Verdict` a line (`id` may be left out), each in force from its `time` on.

    Raises:
        SettingsError: a line is none; says which.
    """
    out: list[Timed] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    out.append(_timed(line, number, path.name))
                if len(out) > VERDICTS_MAX:
                    raise SettingsError(f"more than {VERDICTS_MAX} verdicts", where=path.name, todo="Split the replay")
    except OSError as error:
        raise SettingsError("cannot be read", where=path.name, todo="Check the path and its rights") from error
    return sorted(out, key=lambda one: (one.arrival, one.payload["id"]))


def _timed(line: bytes, number: int, name: str) -> Timed:
    where = f"{name}:{number}"
    try:
        given: Any = json.loads(line[:BYTES_MAX])
        verdict = Verdict.model_validate({"id": f"line-{number}", **given})
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=where, todo="see docs/operate.md, verdicts") from error
    except (ValueError, TypeError) as error:
        raise SettingsError("is no JSON object", where=where, todo="Write one verdict a line") from error
    return Timed(verdict.time, VERDICT, verdict.model_dump())
