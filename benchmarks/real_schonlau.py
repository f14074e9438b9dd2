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
from real_common import DATA, FALSE_ALARMS, Flags, Floats, around, auc, hits, interval, logistic, percent, stream, word
from real_common import threshold as threshold_at

from watchbill.core.settings import Settings
from watchbill.detectors import mix
from watchbill.detectors.habit_kernels import SUMS

USERS, TRAINING, BLOCK, TEST = 50, 50, 100, 100
PLACE = DATA / "schonlau"
FOLDS, SEEDS, CUTS = 5, 2, (25, 35)
BEGINS, GOES_ON = 0.03, 0.8
"""Episodes put into training streams; the second is the data's own description, the first gives enough of them."""


class Wide(mix.Detector):
    """The product's detector with room for a shell's vocabulary; everything else is the product's own."""

    cells: ClassVar[int] = 2_048
    block_cells: ClassVar[int] = 512
    crowd_cells: ClassVar[int] = 131_072


@dataclass(frozen=True)
class Plan:
    """What is chosen on training blocks: settings of the detector, and its weights."""

    start: float = mix.Detector.start
    stay: float = mix.Detector.stay
    pass_odds: float = mix.Detector.pass_odds
    refused_max: int = mix.Detector.refused_max
    weights: tuple[float, ...] = mix.Detector.among

    def detector(self, green: int, crowd: bool) -> Wide:
        """The detector under this plan; `green` training blocks are learned unseen."""
        values = {"start": self.start, "stay": self.stay, "pass_odds": self.pass_odds, "refused_max": self.refused_max, "green": green,
                  "among" if crowd else "alone": self.weights}  # fmt: skip
        made: Wide = type("Chosen", (Wide,), values)(Settings())
        return made


def default(crowd: bool) -> Plan:
    """The product's own."""
    kind = mix.Detector
    return Plan(weights=kind.among if crowd else kind.alone)


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


def run(
    plan: Plan, known: NDArray[np.int64], then: NDArray[np.int64], *, crowd: bool, strange: Flags | None = None
) -> tuple[Floats, Floats]:
    """Train on `known`, then score `then` in order: (log odds [user, block], sums an event [user, block, SUMS]).

    With `strange` (fits on training blocks only) exactly the blocks that are no stranger's are learned.
    """
    users, count = then.shape[:2]
    detector = plan.detector(known.shape[1], crowd)
    odds, sums, place = np.zeros((users, count)), np.zeros((users, count, SUMS)), around(users)
    for at in range(known.shape[1]):
        detector.score(blocks_of(known[:, at : at + 1]), place)
        if crowd and (at % 5 == 4 or at == known.shape[1] - 1):
            detector.gather()
    for at in range(count):
        if strange is not None:
            detector.pass_odds = 1e9  # type: ignore[misc] - this one object
            place.frozen = strange[:, at].astype(np.uint8)
        odds[:, at] = detector.score(blocks_of(then[:, at : at + 1]), place)[BLOCK - 1 :: BLOCK]
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


def cross_validated(plan: Plan, crowd: bool, *, taught: bool = False) -> tuple[Floats, Floats, Flags]:
    """Pooled (odds, sums, truth) over all trials on training blocks; `taught`: learn by the truth, not by own decisions."""
    parts = [
        (*run(plan, known, then, crowd=crowd, strange=truth if taught else None), truth)
        for known, then, truth in trials()
    ]
    odds = np.concatenate([part[0].ravel() for part in parts])
    sums = np.concatenate([part[1].reshape(-1, SUMS) for part in parts])
    return odds, sums, np.concatenate([part[2].ravel() for part in parts])


def quality(odds: Floats, truth: Flags, crowd: bool) -> float:
    """What the choice is by, on training blocks: what the track's target names (hits and AUC; AUC alone)."""
    area = auc(truth, odds)
    return area + (float(np.mean([hits(truth, odds, share) for share in FALSE_ALARMS])) if crowd else 0.0)


GRID: dict[str, tuple[float, ...]] = {
    "start": (0.03, 0.1, 0.2), "loud": (0.7, 1.0, 1.5), "stay": (0.6, 0.8), "pass_odds": (-2.0, -1.0, 0.0),
}  # fmt: skip


