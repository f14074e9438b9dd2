"""Lays a leaked list against the index of sightings: which account, outlet or group could have given which record, and how likely.

A hypothesis is a way and an owner: an account (or a device without one) by its looks, an account or an outlet by the parcels that it
physically had, a group of accounts that nobody can tell apart (somebody of this outlet, by a way that leaves no log).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.core.hashing import hash_text
from watchbill.inquiry.attribution import Hits, Priors, drawn, evidence_of
from watchbill.inquiry.marks import Borne, factors
from watchbill.inquiry.sightrows import ALIAS, CUSTODY, PARCEL, SUBJECT, UNKNOWN, WAYBILL, alias_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from watchbill.inquiry.leaklist import Item
    from watchbill.inquiry.sightings import SightingIndex

LOOKS, HELD, GROUP = 0, 1, 2
FINALISTS: Final = 300
"""Hypotheses whose size is counted exactly; of the others it is an upper bound."""
COUNTED_MAX: Final = 2_000_000
"""Sources with more sightings than this keep the bound: they saw nearly everything, and a hit of theirs says nearly nothing."""
CANARY_NOISE: Final = 1e-4
"""A canary comes by chance so much more seldom than a customer: nobody buys or guesses whom nobody ever shipped to."""
ALONE: Final = 0.8
"""A group of which one account saw this share is no group: what it holds is what that account holds."""
_NEVER: Final = np.iinfo(np.int64).max
PARCELS_MAX: Final = 1_000
"""Parcels of one customer that custody is looked up for."""


class Asked(NamedTuple):
    """What a list is read as.

    Attributes:
        by: of "waybill" and "subject", what its records may name. before: sightings before this moment only, epoch milliseconds.
        bits: fields of which one must have been shown (`sightrows.FIELD_BITS`), 0: whatever.
    """

    by: tuple[str, ...] = ("waybill", "subject")
    before: int | None = None
    bits: int = 0


@dataclass(frozen=True)
class Laid:
    """A list laid out.

    Attributes:
        lines: line of each distinct item. matched: bool[m], what the ledger knows at all. hits: for the model.
        way: int8[h]; owner: uint64[h], hash of the source, or of the group's name; size: int64[h], what it holds.
        first: int64[n], epoch ms at which the hypothesis of each hit first had it. canary: bool[m], which items are invented.
    """

    lines: NDArray[np.int64]
    matched: NDArray[np.bool_]
    hits: Hits
    way: NDArray[np.int8]
    owner: NDArray[np.uint64]
    size: NDArray[np.int64]
    first: NDArray[np.int64]
    kind: str
    canary: NDArray[np.bool_]


@dataclass
class _Keys:
    """Keys of items: which item, the key."""

    item: NDArray[np.int64]
    key: NDArray[np.uint64]


class _Question(NamedTuple):
    """The index, how it is asked, and until when sightings count for each item; int64[m], epoch ms."""

    sightings: SightingIndex
    asked: Asked
    until: NDArray[np.int64]


def _keys(items: Sequence[Item], index: SightingIndex) -> tuple[_Keys, _Keys]:
    """(texts of items, customers that a masked phone may be)."""
    texts = [(number, hash_text(text)) for number, item in enumerate(items) for text in item.texts]
    masked = [(number, alias_of(text)) for number, item in enumerate(items) for text in item.masked]
    found = index.find(ALIAS, np.array([key for _, key in masked], np.uint64))
    owners = np.array([number for number, _ in masked], np.int64)
    return _split(texts), _Keys(owners[found.query], found.value)


def _split(pairs: Sequence[tuple[int, int]]) -> _Keys:
    return _Keys(np.array([number for number, _ in pairs], np.int64), np.array([key for _, key in pairs], np.uint64))


class _Seen(NamedTuple):
    """Hits of one kind: int64[n] item, uint64[n] key, uint64[n] source, int64[n] first time; each (item, key, source) once."""

    item: NDArray[np.int64]
    key: NDArray[np.uint64]
    source: NDArray[np.uint64]
    time: NDArray[np.int64]

    def only(self, keep: NDArray[np.bool_]) -> _Seen:
        return _Seen(self.item[keep], self.key[keep], self.source[keep], self.time[keep])


def _seen(question: _Question, kind: str, keys: _Keys) -> _Seen:
    asked = question.asked
    found = question.sightings.find(kind, keys.key, asked.before)
    item, key = keys.item[found.query], keys.key[found.query]
    keep = found.time < question.until[item]
    if asked.bits and kind in {SUBJECT, WAYBILL}:
        keep &= (found.fields & (asked.bits | UNKNOWN)) != 0
    return _once(_Seen(item, key, found.value, found.time).only(keep))


def _once(seen: _Seen) -> _Seen:
    """The earliest of each (item, key, source)."""
    order = np.lexsort((seen.time, seen.source, seen.key, seen.item))
    seen = _Seen(seen.item[order], seen.key[order], seen.source[order], seen.time[order])
    new = np.ones(len(seen.item), np.bool_)
    new[1:] = np.diff(seen.item) != 0
    new[1:] |= (seen.key[1:] != seen.key[:-1]) | (seen.source[1:] != seen.source[:-1])
    return seen.only(new)


def _held(question: _Question, texts: _Keys, customers: _Keys) -> _Seen:
    """Custody of the parcels that items name, or of the parcels of the customers that they name."""
    asked = question.asked
    direct = _seen(question, CUSTODY, texts) if "waybill" in asked.by else _nothing()
    if "subject" not in asked.by:
        return direct
    left = ~np.isin(customers.item, direct.item)
    named = _Keys(customers.item[left], customers.key[left])
    links = question.sightings.find(PARCEL, named.key, asked.before)
    owner = named.item[links.query]
    few = np.bincount(owner, minlength=int(owner.max(initial=0)) + 1)[owner] <= PARCELS_MAX
    parcels = _Keys(owner[few], links.value[few])
    return _joined(direct, _seen(question, CUSTODY, parcels))


def _nothing() -> _Seen:
    return _Seen(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))


def _joined(*seen: _Seen) -> _Seen:
    return _Seen(
        np.concatenate([one.item for one in seen]),
        np.concatenate([one.key for one in seen]),
        np.concatenate([one.source for one in seen]),
        np.concatenate([one.time for one in seen]),
    )


# --- the layout --------------------------------------------------------------------------------------------------------


class Extra(NamedTuple):
    """What is known beside the records.

    Attributes:
        groups: source hash of an account -> name of its group (its outlet); accounts without one are in none.
        canaries: hashes of invented customers and parcels: only who looked at one, or who has the whole data, can leak it.
        mark_digits, mark_key: of per-viewer marks (`marks.py`); 0 where no system shows them.
    """

    groups: Mapping[int, str]
    canaries: frozenset[int] = frozenset()
    mark_digits: int = 0
    mark_key: bytes = b""


def lay(index: SightingIndex, items: Sequence[Item], asked: Asked, priors: Priors, extra: Extra) -> Laid:  # fmt: skip
    """Lay a list out."""
    texts, masked = _keys(items, index)
    none = _Keys(np.zeros(0, np.int64), np.zeros(0, np.uint64))
    customers = _Keys(np.append(texts.item, masked.item), np.append(texts.key, masked.key))
    until = np.array([_NEVER if item.before is None else item.before for item in items], np.int64)
    question = _Question(index, asked, until)
    waybills = _seen(question, WAYBILL, texts if "waybill" in asked.by else none)
    subjects = _seen(question, SUBJECT, customers if "subject" in asked.by else none)
    subjects = subjects.only(~np.isin(subjects.item, waybills.item))
    held = _held(question, texts, customers)
    chosen = _distinct(len(items), waybills, subjects, held)
    looks = _joined(waybills, subjects)
    kind = (
        WAYBILL if len(np.unique(waybills.item)) * 2 >= len(np.unique(looks.item)) and len(waybills.item) else SUBJECT
    )
    matched = np.zeros(len(items), np.bool_)
    matched[looks.item] = matched[held.item] = True
    number = np.cumsum(chosen) - 1  # items that are the same as an earlier one go
    keep = chosen[looks.item], chosen[held.item]
    looks, held = looks.only(keep[0]), held.only(keep[1])
    looks, held = looks._replace(item=number[looks.item]), held._replace(item=number[held.item])
    noise = _noise(index, int(chosen.sum()), looks, kind)
    kept = [item for item, keep_it in zip(items, chosen.tolist(), strict=True) if keep_it]
    invented = np.array([any(hash_text(text) in extra.canaries for text in item.texts) for item in kept], np.bool_)
    noise[invented] *= CANARY_NOISE
    lines = np.array([item.line for item in kept], np.int64)
    given = _Given(lines, matched[chosen], noise, looks, held, kind, asked, priors, extra.groups)
    return _marked(index, _hypotheses(index, given, invented), kept, extra)


def _marked(index: SightingIndex, laid: Laid, items: Sequence[Item], extra: Extra) -> Laid:
    """Hits whose item bears the account's own mark weigh by so many digits more."""
    bears = np.array([bool(item.marks) for item in items], np.bool_)
    mine = np.flatnonzero(bears[laid.hits.item] & (laid.way[laid.hits.of] == LOOKS))
    if not extra.mark_digits or not len(mine):
        return laid
    owners = laid.owner[laid.hits.of[mine]].tolist()
    names = index.names(owners)
    accounts = [names.get(owner, "  ")[2:] if not owner & 3 else "" for owner in owners]
    density = laid.hits.density.copy()
    borne = [Borne(items[at].texts, items[at].marks) for at in laid.hits.item[mine].tolist()]
    density[mine] *= factors(extra.mark_key, extra.mark_digits, borne, accounts)
    return replace(laid, hits=replace(laid.hits, density=density))


