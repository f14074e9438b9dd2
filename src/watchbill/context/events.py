"""What the account stage reads: one row for each look, login and work of an account, and for each look explained after the fact."""

from __future__ import annotations

from typing import Final

import numpy as np

LOOK: Final = 1
LOGIN: Final = 2
RETRACT: Final = 3
"""A reason arrived late: the look `seq` of `account` is explained after all; its evidence is taken back."""

WORK: Final = 4
"""The account scanned a parcel (`at` = where) or handled a ticket; it says what the person was doing, and nothing was shown."""

CONFIRM: Final = 5
"""The caller's own log of a look that was asked about: it gets a verdict, and counts nothing again."""

EVENT: Final = np.dtype(
    [
        ("seq", np.int64),  # of the look or login; of the look that is taken back, for RETRACT
        ("time", np.int64),  # epoch ms
        ("arrival", np.int64),  # epoch ms
        ("device", np.uint64),  # hash, 0 = none
        ("item", np.uint64),  # hash of the waybill, else of the first subject, else 0
        ("session", np.uint64),  # hash, 0 = none
        ("address", np.uint64),  # hash of the ip, 0 = none
        ("subject", np.uint64),  # hashes of the first and the last customer shown, 0 = none
        ("subject_last", np.uint64),
        ("number", np.int64),  # trailing digits of the waybill, 0 = none
        ("outlet", np.uint64),  # hash of the account's outlet, 0 = unknown
        ("account", np.int32),  # dense
        ("row", np.int32),  # row in the batch of the record that made this event
        ("outlet_id", np.int32),  # dense outlet of the account, -1 = unknown
        ("place", np.int32),  # index into the networks, -1 = unknown
        ("day", np.int32),  # local day number of `time`
        ("at", np.int32),  # WORK: dense outlet where the scan was, -1 = none
        ("results", np.int32),  # rows that a search or export returned, 0 = not said
        ("page", np.int32),  # page of the result list, 0 = not said
        ("what", np.uint32),  # hash of kind, app and field set: what was done; 0 = nothing to compare
        ("weight", np.float32),  # tokens: 0 when nothing was revealed
        ("reason", np.int16),  # 0 = unexplained, else role * RULES_MAX + rule + 1
        ("tenure_days", np.int16),  # days since the post began, -1 = unknown
        ("hour", np.int8),  # local hour of `time`
        ("kind", np.uint8),
        ("role", np.uint8),
        ("roster", np.uint8),  # context.roster: ACTIVE, UNKNOWN, ENDED, EARLY
        ("first", np.uint8),  # 1: this account's first look at this item in days
        ("reveal", np.uint8),  # 1: unmasked, successful and not under a decision
        ("gated", np.uint8),  # 1: the outlet's scans are silent, unexplained is no evidence
        ("canary", np.uint8),  # 1: the item does not exist
        ("success", np.uint8),
        ("fields", np.uint8),  # how many fields were asked for
        ("assigned", np.uint8),  # whose the parcel is to deliver: 0 nobody's known, 1 this account's, 2 somebody else's
        ("fresh", np.uint8),  # 1: picked up within the last two hours
        ("own_scan", np.uint8),  # 1: this account (or this device) scanned it before
        ("follows", np.uint8),  # 1: WORK, the first of this account at an item that it looked at within 24 h before
        ("persons", np.uint8),  # holders of the account at once (at least 1)
        ("shift", np.uint8),  # 0 no shifts known, 1 on shift, 2 off shift
        ("lone", np.uint8),  # 1: the account is a device that looks for itself
        (
            "there",
            np.uint8,
        ),  # WORK: what was known of a scanned parcel before: bits of context.traces.AT_OUTLET, ON_LIST
    ],
    align=True,
)
"""Structured dtype of one event. Events of a batch stand in order of the record that made them."""