def choose(crowd: bool) -> tuple[Plan, list[str]]:
    """(plan, what was tried), by training blocks alone: weights where learning goes by the truth, the rest by own decisions."""
    plan, said = default(crowd), []
    _, sums, truth = cross_validated(plan, crowd, taught=True)
    plan = replaced(plan, weights=tuple(logistic(sums, truth).tolist()))
    for name, values in GRID.items():
        found = []
        for value in values:
            changed = {"weights": tuple(value * w for w in plan.weights)} if name == "loud" else {name: value}
            tried = replaced(plan, **changed)
            odds, _, truth = cross_validated(tried, crowd)
            found.append((quality(odds, truth, crowd), value, tried))
        plan = max(found, key=lambda item: item[0])[2]
        said.append(f"{name}: " + ", ".join(f"{value} {score:.4f}" for score, value, _ in found))
    return plan, said


def replaced(plan: Plan, **values: Any) -> Plan:
    """`plan` with some values changed."""
    return Plan(**{**vars(plan), **values})


def threshold_of(plan: Plan, crowd: bool) -> tuple[float, str]:
    """(threshold at 1.7 % of honest training blocks, what training blocks show)."""
    odds, _, truth = cross_validated(plan, crowd)
    shown = ", ".join(f"{hits(truth, odds, share):.1%} at {share:.1%}" for share in FALSE_ALARMS)
    return threshold_at(truth, odds, 0.017), f"training blocks: AUC {auc(truth, odds):.4f}, hits {shown}"


def judged(fit: bool) -> None:
    """Print both tracks at the product's own settings (`fit`: and what training blocks would choose)."""
    rows, notes = [], []
    for crowd, track in ((True, "self/non-self"), (False, "one-class")):
        if fit:
            chosen, said = choose(crowd)
            notes += [f"{track}, chosen on training blocks: {chosen}", *said]
        plan = default(crowd)
        limit, shown = threshold_of(plan, crowd)
        odds, _ = run(
            plan, commands(0, TRAINING), commands(TRAINING, TRAINING + TEST), crowd=crowd
        )  # the test part, once
        truth = np.loadtxt(PLACE / "label.txt", dtype=int).T.astype(bool)
        rows += _rows(track, odds, truth, limit)
        notes += [f"{track}, {shown}", f"{track}, five worst users: {_worst(odds, truth)}"]
    say("Schonlau: somebody else at the account", ["track", "figure", "measured (95 %, users)", "published", "target"], rows,
        "settings and weights are the product's own, chosen on commands 0-4,999; profiles learn what passed; all 5,000 scores on one scale", *notes)  # fmt: skip


def _rows(track: str, odds: Floats, truth: Flags, limit: float) -> list[list[str]]:
    wanted = {0.017: "> 70 %" if track == "self/non-self" else ""}
    published = (
        {0.046: "68.4 % (naive Bayes)", 0.017: "60-62 % (updated naive Bayes), 88.4 % (DDSGA's claim)"}
        if track == "self/non-self"
        else {0.013: "29 %"}
    )
    rows = []
    for share in FALSE_ALARMS:
        span = interval(lambda pick, s=share: hits(truth[pick].ravel(), odds[pick].ravel(), s), USERS)  # type: ignore[misc]
        rows.append(
            [
                track,
                f"hits at {share:.1%} false alarms",
                percent(hits(truth.ravel(), odds.ravel(), share), *span),
                published.get(share, ""),
                wanted.get(share, ""),
            ]
        )
    low, high = interval(lambda pick: auc(truth[pick].ravel(), odds[pick].ravel()), USERS)
    known = (".950 (naive Bayes)", "") if track == "self/non-self" else (".916", "> .93")
    rows.append([track, "AUC", f"{auc(truth.ravel(), odds.ravel()):.3f} ({low:.3f}-{high:.3f})", *known])
    rows.append(
        [
            track,
            "at the training blocks' threshold",
            f"{(odds[truth] > limit).mean():.1%} hits, {(odds[~truth] > limit).mean():.1%} false alarms",
            "",
            "",
        ]
    )
    return rows


def _worst(odds: Floats, truth: Flags) -> str:
    """Users whose misses and false alarms at 1.7 % are most."""
    limit = threshold_at(truth.ravel(), odds.ravel(), 0.017)
    missed, false = (truth & (odds <= limit)).sum(axis=1), (~truth & (odds > limit)).sum(axis=1)
    order = np.argsort(-(missed + false), kind="stable")[:5]
    return ", ".join(f"user {u + 1}: {missed[u]} of {truth[u].sum()} missed, {false[u]} false" for u in order)


if __name__ == "__main__":
    import sys

    judged(fit="--fit" in sys.argv)