def _distinct(n: int, *seen: _Seen) -> NDArray[np.bool_]:
    """Which items are the first with their known keys; what nothing knows stays apart; bool[n]."""
    item = np.concatenate([part.item for part in seen])
    key = np.concatenate([part.key for part in seen])
    pairs = np.unique(np.stack([item.astype(np.uint64), key]), axis=1)
    print_of: dict[bytes, int] = {}
    first = np.arange(n)
    edges = np.searchsorted(pairs[0], np.arange(n + 1).astype(np.uint64))
    for number in range(n):
        low, high = int(edges[number]), int(edges[number + 1])
        if high > low:
            first[number] = print_of.setdefault(pairs[1, low:high].tobytes(), number)
    return np.asarray(first == np.arange(n))


def _noise(index: SightingIndex, items: int, looks: _Seen, kind: str) -> NDArray[np.float64]:
    """Density of each item as noise: half even over all customers, half by how often they were looked at; float64[m]."""
    universe = max(index.distinct_keys[kind], index.distinct_keys[CUSTODY] if kind == WAYBILL else 0, 1)
    seen = np.bincount(looks.item, minlength=items)
    return np.asarray(0.5 / universe + 0.5 * seen / max(index.sightings[kind], 1))


class _Given(NamedTuple):
    """What hypotheses are made of."""

    lines: NDArray[np.int64]
    matched: NDArray[np.bool_]
    noise: NDArray[np.float64]
    looks: _Seen
    held: _Seen
    kind: str
    asked: Asked
    priors: Priors
    groups: Mapping[int, str]


