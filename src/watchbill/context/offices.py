"""Which outlet an office network belongs to: a network of kind `office` whose place names an outlet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.context.networks import KINDS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from watchbill.context.interning import Interner

OFFICE: Final = KINDS["office"]


def offices_of(
    places: list[str], kinds: NDArray[np.uint8], outlets: Interner, table: pa.Table | None
) -> NDArray[np.int32]:
    """int32[places]: the dense outlet whose office network a place is, -1 = of none.

    Args:
        places: interned names of places (`name|kind`), in order. kinds: uint8[at least those in the networks table].
        outlets: dense outlets. table: the outlets table; a place may also give an outlet's `name` where only one has it.
    """
    named = _by_name(outlets, table)
    out = np.full(len(places), -1, np.int32)
    for at in np.flatnonzero(kinds[: len(places)] == OFFICE).tolist():
        name = places[at].rpartition("|")[0]
        found = outlets.find(name)
        out[at] = found if found >= 0 else named.get(name, -1)
    return out


def _by_name(outlets: Interner, table: pa.Table | None) -> dict[str, int]:
    if table is None or "name" not in table.column_names:
        return {}
    names = table.column("name").to_pylist()
    often = Counter(names)
    rows = zip(table.column("outlet").to_pylist(), names, strict=True)
    return {name: outlets.find(outlet) for outlet, name in rows if name and often[name] == 1}
