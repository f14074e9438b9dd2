"""The control statement: hours enforcing, in shadow, blind; alerts that nobody looked at; time to the first look. From the journal.

PIPL 69 asks the firm to prove that it was not at fault: that its controls ran, and when they did not. Hours are counted by the
minute of the arrival clock. Blind is an hour in which every source was silent by the rule of `inquiry/silence.py`.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.errors import LimitError
from watchbill.inquiry.controls import SETTINGS
from watchbill.inquiry.operators import case_lines
from watchbill.inquiry.silence import KEPT, SILENT_AT_LEAST_MS, TIMES_ITS_HABIT, Heard
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.keys import is_seeded
from watchbill.ledger.reader import Ledger
from watchbill.notices.record import read_record
from watchbill.records.schema import CONTROL_PREFIX
from watchbill.responses.policy import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
MINUTES_MAX: Final = 20 * 366 * 24 * 60
_STEPS: Final = frozenset(STEPS) - {"none"}


@dataclass(frozen=True)
class Control:
    """What ran in [since, until), epoch ms. Hours enforcing, shadow, blind and replayed add up to `hours`.

    Attributes:
        partly_blind: hours in which some source, not all, was silent. silent: source -> hours. partly_shadow: hours enforcing
            with some steps in shadow. replayed: history of a home that only replays: decisions reached nobody.
        cases, unread: opened in the span, and without any person's word at its end. unattended: suspensions that ended because
            nobody looked. first_look_median_ms, first_look_longest_ms: from opening to the first verdict or grading, None
            without any.
    """

    height: int
    since: int
    until: int
    hours: float
    enforcing: float
    shadow: float
    blind: float
    replayed: float
    partly_blind: float
    partly_shadow: float
    silent: dict[str, float]
    cases: int
    unread: int
    unattended: int
    first_look_median_ms: int | None
    first_look_longest_ms: int | None

    def to_json(self) -> dict[str, Any]:
        """As `watchbill report control --json` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class Timeline:
    """What the journal says of time: minutes with a record by source (ascending), settings as (arrival ms, digest)."""

    minutes: dict[str, NDArray[np.int64]]
    settings: list[tuple[int, str]]


