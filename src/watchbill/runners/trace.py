"""A trace of a replay: the scores of every event as the policy got them, so that the lab can ask "and at another threshold?".

Only for trials: it is written when `replay(..., trace=FILE)` asks for it, holds no names, and is no output of the
contract. A replay that is interrupted and goes on, or whose disk fills up, has a trace of its last part only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.context.events import EVENT
from watchbill.responses.presence import WHENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

FIELDS: Final = (
    "seq", "time", "arrival", "account", "day", "reason", "kind", "role", "roster", "first", "reveal", "gated", "canary",
    "success", "lone",
)  # fmt: skip
"""Fields of EVENT that are kept, where EVENT has them: what the policy reads, and what tells events apart."""
SCORES: Final = (
    "guarantee", "left", "may", "sure", "joined", "evidence", *(f"whence.{name}" for name in WHENCE.names or ()),
)  # fmt: skip
"""Log guarantee number (nats), tokens left, what settings let the role's steps be, the number of canaries alone (no budget
holds that back), the number with what shadow detectors said, the kind of evidence (responses.budget), and where the event
comes from (responses.presence.WHENCE)."""
_ROW_GROUP: Final = 1 << 18


def kept_fields() -> list[str]:
    """The fields of EVENT in a trace."""
    return [name for name in FIELDS if name in (EVENT.names or ())]


class Trace:
    """Writes a trace; `write` fits `Pipeline.on_scores`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: pq.ParquetWriter | None = None

    def write(
        self,
        events: NDArray[np.void],
        guarantee: NDArray[np.float32],
        left: NDArray[np.float32],
        steps: NDArray[np.uint8],
        sure: NDArray[np.float32],
        joined: NDArray[np.float32],
        kinds: NDArray[np.uint8],
        whence: NDArray[np.void],
    ) -> None:
        """Add the n events of one piece: EVENT[n], float32[n] each, `steps` uint8[roles], WHENCE[n]."""
        if not events.shape[0]:
            return
        columns: dict[str, Any] = {name: np.ascontiguousarray(events[name]) for name in kept_fields()}
        columns |= {
            "guarantee": guarantee,
            "left": left,
            "may": steps[events["role"]],
            "sure": sure,
            "joined": joined,
            "evidence": kinds,
        }
        columns |= {f"whence.{name}": np.ascontiguousarray(whence[name]) for name in WHENCE.names or ()}
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table, row_group_size=_ROW_GROUP)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def read_trace(path: Path) -> Iterator[tuple[NDArray[np.void], dict[str, NDArray[np.generic]]]]:
    """Pieces of a trace in order: EVENT rows (fields that are not kept are 0), and the scores by name."""
    if not path.exists():
        return
    for batch in pq.ParquetFile(path).iter_batches(_ROW_GROUP):
        events = np.zeros(batch.num_rows, EVENT)
        for name in kept_fields():
            events[name] = batch.column(name).to_numpy(zero_copy_only=False)
        yield events, {name: batch.column(name).to_numpy(zero_copy_only=False) for name in SCORES}
