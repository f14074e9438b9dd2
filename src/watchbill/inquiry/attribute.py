"""Who leaked this list? The answer of `watchbill attribute`: a ranking with calibrated posteriors, and a name only when it is safe.

An account is named at a posterior of .99 with three hits that no rival has; else the answer is a set, custody (somebody who had the
parcels but need not have looked), or nobody here. It is a lead for people, never a proof of guilt.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq

from watchbill.core.hashing import hash_text
from watchbill.inquiry.attribution import Posterior, Priors, posterior_of
from watchbill.inquiry.canaries import canaries_of
from watchbill.inquiry.exposure import silent_sources
from watchbill.inquiry.inforce import settings_at, tables_at
from watchbill.inquiry.leakhits import COUNTED_MAX, GROUP, HELD, LOOKS, Asked, Extra, Laid, lay
from watchbill.inquiry.marks import key_of
from watchbill.inquiry.settle import PAIRS_MAX, Candidate, settling
from watchbill.inquiry.sightings import open_sightings
from watchbill.inquiry.sightrows import ACCOUNT, PREFIX, source_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from watchbill.inquiry.leaklist import Item, LeakList
    from watchbill.inquiry.sightings import SightingIndex

TABLE: Final = Path(__file__).with_name("attribution.json")
NAMED_AT: Final = 0.99
UNIQUE_MIN: Final = 3
RANKED: Final = 20
RIVAL: Final = 20
"""Who saw over this many times as many customers is no rival for a hit: whoever saw everything saw it too."""
HOLDER_SELF: Final = 0.9
"""Of the chance that a list came from what an account held, its own share: a colleague, a thief or the shop had the same parcels."""
SET_SHARE: Final = 0.95
SET_MAX: Final = 50
HALF: Final = 0.5
LIKELY_PLACE: Final = 0.05
LISTED_MIN: Final = 1e-6
NAMES: Final = ("looks", "custody", "group")


@dataclass(frozen=True)
class Calibration:
    """Constants fitted on tuned seeds: priors, and knots from the raw to the calibrated posterior."""

    priors: Priors
    raw: tuple[float, ...]
    posterior: tuple[float, ...]
    seeds: str = ""

    def of(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated posteriors."""
        return np.asarray(np.interp(raw, self.raw, self.posterior))


def shipped() -> Calibration:
    """The release's constants (`attribution.json`, written by `benchmarks/attribution.py --calibrate`)."""
    said = json.loads(TABLE.read_text(encoding="utf-8"))
    return Calibration(Priors(**said["priors"]), tuple(said["raw"]), tuple(said["posterior"]), said["seeds"])


@dataclass(frozen=True)
class Ranked:
    """One account (or a device that looks without one).

    Attributes:
        account: its name; kind says whether it is an account or a device. posterior: that it is a source. hits: items that it saw.
        unique_hits: of those, seen by no rival among the first twenty. held: items that it had in hands. customers: how many it saw
        in all. by_custody: share of the posterior that rests on what it held. first, last: epoch ms of its first sight of the first
        and of the last of the hits. raw: the posterior before calibration.
    """

    account: str
    kind: str
    posterior: float
    hits: int
    unique_hits: int
    held: int
    customers: int
    by_custody: float
    first: int | None
    last: int | None
    raw: float


@dataclass(frozen=True)
class Holder:
    """Who physically had the parcels: kind (account, outlet), name, posterior, how many of the list's records."""

    kind: str
    holder: str
    posterior: float
    hits: int


@dataclass
class Attribution:
    """The answer; fields as contract/outputs.md says, and some beside them.

    Attributes:
        height: what it stands on. named: accounts. holders: who had the parcels. groups: outlets of which somebody
        (or several together) gave it, without telling who. made_after: epoch ms at which the last hit of a
        named account was first seen: the list is no older. unmatched: records that the ledger knows nothing of. canaries: invented
        ones among them; canaries_seen_by: accounts (and devices) that ever looked at one. gaps: what is open.
    """

    size: int
    matched: int
    ranking: list[Ranked]
    nobody: float
    custody: float
    outcome: str
    set: list[str]
    settle_with: list[str]
    height: int
    named: list[str] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)
    groups: list[Holder] = field(default_factory=list)
    made_after: int | None = None
    before: int | None = None
    unmatched: int = 0
    canaries: int = 0
    canaries_seen_by: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As `watchbill attribute --json` prints it."""
        return asdict(self)


def attribute(
    home: Path,
    leak: LeakList,
    asked: Asked | None = None,
    calibration: Calibration | None = None,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> Attribution:
    """Attribute a list to accounts.

    Args:
        tell: hears how far the index of sightings is while segments are added to it.

    Raises:
        LedgerError: the ledger or the index is damaged.
    """
    index = open_sightings(home, tell)
    answer = answer_of(index, leak.items, extra_of(home, index.height), asked or Asked(), calibration or shipped())
    answer.gaps = [gap.text for gap in silent_sources(home)]
    return answer


def groups_of(home: Path, height: int) -> dict[int, str]:
    """Source hash of each account on the roster in force -> its outlet; empty without a roster."""
    path = tables_at(home, height).get("accounts")
    if path is None:
        return {}
    table = pq.read_table(path, columns=["account", "outlet"])
    hashes = source_hashes(table.column("account"), ACCOUNT).tolist()
    return {key: outlet for key, outlet in zip(hashes, table.column("outlet").to_pylist(), strict=True) if outlet}


def extra_of(home: Path, height: int) -> Extra:
    """What the home knows beside its records: the roster's outlets, its canaries, its marks."""
    digits = settings_at(home, height).inquiry.mark_digits
    invented = frozenset(hash_text(one.value) for one in canaries_of(home))
    return Extra(groups_of(home, height), invented, digits, key_of(home) if digits else b"")


