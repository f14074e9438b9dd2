"""A script or a person? Sessions of a web log through the product's `mix` and `rhythm`, profiles and weights from the train split alone.

One account's profile holds the scripts, the crowd holds the people: each session is then asked whose habits foretell it better.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
from common import say
from numpy.typing import NDArray
from real_common import DATA, Flags, Floats, around, auc, logistic, plain, stream, wilson, word

from watchbill.core.settings import Settings
from watchbill.detectors import mix, rhythm
from watchbill.detectors.habit_kernels import SUMS, HabitBase

PLACE = DATA / "webbots"
SPLIT = PLACE / "humans_and_moderate_bots"
REQUESTS = (1, 5, 10, 30, 10**6)
FOLDS = 5
PUBLISHED = "accuracy .90 (web log alone)"
LINE = re.compile(
    r'\[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+)[^"]*" (?P<status>\d+) \S+ "[^"]*" (?P<session>\S+) '
)


@dataclass(frozen=True)
class Session:
    """Requests of one session in the log's order: epoch ms (whole seconds) and what was asked for."""

    time: NDArray[np.int64]
    what: NDArray[np.int64]


def there() -> bool:
    """Whether the data is."""
    return SPLIT.is_dir()


def kind_of(method: str, path: str, status: str) -> str:
    """What a request is, without the page's own name: a script that reads other pages is still a script."""
    parts = path.split("?", maxsplit=1)[0].strip("/").split("/")
    name = "page" if parts[0] == "content" and path.endswith(".php") else path.split("?", maxsplit=1)[0]
    return f"{method} {name} {len(parts) if name == 'page' else ''} {status[0]}"


@cache
def sessions() -> dict[str, Session]:
    """All sessions of the log; who is who stands elsewhere."""
    found: dict[str, list[tuple[int, int]]] = {}
    with gzip.open(PLACE / "phase1_sessions.log.gz", "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := LINE.search(line):
                time = int(datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp() * 1000)
                found.setdefault(match["session"], []).append(
                    (time, word(kind_of(match["method"], match["path"], match["status"])))
                )
    return {
        name: Session(np.array([r[0] for r in rows]), np.array([r[1] for r in rows])) for name, rows in found.items()
    }


def split(part: str) -> tuple[list[str], Flags]:
    """(sessions, True = a script) of "train" or "test"."""
    rows = [line.split() for line in (SPLIT / part).read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row[0] in sessions()]
    return [row[0] for row in rows], np.array([row[1] != "human" for row in rows])


SIZES = {"cells": 1_024, "block_cells": 1_024, "crowd_cells": 16_384, "length": 1_024, "fade": 1.0}


class Judge:
    """The detectors with profiles of labelled sessions: account 0 is all scripts, each person an account of the crowd."""

    def __init__(self, names: list[str], script: Flags) -> None:
        self.people = 1 + int((~script).sum())
        self.detectors: list[HabitBase] = [
            type("Chosen", (kind,), SIZES)(Settings()) for kind in (mix.Detector, rhythm.Detector)
        ]
        for at, (name, is_script) in enumerate(zip(names, script, strict=True)):
            account = 0 if is_script else 1 + int((~script[:at]).sum())
            self._take(sessions()[name], account, 10**6, learn=True)
        for detector in self.detectors:
            detector.gather()

    def _take(self, session: Session, account: int, requests: int, *, learn: bool) -> list[Floats]:
        what, time = session.what[:requests], session.time[:requests]
        events = stream(np.full(len(what), account), what, time)
        out = []
        for detector in self.detectors:
            detector.grow(self.people)
            detector.rows["last"][account] = detector.rows["before"][account] = 0
            detector.score(events, around(self.people))
            out.append(detector.settle(account, learn=learn))
        return out

    def features(self, session: Session, requests: int) -> Floats:
        """float64[2 * SUMS]: sums an event of both detectors after so many requests, for the people against the scripts."""
        return np.concatenate(self._take(session, 0, requests, learn=False))


def cross_validated(names: list[str], script: Flags, requests: int) -> Floats:
    """Features of each train session by profiles of the other folds."""
    fold = np.random.default_rng(5).permutation(len(names)) % FOLDS
    out = np.zeros((len(names), 2 * SUMS))
    for part in range(FOLDS):
        judge = Judge([n for n, f in zip(names, fold, strict=True) if f != part], script[fold != part])
        for at in np.flatnonzero(fold == part):
            out[at] = judge.features(sessions()[names[at]], requests)
    return out


def judged() -> None:
    """Print accuracy after 1, 5, 10, 30 and all requests."""
    names, script = split("train")
    fitted = {
        k: (features := cross_validated(names, script, k), logistic(features, script, ridge=3.0)) for k in REQUESTS
    }
    judge = Judge(names, script)
    tests, truth = split("test")  # opened only now
    rows = []
    for k, (features, weights) in fitted.items():
        odds = np.array([weights[0] + judge.features(sessions()[name], k) @ weights[1:] for name in tests])
        right = int(((odds > 0) == truth).sum())
        low, high = wilson(right, len(tests))
        inner = float((((weights[0] + features @ weights[1:]) > 0) == script).mean())
        rows.append(
            [
                "all" if k > 999 else k,
                f"{right / len(tests):.3f} ({low:.3f}-{high:.3f})",
                f"{auc(truth, odds):.3f}",
                f"{inner:.3f}",
                PUBLISHED if k > 999 else "",
                ".93" if k > 999 else "",
            ]
        )
    say("Web bots: a script or a person", ["requests", "accuracy (Wilson 95 %)", "AUC", "train, profiles of other folds", "published", "target"], rows,
        f"{len(names)} train and {len(tests)} test sessions; weights fitted on the train split alone", f"weights at all requests: {plain(fitted[10**6][1])}")  # fmt: skip


if __name__ == "__main__":
    names, script = split("train")
    for k in REQUESTS:
        features = cross_validated(names, script, k)
        weights = logistic(features, script, ridge=3.0)
        odds = weights[0] + features @ weights[1:]
        print(
            k,
            len(names),
            f"{((odds > 0) == script).mean():.3f}",
            f"{auc(script, odds):.3f}",
            [f"{auc(script, f):.2f}" for f in features.T],
            plain(weights),
        )
