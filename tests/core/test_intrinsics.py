from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watchbill.core.intrinsics import load64, pointer
from watchbill.core.kernel import kernel


@kernel
def _loads(data: NDArray[np.uint8], out: NDArray[np.uint64]) -> None:
    where = pointer(data)
    for at in range(out.shape[0]):
        out[at] = load64(where, np.int64(at))


def test_eight_bytes_from_any_address_are_little_endian() -> None:
    data = np.random.default_rng(1).integers(0, 256, 40, dtype=np.uint8)
    for view in (data, data[3:]):
        out = np.zeros(view.shape[0] - 7, np.uint64)
        _loads(view, out)
        assert out.tolist() == [int.from_bytes(view[at : at + 8].tobytes(), "little") for at in range(out.shape[0])]