def answer_of(
    index: SightingIndex, items: Sequence[Item], extra: Extra, asked: Asked, calibration: Calibration
) -> Attribution:  # fmt: skip
    """As `attribute`, over an open index."""
    laid = lay(index, items, asked, calibration.priors, extra)
    said = posterior_of(laid.hits, calibration.priors)
    return _Answer(index, laid, said, extra.groups, calibration).answer(asked)


class _Answer:
    """Turns posteriors of hypotheses into an answer about people."""

    def __init__(
        self, index: SightingIndex, laid: Laid, said: Posterior, groups: Mapping[int, str], calibration: Calibration
    ) -> None:
        self.index, self.laid, self.said, self.groups, self.calibration = index, laid, said, groups, calibration
        personal = laid.way != GROUP
        outlets = (laid.owner & np.uint64(3)) > 1
        self.is_account = personal & ~outlets
        self.owners, code = np.unique(laid.owner[self.is_account], return_inverse=True)
        self.by: dict[int, NDArray[np.float64]] = {}
        for way in (LOOKS, HELD):
            mine = laid.way[self.is_account] == way
            weights = np.where(mine, said.source[self.is_account], 0.0)
            weights = weights * (HOLDER_SELF if way == HELD else 1.0)
            self.by[way] = np.bincount(code.ravel(), weights=weights, minlength=len(self.owners)).astype(np.float64)
        self.raw = np.minimum(self.by[LOOKS] + self.by[HELD], 1.0)
        self.posterior = calibration.of(self.raw) if len(self.raw) else self.raw
        self.order = np.lexsort((self.owners, -self.raw))[: max(RANKED, SET_MAX)]

    def answer(self, asked: Asked) -> Attribution:
        held = self._holders()
        ranking = self._ranking()
        custody = float(min(1.0, sum(one.posterior for one in held)))
        named = [
            one for one in ranking
            if one.posterior >= NAMED_AT and one.unique_hits >= UNIQUE_MIN and one.by_custody <= HALF
        ]  # fmt: skip
        nobody = float(self.said.nobody)
        outcome = "named" if named else _otherwise(custody, nobody)
        groups = self._found_groups()
        listed = self._set() if outcome in {"set", "custody"} or groups else []
        last = [one.last for one in named if one.last is not None]
        unmatched = int((~self.laid.matched).sum())
        places = [f"{one.kind} {one.holder}" for one in held if one.posterior >= LIKELY_PLACE]
        settle = settling(
            outcome, self._candidates(ranking), self.laid.lines.tolist(), self._shared(), places, unmatched
        )
        return Attribution(
            size=len(self.laid.lines), matched=int(self.laid.matched.sum()), ranking=ranking, nobody=round(nobody, 6),
            custody=round(custody, 6), outcome=outcome, set=listed, settle_with=settle, height=self.index.height,
            named=[one.account for one in named], holders=held, groups=groups, made_after=max(last) if last else None,
            before=asked.before, unmatched=unmatched, canaries=int(self.laid.canary.sum()), canaries_seen_by=self._at_canaries(),
        )  # fmt: skip

    def _at_canaries(self) -> list[str]:
        hits, looks = self.laid.hits, self.laid.way == LOOKS
        owners = np.unique(self.laid.owner[hits.of[self.laid.canary[hits.item] & looks[hits.of]]]).tolist()
        return sorted(name[2:] for name in self.index.names(owners).values())

    def _candidates(self, ranking: list[Ranked]) -> list[Candidate]:
        out = []
        for at, one in zip(self.order.tolist(), ranking, strict=False):
            owner = int(self.owners[at])
            items = self.laid.hits.item[np.append(self._hits(owner, LOOKS), self._hits(owner, HELD))]
            out.append(Candidate(one.account, one.posterior, frozenset(items.tolist()), one.customers))
        return out

    def _shared(self) -> dict[str, float]:
        """Of the customers that the first saw: which share each of the next saw too."""
        near = [int(self.owners[at]) for at in self.order[: PAIRS_MAX + 1].tolist()]
        names = self.index.names(near)
        sizes = self.index.sizes(self.laid.kind, np.array(near, np.uint64))
        held = {
            owner: self.index.keys_of(self.laid.kind, owner)
            for owner, size in zip(near, sizes.tolist(), strict=True)
            if size <= COUNTED_MAX
        }
        first = held.get(near[0]) if near else None
        if first is None or not len(first):
            return {}
        return {names[o][2:]: float(np.isin(first, k).mean()) for o, k in held.items() if o != near[0] and o in names}

    def _hits(self, owner: int, way: int) -> NDArray[np.int64]:
        """Positions in `laid.hits` of an owner's hits by one way."""
        mine = np.flatnonzero((self.laid.owner == np.uint64(owner)) & (self.laid.way == way))
        return np.flatnonzero(np.isin(self.laid.hits.of, mine))

    def _ranking(self) -> list[Ranked]:
        top = [at for at in self.order[:RANKED].tolist() if self.raw[at] >= LISTED_MIN]
        owners = [int(self.owners[at]) for at in top]
        names = self.index.names(owners)
        looks = {owner: self._hits(owner, LOOKS) for owner in owners}
        sizes = {
            owner: int(self.laid.size[(self.laid.owner == np.uint64(owner)) & (self.laid.way == LOOKS)].sum())
            for owner in owners
        }
        items = {owner: set(self.laid.hits.item[at].tolist()) for owner, at in looks.items()}
        out = []
        for at, owner in zip(top, owners, strict=True):
            rivals = [one for one in owners if one != owner and sizes[one] < RIVAL * max(sizes[owner], 1)]
            unique = items[owner].difference(*(items[one] for one in rivals))
            times = self.laid.first[looks[owner]]
            out.append(
                Ranked(
                    names.get(owner, f"{PREFIX[owner & 3]}?")[2:], "device" if owner & 3 else "account",
                    round(float(self.posterior[at]), 6), len(items[owner]), len(unique), len(self._hits(owner, HELD)),
                    sizes[owner], round(float(self.by[HELD][at] / max(self.raw[at], LISTED_MIN)), 4),
                    int(times.min()) if len(times) else None, int(times.max()) if len(times) else None,
                    round(float(self.raw[at]), 9),
                )
            )  # fmt: skip
        return out

    def _holders(self) -> list[Holder]:
        """Hypotheses of custody worth a word, the likeliest first."""
        mine = np.flatnonzero((self.laid.way == HELD) & (self.said.source >= LISTED_MIN))
        best = mine[np.lexsort((self.laid.owner[mine], -self.said.source[mine]))][:RANKED]
        names = self.index.names(self.laid.owner[best].tolist())
        counts = self.laid.hits.counts
        out = []
        for at in best.tolist():
            name = names.get(int(self.laid.owner[at]), "a:?")
            kind = {"o": "outlet", "a": "account", "d": "device"}[name[0]]
            out.append(Holder(kind, name[2:], round(float(self.said.source[at]), 6), int(counts[at])))
        return out

    def _found_groups(self) -> list[Holder]:
        """Groups likelier than not, the likeliest first."""
        mine = np.flatnonzero((self.laid.way == GROUP) & (self.said.source >= HALF))
        if not len(mine):
            return []
        names, counts = {hash_text(name): name for name in set(self.groups.values())}, self.laid.hits.counts
        order = mine[np.lexsort((self.laid.owner[mine], -self.said.source[mine]))].tolist()
        return [
            Holder("outlet", names[int(self.laid.owner[at])], round(float(self.said.source[at]), 6), int(counts[at]))
            for at in order
        ]

    def _set(self) -> list[str]:
        """The fewest accounts that hold most of what is not nobody's; where a group is likelier, its accounts."""
        share: dict[int, float] = dict(zip(self.owners.tolist(), self.raw.tolist(), strict=True))
        group = np.flatnonzero((self.laid.way == GROUP) & (self.said.source >= LISTED_MIN))
        for at in group.tolist():
            items = set(self.laid.hits.item[self.laid.hits.of == at].tolist())
            members = [one for one in share if self.groups.get(one) and len(self._hits(one, LOOKS)) and items]
            inside = [one for one in members if hash_text(self.groups[one]) == int(self.laid.owner[at])]
            for one in inside:
                share[one] += float(self.said.source[at]) / len(inside)
        ordered = sorted(share, key=lambda one: (-share[one], one))
        whole, held, out = sum(share.values()), 0.0, []
        for one in ordered[:SET_MAX]:
            if whole <= 0 or held >= SET_SHARE * whole:
                break
            held += share[one]
            out.append(one)
        names = self.index.names(out)
        return [names[one][2:] for one in out if one in names]


def _otherwise(custody: float, nobody: float) -> str:
    if custody >= HALF:
        return "custody"
    return "nobody" if nobody >= HALF else "set"
