"""The curve of records lost against honest people interrupted: the same scores, the ladder at other thresholds.

The policy itself is run again over the trace of a replay (runners/trace.py), with every threshold times a factor. At the
factor 1 it must say what the verdicts say, look for look; if it does not, there is no curve (`agrees` is false). What a
step would have changed in what came after it (a renter who gives up) is not in it, as it is not in a replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.context.context import grown
from watchbill.context.events import LOOK
from watchbill.lab.trials.count import ASKED, ROBOT, STOPPED
from watchbill.responses.budget import HOURS, budget_of
from watchbill.responses.policy import (
    CHANGE,
    CHANGES_MAX,
    DECISIONS,
    STANDING,
    apply_policy,
    enforced_steps,
    spans_ms,
    thresholds,
)
from watchbill.responses.presence import PROOF, WHENCE, Presence, span_of
from watchbill.runners.trace import read_trace

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

FACTORS: Final = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e3, 1e4, 1e6)
"""Factors on all thresholds: under 1 steps are taken sooner."""
_STOPPED: Final = [DECISIONS.index(name) for name in STOPPED]
_ASKED: Final = [DECISIONS.index(name) for name in ASKED]


def rerun(trace: Path, settings: Settings, factor: float) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Decisions of all looks with every threshold times `factor`: (seq int64[looks], decision uint8[looks]), in order."""
    limits = np.maximum(thresholds(settings.policy) + np.log(factor), 1e-3)
    relax, spans = float(np.log(settings.policy.relax_factor)), spans_ms(settings.policy)
    standings, hours, proofs = np.zeros(1024, STANDING), np.zeros(1024, HOURS), np.zeros(1024, PROOF)
    enforced, budget = enforced_steps(settings.policy), budget_of(settings.policy)
    may = np.arange(256, dtype=np.uint8)
    seqs: list[NDArray[np.int64]] = []
    said: list[NDArray[np.uint8]] = []
    for events, scores in read_trace(trace):
        top = int(events["account"].max(initial=-1)) + 1
        if top > standings.shape[0]:
            standings, hours, proofs = grown(standings, top), grown(hours, top), grown(proofs, top)
        events["role"] = scores["may"]  # the policy asks a role only whether it may be stepped
        n = events.shape[0]
        decisions = np.zeros(n, np.uint8)
        guarantee, left = np.ascontiguousarray(scores["guarantee"]), np.ascontiguousarray(scores["left"])
        whence = np.zeros(n, WHENCE)
        for name in WHENCE.names or ():
            whence[name] = scores[f"whence.{name}"]
        presence = Presence(proofs, whence, span_of(settings.policy))
        apply_policy(
            events, guarantee.astype(np.float32), left.astype(np.float32), standings, limits, relax, spans, may, decisions,
            np.zeros(n, np.int32), np.zeros(CHANGES_MAX * n, CHANGE), enforced, np.ascontiguousarray(scores["sure"]),
            np.ascontiguousarray(scores["evidence"]), budget, hours, np.zeros(n, np.int32), presence,
        )  # fmt: skip
        looks = events["kind"] == LOOK
        seqs.append(events["seq"][looks])
        said.append(decisions[looks])
    if not seqs:
        return np.zeros(0, np.int64), np.zeros(0, np.uint8)
    return np.concatenate(seqs), np.concatenate(said)


def curve_of(
    trace: Path, settings: Settings, db: duckdb.DuckDBPyConnection, people: list[str], test_from: int,
    factors: tuple[float, ...] = FACTORS,
) -> dict[str, Any]:  # fmt: skip
    """The points of one world.

    Args:
        db: as `count.open_counts` makes it. people: the honest accounts in order (`honest_accounts`).

    Returns:
        {agrees, factors, points: [{people: [[account index, days stopped, looks asked] where not 0], attacks: {id: records}}]}
    """
    looks = _looks(db, people)
    points = []
    agrees = False
    for factor in factors:
        seq, decision = rerun(trace, settings, factor)
        at = np.minimum(np.searchsorted(seq, looks["seq"]), max(0, seq.shape[0] - 1))
        if seq.shape[0] == 0 or not np.array_equal(seq[at], looks["seq"]):
            return {"agrees": False, "factors": [], "points": []}
        mine = decision[at]
        if factor == 1.0:
            agrees = bool(np.array_equal(mine, looks["decision"]))
        points.append({"people": _people(looks, mine, test_from), "attacks": _attacks(looks, mine)})
    return {"agrees": agrees, "factors": list(factors), "points": points}


