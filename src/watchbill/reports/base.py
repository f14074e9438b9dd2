"""What a report is: a class named `Report` in a file of this folder; the file's name is its id. It gives parts, never files.

Parts are named bytes. `packed` lists them in a note signed with the log's key and puts them into one zip file, the same bytes
for the same home and height.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from watchbill.core.errors import LimitError, NotFoundError
from watchbill.ledger.checkpoint import sign_text
from watchbill.ledger.keys import Keys
from watchbill.ledger.verify_pack import BYTES_MAX, PARTS_MAX, manifest_text, pack_bytes
from watchbill.notices.final import final_files, finals_of
from watchbill.notices.profile import Field, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = [
    "Field", "Profile", "ProfileBase", "ReportBase", "json_part", "lines_part", "load_report", "packed", "profiles", "report_ids",
]  # fmt: skip
_CASE: Final = re.compile(r"[\w.:@-]{1,200}")


class ReportBase(ABC):
    """One kind of report."""

    text_en: ClassVar[str]
    text_zh: ClassVar[str]

    @property
    def id(self) -> str:
        """The file's name."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def parts(self, home: Path, case: str, height: int) -> dict[str, bytes]:
        """The parts of a case's report, as of a height that a kept checkpoint speaks of.

        Raises:
            NotFoundError: there is no such case. LimitError: it is too large. LedgerError: the ledger is damaged.
        """


class ProfileBase(ReportBase):
    """A report that law or house rules give its contents: declared in `profile`, filled and signed off by the room `notices`."""

    profile: ClassVar[Profile]

    def parts(self, home: Path, case: str, height: int) -> dict[str, bytes]:
        """What was signed off, up to this height; the newest of each stage.

        Raises:
            NotFoundError: nothing was. LedgerError: a file is not what was signed off.
        """
        rows = [row for row in finals_of(home, case, self.id) if row["height"] <= height]
        if not rows:
            raise NotFoundError(
                "no such report was signed off", where=self.id, todo="`watchbill report final` signs one off"
            )
        newest = {row["stage"]: row for row in rows}
        return {
            f"{stage or 'report'}/{name}": data
            for stage, row in newest.items()
            for name, data in final_files(home, row).items()
        }


def profiles() -> dict[str, Profile]:
    """The profiles of all reports that have one, by id."""
    found = {name: load_report(name) for name in report_ids()}
    return {name: report.profile for name, report in found.items() if isinstance(report, ProfileBase)}


def report_ids() -> list[str]:
    """Ids of all reports: the files of this folder, sorted."""
    package = importlib.import_module("watchbill.reports")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "base")


def load_report(name: str) -> ReportBase:
    """The report of an id.

    Raises:
        NotFoundError: there is none.
    """
    if name not in report_ids():
        raise NotFoundError("there is no such report", where="reports", todo=f"One of {', '.join(report_ids())}")
    report: ReportBase = importlib.import_module(f"watchbill.reports.{name}").Report()
    return report


def packed(home: Path, case: str, height: int, parts: Mapping[str, bytes]) -> bytes:
    """One zip file of the parts and of their signed list.

    Raises:
        LimitError: there are too many, or they are too large, for the verifier.
    """
    if len(parts) >= PARTS_MAX or sum(map(len, parts.values())) > BYTES_MAX // 2 or not _CASE.fullmatch(case):
        raise LimitError(
            f"a pack of {len(parts)} parts and {sum(map(len, parts.values()))} bytes", todo="Pack a narrower case"
        )
    note = sign_text(Keys.open(home).signing, Keys.open(home).origin, manifest_text(case, height, parts))
    return pack_bytes({**parts, "MANIFEST": note})


def json_part(value: object) -> bytes:
    """A JSON document as a part."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def lines_part(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """NDJSON as a part."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