class _Pairs(NamedTuple):
    """Hits by hypothesis: item, hypothesis, how many keys of the item it had, when first."""

    item: NDArray[np.int64]
    of: NDArray[np.int64]
    times: NDArray[np.int64]
    first: NDArray[np.int64]


def _paired(item: NDArray[np.int64], of: NDArray[np.int64], time: NDArray[np.int64]) -> _Pairs:
    """Each (item, hypothesis) once."""
    order = np.lexsort((time, item, of))
    item, of, time = item[order], of[order], time[order]
    new = np.ones(len(item), np.bool_)
    new[1:] = (np.diff(item) != 0) | (np.diff(of) != 0)
    starts = np.flatnonzero(new)
    return _Pairs(item[new], of[new], np.diff(np.append(starts, len(item))), time[new])


def _hypotheses(index: SightingIndex, given: _Given, invented: NDArray[np.bool_]) -> Laid:
    ways, owners, parts = [], [], []
    sizes: list[NDArray[np.int64]] = []
    base = 0
    lists = [(LOOKS, given.looks, given.kind), (HELD, given.held, CUSTODY)]
    for sort, seen, kind in lists:
        owner, code = np.unique(seen.source, return_inverse=True)
        parts.append(_paired(seen.item, code.ravel() + base, seen.time))
        ways.append(np.full(len(owner), sort, np.int8))
        owners.append(owner)
        sizes.append(index.sizes(kind, owner))
        base += len(owner)
    group, part, size = _groups(index, given, base)
    parts.append(part)
    ways.append(np.full(len(group), GROUP, np.int8))
    owners.append(group)
    sizes.append(size)
    pairs = _Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    way, owner, held = np.concatenate(ways), np.concatenate(owners), np.concatenate(sizes)
    prior = _prior(index, given, way)
    hits = _weighed(given.noise, pairs, held, prior)
    held = _counted(index, given, hits, way, owner, held)
    hits = replace(_weighed(given.noise, pairs, held, prior), wide=way == GROUP)
    return Laid(given.lines, given.matched, hits, way, owner, held, pairs.first, given.kind, invented)


