"""Whose list is it? From hits (which source could have given which item) to posteriors, for one source or several; pure.

Source: shared/detection.md 7. An item of the list is noise, with density q (the bought, the guessed, the popular), or comes from
a source, which draws among what it holds: P(x) = w0 q(x) + sum_a w_a 1[x in A_a] / |A_a|. The shares w are integrated out, so that
a heavy viewer's hit is worth less and no rate of noise is assumed. Several sources are found one by one, each against what the others
explain already, until one more is less likely than none; then each is judged again against all that could stand in its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHARES: Final = 28
"""Points at which the share of a source is integrated."""
SOURCES_MAX: Final = 8
"""Sources of one list at most."""
EM_ROUNDS: Final = 60
_LOW: Final = -9.0
_HIGH: Final = 7.0
_TINY: Final = 1e-300


class Priors(NamedTuple):
    """What is believed before the list is read.

    Attributes:
        nobody: that no hypothesis holds: an unlogged source, or another firm's list. more: that there is a further source.
        looks, custody, group: how the rest is shared, each evenly over its sources.
    """

    nobody: float = 0.35
    more: float = 0.05
    looks: float = 0.70
    custody: float = 0.25
    group: float = 0.05


@dataclass(frozen=True)
class Hits:
    """A list laid against hypotheses ("this account by its looks", "this outlet by what it held" ...).

    Attributes:
        noise: float64[m], density of each item as noise; items that nothing knows have any number above 0 and no hit.
        item, of: int64[n], which item could come from which hypothesis, each pair once. density: float64[n] of that.
        prior: float64[h], how likely each is if there is a source at all; 1 in all, or less. wide: bool[h], which hypotheses stand
        for several others together (a group), None: none; where their parts explain the list better one by one, the parts count.
    """

    noise: NDArray[np.float64]
    item: NDArray[np.int64]
    of: NDArray[np.int64]
    density: NDArray[np.float64]
    prior: NDArray[np.float64]
    wide: NDArray[np.bool_] | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Hits of each hypothesis; int64[h]."""
        return np.bincount(self.of, minlength=len(self.prior)).astype(np.int64)


@dataclass(frozen=True)
class Posterior:
    """What the list says.

    Attributes:
        sources: hypotheses found, in order of finding. source: float64[h], probability that each is one of the sources.
        nobody: probability that none of them is. evidence: float64[h], log Bayes factor of each alone against nobody.
    """

    sources: tuple[int, ...]
    source: NDArray[np.float64]
    nobody: float
    evidence: NDArray[np.float64]


def drawn(size: NDArray[np.int64], hits: NDArray[np.int64]) -> NDArray[np.float64]:
    """Density of one item of `hits` that were drawn among `size` without putting back: their geometric mean."""
    taken = np.maximum(hits, 1)
    pairs, back = np.unique(np.stack([np.maximum(size, taken), taken]), axis=1, return_inverse=True)
    logs = [(math.lgamma(held + 1) - math.lgamma(held - some + 1)) / some for held, some in pairs.T.tolist()]
    return np.exp(-np.array(logs, np.float64))[back.ravel()]


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(shares, log weights): even steps of log odds under a Beta(1/2, 1/2) prior."""
    odds = np.linspace(_LOW, _HIGH, SHARES)
    share = 1.0 / (1.0 + np.exp(-odds))
    weight = 0.5 * (np.log(share) + np.log1p(-share))
    return share, weight - np.logaddexp.reduce(weight)


_SHARE, _WEIGHT = _grid()


def evidence_of(hits: Hits, base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log Bayes factor of each hypothesis as a further source beside what `base` (density of each item) explains; float64[h]."""
    ratio = hits.density / base[hits.item]
    out = np.full((len(hits.prior), SHARES), len(base) * np.log1p(-_SHARE))
    order = np.argsort(hits.of, kind="stable")
    of, ratio = hits.of[order], ratio[order]
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    if len(of):
        for k in range(SHARES):
            gain = np.log1p(ratio * (_SHARE[k] / (1.0 - _SHARE[k])))
            out[of[starts], k] += np.add.reduceat(gain, starts)
    return np.asarray(np.logaddexp.reduce(out + _WEIGHT, axis=1))


