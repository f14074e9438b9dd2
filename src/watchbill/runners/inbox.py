"""The inbox of a home: what people decide and prove while the engine runs, one small file each, until it stands in the journal.

A file is put there whole and durable by whoever may write the home; the engine (running, replaying, or opened by the command
itself) journals it and only then takes it away. Taken twice after a crash it counts once, by its id.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from watchbill.cases.verdicts import Verdict
from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.controls import Timed
from watchbill.runners.proving import PRESENCE, Proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchbill.runners.engine import Engine

VERDICT: Final = "wb.verdict"
BYTES_MAX: Final = 64 << 10
FILES_MAX: Final = 1_000
"""Files looked at in one go; the rest waits for the next."""
VERDICTS_MAX: Final = 1_000_000
_NAME: Final = re.compile(r"[0-9]{1,16}-[\w-]{1,64}\.json")


def inbox_of(home: Path) -> Path:
    """The folder."""
    return home / "inbox"


def put(home: Path, told: Verdict | Proof) -> Path:
    """Leave a verdict, or a proof of presence, for the engine; durable when this returns.

    Raises:
        OSError: the disk did not take it.
    """
    folder = inbox_of(home)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{told.time:013d}-{re.sub(r'[^0-9A-Za-z_-]', '_', told.id)}.json"
    beside = place.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        whole = {"presence": told.model_dump()} if isinstance(told, Proof) else told.model_dump()
        file.write(json.dumps(whole, ensure_ascii=False))
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

    A file that is neither a verdict nor a proof of presence, or is about a case that is not there, is put aside as NAME.refused. `now` as `Engine.tell`.
    """
    told: list[str] = []
    taken: list[Path] = []
    if engine.journal.height == 0:
        return told  # nothing was ever seen here: a verdict waits until there is something to judge
    for path in _files(engine.home):
        try:
            one = _read(path)
            if isinstance(one, Verdict) and one.case and one.case not in engine.pipeline.book.cases:
                raise ValueError("there is no such case")
        except (OSError, ValueError) as error:
            path.rename(path.with_suffix(".refused"))
            why = fault_of(error) if isinstance(error, ValidationError) else str(error)
            told.append(f"a verdict in the inbox was refused ({path.stem}): {why}")
            continue
        taken.append(path)
        if isinstance(one, Proof):
            engine.control(PRESENCE, one.model_dump())
            told.append("a proof of presence: in the journal")
        else:
            engine.control(VERDICT, one.model_dump())
            told.append(f"verdict {one.verdict} on {one.case or 'an account'}: in force")
    if taken:
        engine.tell(now)
    for path in taken:
        path.unlink(missing_ok=True)
    return told


def _files(home: Path) -> Iterator[Path]:
    folder = inbox_of(home)
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))
    yield from (folder / name for name in names[:FILES_MAX])


def _read(path: Path) -> Verdict | Proof:
    with path.open("rb") as file:
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise ValueError(f"longer than {BYTES_MAX} bytes")
    try:
        given: Any = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if isinstance(given, dict) and set(given) == {"presence"}:
        return Proof.model_validate(given["presence"])
    return Verdict.model_validate(given)


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
