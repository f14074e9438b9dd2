"""Renter separation under trial: per session of a leased account, was the operator the owner or somebody else?

Judged on accounts that somebody else used (not on owners who harvest for themselves: from the log that is the owner).
The system's answer is asked of `watchbill.inquiry.operators` where this release has it, through `sessions_of(home, account)`:
rows of (session, probability that its operator is the owner). Sessions that it cannot tell are counted apart.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

INQUIRY: Final = "watchbill.inquiry.operators"
ASK: Final = "sessions_of"


def operators_of(
    home: Path, db: duckdb.DuckDBPyConnection, attacks: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What it says of every session of accounts that somebody else used; None: cannot be asked.

    Returns:
        {"pairs": [[probability of the owner, was it the owner]], "untold": sessions without an answer}
    """
    if importlib.util.find_spec(INQUIRY) is None:
        return None
    ask: Callable[[Path, str], Iterable[tuple[str, float]]] | None = getattr(
        importlib.import_module(INQUIRY), ASK, None
    )
    if ask is None:
        return None
    leased = sorted(
        {name for attack in attacks if "other" in attack.get("operators", ()) for name in attack["accounts"]}
    )
    pairs: list[list[float | bool]] = []
    untold = 0
    for account in leased:
        truth = dict(
            db.execute(
                "select session, bool_and(operator = 'owner') from looks where account = ? and session is not null group by 1",
                [account],
            ).fetchall()
        )
        said = [(float(p), truth[session]) for session, p in ask(home, account) if session in truth]
        pairs += [[p, owner] for p, owner in said]
        untold += len(truth) - len(said)
    return {"pairs": pairs, "untold": untold}


def auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive one scores higher than a negative one, ties half (Mann-Whitney); NaN without both."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def judged(pairs: Sequence[Sequence[float | bool]]) -> dict[str, float]:
    """AUC, mean squared error (Brier) and share on the wrong side of a half, of (probability of the owner, truth)."""
    p = np.array([pair[0] for pair in pairs])
    truth = np.array([pair[1] for pair in pairs], bool)
    if not p.shape[0]:
        return {"sessions": 0}
    wrong = (p >= 0.5) != truth
    return {
        "sessions": p.shape[0],
        "auc": auc(p, truth),
        "brier": float(np.mean((p - truth) ** 2)),
        "wrong": float(wrong.mean()),
    }
