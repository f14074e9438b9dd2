"""Signing a report off: only what lacks nothing becomes final, as files with their hashes in the record of reports."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import LedgerError, NotFoundError, SettingsError
from watchbill.notices.html import html_of
from watchbill.notices.profile import fill, numbered
from watchbill.notices.record import append, folder_of, read_record
from watchbill.notices.typeset import pdf_of
from watchbill.notices.wording import LANGS, clean

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.notices.facts import Facts
    from watchbill.notices.profile import Profile

SIGNER_MAX: Final = 64


def finalize(home: Path, profile: Profile, facts: Facts, by: str, now: int, stage: str = "") -> dict[str, Any]:
    """Sign a report off: its files in both languages, and the row of the record that names them.

    A language whose font is missing has no PDF; the row says so (`without_pdf`). What was signed off before stays.

    Raises:
        SettingsError: something lacks, or nobody signs. NotFoundError: no such stage. LedgerError: the record is damaged.
    """
    signer = by.strip()
    if not signer or len(signer) > SIGNER_MAX:
        raise SettingsError("nobody signs", where="report final", todo=f"Give --by, 1 to {SIGNER_MAX} characters")
    stage = profile.stage_of(stage)
    filled = [fill(profile, facts, lang, stage, now) for lang in LANGS]
    lacking = sorted({name for document in filled for name in document.missing})
    if lacking:
        todo = "`watchbill report missing` says where each comes from; the draft stays a draft"
        raise SettingsError(f"{len(lacking)} fields are missing: {', '.join(lacking)}", where="report final", todo=todo)
    parts: dict[str, bytes] = {}
    without: list[str] = []
    for document in filled:
        signed = numbered(replace(document, signed=(clean(signer), str(now)), as_of=now))
        parts[f"{signed.lang}.json"] = (json.dumps(signed.to_json(), ensure_ascii=False, indent=1) + "\n").encode()
        parts[f"{signed.lang}.html"] = html_of(signed, facts.zone).encode()
        try:
            parts[f"{signed.lang}.pdf"] = pdf_of(signed, facts.zone)
        except NotFoundError:
            without.append(signed.lang)
    folder = _new_folder(home, facts.id, profile.id, stage)
    for name, data in parts.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    return append(
        home, "final", facts.id, signer, now, profile=profile.id, stage=stage, height=facts.height, files=hashes,
        folder=folder.name, without_pdf=without, exposure=facts.answer.hash if facts.answer is not None else None,
    )  # fmt: skip


def finals_of(home: Path, case: str, profile: str = "") -> list[dict[str, Any]]:
    """The signed-off reports of a case (of one kind), in order, as the record names them."""
    return [
        row
        for row in read_record(home)
        if row["kind"] == "final" and row["case"] == case and profile in ("", row["profile"])
    ]


def final_files(home: Path, row: dict[str, Any]) -> dict[str, bytes]:
    """The files of a signed-off report, each as it was.

    Raises:
        LedgerError: one is missing, or is not what was signed off.
    """
    out = {}
    for name, wanted in row["files"].items():
        path = folder_of(home) / row["folder"] / name
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != wanted:
            raise LedgerError(
                "is not what was signed off", where=f"reports/{row['folder']}/{name}", todo="Restore it from a copy"
            )
        out[name] = data
    return out


def _new_folder(home: Path, case: str, profile: str, stage: str) -> Path:
    safe = re.sub(r"[^\w-]", "_", case)[:64]
    stem = "-".join(part for part in (safe, profile, stage) if part)
    for number in range(1, 10_000):
        place = folder_of(home) / f"{stem}-{number}"
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            continue
        return place
    raise SettingsError("9999 reports of one kind", where="report final", todo="Clean up home/reports")
