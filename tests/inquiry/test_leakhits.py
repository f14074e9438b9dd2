from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inquiry.leaks import T0, customers, ledger, look, parcels, scan
from watchbill.core.hashing import hash_text
from watchbill.inquiry.attribution import Priors
from watchbill.inquiry.leakhits import GROUP, HELD, LOOKS, Asked, Extra, Laid, lay
from watchbill.inquiry.leaklist import Item
from watchbill.inquiry.sightings import SightingIndex, open_sightings
from watchbill.inquiry.sightrows import ACCOUNT, source_hash

GROUPS = {source_hash(f"E{n}", ACCOUNT): f"O{n // 2}" for n in range(6)}


def hits(laid: Laid, index: SightingIndex, way: int) -> dict[str, list[int]]:
    """Name of each source of a way -> lines that it could have given."""
    out: dict[str, list[int]] = {}
    names = index.names(laid.owner[laid.way != GROUP].tolist())
    groups = {hash_text(name): name for name in GROUPS.values()}
    for item, of in zip(laid.hits.item, laid.hits.of, strict=True):
        if laid.way[of] == way:
            owner = int(laid.owner[of])
            out.setdefault(groups[owner] if way == GROUP else names[owner][2:], []).append(int(laid.lines[item]))
    return {name: sorted(lines) for name, lines in out.items()}


@pytest.fixture
def index(tmp_path: Path) -> SightingIndex:
    rows = [look("E0", n) for n in range(10)] + [look("E1", n) for n in range(5, 15)] + [look("E2", 3)]
    rows += [scan(n, "O9", "E5") for n in range(20)] + [look("E4", 30, subjects=["13812345678"])]
    return open_sightings(ledger(tmp_path, rows, (12,)))


def test_customers_and_parcels_lead_to_the_same_accounts(index: SightingIndex) -> None:
    for items in (customers([3, 6, 12, 99]), parcels([3, 6, 12, 99])):
        laid = lay(index, items, Asked(), Priors(), Extra(GROUPS))
        assert hits(laid, index, LOOKS) == {"E0": [1, 2], "E1": [2, 3], "E2": [1]}
        assert hits(laid, index, HELD)["O9"] == [1, 2, 3]
        assert hits(laid, index, GROUP) == {"O0": [1, 2, 3]}  # E2 is alone at O1: what it saw is its own
        assert laid.matched.tolist() == [True, True, True, False]
        sizes = {
            int(owner): int(size)
            for owner, size, way in zip(laid.owner, laid.size, laid.way, strict=True)
            if way == LOOKS
        }
        assert sizes == {source_hash("E0", ACCOUNT): 10, source_hash("E1", ACCOUNT): 10, source_hash("E2", ACCOUNT): 1}


def test_by_and_before_narrow_what_counts(index: SightingIndex) -> None:
    assert not hits(lay(index, customers([3]), Asked(("waybill",)), Priors(), Extra({})), index, LOOKS)
    assert not hits(lay(index, parcels([3]), Asked(("subject",)), Priors(), Extra({})), index, LOOKS)
    early = lay(index, customers([3, 6]), Asked(before=T0 + 5), Priors(), Extra({}))
    assert hits(early, index, LOOKS) == {"E0": [1]}
    assert early.size[early.way == LOOKS].tolist() == [5]
    assert not hits(lay(index, customers([3]), Asked(bits=1), Priors(), Extra({})), index, LOOKS)
    assert hits(lay(index, customers([3]), Asked(bits=2), Priors(), Extra({})), index, LOOKS) == {"E0": [1], "E2": [1]}


def test_a_masked_phone_is_whoever_it_fits(index: SightingIndex) -> None:
    laid = lay(index, [Item((), ("138****5678",), 1), Item((), ("138****0000",), 2)], Asked(), Priors(), Extra(GROUPS))
    assert hits(laid, index, LOOKS) == {"E4": [1]}
    assert laid.matched.tolist() == [True, False]


def test_the_same_record_in_two_forms_counts_once(index: SightingIndex) -> None:
    twice = [Item(("13812345678",), (), 1), Item(("13812345678", "x9"), (), 2), Item((), ("138****5678",), 3)]
    laid = lay(index, twice, Asked(), Priors(), Extra(GROUPS))
    assert laid.lines.tolist() == [1]


def test_noise_is_likelier_for_whom_many_saw(index: SightingIndex) -> None:
    laid = lay(index, customers([1, 6, 99]), Asked(), Priors(), Extra(GROUPS))
    assert laid.hits.noise[1] > laid.hits.noise[0] > laid.hits.noise[2] > 0
    assert laid.hits.prior.sum() <= 1
    assert (laid.first == np.array([T0 + 1, T0 + 6, T0 + 11, *laid.first[3:]])).all()


def test_an_empty_list_and_an_unknown_one_lay_out(index: SightingIndex) -> None:
    lists: list[list[Item]] = [[], customers([77, 78])]
    for items in lists:
        laid = lay(index, items, Asked(), Priors(), Extra(GROUPS))
        assert (len(laid.lines), len(laid.hits.item), len(laid.way)) == (len(items), 0, 0)
