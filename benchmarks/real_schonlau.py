"""Schonlau's masquerade data through the product's `mix`: is somebody else using this account?

Everything is chosen on commands 0-4,999 of each user: of ten users in turn the blocks are put into the others' streams as
strangers' (whom no profile knows), in episodes that begin and go on by chance; profiles learn from what they pass themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from common import say
from numpy.typing import NDArray
from real_common import DATA, FALSE_ALARMS, Flags, Floats, around, auc, hits, interval, logistic, percent, plain, stream
from real_common import threshold as threshold_at
from real_common import word

from watchbill.core.settings import Settings
from watchbill.detectors import mix
from watchbill.detectors.habit_kernels import SUMS

USERS, TRAINING, BLOCK, TEST = 50, 50, 100, 100
PLACE = DATA / "schonlau"
PUBLISHED = {"hits at 1.7 %": "60-62 % (updated naive Bayes); 88.4 % (DDSGA's claim)", "AUC": ".950 (naive Bayes); one-class .916"}
FOLDS, SEEDS, CUTS = 5, 3, (15, 25)
BEGINS, GOES_ON = 0.03, 0.8
"""Episodes put into training streams; the second is the data's own description, the first gives enough of them."""


class Wide(mix.Detector):
    """The product's detector with room for a shell's vocabulary; everything else is the product's own."""

    cells: ClassVar[int] = 2_048
    block_cells: ClassVar[int] = 512
    crowd_cells: ClassVar[int] = 131_072
    refused_max: ClassVar[int] = 1_000


@dataclass(frozen=True)
class Plan:
    """What is chosen on training blocks: settings of the detector, and its weights."""

    fade: float = 0.98
    start: float = 0.03
    stay: float = 0.8
    pass_odds: float = 0.0
    weights: tuple[float, ...] = mix.Detector.among

    def detector(self, green: int, crowd: bool) -> Wide:
        """The detector under this plan; `green` training blocks are learned unseen."""
        values = {"fade": self.fade, "start": self.start, "stay": self.stay, "pass_odds": self.pass_odds, "green": green,
                  "among" if crowd else "alone": self.weights}  # fmt: skip
        made: Wide = type("Chosen", (Wide,), values)(Settings())
        return made


def there() -> bool:
    """Whether the data is."""
    return (PLACE / "label.txt").is_file()


@cache
def commands(first: int, last: int) -> NDArray[np.int64]:
    """Keys int64[user, block, 100] of the blocks first..last - 1; the test part is opened only by `judged`."""
    out = np.zeros((USERS, last - first, BLOCK), np.int64)
    for user in range(USERS):
        lines = (PLACE / f"User{user + 1}").read_text(encoding="utf-8").split("\n")[first * BLOCK : last * BLOCK]
        out[user] = np.array([word(line.strip()) for line in lines]).reshape(-1, BLOCK)
    return out


def blocks_of(blocks: NDArray[np.int64]) -> NDArray[np.void]:
    """Events of int64[user, block, 100]: block by block, in each the users one after another."""
    users, count, length = blocks.shape
    account = np.repeat(np.tile(np.arange(users), count), length)
    return stream(account, blocks.transpose(1, 0, 2).reshape(-1))


def run(plan: Plan, known: NDArray[np.int64], then: NDArray[np.int64], *, crowd: bool) -> tuple[Floats, Floats]:
    """Train on `known`, then score `then` in order: (log odds [user, block], sums an event [user, block, SUMS])."""
    users, count = then.shape[:2]
    detector = plan.detector(known.shape[1], crowd)
    detector.score(blocks_of(known), around(users))
    if crowd:
        detector.gather()
    odds, sums = np.zeros((users, count)), np.zeros((users, count, SUMS))
    for at in range(count):
        said = detector.score(blocks_of(then[:, at : at + 1]), around(users))
        odds[:, at] = said[BLOCK - 1 :: BLOCK]
        sums[:, at] = detector.rows["sums"][:users] / BLOCK
    return odds, sums


