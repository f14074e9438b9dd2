"""What the account stage reads: one row for each look and login, and one for each look explained after the fact."""

from __future__ import annotations

from typing import Final

import numpy as np

LOOK: Final = 1
LOGIN: Final = 2
RETRACT: Final = 3
"""A reason arrived late: the look `seq` of `account` is explained after all; its evidence is taken back."""

EVENT: Final = np.dtype(
    [
        ("seq", np.int64),  # of the look or login; of the look that is taken back, for RETRACT
        ("time", np.int64),  # epoch ms
        ("arrival", np.int64),  # epoch ms
        ("device", np.uint64),  # hash, 0 = none
        ("item", np.uint64),  # hash of the waybill, else of the first subject, else 0
        ("outlet", np.uint64),  # hash of the account's outlet, 0 = unknown
        ("account", np.int32),  # dense
        ("row", np.int32),  # row in the batch of the record that made this event
        ("outlet_id", np.int32),  # dense outlet of the account, -1 = unknown
        ("place", np.int32),  # index into the networks, -1 = unknown
        ("day", np.int32),  # local day number of `time`
        ("weight", np.float32),  # tokens: 0 when nothing was revealed
        ("reason", np.int16),  # 0 = unexplained, else role * RULES_MAX + rule + 1
        ("hour", np.int8),  # local hour of `time`
        ("kind", np.uint8),
        ("role", np.uint8),
        ("roster", np.uint8),  # context.roster: ACTIVE, UNKNOWN, ENDED, EARLY
        ("first", np.uint8),  # 1: this account's first look at this item in days
        ("reveal", np.uint8),  # 1: unmasked, successful and not under a decision
        ("gated", np.uint8),  # 1: the outlet's scans are silent, unexplained is no evidence
        ("canary", np.uint8),  # 1: the item does not exist
        ("success", np.uint8),
    ],
    align=True,
)
"""Structured dtype of one event. Events of a batch stand in order of the record that made them."""