def control_of(home: Path, height: int | None = None, since: int | None = None, until: int | None = None) -> Control:
    """The control statement of a home at a height, over [since, until) (default: from its first to its last record).

    Raises:
        LedgerError: the ledger is damaged, or the height is not reached. LimitError: the span is over 20 years.
    """
    ledger = Ledger(home)
    upto = ledger.height if height is None else height
    timeline = timeline_of(ledger, upto)
    edges = [edge for held in timeline.minutes.values() for edge in (held[0], held[-1] + 1)]
    edges += [arrival // MINUTE_MS for arrival, _ in timeline.settings]
    begin = since // MINUTE_MS if since is not None else int(min(edges, default=0))
    end = max(begin, -(-until // MINUTE_MS) if until is not None else int(max(edges, default=0)))
    if end - begin > MINUTES_MAX:
        raise LimitError("the span is over 20 years", where="control", todo="Give a narrower --from and --to")
    silent = {
        name: silent_minutes(held, begin, end, to_the_end=name in _silent_now(home))
        for name, held in timeline.minutes.items()
    }
    shade = shade_minutes(home, timeline.settings, begin, end)
    rows = [row for row in case_lines(home) if row["seq"] < upto and begin <= row["opened"] // MINUTE_MS < end]
    return Control(
        height=upto, since=begin * MINUTE_MS, until=end * MINUTE_MS, hours=_hours(end - begin),
        **_modes(silent, shade, replayed=is_seeded(home)), **alerts_of(rows, read_record(home), end * MINUTE_MS),
    )  # fmt: skip


def timeline_of(ledger: Ledger, upto: int) -> Timeline:
    """When each source sent something, and when settings changed; one pass over three columns."""
    minutes: dict[str, list[NDArray[np.int64]]] = {}
    settings: list[tuple[int, int, str]] = []
    for part in ledger.records(["source", "kind", "arrival", "extra"], upto=upto):
        kinds = part.column("kind").cast(pa.string())
        own = pc.starts_with(kinds, CONTROL_PREFIX)
        rows = part.filter(pc.equal(kinds, SETTINGS)).select([SEQ, "arrival", "extra"]).to_pylist()
        settings += [(row[SEQ], row["arrival"], _digest(row["extra"])) for row in rows]
        sent = part.filter(pc.invert(own))
        for name in pc.unique(sent.column("source").cast(pa.string())).to_pylist():
            arrivals = sent.filter(pc.equal(sent.column("source").cast(pa.string()), name)).column("arrival")
            held = np.unique(arrivals.to_numpy() // MINUTE_MS)
            minutes[name] = [np.union1d(minutes[name][0], held)] if name in minutes else [held]
    return Timeline(
        {name: held[0] for name, held in sorted(minutes.items())}, [(at, one) for _, at, one in sorted(settings)]
    )


def _digest(extra: str | None) -> str:
    return str(json.loads(extra or "{}").get("digest", ""))


def silent_minutes(held: NDArray[np.int64], begin: int, end: int, *, to_the_end: bool) -> NDArray[np.bool_]:
    """bool[end - begin]: minutes in which a source with records in these minutes was silent; pure.

    Args:
        held: minutes with a record, ascending. to_the_end: whether its silence after the last one counts.
    """
    out = np.zeros(end - begin, np.bool_)
    heard = Heard()
    pauses = np.diff(held)
    long = np.flatnonzero(pauses * MINUTE_MS * TIMES_ITS_HABIT > SILENT_AT_LEAST_MS)
    for at in long.tolist():
        _mark(out, heard, int(held[at]), int(held[at + 1]), begin)
        heard.last = int(held[at]) * MINUTE_MS  # the short pauses before it made no habit
        heard.hear(held[at + 1 : at + 2] * MINUTE_MS)
    if to_the_end and held.shape[0]:
        _mark(out, heard, int(held[-1]), end, begin)
    return out


def _mark(out: NDArray[np.bool_], heard: Heard, last: int, upto: int, begin: int) -> None:
    """Mark the minutes between the moment from which the pause counts as silence, and its end."""
    habit = heard.pauses[-1] if len(heard.pauses) == KEPT else 0
    from_minute = last + max(SILENT_AT_LEAST_MS, TIMES_ITS_HABIT * habit) // MINUTE_MS + 1
    out[max(0, from_minute - begin) : max(0, upto - begin)] = True


def shade_minutes(home: Path, settings: Sequence[tuple[int, str]], begin: int, end: int) -> NDArray[np.uint8]:
    """uint8[end - begin]: 0 every step is enforced, 1 some are in shadow, 2 all are."""
    out = np.zeros(end - begin, np.uint8)
    for arrival, digest in settings:
        out[max(0, arrival // MINUTE_MS - begin) :] = _shade_of(home / "settings" / f"{digest}.json")
    return out


def _shade_of(path: Path) -> int:
    """How much of the ladder kept settings put in shadow; settings of a release without shadow put none there."""
    try:
        policy = json.loads(path.read_text(encoding="utf-8")).get("policy", {})
    except (OSError, ValueError):
        return 0
    shadowed = shadowed_steps(policy)
    return 2 if shadowed == _STEPS else int(bool(shadowed))


def shadowed_steps(policy: Mapping[str, Any]) -> frozenset[str]:
    """Steps that kept settings only write down; none in settings of a release that knows no shadow."""
    return _STEPS if policy.get("mode") == "shadow" else _STEPS & set(policy.get("shadow_steps", ()))


def _modes(silent: Mapping[str, NDArray[np.bool_]], shade: NDArray[np.uint8], *, replayed: bool) -> dict[str, Any]:
    nothing = np.zeros(shade.shape[0], np.bool_)
    masks = list(silent.values())
    blind = np.logical_and.reduce(masks) if masks else nothing
    some = np.logical_or.reduce(masks) if masks else nothing
    sees = ~blind
    shadow = sees & (shade == 2)  # noqa: PLR2004 - as shade_minutes says
    return {
        "enforcing": 0.0 if replayed else _hours(np.count_nonzero(sees & ~shadow)),
        "shadow": 0.0 if replayed else _hours(np.count_nonzero(shadow)),
        "blind": _hours(np.count_nonzero(blind)), "replayed": _hours(np.count_nonzero(sees)) if replayed else 0.0,
        "partly_blind": _hours(np.count_nonzero(some & sees)),
        "partly_shadow": 0.0 if replayed else _hours(np.count_nonzero(sees & (shade == 1))),
        "silent": {name: _hours(np.count_nonzero(mask)) for name, mask in silent.items() if mask.any()},
    }  # fmt: skip


def alerts_of(cases: Iterable[Mapping[str, Any]], record: Sequence[Mapping[str, Any]], until: int) -> dict[str, Any]:
    """What people did about these cases before a time (epoch ms); pure."""
    graded: dict[str, list[int]] = {}
    for row in record:
        if row["kind"] == "grade":
            graded.setdefault(row["case"], []).append(row["time"])
    waits, unread, unattended, count = [], 0, 0, 0
    for case in cases:
        count += 1
        unattended += case.get("unattended", 0)
        looked = [one["time"] for one in case.get("verdicts", [])] + graded.get(case["id"], [])
        first = min((time for time in looked if time < until), default=None)
        if first is None:
            unread += 1
        else:
            waits.append(max(0, first - case["opened"]))
    return {
        "cases": count, "unread": unread, "unattended": unattended,
        "first_look_median_ms": round(statistics.median(waits)) if waits else None,
        "first_look_longest_ms": max(waits, default=None),
    }  # fmt: skip


def _silent_now(home: Path) -> frozenset[str]:
    """Sources that the runner's last status calls silent."""
    try:
        sources = json.loads((home / "status.json").read_text(encoding="utf-8")).get("sources", {})
        return frozenset(name for name, said in sources.items() if said.get("silent"))
    except (OSError, ValueError, AttributeError):
        return frozenset()


def _hours(minutes: int | np.integer[Any]) -> float:
    return round(int(minutes) / 60, 2)