def trials(seeds: int = SEEDS) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Flags]]:
    """(known, then, truth) of training blocks alone: strangers' episodes in streams of users who never met them."""
    blocks = commands(0, TRAINING)
    for cut in CUTS:
        for seed in range(seeds):
            rng = np.random.default_rng([seed, cut])
            order = rng.permutation(USERS)
            for fold in range(FOLDS):
                strangers = order[fold::FOLDS]
                members = np.setdiff1d(order, strangers)
                then, truth = blocks[members, cut:].copy(), np.zeros((len(members), TRAINING - cut), np.bool_)
                for user in range(len(members)):
                    at = 0
                    while at < truth.shape[1]:
                        at += int(rng.geometric(BEGINS)) - 1
                        length = min(int(rng.geometric(1 - GOES_ON)), truth.shape[1] - at)
                        if length <= 0:
                            break
                        begin = int(rng.integers(0, TRAINING - length + 1))
                        then[user, at : at + length] = blocks[rng.choice(strangers), begin : begin + length]
                        truth[user, at : at + length] = True
                        at += length + 1
                yield blocks[members, :cut], then, truth


def cross_validated(plan: Plan, crowd: bool, seeds: int = SEEDS) -> tuple[Floats, Floats, Flags]:
    """Pooled (odds, sums, truth) over all trials on training blocks."""
    parts = [(*run(plan, known, then, crowd=crowd), truth) for known, then, truth in trials(seeds)]
    odds = np.concatenate([part[0].ravel() for part in parts])
    sums = np.concatenate([part[1].reshape(-1, SUMS) for part in parts])
    return odds, sums, np.concatenate([part[2].ravel() for part in parts])


def quality(odds: Floats, truth: Flags) -> float:
    """What the choice is by: hits at the three false-alarm rates and the AUC, on training blocks."""
    return float(np.mean([hits(truth, odds, share) for share in FALSE_ALARMS])) + auc(truth, odds)


def choose(crowd: bool) -> tuple[Plan, float, list[str]]:
    """(plan, threshold at 1.7 %, what was tried), by training blocks alone."""
    plan, said = Plan(weights=mix.Detector.among if crowd else mix.Detector.alone), []
    for _ in range(2):  # what a plan passes decides what it learns, so weights are fitted again under the new ones
        _, sums, truth = cross_validated(plan, crowd)
        plan = replaced(plan, weights=tuple(logistic(sums, truth).tolist()))
    for name, values in (("fade", (0.95, 0.98, 1.0)), ("start", (0.01, 0.03, 0.1)), ("stay", (0.6, 0.8)), ("pass_odds", (-2.0, 0.0, 2.0)), ("loud", (1.0, 1.5, 2.0))):
        found = []
        for value in values:
            weights = tuple(value * w for w in plan.weights)
            tried = replaced(plan, weights=weights) if name == "loud" else replaced(plan, **{name: value})
            odds, _, truth = cross_validated(tried, crowd)
            found.append((quality(odds, truth), value, tried))
        plan = max(found, key=lambda item: item[0])[2]
        said.append(f"{name}: " + ", ".join(f"{value} {score:.4f}" for score, value, _ in found))
    odds, _, truth = cross_validated(plan, crowd)
    said.append(f"training blocks: AUC {auc(truth, odds):.4f}, hits " + ", ".join(f"{hits(truth, odds, s):.1%} at {s:.1%}" for s in FALSE_ALARMS))
    return plan, threshold_at(truth, odds, 0.017), said


def replaced(plan: Plan, **values: Any) -> Plan:
    """`plan` with some values changed."""
    return Plan(**{**vars(plan), **values})


if __name__ == "__main__":
    import sys
    for crowd in (True, False):
        plan, limit, said = choose(crowd)
        print(crowd, plan, limit, *said, sep="\n  ", flush=True)
