"""What a home has seen so far, as summary.json and `watchbill status` tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass
class Counts:
    """What a home has taken in."""

    kinds: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    quarantined: int = 0
    looks: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    interventions: int = 0
    first_time: int | None = None
    last_time: int | None = None

    def add(self, records: pa.Table, decisions: NDArray[np.uint8], interventions: int) -> None:
        """Count the records of a step (those of one source), what its looks got, and changes of standing."""
        for item in pc.value_counts(records.column("kind")).to_pylist():
            self.kinds[item["values"]] = self.kinds.get(item["values"], 0) + item["counts"]
        if records.num_rows:
            span = pc.min_max(records.column("time")).as_py()
            self.first_time = span["min"] if self.first_time is None else min(self.first_time, span["min"])
            self.last_time = span["max"] if self.last_time is None else max(self.last_time, span["max"])
        self.looks += int(decisions.shape[0])
        for code, number in enumerate(np.bincount(decisions).tolist()):
            if number:
                self.decisions[str(code)] = self.decisions.get(str(code), 0) + number
        self.interventions += interventions