def explained(hits: Hits, sources: Sequence[int]) -> NDArray[np.float64]:
    """Density of each item under noise and these sources, with the shares that fit best (EM from even shares); float64[m]."""
    if not sources:
        return hits.noise
    parts = np.zeros((len(sources) + 1, len(hits.noise)))
    parts[0] = hits.noise
    for row, source in enumerate(sources, start=1):
        mine = hits.of == source
        parts[row, hits.item[mine]] = hits.density[mine]
    share = np.full(len(parts), 1.0 / len(parts))
    for _ in range(EM_ROUNDS):
        weighed = parts * share[:, None]
        share = (weighed / np.maximum(weighed.sum(axis=0), _TINY)).sum(axis=1) + 0.5
        share /= share.sum()
    return np.asarray(share @ parts)


def _chances(
    hits: Hits, evidence: NDArray[np.float64], none: float, without: Sequence[int]
) -> tuple[NDArray[np.float64], float]:
    """(chance of each hypothesis to be the one source looked for, chance that there is none)."""
    with np.errstate(divide="ignore"):
        score = np.log(hits.prior * (1.0 - none)) + evidence
    score[list(without)] = -np.inf
    whole = np.logaddexp.reduce(np.append(score, np.log(none)))
    return np.exp(score - whole), float(np.exp(np.log(none) - whole))


def posterior_of(hits: Hits, priors: Priors) -> Posterior:
    """The sources of a list and what each hypothesis is worth. The order of items changes nothing."""
    alone = evidence_of(hits, hits.noise)
    found = _found(hits, priors, alone)
    missed, nobody = np.ones(len(hits.prior)), 1.0
    for slot in found:
        others = [one for one in found if one != slot]
        evidence = alone if not others else evidence_of(hits, explained(hits, others))
        none = priors.more if others else priors.nobody
        chance, nothing = _chances(hits, evidence, none if not others else 1.0 - none, others)
        missed *= 1.0 - chance
        nobody *= nothing
    if len(found) < SOURCES_MAX:
        evidence = evidence_of(hits, explained(hits, found)) if found else alone
        chance, nothing = _chances(hits, evidence, 1.0 - priors.more if found else priors.nobody, found)
        missed *= 1.0 - chance
        nobody *= 1.0 if found else nothing
    return Posterior(tuple(found), 1.0 - missed, nobody, alone)


def _found(hits: Hits, priors: Priors, alone: NDArray[np.float64]) -> list[int]:
    """Sources one by one, the likeliest first; a group gives way to its parts where those explain the list better."""
    found, banned = _greedy(hits, priors, alone, ()), list[int]()
    wide = np.zeros(len(hits.prior), np.bool_) if hits.wide is None else hits.wide
    while groups := [one for one in found if wide[one]]:
        banned += groups
        parts = _greedy(hits, priors, alone, banned)
        if _score(hits, priors, parts) <= _score(hits, priors, found):
            break
        found = parts
    return found


def _score(hits: Hits, priors: Priors, sources: Sequence[int]) -> float:
    """Log likelihood of the list under these sources at their best shares, less what each source costs."""
    if not sources:
        return float(np.log(hits.noise).sum())
    cost = 0.5 * len(sources) * math.log(max(len(hits.noise), 2)) - (len(sources) - 1) * math.log(priors.more)
    return float(np.log(explained(hits, sources)).sum() + np.log(hits.prior[list(sources)]).sum() - cost)


def _greedy(hits: Hits, priors: Priors, alone: NDArray[np.float64], banned: Sequence[int]) -> list[int]:
    """Sources one by one; each is changed for a likelier one once another is there."""
    found: list[int] = []
    while len(found) < min(SOURCES_MAX, len(hits.prior)):
        evidence = evidence_of(hits, explained(hits, found)) if found else alone
        none = 1.0 - priors.more if found else priors.nobody
        chance, nothing = _chances(hits, evidence, none, [*found, *banned])
        best = int(np.argmax(chance))
        if chance.sum() <= nothing or chance[best] <= 0:
            break
        found = _settled(hits, priors, [*found, best], banned)
    return found


def _settled(hits: Hits, priors: Priors, found: list[int], banned: Sequence[int]) -> list[int]:
    """Every source is the best in its place, given the others."""
    if len(found) == 1:
        return found
    for place in range(len(found)):
        others = [one for at, one in enumerate(found) if at != place]
        evidence = evidence_of(hits, explained(hits, others))
        chance, _ = _chances(hits, evidence, 1.0 - priors.more, [*others, *banned])
        found[place] = int(np.argmax(chance))
    return found