def honest_accounts(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Accounts that `count.people_of` has rows for, in its order."""
    rows = db.execute(
        f"select account from people where not attacked and role != '{ROBOT}' and account in (select account from looks) order by 1"
    ).fetchall()
    return [row[0] for row in rows]


def _looks(db: duckdb.DuckDBPyConnection, people: list[str]) -> dict[str, Any]:
    """Columns of all looks in order of seq: person (index, -1 = nobody's), attack and pair (-1 = none), day, shown, records."""
    order = {name: number for number, name in enumerate(people)}
    table: Any = db.sql(
        "select seq, account, decision, day, shown, records, attack, wrongful from looks order by seq"
    ).to_arrow_table()
    names = table.column("account").combine_chunks().dictionary_encode()
    codes = np.array([order.get(name, -1) for name in names.dictionary.to_pylist()], np.int64)
    account = names.indices.to_numpy(zero_copy_only=False)
    wrongful = table.column("wrongful").to_numpy()
    attacks = table.column("attack").combine_chunks().dictionary_encode()
    attack = np.where(wrongful, attacks.indices.fill_null(-1).to_numpy(zero_copy_only=False), -1)
    return {
        "seq": table.column("seq").to_numpy(), "person": np.where(wrongful, -1, codes[account]), "account": account,
        "decision": np.array([DECISIONS.index(word) for word in table.column("decision").to_pylist()], np.uint8),
        "day": table.column("day").to_numpy(), "shown": table.column("shown").to_numpy(),
        "records": table.column("records").to_numpy(), "attack": attack, "attacks": attacks.dictionary.to_pylist(),
    }  # fmt: skip


def _people(looks: dict[str, Any], decision: NDArray[np.uint8], test_from: int) -> list[list[int]]:
    mine = (looks["person"] >= 0) & (looks["day"] >= test_from)
    halted, asked = mine & np.isin(decision, _STOPPED), mine & looks["shown"] & np.isin(decision, _ASKED)
    days = np.unique(np.stack([looks["person"][halted], looks["day"][halted]]), axis=1)[0]
    count = max(1, int(looks["person"].max(initial=0)) + 1)
    per_day, per_look = np.bincount(days, minlength=count), np.bincount(looks["person"][asked], minlength=count)
    some = np.flatnonzero(per_day + per_look)
    return [[int(who), int(per_day[who]), int(per_look[who])] for who in some]


def _attacks(looks: dict[str, Any], decision: NDArray[np.uint8]) -> dict[str, int]:
    """Records before the stop of each attack, each of its accounts stopped for itself."""
    wrong = np.flatnonzero(looks["attack"] >= 0)
    pair = looks["attack"][wrong] * (int(looks["account"].max(initial=0)) + 1) + looks["account"][wrong]
    _, pair = np.unique(pair, return_inverse=True)
    halted = np.isin(decision[wrong], _STOPPED)
    stop = np.full(int(pair.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(stop, pair[halted], looks["seq"][wrong][halted])
    got = looks["shown"][wrong] & (decision[wrong] == 0) & (looks["seq"][wrong] < stop[pair])
    lost = np.bincount(looks["attack"][wrong][got], looks["records"][wrong][got], minlength=len(looks["attacks"]))
    staged = np.unique(looks["attack"][wrong])
    return {looks["attacks"][k]: int(lost[k]) for k in staged.tolist()}