def _groups(
    index: SightingIndex, given: _Given, base: int
) -> tuple[NDArray[np.uint64], _Pairs, NDArray[np.int64]]:  # fmt: skip
    """Somebody of a group: what any of its accounts saw; as large as all of them together."""
    looks = given.looks
    names = [given.groups.get(source, "") for source in looks.source.tolist()]
    inside = np.array([bool(name) for name in names], np.bool_)
    key_of = {name: hash_text(name) for name in set(names) if name}
    held, code = np.unique(np.array([key_of[name] for name in names if name], np.uint64), return_inverse=True)
    pairs = _paired(looks.item[inside], code.ravel() + base, looks.time[inside])
    pairs = pairs._replace(times=np.ones(len(pairs.item), np.int64))
    members: dict[int, list[int]] = {}
    for source, name in given.groups.items():
        if name in key_of:  # all accounts of a carrier pass here: no more than a look-up each
            members.setdefault(key_of[name], []).append(source)
    everybody = np.array([one for key in held.tolist() for one in members[key]], np.uint64)
    starts = np.cumsum([0, *(len(members[key]) for key in held.tolist())])[:-1]
    each = index.sizes(given.kind, everybody)
    size = np.add.reduceat(each, starts) if len(held) else np.zeros(0, np.int64)
    largest = np.maximum.reduceat(each, starts) if len(held) else size
    crowd = largest < ALONE * size
    number = np.cumsum(crowd) - 1
    keep = crowd[pairs.of - base] if len(crowd) else np.zeros(0, np.bool_)
    pairs = _Pairs(*(part[keep] for part in pairs))
    return held[crowd], pairs._replace(of=number[pairs.of - base] + base), size[crowd]


def _prior(index: SightingIndex, given: _Given, way: NDArray[np.int8]) -> NDArray[np.float64]:
    """Each way's share, evenly over all its sources, those without a hit included."""
    counts = (
        index.sources_about(given.kind),
        index.sources_about(CUSTODY),
        len(set(given.groups.values())),
    )
    shares = (given.priors.looks, given.priors.custody, given.priors.group)
    each = np.array([share / max(count, 1) for share, count in zip(shares, counts, strict=True)])
    return np.asarray(each[way])


def _weighed(
    noise: NDArray[np.float64], pairs: _Pairs, size: NDArray[np.int64], prior: NDArray[np.float64]
) -> Hits:  # fmt: skip
    counts = np.bincount(pairs.of, minlength=len(size)).astype(np.int64)
    density = drawn(size, counts)[pairs.of] * pairs.times
    return Hits(noise, pairs.item, pairs.of, density, prior)


def _counted(
    index: SightingIndex,
    given: _Given,
    hits: Hits,
    way: NDArray[np.int8],
    owner: NDArray[np.uint64],
    size: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Sizes with those of the likeliest hypotheses counted exactly, and with the date and the fields asked."""
    with np.errstate(divide="ignore"):
        score = np.log(hits.prior) + evidence_of(hits, hits.noise)
    best = np.argsort(-score, kind="stable")[:FINALISTS]
    out = size.copy()
    for sort, kind in ((LOOKS, given.kind), (HELD, CUSTODY)):
        mine = best[(way[best] == sort) & (size[best] <= COUNTED_MAX)]
        bits = (given.asked.bits | UNKNOWN) if given.asked.bits and sort == LOOKS else 0
        out[mine] = index.exact_sizes(kind, owner[mine], given.asked.before, bits)
    return out
