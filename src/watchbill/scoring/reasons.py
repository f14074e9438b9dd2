"""Signed reasons: what speaks against an account at an event, and what speaks for the person; pure.

Each is {detector, nats, text_zh, text_en, records}: positive nats against, negative for. What speaks for the person is shown
beside the evidence and is not added to the posterior: explained looks have lowered the e-values already, and the other clues
are worth nothing against an owner who misuses his own account. Their weights are measured: log P(clue | wrongful) /
P(clue | honest) at looks that no work explains, on tuned seeds of the lab (scoring/clues.json, benchmarks/for_person.py).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from watchbill.scoring.record import EXPLAINED, FOLLOWED, LATE, LOOKS, OWN_PLACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAP_NATS: Final = 4.0
"""As a family's cap: no clue alone clears or convicts."""
LOOKS_MIN: Final = 10
USUAL_MIN: Final = 0.05
"""Share of looks that own work follows, under which its absence says nothing."""
TENURE_DAYS: Final = 365
ON_SHIFT: Final = 1
FEED: Final = 1
"""Bit of EVENT.gated: scans of the outlet are silent."""
CLUES: Final = {
    "explained_looks": ("most looks of these two days are explained by its work", "这两天的查询大多有业务理由"),
    "consequence": ("its own work followed these looks as often as it usually does", "查询后照常有本人的后续操作"),
    "own_place": ("looked from a registered device of its own outlet", "使用本网点登记的设备查询"),
    "on_shift": ("was on shift", "当时在班"),
    "tenure": ("over a year in this post, without a case that a person did not dismiss", "任职满一年且无不良记录"),
    "feed": ("scans of this outlet were missing at the time", "当时本网点的扫描数据缺失"),
    "late_records": ("reasons for some of its looks came late", "部分查询的业务理由事后补到"),
}
"""Clue -> (text_en, text_zh)."""


class Clue(NamedTuple):
    """A clue that holds, and the records that it rests on (0 = none to count)."""

    name: str
    records: int


@cache
def clue_nats() -> dict[str, float]:
    """Nats of each clue (at most 0), from scoring/clues.json; 0 where it was not measured, or speaks against."""
    saved = json.loads((Path(__file__).parent / "clues.json").read_text(encoding="utf-8"))
    out = {}
    for name in CLUES:
        pair = saved["clues"].get(name)
        nats = float(np.log(pair["wrongful"] / pair["honest"])) if pair else 0.0
        out[name] = max(-CAP_NATS, min(0.0, nats))
    return out


def clues_of(record: np.void, event: np.void, *, clean: bool) -> list[Clue]:
    """The clues that hold.

    Args:
        record: RECORD just after the event. event: EVENT. clean: no case of the account but dismissed ones.
    """
    days = record["now"].astype(np.int64) + record["before"]
    looks = int(days[LOOKS])
    usual = float(record["followed"] / record["looks"]) if record["looks"] >= LOOKS_MIN else 0.0
    enough = looks >= LOOKS_MIN
    found = (
        ("explained_looks", enough and int(days[EXPLAINED]) >= 0.9 * looks, int(days[EXPLAINED])),
        (
            "consequence",
            enough and usual > USUAL_MIN and int(days[FOLLOWED]) >= 0.5 * usual * looks,
            int(days[FOLLOWED]),
        ),
        ("own_place", enough and int(days[OWN_PLACE]) >= 0.9 * looks, int(days[OWN_PLACE])),
        ("on_shift", int(event["shift"]) == ON_SHIFT, 0),
        ("tenure", clean and int(event["tenure_days"]) >= TENURE_DAYS, 0),
        ("feed", bool(int(event["gated"]) & FEED), 0),
        ("late_records", int(days[LATE]) > 0, int(days[LATE])),
    )
    return [Clue(name, records) for name, holds, records in found if holds]


def for_person(clues: Sequence[Clue]) -> list[dict[str, Any]]:
    """Contributions of clues, the strongest first."""
    nats = clue_nats()
    rows = [contribution(one.name, nats[one.name], *CLUES[one.name], one.records) for one in clues]
    return sorted(rows, key=lambda row: (row["nats"], row["detector"]))


def against(reasons: Mapping[str, tuple[float, int]], texts: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Contributions of detectors, the strongest first; `texts`: detector -> (text_en, text_zh), a rule says its own name."""
    rows = [
        contribution(name, nats, *texts.get(name, (name, name)), records) for name, (nats, records) in reasons.items()
    ]
    return sorted(rows, key=lambda row: (-row["nats"], row["detector"]))


def contribution(name: str, nats: float, text_en: str, text_zh: str, records: int) -> dict[str, Any]:
    """One signed reason, as contract/outputs.md writes it."""
    return {"detector": name, "nats": round(nats, 3), "text_zh": text_zh, "text_en": text_en, "records": records}
