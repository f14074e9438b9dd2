"""Shapes of what the reason join works on: one record, one account's desk, one look that waits for a reason."""

from __future__ import annotations

from typing import Final

import numpy as np

COVERS: Final = 2
"""Outlets that one account may cover at once."""

DESK: Final = np.dtype(
    [
        ("cover_outlet", np.uint64, (COVERS,)),
        ("cover_since", np.int64, (COVERS,)),
        ("cover_until", np.int64, (COVERS,)),
        ("waiting_head", np.int32),
        ("waiting_tail", np.int32),
        ("waiting", np.int32),
    ],
    align=True,
)
"""State an account: the outlets that it covers, and the queue of its looks that wait for a reason."""

WAITING: Final = np.dtype(
    [
        ("item", np.uint64),
        ("time", np.int64),
        ("arrival", np.int64),
        ("seq", np.int64),
        ("account", np.int32),
        ("next_of_item", np.int32),
        ("next_of_account", np.int32),
        ("weight", np.float32),
        ("role", np.uint8),  # with `lone`: of a device that looked for itself
        ("lone", np.uint8),
        ("alive", np.uint8),
    ],
    align=True,
)
"""One unexplained look that waits for a late reason (pooled over all accounts)."""


FACT: Final = np.dtype(
    [
        ("seq", np.int64), ("time", np.int64), ("arrival", np.int64), ("until", np.int64), ("account", np.uint64),
        ("assignee", np.uint64), ("device", np.uint64), ("waybill", np.uint64), ("ticket", np.uint64),
        ("outlet", np.uint64), ("next_outlet", np.uint64), ("field_set", np.uint64), ("session", np.uint64),
        ("address", np.uint64), ("number", np.int64), ("account_id", np.int32), ("assignee_id", np.int32),
        ("results", np.int32), ("page", np.int32), ("what", np.uint32), ("lone", np.int32),
        ("outlet_id", np.int32), ("place", np.int32), ("day", np.int32), ("subject_end", np.int32),
        ("weight", np.float32), ("kind", np.uint8), ("masked", np.uint8), ("outcome", np.uint8), ("decided", np.uint8),
        ("status", np.uint8), ("state", np.uint8), ("type", np.uint8), ("hour", np.int8), ("field_count", np.uint8),
    ],
    align=True,
)  # fmt: skip
"""One record as the join reads it: records.columns with dense accounts, outlets and places. The subjects of row i are
subjects[facts[i - 1].subject_end : facts[i].subject_end]; `decided` = it was made under a decision that we gave (context.given); `lone` = 0, or for
a look by a device without an account (whose `account` is then the device's own key) a code of context.lone."""
