"""Facts of a case (or of the whole home) as a document needs them: counted from the ledger, never typed.

No fact names a customer. Accounts and devices of staff are facts that only the pack for the police asks for.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from watchbill.cases.sheet import row_named
from watchbill.inquiry.caseexposure import CaseExposure, case_steps, exposure
from watchbill.inquiry.inforce import in_force, post_of, settings_at
from watchbill.inquiry.operators import case_lines
from watchbill.inquiry.tenancies import earnings
from watchbill.ledger import files
from watchbill.ledger.checkpoint import parse
from watchbill.ledger.prove import checkpoint_sizes
from watchbill.ledger.reader import Ledger
from watchbill.notices.control import Control, control_of
from watchbill.notices.meter import Meter, meter_of
from watchbill.notices.record import read_record, rows_about
from watchbill.notices.settings import FirmSettings, ReportSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from watchbill.core.settings import Settings

FIRM: Final = "firm"
"""In place of a case's id: documents about the firm as a whole, such as the notice to staff."""


@dataclass(frozen=True)
class Facts:
    """What is known, at a height.

    Attributes:
        case: its row of cases.ndjson, None for the firm's documents. answer: its exposure. steps: its interventions. outlets: of
            its accounts, by the roster. record: rows that people added about it. meter: criminal tiers. control: how the
            controls ran, for the firm's documents. status: the runner's last status.
        checkpoint: (size, root) of the newest kept one up to the height. as_of: epoch ms, newest thing in here.
    """

    id: str
    height: int
    zone: str
    as_of: int
    firm: FirmSettings
    settings: ReportSettings
    engine: Settings
    case: Mapping[str, Any] | None = None
    answer: CaseExposure | None = None
    steps: tuple[Mapping[str, Any], ...] = ()
    outlets: tuple[str, ...] = ()
    record: tuple[Mapping[str, Any], ...] = ()
    meter: Meter | None = None
    control: Control | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: tuple[int, str] | None = None

    def last(self, kind: str) -> Mapping[str, Any] | None:
        """The last row of a kind that people added."""
        return next((row for row in reversed(self.record) if row["kind"] == kind), None)


def facts_of(home: Path, case: str, firm: FirmSettings, settings: ReportSettings, height: int | None = None) -> Facts:
    """The facts of a case, or with `FIRM` of the whole home.

    Raises:
        NotFoundError: there is no such case. LedgerError: the ledger, or the record of reports, is damaged.
    """
    upto = Ledger(home).height if height is None else height
    engine = settings_at(home, upto)
    row = None if case == FIRM else case_row(home, case)
    record = tuple(rows_about(read_record(home), row or {"id": case}))
    told = max((row["time"] for row in record), default=0)
    given = (case, upto, engine.time_zone)
    if row is None:
        control = control_of(home, upto)
        return Facts(
            *given, max(told, control.until), firm, settings, engine, record=record, control=control, status=_status(home),
            checkpoint=_checkpoint(home, upto),
        )  # fmt: skip
    answer = exposure(home, case, upto=upto)
    gains = [earnings(one, engine.inquiry, engine.time_zone) for one in row["tenancies"]]
    gain = (round(sum(one.low for one in gains), 2), round(sum(one.high for one in gains), 2))
    return Facts(
        *given, max(told, row["updated"]), firm, settings, engine, row, answer, tuple(case_steps(home, row)),
        tuple(_outlets(home, row, upto)), record, meter_of(answer.saw, settings.meter_fields, gain),
        checkpoint=_checkpoint(home, upto),
    )  # fmt: skip


def case_row(home: Path, case: str) -> dict[str, Any]:
    """The row of a case.

    Raises:
        NotFoundError: there is none.
    """
    return dict(row_named(case_lines(home), case, "report"))


def categories(saw: CaseExposure) -> list[tuple[str, str, int]]:
    """(party, last part of the field, persons) of what an exposure lists, the most persons first."""
    found = Counter(
        (name.rpartition(".")[0], name.rpartition(".")[2]) for one in saw.saw.subjects for name in one.fields
    )
    return [(party, name, count) for (party, name), count in sorted(found.items(), key=lambda one: (-one[1], one[0]))]


def span_of(answer: CaseExposure) -> tuple[int, int] | None:
    """First and last look at the listed persons, epoch ms."""
    seen = answer.saw.subjects
    return (min(one.first for one in seen), max(one.last for one in seen)) if seen else None


def steps_taken(steps: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int, int]]:
    """(step, times, first, last) of interventions, in order of first; going back to normal is left out."""
    found: dict[str, list[int]] = {}
    for row in steps:
        if row["step"] != "none":
            found.setdefault(row["step"], []).append(row["time"])
    return sorted(
        ((step, len(times), min(times), max(times)) for step, times in found.items()), key=lambda one: (one[2], one[0])
    )


def _outlets(home: Path, row: Mapping[str, Any], upto: int) -> list[str]:
    held = in_force(home, upto, row["accounts"], [])
    posts = [post_of(held.posts.get(account, []), row["opened"]) for account in row["accounts"]]
    return sorted({post.outlet for post in posts if post is not None and post.outlet})


def _status(home: Path) -> dict[str, Any]:
    try:
        said = json.loads((home / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    looks = sum(pq.read_metadata(path).num_rows for path in (home / "parts").glob("verdicts-*.parquet"))
    return {**said, "looks": looks} if isinstance(said, dict) else {}


def _checkpoint(home: Path, upto: int) -> tuple[int, str] | None:
    sizes = [size for size in checkpoint_sizes(home) if size <= upto]
    if not sizes:
        return None
    note = (home / files.CHECKPOINTS / f"{sizes[-1]:020d}").read_bytes()
    return sizes[-1], parse(note)[0].root.hex()
