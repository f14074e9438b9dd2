"""Which outlet an office network belongs to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from watchbill.context.interning import Interner
from watchbill.context.networks import KINDS
from watchbill.context.offices import offices_of

PLACES = ["O1|office", "Second Street|office", "O1|broadband", "Same|office", "Nowhere|office", "O|2|office", "|office"]


def test_an_office_is_its_outlets_by_id_or_by_a_name_that_only_one_has() -> None:
    outlets = Interner("outlets", 100)
    for name in ("O0", "O1", "O2", "O3", "O|2"):
        outlets.add(name)
    table = pa.table({"outlet": ["O1", "O2", "O3", "O0"], "name": ["", "Second Street", "Same", "Same"]})
    kinds = np.array([KINDS[name.rpartition("|")[2]] for name in PLACES], np.uint8)
    assert offices_of(PLACES, kinds, outlets, table).tolist() == [1, 2, -1, -1, -1, 4, -1]
    assert offices_of(PLACES, kinds, outlets, None).tolist() == [1, -1, -1, -1, -1, 4, -1]
    assert offices_of([], np.zeros(0, np.uint8), outlets, table).shape == (0,)
    assert offices_of(PLACES, np.zeros(0, np.uint8), outlets, table).tolist() == [-1] * 7  # a table that was taken away
